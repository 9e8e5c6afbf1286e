"""pyvips in a process pool, used the obvious way: a `thumbnail` and a `pngsave` per flavor.

One libvips thread per process, so that the number of workers means the same for everybody. What
this program leaves to be won is what pregen is about: each flavor decodes the file again, and
`pngsave` compresses at its default level. libvips 8.18 compresses the text chunks too (zTXt), which
GLib does not read: no desktop of the GNOME family accepts these entries.
"""

from __future__ import annotations

import os
import sys
from multiprocessing import Pool  # noqa: TID251 - a peer is written as its users write it

# libvips reads this when it is loaded.
os.environ.setdefault("VIPS_CONCURRENCY", "1")

import pyvips

from benchmarks.peers import common

_ASKED = common.request()


def make(path: str) -> bool:
    """Write the entries of one source."""
    source = common.picture(path)
    try:
        for flavor, box_px in _ASKED.boxes_px.items():
            small = pyvips.Image.thumbnail(path, box_px, height=box_px, size="down").copy()
            # libvips writes a field of this name as the text chunk of what follows the number.
            text = pyvips.GValue.gstr_type
            small.set_type(text, "png-comment-0-Thumb::URI", source.uri)
            small.set_type(text, "png-comment-1-Thumb::MTime", str(source.mtime_s))
            small.set_type(text, "png-comment-2-Thumb::Size", str(source.size_bytes))
            small.pngsave(source.entry(_ASKED.thumbnails, flavor))
    except pyvips.Error as error:
        print(f"{path}: {error}", file=sys.stderr)
        return False
    return True


def main() -> None:
    """Hand all files to the pool."""
    common.make_folders(_ASKED)
    files = list(common.files(_ASKED.tree))
    with Pool(_ASKED.workers) as pool:
        made = sum(pool.imap_unordered(make, files, common.chunk(files, _ASKED.workers)))
    print(f"{made} pictures")


if __name__ == "__main__":
    main()

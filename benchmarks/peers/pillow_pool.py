"""Pillow in a process pool: what most Python programs that make thumbnails do.

`draft` lets libjpeg-turbo decode at a reduced scale that still covers the box; all flavors come
from that one picture; text chunks as the standard asks. No colour management, as usual with
Pillow. Plug-ins read HEIC and JPEG XL. Files that end early are taken, as every other peer takes
them.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from multiprocessing import Pool  # noqa: TID251 - a peer is written as its users write it

from PIL import Image, ImageFile, ImageOps, PngImagePlugin, UnidentifiedImageError

from benchmarks.peers import common

with suppress(ImportError):
    from pillow_heif import register_heif_opener

    register_heif_opener(thumbnails=False)
with suppress(ImportError):
    import pillow_jxl  # type: ignore[import-not-found]  # noqa: F401 - a plug-in registers itself

_ASKED = common.request()


def make(path: str) -> bool:
    """Write the entries of one source."""
    source = common.picture(path)
    text = PngImagePlugin.PngInfo()
    text.add_text("Thumb::URI", source.uri)
    text.add_text("Thumb::MTime", str(source.mtime_s))
    text.add_text("Thumb::Size", str(source.size_bytes))
    largest = max(_ASKED.boxes_px.values())
    try:
        with Image.open(path) as opened:
            opened.draft("RGB", (largest, largest))
            small = ImageOps.exif_transpose(opened)
            if small.mode not in {"RGB", "RGBA", "L", "LA"}:
                small = small.convert("RGBA" if "transparency" in small.info else "RGB")
            for flavor, box_px in _ASKED.boxes_px.items():
                small.thumbnail((box_px, box_px), Image.Resampling.LANCZOS)
                small.save(source.entry(_ASKED.thumbnails, flavor), pnginfo=text)
    except (UnidentifiedImageError, OSError, ValueError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return False
    return True


def main() -> None:
    """Hand all files to the pool."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    common.make_folders(_ASKED)
    files = list(common.files(_ASKED.tree))
    with Pool(_ASKED.workers) as pool:
        made = sum(pool.imap_unordered(make, files, common.chunk(files, _ASKED.workers)))
    print(f"{made} pictures")


if __name__ == "__main__":
    main()

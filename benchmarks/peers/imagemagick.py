"""ImageMagick's convert: a process per picture, decoding once for all flavors.

`jpeg:size` lets libjpeg decode at a reduced scale. `-thumbnail` writes the standard's text chunks
by itself, but a wrong Thumb::Size and Thumb::URI, which are set right here; one thread per process.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from typing import TYPE_CHECKING

from benchmarks.peers import common, one_process_each

if TYPE_CHECKING:
    from collections.abc import Iterator


@cache
def program() -> str:
    """Path of the `convert` that is ImageMagick's; others have used the name."""
    for folder in os.get_exec_path():
        path = shutil.which("convert", path=folder)
        if (
            path
            and b"ImageMagick"
            in subprocess.run([path, "-version"], capture_output=True, check=False).stdout
        ):
            return path
    raise SystemExit("no convert of ImageMagick on PATH: see benchmarks/setup")


def commands(picture: common.Picture, asked: common.Request) -> Iterator[list[str]]:
    """One call that writes the largest entry and makes each smaller one from the one before."""
    text = ["-set", "Thumb::URI", picture.uri, "-set", "Thumb::Size", str(picture.size_bytes)]
    twice_px = 2 * max(asked.boxes_px.values())
    line = [program(), "-define", f"jpeg:size={twice_px}x{twice_px}"]
    line += [f"{picture.path}[0]", "-auto-orient"]
    for number, (flavor, box_px) in enumerate(asked.boxes_px.items()):
        mtime = ["-set", "Thumb::MTime", str(picture.mtime_s)] if number else []
        line += ["-thumbnail", f"{box_px}x{box_px}>", *mtime, *text]
        line += ["-write", picture.entry(asked.thumbnails, flavor)]
    yield [*line, "null:"]


if __name__ == "__main__":
    os.environ["MAGICK_THREAD_LIMIT"] = "1"
    one_process_each.run_all(commands)

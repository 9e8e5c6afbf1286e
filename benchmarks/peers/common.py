"""What the Python peers share: the files of a tree and the names of their entries.

Written from the thumbnail standard, not with pregen's code: a peer is somebody else's program.
"""

from __future__ import annotations

import hashlib
import os
import sys
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Box in pixels of each flavor.
_BOXES_PX = {"normal": 128, "large": 256, "x-large": 512, "xx-large": 1024}

#: What GLib leaves unescaped in a path besides letters and digits.
_GLIB_SAFE = "!$&'()*+,:=@/~-._"


class Request(NamedTuple):
    """The command line every peer understands: TREE THUMBNAILS WORKERS FLAVORS."""

    tree: str
    thumbnails: str
    workers: int
    boxes_px: dict[str, int]
    """Of each flavor that is wanted, the largest first."""


class Picture(NamedTuple):
    """One source: its path, URI, the name of its entries and its mtime in whole seconds."""

    path: str
    uri: str
    name: str
    mtime_s: int
    size_bytes: int

    def entry(self, thumbnails: str, flavor: str) -> str:
        """Path of this picture's entry of `flavor`."""
        return f"{thumbnails}/{flavor}/{self.name}"


def request() -> Request:
    """Read the command line."""
    tree, thumbnails, workers, flavors = sys.argv[1:]
    boxes_px = {flavor: _BOXES_PX[flavor] for flavor in flavors.split(",")}
    ordered = sorted(boxes_px.items(), key=lambda each: -each[1])
    return Request(tree, thumbnails, int(workers), dict(ordered))


def files(tree: str) -> Iterator[str]:
    """All files below `tree`."""
    for folder, _folders, names in os.walk(tree):
        for name in names:
            yield f"{folder}/{name}"


def chunk(files: Sequence[str], workers: int) -> int:
    """How many files a process is given at a time: all are to be busy until the end."""
    return max(1, min(8, len(files) // (8 * workers)))


def picture(path: str) -> Picture:
    """Look at the source once for what its entry has to say."""
    facts = os.stat(path)
    uri = "file://" + quote(path, safe=_GLIB_SAFE)
    name = hashlib.md5(uri.encode(), usedforsecurity=False).hexdigest() + ".png"
    return Picture(path, uri, name, int(facts.st_mtime), facts.st_size)


def make_folders(asked: Request) -> None:
    """Make the folder of every flavor."""
    for flavor in asked.boxes_px:
        os.makedirs(f"{asked.thumbnails}/{flavor}", mode=0o700, exist_ok=True)

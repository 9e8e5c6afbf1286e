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
    from collections.abc import Iterator

#: Box in pixels of each flavor all peers write.
BOXES_PX = {"large": 256, "normal": 128}

#: What GLib leaves unescaped in a path besides letters and digits.
_GLIB_SAFE = "!$&'()*+,:=@/~-._"


class Request(NamedTuple):
    """The command line every peer understands: TREE THUMBNAILS WORKERS."""

    tree: str
    thumbnails: str
    workers: int


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
    tree, thumbnails, workers = sys.argv[1:]
    return Request(tree, thumbnails, int(workers))


def files(tree: str) -> Iterator[str]:
    """All files below `tree`."""
    for folder, _folders, names in os.walk(tree):
        for name in names:
            yield f"{folder}/{name}"


def picture(path: str) -> Picture:
    """Look at the source once for what its entry has to say."""
    facts = os.stat(path)
    uri = "file://" + quote(path, safe=_GLIB_SAFE)
    name = hashlib.md5(uri.encode(), usedforsecurity=False).hexdigest() + ".png"
    return Picture(path, uri, name, int(facts.st_mtime), facts.st_size)


def make_folders(thumbnails: str) -> None:
    """Make the folders of both flavors."""
    for flavor in BOXES_PX:
        os.makedirs(f"{thumbnails}/{flavor}", mode=0o700, exist_ok=True)

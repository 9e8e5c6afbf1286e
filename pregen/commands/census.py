"""What is in the cache, by flavor and by program, for `pregen status`: names and sizes only.

Whether entries are fresh it cannot tell: that takes their sources (`pregen show`, `pregen run`).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from pregen.errors import CacheError
from pregen.model import ALL_FLAVORS

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Standard, Thumbnail Saving: an md5 in hex digits.
_ENTRY = re.compile(r"[0-9a-f]{32}\.png")


class FolderCount(NamedTuple):
    """What one folder of the cache holds."""

    name: str
    entries: int
    size_bytes: int
    """Of the entries; the disk may take more, in whole blocks."""
    others: int
    """What is no entry by its name: temps of a run under way, or somebody's files."""


class Census(NamedTuple):
    """What the whole cache holds."""

    flavors: tuple[FolderCount, ...]
    """Every standard flavor, also an empty one."""
    fail_records: tuple[FolderCount, ...]
    """By the program that left them."""


def take_census(root: bytes) -> Census:
    """Count what the cache at `root` holds.

    Raises:
        CacheError: a folder is there and cannot be listed.
    """
    flavors = tuple(
        _count(os.path.join(root, os.fsencode(flavor.directory)), flavor.directory)
        for flavor in ALL_FLAVORS
    )
    fail = os.path.join(root, b"fail")
    programs = sorted(entry.name for entry in _listed(fail) if entry.is_dir(follow_symlinks=False))
    return Census(flavors, tuple(_count(os.path.join(fail, p), os.fsdecode(p)) for p in programs))


def _count(folder: bytes, name: str) -> FolderCount:
    entries = size_bytes = others = 0
    for item in _listed(folder):
        if not _ENTRY.fullmatch(os.fsdecode(item.name)):
            others += 1
            continue
        try:
            size_bytes += item.stat(follow_symlinks=False).st_size
        except FileNotFoundError:  # removed or replaced this moment
            continue
        entries += 1
    return FolderCount(name, entries, size_bytes, others)


def _listed(folder: bytes) -> Iterator[os.DirEntry[bytes]]:
    try:
        with os.scandir(folder) as items:
            yield from items
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        shown = folder.decode("utf-8", "backslashreplace")
        raise CacheError(
            f"{shown} cannot be listed ({error.strerror}). Check its owner and permissions."
        ) from error

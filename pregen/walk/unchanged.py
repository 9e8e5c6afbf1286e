"""Which files of a folder, and which entries of theirs, are as they were: by stat, at once.

Of a library that has not changed, this is all a re-run does, so it is there in C too; without a
compiler the same is done here, a few times slower. Nothing is believed that a look at one file
after the other would not find: every source and every entry is asked for its stat.
"""

from __future__ import annotations

import os
import stat
import struct
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

try:
    from pregen.walk import _unchanged
except ImportError:
    #: An installation without a C compiler does it in Python.
    COMPILED = False
else:
    COMPILED = True

#: The most names that are given back: of a folder with more that is new it is known then that
#: nothing is saved, and nothing is kept in memory.
MOST_REST: Final = 10_000
_DOT: Final = ord(".")


class RememberedFolder(NamedTuple):
    """What is remembered of a folder whose files were fresh, as the journal has it."""

    names: bytes
    """A zero byte between two. The name of a file that has entries under several keys stands there
    once for each: all of them have to be as they were."""
    facts: bytes
    """For each name, little-endian: size and mtime in 8 bytes each, the key's 16, and for every
    wanted flavor the entry's inode, mtime and size in 8 bytes each."""


class Settled(NamedTuple):
    """What a look at a folder found."""

    fresh: int
    """So many files are as they were, and so are their entries."""
    rest: Sequence[bytes]
    """Names of everything else in it, in no order."""


class EntryFolders(NamedTuple):
    """Where entries are looked for."""

    wanted: tuple[int, ...]
    """The folders of the wanted flavors, open, in the order of the facts."""
    others: tuple[tuple[bytearray, int], ...] = ()
    """What may be in folders of other flavors (`cache.keyset.KeySet.table`): a source that has
    such an entry is looked at in full."""


def unchanged(
    folder: int,
    device: int,
    known: RememberedFolder,
    entries: EntryFolders,
    *,
    hidden: bool = False,
    most_rest: int = MOST_REST,
) -> Settled | None:
    """Look at all files of a folder.

    Args:
        folder: its descriptor, open for reading.
        device: that files have to lie on, those that links lead to as well.
        known: what is remembered of it.
        entries: where their entries are.
        hidden: also at those whose names begin with a dot; else they are of the rest.
        most_rest: with more names than these in the rest nothing is told.

    Returns:
        What was found; None where the facts do not fit, or with too much of the rest.

    Raises:
        OSError: the folder cannot be listed.
        MemoryError: there was not enough memory.
    """
    if not COMPILED:
        return in_python(folder, device, known, entries, hidden=hidden, most_rest=most_rest)
    found = _unchanged.unchanged(folder, device, *known, *entries, hidden, most_rest)
    return None if found is None else Settled(*found)


def in_python(
    folder: int,
    device: int,
    known: RememberedFolder,
    entries: EntryFolders,
    *,
    hidden: bool = False,
    most_rest: int = MOST_REST,
) -> Settled | None:
    """Do the same without C."""
    layout = struct.Struct("<qq16s" + "Qqq" * len(entries.wanted))
    names = known.names.split(b"\0")
    if len(names) * layout.size != len(known.facts):
        return None
    facts: dict[bytes, list[tuple[Any, ...]]] = {}
    for name, numbers in zip(names, layout.iter_unpack(known.facts), strict=True):
        facts.setdefault(name, []).append(numbers)
    with os.scandir(folder) as listing:
        listed = {os.fsencode(entry.name) for entry in islice(listing, len(facts) + most_rest + 1)}
    rest = [name for name in listed if name not in facts or (name[0] == _DOT and not hidden)]
    listed.difference_update(rest)
    fresh = 0
    for name in listed:
        if all(_is_fresh(folder, device, name, each, entries) for each in facts[name]):
            fresh += 1
        else:
            rest.append(name)
    return Settled(fresh, rest) if len(rest) <= most_rest else None


def _is_fresh(
    folder: int, device: int, name: bytes, facts: tuple[Any, ...], entries: EntryFolders
) -> bool:
    size_bytes, mtime_ns, key, *stamps_then = facts
    entry = key.hex() + ".png"
    stamps: list[int] = []
    try:
        there = os.stat(name, dir_fd=folder)
        for fd in entries.wanted:
            now = os.stat(entry, dir_fd=fd, follow_symlinks=False)
            if not (stat.S_ISREG(now.st_mode) and now.st_mode & stat.S_IRUSR):
                return False
            stamps += (now.st_ino, now.st_mtime_ns, now.st_size)
    except OSError:
        return False
    return (
        stat.S_ISREG(there.st_mode)
        and (there.st_dev, there.st_size, there.st_mtime_ns) == (device, size_bytes, mtime_ns)
        and stamps == stamps_then
        and not any(_holds(bits, shift, key) for bits, shift in entries.others)
    )


def _holds(bits: bytearray, shift: int, key: bytes) -> bool:
    slot = int.from_bytes(key[:4]) >> shift
    return bool(bits[slot >> 3] & (1 << (slot & 7)))

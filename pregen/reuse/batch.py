"""Many entries read, and written under other texts, in one call each: in C, without the lock.

Of a moved library this is most of the work, and the thread that does it meets the interpreter's
lock twice for some dozens of files instead of ten times for each. What is not done here is to be
done alone, in Python, which says why it cannot be done: where there was no compiler, that is all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.model import Stamp

if TYPE_CHECKING:
    from collections.abc import Sequence

try:
    from pregen.reuse import _batch
except ImportError:
    #: An installation without a C compiler.
    COMPILED = False
else:
    COMPILED = True

#: Of one call: more is refused.
MOST_ENTRIES: Final = 4096


class NewEntry(NamedTuple):
    """An entry to be written: a new beginning, then an old entry from a byte on."""

    folder: int
    """Descriptor of the folder of both."""
    old_name: str
    old_bytes: int
    """The size of the old one, up to 16 MiB."""
    old_head: bytes
    """How it begins."""
    old_from: int
    """Within that."""
    name: str
    beginning: bytes


class NewEntries(NamedTuple):
    """All entries of a source, which are written if it is still as it was."""

    source: bytes
    """Its path; one that is a link is left to be done alone."""
    device: int
    inode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    fail_record: str
    """The name of its fail record, which is deleted afterwards."""
    entries: tuple[NewEntry, ...]


def heads(entries: Sequence[tuple[int, str]]) -> list[tuple[bytes, int] | None]:
    """Return how entries begin.

    Args:
        entries: descriptors of their folders, and their names.

    Returns:
        For each as much as is needed to judge it (`thumbspec.validity.HEAD_BYTES`), and the size of
        its file in bytes. None: it is no regular file, or cannot be read.

    Raises:
        ValueError: more than `MOST_ENTRIES`, or a name with a zero byte.
        MemoryError: there was not enough memory.
    """
    found: list[tuple[bytes, int] | None] = _batch.heads(tuple(entries))
    return found


def write(
    temp: str, fail_folder: int | None, sources: Sequence[NewEntries]
) -> list[tuple[Stamp, ...] | None]:
    """Write the entries of each source, whole and with mode 0600 (`cache.atomic.commit`).

    Of every old entry the length, the beginning and the check sums of all chunks have to be right
    before the first one is written.

    Args:
        temp: a name for temporary files (`cache.atomic.temp_name`).
        fail_folder: descriptor of the folder of fail records; None: there is none.
        sources: with their entries.

    Returns:
        For each source the stamps of its entries; None: the source is not as it was, or not all
        could be done. Nothing is left half written, but some may be there: it is to be done
        again, alone.

    Raises:
        ValueError: more than `MOST_ENTRIES`, a name with a zero byte, or impossible sizes.
        MemoryError: there was not enough memory.
    """
    fails = -1 if fail_folder is None else fail_folder
    written = _batch.write(temp, fails, tuple(sources))
    return [None if stamps is None else tuple(map(Stamp._make, stamps)) for stamps in written]

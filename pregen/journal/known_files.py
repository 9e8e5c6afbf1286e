"""Files that were looked at, as rows: found by file system and number instead of name.

A row is a hint: size, mtime and change time in it must be those of the file as it is, and the entry
that it names says itself what it was made of. One row for a file: 60 bytes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.digests import blake2b
from pregen.journal.rows import KIND_VALUES
from pregen.model import Kind
from pregen.thumbspec import fingerprint

if TYPE_CHECKING:
    from typing import Any

    from pregen.filesystems.identity import FileSystem
    from pregen.model import Outcome

#: Outcomes with entries, which are then found under the key of the row ...
WITH_ENTRIES: Final = frozenset({Kind.MADE, Kind.REUSED})
#: ... and those of files that need none, of which not even the hash of a name is kept.
WITHOUT_ENTRIES: Final = frozenset({Kind.SMALL, Kind.NOT_PICTURE})
_KINDS: Final = {kind.value: kind for kind in WITH_ENTRIES | WITHOUT_ENTRIES}
_KEY_BYTES: Final = 16

#: Files of one folder have numbers that lie together, as a rule: many are asked for at once.
READ: Final = (
    "SELECT inode, size_bytes, mtime_ns, ctime_ns, kind, key, brief, run_id FROM known_files"
    " WHERE file_system = ? AND inode >= ? ORDER BY inode LIMIT ?"
)
READ_SHAPE: Final = (int, int, int, int, str, bytes, int, int)
ANY: Final = "SELECT 1 FROM known_files WHERE file_system = ? LIMIT 1"
ANY_SHAPE: Final = (int,)
WRITE: Final = (
    "INSERT OR REPLACE INTO known_files"
    " (file_system, inode, size_bytes, mtime_ns, ctime_ns, kind, key, brief, run_id)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_MOST: Final = 2**63 - 1

FileRow = tuple[int, int, int, int, int, str, bytes, int, int]


class KnownFile(NamedTuple):
    """What is known of a file by its number."""

    inode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    kind: Kind | None
    """What became of it: of `WITH_ENTRIES` or `WITHOUT_ENTRIES`. None: it is to be looked at."""
    key: str
    """Of its entries, 32 hex digits; empty where it needs none."""
    brief: int
    """Part of what they say they were made of (`fingerprint.brief`): under this key there may be
    those of another file by now."""
    run_id: int


def row(
    outcome: Outcome, system: FileSystem, size_bytes: int, mtime_ns: int, key: str, run_id: int
) -> FileRow | None:
    """Return a row for `WRITE`; None where the file cannot be known again, or need not be.

    Args:
        outcome: of the source.
        system: where it lies.
        size_bytes: as it was opened.
        mtime_ns: likewise.
        key: of its entries, 32 hex digits; empty: they are not in the cache.
        run_id: of the run.
    """
    inode, ctime_ns = outcome.source_inode, outcome.source_ctime_ns
    if not inode or abs(mtime_ns) > _MOST:
        return None
    if outcome.kind in WITHOUT_ENTRIES:
        key = ""
    elif outcome.kind not in WITH_ENTRIES or not key:
        return None
    kind = KIND_VALUES[outcome.kind]
    number = number_of(system)
    brief = fingerprint.brief(outcome.fingerprint)
    return number, inode, size_bytes, mtime_ns, ctime_ns, kind, bytes.fromhex(key), brief, run_id


@lru_cache(maxsize=16)
def number_of(system: FileSystem) -> int:
    """Return by what rows of a file system are found: 63 bits of a hash."""
    name = f"{system.kind}\0{system.identity}".encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "big") >> 1


def known_file(found: tuple[Any, ...]) -> KnownFile:
    """Return what a row of `READ_SHAPE` says, without a kind where it is not as it was written."""
    inode, size_bytes, mtime_ns, ctime_ns, value, key, brief, run_id = found
    kind = _KINDS.get(value)
    if len(key) != (_KEY_BYTES if kind in WITH_ENTRIES else 0):
        kind = None
    return KnownFile(inode, size_bytes, mtime_ns, ctime_ns, kind, key.hex(), brief, run_id)

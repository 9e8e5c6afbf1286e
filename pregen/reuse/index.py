"""Which entries may show the very content of a source: it was moved, renamed or copied.

The journal knows by size and time. One that is new, or has never met this cache, is first told
what all its entries say of themselves: so a cache that was restored or copied without its journal
is recognised too. Whether the content is the same, the worker finds out (`reuse.match`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pregen.errors import CacheError
from pregen.journal import fingerprints
from pregen.thumbspec import fingerprint
from pregen.thumbspec.pngchunks import PngError
from pregen.thumbspec.pngtext import MTIME, SIZE, read_head

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pregen.cache.store import Cache
    from pregen.journal import Journal
    from pregen.journal.fingerprints import PrintRow
    from pregen.model import Flavor, Kin, Source

_MARK = fingerprint.KEY.encode() + b"\0"
_NS = 1_000_000_000
#: No file is larger, no time later, and SQLite holds both.
_MOST_DIGITS = 18


class ContentIndex:
    """Answers for one source after another. For one thread."""

    def __init__(self, cache: Cache, flavors: Sequence[Flavor], journal: Journal) -> None:
        self._cache = cache
        self._flavors = flavors
        self._journal = journal
        self._surveyed = False

    def candidates(self, source: Source) -> tuple[Kin, ...]:
        """Return entries that may be of the same content, best first; the cache is only read."""
        if not self._surveyed:
            self._surveyed = True
            root = self._cache.root
            if not self._journal.surveyed(root):
                self._journal.survey(root, entries_say(self._cache, self._flavors))
        return self._journal.kin(source.size_bytes, source.mtime_ns)


def entries_say(cache: Cache, flavors: Sequence[Flavor]) -> Iterator[PrintRow]:
    """Read what the entries of a cache say they were made of; one of the flavors will do."""
    seen: set[bytes] = set()
    for flavor in flavors:
        folder = cache.folder(flavor)
        try:
            for name in folder.entry_names():
                key = bytes.fromhex(name.removesuffix(".png"))
                if key in seen or (found := folder.examine(name)) is None:
                    continue
                head = found.data
                if _MARK in head and (row := _row(key.hex(), head)):
                    seen.add(key)
                    yield row
        except CacheError:
            continue  # the run itself will say what is wrong with it


def _row(key: str, head: bytes) -> PrintRow | None:
    try:
        texts = read_head(head)
    except PngError:
        return None
    said = texts.first(fingerprint.KEY)
    size, mtime = texts.first(SIZE), texts.first(MTIME).partition(".")[0]
    numbers = (size, mtime.removeprefix("-"))
    if not all(text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS for text in numbers):
        return None
    if fingerprint.looked_at(said, int(size)) is None:
        return None
    return fingerprints.row(key, said, int(size), int(mtime) * _NS)

"""From roots to sources: what there is to make thumbnails of, and in which order. Opens no file.

    walk(config) -> Source | Skip, one after the other, as they are found

What a rule leaves out below a root (hidden, pruned, not chosen by a pattern, a name that cannot be
a picture's) is only counted. A skip is yielded for what the user may miss: what could not be
read, what vanished, special files, and folders left out for a reason that their name does not tell.
What the user names is taken: no rule but that against thumbnails of thumbnails applies to a root
itself, whether a file or a folder (a `.nomedia` in it included).
"""

from __future__ import annotations

import heapq
import marshal
import os
import tempfile
from contextlib import suppress
from itertools import chain, islice
from typing import TYPE_CHECKING

import xxhash

from pregen.config import Order
from pregen.errors import PregenError
from pregen.filesystems.guard import Guard
from pregen.model import Skip, Source
from pregen.private_folders import make_folders
from pregen.spool import Spool
from pregen.thumbspec.naming import clean_path
from pregen.walk.filters import Caches, Globs
from pregen.walk.roots import (
    FolderRoot,
    folder_roots,
    look_at_roots,
    named_sources,
    sources_from_list,
    working_directory,
)
from pregen.walk.tree import Settler, Tree, WalkContext, WalkCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pregen.config import Shard, WalkConfig
    from pregen.filesystems.bounded import BoundedFiles
    from pregen.walk.tree import Listings

    Record = tuple[int, bytes, int, int, bool, int, int]

__all__ = [
    "Settler",
    "WalkCounts",
    "folder_roots",
    "guard_of",
    "named_sources",
    "sources_from_list",
    "walk",
    "working_directory",
]


def walk(  # noqa: PLR0913 - keywords, of which most callers need none
    config: WalkConfig,
    *,
    cwd: bytes | None = None,
    listed: Iterable[Source | Skip] = (),
    counts: WalkCounts | None = None,
    spool_dir: bytes | None = None,
    guard: Guard | None = None,
    placed: Callable[[bytes, int], None] = lambda _folder, _device: None,
    settler: Settler | None = None,
    listings: Listings | None = None,
) -> Iterator[Source | Skip]:
    """Yield every source below the roots, and what `listed` gives after them.

    Roots are looked at before this returns; the rest is lazy. A source is yielded once, even when
    roots overlap: a root inside another is walked when its turn comes. With another order than
    that of the walk, sources come after the walk has ended.

    Args:
        config: the roots and the rules.
        cwd: where relative roots start; by default `working_directory(os.environ)`.
        listed: from `sources_from_list` or `named_sources`, put in order with the others.
        counts: kept up to date while the walk goes on.
        spool_dir: for the sources while they are put in order; by default the system's.
        guard: knows what must be left out; by default that of `config`, which says nothing.
        placed: told folders with sources in them, and the device each lies on.
        listings: what earlier walks saw of folders, where that is to be believed.
        settler: settles sources before they are found, and counts them. Only in the order of the
            walk, of all machines' shares at once, whose sources it cannot tell apart, and without
            `listings`: it looks at every file.

    Raises:
        UsageError: a root does not exist, or a pattern makes no sense.
    """
    globs = Globs(config.include, config.exclude)
    guard = guard or guard_of(config)
    caches = Caches(config.cache_root, guard.files)
    relative = any(not root.startswith(b"/") for root in config.roots)
    start = cwd or (working_directory(os.environ) if relative else b"/")
    roots = look_at_roots(config.roots, start, caches, guard.files)
    folders = frozenset(root.path for root in roots if isinstance(root, FolderRoot))
    files = frozenset(root.path for root in roots if not isinstance(root, FolderRoot))
    if config.order is not Order.WALK or config.shard is not None or listings is not None:
        settler = None
    context = WalkContext(
        config,
        globs,
        caches,
        folders,
        files,
        counts or WalkCounts(),
        guard,
        placed,
        listings,
        settler,
    )
    found: Iterator[Source | Skip] = chain(_sources(roots, context), _guarded(listed, guard))
    if config.shard is not None:
        found = of_shard(found, config.shard)
    if config.order is Order.WALK:
        return found
    return in_order(found, config.order, spool_dir or os.fsencode(tempfile.gettempdir()))


def _sources(
    roots: list[FolderRoot | Source | Skip], context: WalkContext
) -> Iterator[Source | Skip]:
    for root in roots:
        if isinstance(root, FolderRoot):
            yield from Tree(root.path, context)
        else:
            yield from _guarded([root], context.guard, pseudo=True)


def guard_of(
    config: WalkConfig,
    say: Callable[[str], None] = lambda _words: None,
    files: BoundedFiles | None = None,
) -> Guard:
    """Return what keeps a walk from what its cache is not to show.

    Args:
        config: names the cache, and what may be taken all the same.
        say: told once of each place that is left out.
        files: looks at files; by default one of its own.
    """
    allowed = tuple(clean_path(path, b"/") for path in config.allow_encrypted)
    return Guard(config.cache_root or None, allowed, say, files=files)


def _guarded(
    items: Iterable[Source | Skip], guard: Guard, *, pseudo: bool = False
) -> Iterator[Source | Skip]:
    """Yield what was named one by one; in place of what must be left out, why."""
    for item in items:
        if isinstance(item, Source) and item.device:
            yield guard.file(item.path, item.device, pseudo=pseudo) or _located(item, guard)
        else:
            yield item


def _located(source: Source, guard: Guard) -> Source:
    """Return a source that was named with where its content is."""
    placeholders = guard.placeholders
    if not placeholders.possible(source.path, source.device):
        return source
    with suppress(OSError):  # who reads it will say what is wrong
        placeholders.note(guard.files.stat(os.path.dirname(source.path)))
        away = placeholders.is_away(source.path, guard.files.stat(source.path))
        return source._replace(away=away)
    return source


# `--order newest|oldest`. Sorted runs of sources go to a spool and are merged while they are read
# back. A million sources take 2.3 s of CPU and 31 MB; an SQLite table takes 4.0 s. Up to
# `RUN_SOURCES` stay in memory.

#: 50,000 sources take about 10 MB; a million make 20 runs.
RUN_SOURCES = 50_000
#: Read back at a time from each run: a hundred million sources (2,000 runs) stay under 120 MB.
BLOCK_SOURCES = 256


def in_order(
    items: Iterable[Source | Skip], order: Order, spool_dir: bytes
) -> Iterator[Source | Skip]:
    """Yield skips as they come and then the sources, newest or oldest first.

    Sources of the same time come in the order of their paths. `spool_dir` takes about 120 bytes
    a source while this runs. Raises PregenError when it has no room.
    """
    sign = -1 if order is Order.NEWEST else 1
    runs = _Runs(spool_dir)
    pending: list[Record] = []
    try:
        for item in items:
            if isinstance(item, Skip):
                yield item
                continue
            path, size_bytes, mtime_ns, device, away, inode, ctime_ns = item
            pending.append((sign * mtime_ns, path, size_bytes, device, away, inode, ctime_ns))
            if len(pending) == RUN_SOURCES:
                runs.add(sorted(pending))
                pending.clear()
        pending.sort()
        for record in heapq.merge(*runs.readers(), pending):
            key, path, size_bytes, device, away, inode, ctime_ns = record
            yield Source(path, size_bytes, sign * key, device, away, inode, ctime_ns)
    finally:
        runs.close()


class _Runs:
    """Sorted runs, one after the other in a spool."""

    def __init__(self, directory: bytes) -> None:
        self._directory = directory
        self._spool = Spool(directory)
        self._spans: list[tuple[int, int]] = []

    def add(self, records: list[Record]) -> None:
        start = self._spool.end
        rest = iter(records)
        try:
            make_folders(self._directory)
            while block := list(islice(rest, BLOCK_SOURCES)):
                self._spool.append(marshal.dumps(block))
        except OSError as error:
            raise PregenError(
                f"No space in {os.fsdecode(self._directory)} to sort the files "
                f"({error.strerror}). Free some space there, or use --order walk."
            ) from error
        self._spans.append((start, self._spool.end))

    def readers(self) -> list[Iterator[Record]]:
        return [self._read(start, end) for start, end in self._spans]

    def _read(self, position: int, end: int) -> Iterator[Record]:
        while position < end:
            data, position = self._spool.read(position)
            yield from marshal.loads(data)  # noqa: S302 - an unlinked file only this run writes

    def close(self) -> None:
        self._spool.close()


# `--shard`: each machine walks the whole tree and keeps what is its own. The shares are disjoint,
# together they are everything, and a source stays with its machine when others come or go.
# They must all see the tree under the same path, because the path is what decides.


def shard_of(path: bytes, count: int) -> int:
    """Return which of `count` shards a path belongs to, from 1 on."""
    return xxhash.xxh3_64_intdigest(path) % count + 1


def of_shard(found: Iterable[Source | Skip], shard: Shard) -> Iterator[Source | Skip]:
    """Yield what belongs to `shard`. What cannot be read is told by one machine, too."""
    for each in found:
        if shard_of(each.path, shard.total) == shard.number:
            yield each

"""Entries that were made where this machine's cache cannot be written, and how they get into it.

A node packs what a job left in its own, private cache; the client commits it in the real one.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pregen.cache.errors import kind_of, text_of
from pregen.cache.store import Cache
from pregen.errors import CacheError
from pregen.model import ALL_FLAVORS, Action, Flavor, Kind
from pregen.thumbspec.naming import entry_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pregen.model import Job, Outcome, Stamp


class Parcel(NamedTuple):
    """All that one job wrote, as whole files."""

    entries: tuple[tuple[Flavor, str, bytes], ...] = ()
    """Flavor, URI and PNG."""
    fails: tuple[tuple[str, bytes], ...] = ()
    """URI and PNG of fail records."""


Packer = Callable[["Job"], Parcel]
"""Takes what a job wrote out of a private cache."""


@contextmanager
def private_cache(version: str, flavors: Iterable[Flavor]) -> Iterator[tuple[bytes, Packer]]:
    """Have a cache of one's own that goes with the block: its root, and what empties it.

    Raises:
        CacheError: it cannot be made (no space where temporary files go).
    """
    root = os.fsencode(tempfile.mkdtemp(prefix="pregen-node-"))
    try:
        with Cache(os.path.join(root, b"thumbnails"), version) as cache:
            cache.prepare(flavors)
            yield cache.root, partial(pack, cache)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def pack(cache: Cache, job: Job) -> Parcel:
    """Take what `job` wrote out of a private cache.

    Raises:
        CacheError: the private cache cannot be read or written.
    """
    entries = []
    fails = []
    for uri in job.uris:
        for flavor in ALL_FLAVORS:
            if png := cache.read(flavor, uri):
                entries.append((flavor, uri, png))
                cache.delete(flavor, uri)
        if png := cache.fail_folder.read(entry_name(uri)):
            fails.append((uri, png))
            cache.delete_fail(uri)
    return Parcel(tuple(entries), tuple(fails))


def unpack(cache: Cache, job: Job, outcome: Outcome, parcel: Parcel) -> Outcome:
    """Commit a parcel; return the outcome as it is with that.

    What the job was to remove is removed here: the node had nothing of it. An entry that cannot
    be stored makes the outcome CACHE_FULL or CACHE_ERROR, as it would in a local worker.
    """
    try:
        stamps = _commit(cache, job, outcome, parcel)
    except CacheError as error:
        return outcome._replace(kind=kind_of(error), message=text_of(error), stamps=())
    # packed in the order in which an outcome has them
    return outcome._replace(stamps=stamps if len(stamps) == len(outcome.stamps) else ())


def _commit(cache: Cache, job: Job, outcome: Outcome, parcel: Parcel) -> tuple[Stamp, ...]:
    stamps = tuple(cache.write(flavor, uri, png) for flavor, uri, png in parcel.entries)
    for uri, png in parcel.fails:
        cache.write_fail(uri, png)
    if outcome.kind in {Kind.MADE, Kind.SMALL}:
        cache.delete_fail(job.uris[0])
    if outcome.kind is not Kind.INTERRUPTED:
        for step in job.steps:
            unneeded = outcome.kind is Kind.SMALL and step.action is Action.MAKE
            if step.action is Action.DELETE or unneeded:
                cache.delete(step.flavor, step.uri)
    return stamps

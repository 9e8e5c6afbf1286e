"""What the cache knows of one file: gathered for `pregen show`. Reads; makes no folder, no file."""

from __future__ import annotations

import os
import stat
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from pregen import __version__
from pregen.journal import Journal, journal_path
from pregen.model import ALL_FLAVORS, Flavor, Source
from pregen.storage.cache import Cache
from pregen.storage.folder import Folder
from pregen.storage.shared import SharedRepository
from pregen.storage.source import real_path
from pregen.thumbspec.clients import ClientVerdict, desktop_verdicts, shared_verdicts
from pregen.thumbspec.naming import clean_path, entry_name, key, thumbnails_root
from pregen.thumbspec.pngchunks import PngError
from pregen.thumbspec.pngtext import PngHead, read_head
from pregen.thumbspec.uri import all_uris, shared_uris
from pregen.thumbspec.validity import judge, judge_fail_record
from pregen.walk import working_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pregen.model import Kind

_GONE = "the source is gone"


class EntryFacts(NamedTuple):
    """One PNG of the cache and what it is worth."""

    path: bytes
    size_bytes: int
    head: PngHead | None
    """None: it is no PNG."""
    verdict: str
    """A `validity.Verdict`, or "unknown" when there is no source to compare with."""
    reason: str
    flavor: Flavor | None = None
    """None: a fail record."""
    program: str = ""
    """Of a fail record: who left it."""
    desktops: tuple[ClientVerdict, ...] = ()


class UriFacts(NamedTuple):
    """What is kept under one of a file's URIs."""

    uri: str
    key: str
    form: str
    entries: tuple[EntryFacts, ...]
    fail_records: tuple[EntryFacts, ...]


class FileFacts(NamedTuple):
    """All about one file."""

    path: bytes
    source: Source | None
    trouble: str
    """Why there is no source; empty when there is one."""
    uris: tuple[UriFacts, ...]
    shared: tuple[UriFacts, ...] = ()
    """What the shared repository beside the file holds of it; nothing where there is no entry."""
    memory: Kind | None = None
    """What the journal remembers of the source as it is now: why there is no entry."""

    @property
    def known(self) -> bool:
        """Whether there is anything to tell: a source, an entry or a fail record."""
        return self.source is not None or any(
            uri.entries or uri.fail_records for uri in (*self.uris, *self.shared)
        )


def inspect_all(files: Iterable[bytes]) -> Iterator[FileFacts]:
    """Yield what the user's cache holds for each file, as the user named it.

    Raises:
        CacheError: the cache cannot be read.
        UsageError: the working directory was deleted.
    """
    cwd = working_directory(os.environ)
    home = os.path.expanduser("~")
    journal = Journal.open(journal_path(os.environ, home), _without_warning, create=False)
    with Cache(thumbnails_root(os.environ, home), __version__) as cache, closing(journal):
        for file in files:
            facts = inspect(clean_path(file, cwd), cache)
            memory = journal.hint(*facts.source) if facts.source else None
            yield facts._replace(memory=memory)


def _without_warning(_message: str) -> None:
    """A journal that cannot be read is a matter for `pregen status`, not for a single file."""


def inspect(path: bytes, cache: Cache) -> FileFacts:
    """Return what the cache holds for a file, by every URI that a desktop may ask with.

    Args:
        path: absolute and clean; it need not exist.
        cache: where to look.

    Raises:
        CacheError: the cache cannot be read.
    """
    source, trouble = _source(path)
    forms = {uri: "Qt" if number else "" for number, uri in enumerate(all_uris(path))}
    for number, uri in enumerate(all_uris(real_path(path))):
        forms.setdefault(uri, "real path, Qt" if number else "real path")
    look = _Look(cache, source, trouble)
    uris = tuple(look.at(uri, form) for uri, form in forms.items())
    with SharedRepository(os.path.dirname(path), __version__) as beside:
        look = _Look(beside, source, trouble, shared_verdicts)
        shared = tuple(look.at(uri, "shared, beside the file") for uri in shared_uris(path))
    return FileFacts(path, source, trouble, uris, tuple(facts for facts in shared if facts.entries))


def _source(path: bytes) -> tuple[Source | None, str]:
    try:
        facts = os.stat(path)
    except FileNotFoundError:
        return None, _GONE
    except OSError as error:
        return None, f"the source cannot be looked at: {error.strerror}"
    if not stat.S_ISREG(facts.st_mode):
        return None, "the source is not a regular file"
    return Source(path, facts.st_size, facts.st_mtime_ns), ""


class _Look:
    """Looks for one file, at everything kept under its URIs."""

    def __init__(
        self,
        cache: Cache,
        source: Source | None,
        trouble: str,
        verdicts: Callable[..., list[ClientVerdict]] = desktop_verdicts,
    ) -> None:
        self._cache = cache
        self._verdicts = verdicts
        self._source = source
        self._trouble = trouble
        self._fail = os.path.join(cache.root, b"fail")
        with Folder(None, self._fail) as folder:
            self._programs = sorted(folder.names())

    def at(self, uri: str, form: str) -> UriFacts:
        found = ((flavor, self._cache.read(flavor, uri)) for flavor in ALL_FLAVORS)
        entries = [self._entry(data, flavor, uri) for flavor, data in found if data is not None]
        return UriFacts(uri, key(uri), form, tuple(entries), tuple(self._fail_records(uri)))

    def _entry(self, data: bytes, flavor: Flavor, uri: str) -> EntryFacts:
        place = os.path.join(self._cache.root, os.fsencode(flavor.directory))
        facts = self._facts(place, data, uri)._replace(flavor=flavor)
        if self._source is None:
            return facts
        _, size_bytes, mtime_ns = self._source
        judged = judge(data, flavor, uri, mtime_ns, size_bytes, whole=True)
        desktops = self._verdicts(data, flavor, uri, mtime_ns, size_bytes)
        return facts._replace(
            verdict=judged.verdict.value, reason=judged.reason, desktops=tuple(desktops)
        )

    def _fail_records(self, uri: str) -> Iterator[EntryFacts]:
        """Yield the fail records of every program, ours among them."""
        for program in self._programs:
            place = os.path.join(self._fail, os.fsencode(program))
            with Folder(None, place) as folder:
                data = folder.read(entry_name(uri))
            if data is None:
                continue
            facts = self._facts(place, data, uri)._replace(program=program)
            if self._source is not None:
                _, size_bytes, mtime_ns = self._source
                judged = judge_fail_record(data, uri, mtime_ns, size_bytes, whole=True)
                facts = facts._replace(verdict=judged.verdict.value, reason=judged.reason)
            yield facts

    def _facts(self, place: bytes, data: bytes, uri: str) -> EntryFacts:
        path = os.path.join(place, os.fsencode(entry_name(uri)))
        return EntryFacts(path, len(data), _head(data), "unknown", self._trouble)


def _head(data: bytes) -> PngHead | None:
    try:
        return read_head(data, past_image=True)
    except PngError:
        return None

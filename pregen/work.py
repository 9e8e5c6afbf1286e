"""One job -> one outcome, inside a worker. Never raises for a source; writes entries itself.

Knows neither the journal nor the plan nor the screen. What the job says was true when it was
planned; what is written is what `fstat` says of the opened source now, and nothing is written
when the source changed in between.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from time import perf_counter_ns
from typing import TYPE_CHECKING, NamedTuple

from pregen.cache.errors import kind_of, text_of
from pregen.cache.shared import SharedRepositories
from pregen.cache.store import Cache
from pregen.config import Previews
from pregen.errors import CacheError
from pregen.filesystems import fscrypt
from pregen.filesystems.mounttable import is_below
from pregen.imaging import revisions, sniff, thumbnail
from pregen.imaging.faults import Fault, InvalidPicture, NeedsExtra, NotPicture
from pregen.imaging.source_bytes import WHOLE_FILE_BYTES
from pregen.model import (
    ALL_FLAVORS,
    RECORDED,
    Action,
    AllowedFolders,
    Kind,
    Maker,
    Outcome,
    Stages,
    Step,
)
from pregen.reuse.match import ContentMatcher
from pregen.source_file import SourceAccessError, open_source
from pregen.thumbspec import fingerprint, pngbuild
from pregen.thumbspec.naming import PICTURE_NAMES, RAW_NAMES, entry_name
from pregen.thumbspec.pngchunks import PngError
from pregen.thumbspec.validity import Freshness, Judgement, judge
from pregen.thumbspec.wholeness import damage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pregen.config import WorkConfig
    from pregen.model import Flavor, Job, Stamp
    from pregen.readers.ahead import ReadAhead
    from pregen.readers.pace import ReaderOrders
    from pregen.readers.turns import DiskTurns
    from pregen.source_file import SourceFile

#: How often a source that changes while it is read is tried.
_TRIES = 2
#: What is not read whole even where it is decoded: only a hint, so a name will do here.
_READ_IN_PART = (
    b".heic", b".heif", b".hif", b".mp4", b".mov", b".m4v", b".3gp", b".mts", b".m2ts", b".avi",
    b".mkv", b".webm", b".mpg", b".wmv", b".pdf", b".jxl", *RAW_NAMES,
    b".mp3", b".m4a", b".m4b", b".flac", b".ogg", b".oga", b".opus", b".wma", b".mka",
    b".docx", b".xlsx", b".pptx", b".odt", b".ods", b".odp", b".odg", b".epub", b".cbz", b".kra",
    b".ora", b".3mf", b".gcode", b".blend",
)  # fmt: skip
#: What the kernel asks of a disk at once, unless told otherwise (`read_ahead_kb`). A disk that
#: spins takes a file no larger than this with one movement, and several of them in its own order.
_ONE_REQUEST_BYTES = 128 * 1024


class _Entry(NamedTuple):
    """A whole PNG and where it goes."""

    flavor: Flavor
    uri: str
    png: bytes


class _OldEntry(NamedTuple):
    """An entry as it was found."""

    png: bytes
    stamp: Stamp


#: Of this source as it is now.
_USABLE = frozenset({Freshness.FRESH, Freshness.REFIT})


class JobWorker:
    """Does jobs one after the other; keeps the cache's descriptors open between them."""

    def __init__(self, config: WorkConfig) -> None:
        self._config = config
        self._caches = (
            SharedRepositories(config.version, config.folders)
            if config.shared
            else Cache(config.cache_root, config.version)
        )
        self._pid = os.getpid()
        self._open_elsewhere: Callable[[int], int] | None = None
        self._prefetched: dict[bytes, bool] = {}
        """Whether a file was in memory before we asked for it."""
        self._unencrypted: set[int] = set()
        """Devices on which no file is encrypted by itself."""
        self._ahead: ReadAhead | None = None
        """What was read of sources on shares."""
        self._turns: DiskTurns | None = None
        self._places = threading.Lock()
        """Shared repositories are found by one thread at a time."""

    def confine(self, open_elsewhere: Callable[[int], int]) -> AllowedFolders:
        """Say where this work has to do (an `engines.base.Confine`).

        Raises:
            CacheError: the cache cannot be written.
        """
        self._open_elsewhere = open_elsewhere
        config = self._config
        if isinstance(self._caches, SharedRepositories):
            # Beside any original: the kernel's rules know no names.
            return AllowedFolders(config.folders, config.folders, gives_rights=True)
        return AllowedFolders(
            (*config.folders, self._caches.root), self._caches.folders_to_write(config.flavors)
        )

    def _open(self, job: Job) -> SourceFile:
        if isinstance(self._caches, SharedRepositories):
            # The worker may be root and the folder not: what a link leads to has rights that
            # its own path does not tell, and its thumbnail would be there for all who may read
            # the folder.
            with self._places:
                folder_fd = self._caches.beside(job.path).originals_fd()
                return open_source(os.path.basename(job.path), folder_fd=folder_fd)
        ask = self._open_elsewhere
        return open_source(job.path, None if ask is None else lambda: ask(job.job_id))

    def _barred(self, job: Job, source: SourceFile) -> str:
        """Return why an open source is not to be read; empty: it is.

        The walk goes by folders and by file systems. What only the open file can tell is told here:
        that it lies elsewhere by now, and that it is encrypted by itself.
        """
        device = source.facts.device
        if job.device and device != job.device:
            return "it is on another file system than before: run again"
        if device in self._unencrypted:
            return ""
        key = fscrypt.key_of(source.fd)
        if key is None:
            self._unencrypted.add(device)
        if not key or key in self._config.cache_keys:
            return ""
        allowed = any(is_below(job.path, each) for each in self._config.allow_encrypted)
        return "" if allowed else "encrypted (fscrypt), and thumbnails would not be"

    def take_turns(self, turns: int) -> None:
        """Read from disks that spin when it is this worker's turn.

        Args:
            turns: descriptor of a file that all workers lock for that.
        """
        from pregen.readers.turns import DiskTurns  # noqa: PLC0415 - no other disk needs it

        self._turns = DiskTurns(turns)

    def _was_in_memory(self, job: Job, source: SourceFile) -> bool:
        """Tell whether a source is in memory.

        Of a large one that is not, and lies on a disk that spins, all that a decode will read is
        then read, in one go. It is this worker's turn when it asks, because the kernel reads then,
        too.
        """
        if not _is_read_by_turns(job) or self._turns is None or not self._decodes(job, source):
            return source.resident()
        from pregen.imaging.needs import needed  # noqa: PLC0415 - no other disk needs it

        with self._turns.turn():
            if source.resident():
                return True
            with suppress(OSError):
                head = source.pread(0, sniff.HEAD_BYTES)
                previews = self._config.previews is Previews.AUTO
                count = needed(head, source.size_bytes, previews=previews)
                for _ in source.portions(len(head), count - len(head)):
                    pass
        return False

    def prefetch(self, jobs: Iterable[Job]) -> None:
        """Have the kernel read sources of coming jobs, while another is decoded.

        That of the next one; and on a disk that spins those of all small files, so that the kernel
        can ask for them in the order in which they lie.
        """
        for number, job in enumerate(jobs):
            if number and not job.spins:
                return
            # another worker reads a large file meanwhile
            if not _is_read_by_turns(job) and job.path not in self._prefetched:
                self._prefetch(job)

    def _prefetch(self, job: Job) -> None:
        if job.share or job.steps[-1].action is not Action.MAKE:
            return
        if job.path.lower().endswith(_READ_IN_PART):
            return
        self._prefetched[job.path] = False
        # if it cannot be opened, the job itself will say what is wrong
        with suppress(SourceAccessError, CacheError, OSError), self._open(job) as source:
            self._prefetched[job.path] = source.resident()
            # where a preview may do, the beginning is all that is known to be needed
            whole = self._config.previews is Previews.NEVER
            source.read_ahead(WHOLE_FILE_BYTES if whole else sniff.HEAD_BYTES)

    def read_ahead(self, orders: ReaderOrders, silence_s: float, most_bytes: int) -> ReadAhead:
        """Read the sources of jobs on shares before their turn (an `engines.base.StartReading`)."""
        from pregen.readers.ahead import ReadAhead  # noqa: PLC0415 - no disk needs it

        previews = self._config.previews is Previews.AUTO
        self._ahead = ReadAhead(
            self._open, self._decodes, orders, silence_s, most_bytes, previews=previews
        )
        return self._ahead

    def _decodes(self, job: Job, source: SourceFile) -> bool:
        """Tell whether an open source will surely be decoded, or compared with what was."""
        makes = any(step.action is Action.MAKE for step in job.steps)
        return makes and not self._barred(job, source)

    def _source(self, job: Job) -> SourceFile:
        """Open a source, or take it where it is open already."""
        if job.share and self._ahead is not None:
            return self._ahead.take(job)
        return self._open(job)

    def __call__(self, job: Job, ask: Callable[[int], None]) -> Outcome:
        """Do one job. Raises nothing that the source is to blame for.

        Args:
            job: what is to be done.
            ask: called before a large decode with its size in bytes; returns when there is room.
        """
        blank = Outcome(job.job_id, job.path, Kind.CHANGED, worker_pid=self._pid)
        wanted_by_others = self._prefetched.pop(job.path, None)
        try:
            for _ in range(_TRIES):
                with self._source(job) as source:
                    blank = blank._replace(
                        source_size_bytes=source.size_bytes,
                        source_mtime_ns=source.mtime_ns,
                        source_inode=source.facts.inode if source.ctime_ns else 0,
                        source_ctime_ns=source.ctime_ns,
                    )
                    if barred := self._barred(job, source):
                        return blank._replace(kind=Kind.PRIVATE, message=barred)
                    if wanted_by_others is None:
                        begun_ns = perf_counter_ns()
                        wanted_by_others = self._was_in_memory(job, source)
                        if _is_read_by_turns(job):
                            blank = blank._replace(waited_ns=perf_counter_ns() - begun_ns)
                    with self._places:
                        cache = self._caches.for_source(job.path, source.fd)
                    outcome = _Attempt(self._config, cache, job, source).run(blank, ask)
                    if self._config.drop_cache and not wanted_by_others:
                        with suppress(OSError):
                            source.forget()
                if outcome.kind is not Kind.CHANGED:
                    return outcome
        except SourceAccessError as error:
            return blank._replace(kind=error.kind, message=str(error))
        except CacheError as error:
            return blank._replace(kind=kind_of(error), message=text_of(error))
        except MemoryError:
            return blank._replace(
                kind=Kind.OUT_OF_MEMORY,
                message="not enough memory to decode it; try again with fewer --workers",
            )
        return blank._replace(message="it changed while it was read; run again later")


def _is_read_by_turns(job: Job) -> bool:
    return job.spins and job.size_bytes > _ONE_REQUEST_BYTES


def make_worker(config: WorkConfig) -> JobWorker:
    """Return the function that does jobs (an `engines.base.WorkFactory`)."""
    return JobWorker(config)


def _made_by(mime: str) -> tuple[tuple[str, str], ...]:
    """Return what an entry says of what decoded it; nothing where that was never mended."""
    revision = revisions.latest(mime)
    return ((pngbuild.REVISION, str(revision)),) if revision else ()


class _Attempt:
    """One try at one job, with the source open."""

    def __init__(self, config: WorkConfig, cache: Cache, job: Job, source: SourceFile) -> None:
        self._config = config
        self._cache = cache
        self._job = job
        self._source = source
        self._steps = job.steps
        planned = job.size_bytes, job.mtime_ns
        self._as_planned = (source.size_bytes, source.mtime_ns) == planned
        self._reuse = ContentMatcher(cache, source, job.kin if self._as_planned else ())
        self._recheck = revisions.Recheck(source.fd, source.size_bytes, source.read)
        self._doubted: dict[tuple[Flavor, str], _OldEntry] = {}
        """Entries that may be wrong."""
        self._stamps: dict[tuple[str, Flavor], Stamp] = {}
        """Of the entries that are as they should be, by URI and flavor."""
        if not self._as_planned and not config.missing_only:
            # Planned for another content: nothing that was fresh then is fresh now.
            self._steps = tuple(self._all_steps())

    def run(self, blank: Outcome, ask: Callable[[int], None]) -> Outcome:
        """Do the job as far as it goes; CHANGED asks for another try.

        What needs no decode comes first: it is done even where the decode fails.
        """
        try:
            done, makes = self._without_decoding(blank)
            if done is None:
                return blank
            return self._make(done, makes, ask) if makes else done
        except OSError as error:
            words = f"{error.strerror or error}: check its disk or network share"
            return blank._replace(kind=Kind.UNREADABLE, message=words)

    def _without_decoding(self, blank: Outcome) -> tuple[Outcome | None, list[Step]]:
        """Refit, reuse and tidy; return what came of it and what is left to be made.

        None for the outcome: the source changed.
        """
        begun_ns = perf_counter_ns()
        entries: list[_Entry] = []
        makes: list[Step] = []
        useless: list[Step] = []
        for step in self._steps:
            if step.action is Action.DELETE:
                if self._is_stale(step):
                    useless.append(step)
            elif step.action is Action.RECHECK and self._stays(step):
                continue
            elif (png := self._at_hand(step)) is not None:
                entries.append(_Entry(step.flavor, step.uri, png))
            elif step.action is Action.MAKE or step.flavor in self._config.flavors:
                makes.append(step)
            else:
                useless.append(step)
        refit_ns = perf_counter_ns() - begun_ns
        if (entries or useless) and self._source.changed():
            return None, []
        done = self._write(entries, blank)
        if self._reuse.fingerprint:
            self._cache.delete_fail(self._job.uris[0])
        deleted = [self._cache.delete(step.flavor, step.uri) for step in useless]
        kind = Kind.TIDIED if any(deleted) else Kind.FRESH
        if entries:
            kind = Kind.REUSED if self._reuse.fingerprint else Kind.REFITTED
        done = done._replace(
            kind=kind,
            bytes_read=self._reuse.bytes_read + self._recheck.bytes_read,
            stages=Stages(encode_ns=refit_ns),
            fingerprint=self._reuse.fingerprint,
        )
        return done, makes

    def _make(self, done: Outcome, makes: list[Step], ask: Callable[[int], None]) -> Outcome:
        """Decode, and write what is to be made."""
        try:
            made = self._thumbnails(makes, ask)
        except Fault as fault:
            return self._failed(self._named(fault), done)
        entries = self._but_same(self._wrapped(made, makes))
        if self._source.changed():
            return done._replace(kind=Kind.CHANGED)
        committing_ns = perf_counter_ns()
        done = self._write(entries, done)
        if made.small:
            for step in makes:
                if step.action is Action.RECHECK or self._is_stale(step):
                    self._cache.delete(step.flavor, step.uri)
        self._cache.delete_fail(self._job.uris[0])
        commit_ns = perf_counter_ns() - committing_ns
        return done._replace(
            kind=Kind.SMALL if made.small else Kind.MADE if entries else Kind.FRESH,
            loader=made.loader,
            mime=made.mime,
            width_px=made.width_px,
            height_px=made.height_px,
            bytes_read=done.bytes_read + made.bytes_read,
            stages=Stages(made.read_ns, made.decode_ns, made.resize_ns, made.encode_ns, commit_ns),
            fingerprint=made.fingerprint,
        )

    def _failed(self, fault: Fault, done: Outcome) -> Outcome:
        """The outcome of a decode that failed, with a fail record where it is the file's fault."""
        outcome = done._replace(kind=fault.kind, message=str(fault), mime=fault.mime)
        if isinstance(fault, NeedsExtra):
            return outcome._replace(extra=fault.extra)
        if fault.kind in RECORDED:
            self._source.probe()
            if self._source.changed():
                return done._replace(kind=Kind.CHANGED)
            facts = self._facts(fault.mime)._replace(extra=_made_by(fault.mime))
            self._cache.write_fail(self._job.uris[0], pngbuild.fail_record(facts))
            # Worse than no thumbnail is one of which nothing is right.
            for flavor, uri in self._doubted:
                self._cache.delete(flavor, uri)
        return outcome

    def _write(self, entries: list[_Entry], outcome: Outcome) -> Outcome:
        """Write entries; return the outcome with what that adds to it."""
        stamps = self._stamps
        for entry in entries:
            stamps[entry.uri, entry.flavor] = self._cache.write(*entry)
        flavors = self._config.flavors
        return outcome._replace(
            entries_written=outcome.entries_written + len(entries),
            bytes_written=outcome.bytes_written + sum(len(entry.png) for entry in entries),
            stamps=self._job.all_stamps(stamps, flavors) if self._as_planned else (),
        )

    def _all_steps(self) -> Iterable[Step]:
        """Make every wanted entry, and leave no other one of this source behind."""
        for uri in self._job.uris:
            for flavor in ALL_FLAVORS:
                wanted = flavor in self._config.flavors
                yield Step(Action.MAKE if wanted else Action.DELETE, flavor, uri)

    def _at_hand(self, step: Step) -> bytes | None:
        """An entry for which nothing has to be decoded; None when there is none."""
        if step.action is Action.REFIT:
            return self._refit(step)
        if step.action is Action.COPY and (copy := self._copy(step)) is not None:
            return copy
        if not self._job.kin:
            return None
        return self._reuse.entry(step.flavor, self._facts()._replace(uri=step.uri))

    def _refit(self, step: Step) -> bytes | None:
        """The entry that is there with our texts; None when it cannot be used after all."""
        old = self._cache.read(step.flavor, step.uri)
        judged = self._judged(old, step)
        if not old or judged.verdict not in _USABLE or self._recheck.concerns(judged.maker, old):
            return None
        facts = self._facts()._replace(uri=step.uri, extra=_made_by(judged.maker.mime))
        try:
            return pngbuild.retext(old, facts)
        except PngError:
            return None

    def _copy(self, step: Step) -> bytes | None:
        """The entry with the pixels of another of this source; None when there is none after all.

        Of those that were planned to be fresh, or to get other texts.
        """
        planned = {
            (each.flavor, each.uri) for each in self._steps if each.action is not Action.REFIT
        }
        for uri in self._job.uris:
            if (step.flavor, uri) in planned:
                continue
            old = self._cache.read(step.flavor, uri)
            judged = self._judged(old, step._replace(uri=uri))
            if old and judged.verdict in _USABLE and not self._recheck.concerns(judged.maker, old):
                with suppress(PngError):
                    extra = _made_by(judged.maker.mime)
                    return pngbuild.retext(old, self._facts()._replace(uri=step.uri, extra=extra))
        return None

    def _stays(self, step: Step) -> bool:
        """Tell whether an entry made before its decoder was mended is right; note it if not."""
        found = self._cache.folder(step.flavor).examine(entry_name(step.uri))
        old = self._cache.read(step.flavor, step.uri)
        if not old or found is None:
            # Not here (`delivery`), or gone since: the next run makes one that is missing.
            head = self._source.pread(0, sniff.HEAD_BYTES)
            known = sniff.sniff(head)
            return not self._recheck.concerns(Maker(known.mime if known else ""))
        judged = self._judged(old, step)
        if judged.verdict not in _USABLE:
            return False
        stamp = found[1]
        if self._recheck.concerns(judged.maker, old):
            self._doubted[step.flavor, step.uri] = _OldEntry(old, stamp)
            return False
        self._stamps[step.uri, step.flavor] = stamp
        return True

    def _but_same(self, entries: list[_Entry]) -> list[_Entry]:
        """Leave out what would only say anew what is there already."""
        found = []
        for entry in entries:
            old = self._doubted.get((entry.flavor, entry.uri))
            if old is not None and pngbuild.is_same(old.png, entry.png):
                self._stamps[entry.uri, entry.flavor] = old.stamp
            else:
                found.append(entry)
        return found

    def _thumbnails(self, makes: list[Step], ask: Callable[[int], None]) -> thumbnail.Thumbnails:
        if self._source.size_bytes == 0:
            raise NotPicture("the file is empty")
        flavors = {step.flavor for step in makes}
        fd, size_bytes, limit = self._source.fd, self._source.size_bytes, self._config.max_pixels
        read = self._source.read
        if self._config.second_opinion:
            return thumbnail.make_by_another(fd, size_bytes, flavors, limit, ask, read)
        previews = self._config.previews is Previews.AUTO
        return thumbnail.make(
            fd, size_bytes, flavors, limit, ask, self._config.decoder, previews=previews, read=read
        )

    def _wrapped(self, made: thumbnail.Thumbnails, makes: list[Step]) -> list[_Entry]:
        """Whole PNGs of what was made; none for a small source."""
        if made.small:
            return []
        facts = self._facts(made.mime)._replace(
            width_px=made.width_px,
            height_px=made.height_px,
            pages=made.pages,
            movie_length_s=made.movie_length_s,
            extra=tuple(
                (key, said)
                for key, said in (
                    (pngbuild.FRAMES, str(made.frames or "")),
                    *_made_by(made.mime),
                    (fingerprint.KEY, made.fingerprint),
                )
                if said
            ),
        )
        entries: list[_Entry] = []
        for step in makes:
            picture = made.pictures[step.flavor]
            texts = pngbuild.entry_chunks(facts._replace(uri=step.uri))
            png = pngbuild.assemble(picture.width_px, picture.height_px, texts, picture.idat)
            entries.append(_Entry(step.flavor, step.uri, png))
        return entries

    def _is_stale(self, step: Step) -> bool:
        """True when there is an entry, and it is not of this source as it is."""
        old = self._cache.read(step.flavor, step.uri)
        stale = {Freshness.STALE, Freshness.CORRUPT}
        return old is not None and self._judged(old, step).verdict in stale

    def _judged(self, entry: bytes | None, step: Step) -> Judgement:
        """Judge a whole entry, pixels and all, against the source as it is now."""
        source = self._source
        judged = judge(entry, step.flavor, step.uri, source.mtime_ns, source.size_bytes, whole=True)
        if judged.verdict in {Freshness.FRESH, Freshness.REFIT} and damage(entry or b""):
            return judged._replace(verdict=Freshness.CORRUPT)
        return judged

    def _facts(self, mime: str = "") -> pngbuild.SourceFacts:
        source = self._source
        return pngbuild.SourceFacts(self._job.uris[0], source.mtime_ns, source.size_bytes, mime)

    def _named(self, fault: Fault) -> Fault:
        """A file named like a picture that is not one is damaged, not of another kind."""
        if isinstance(fault, NotPicture) and self._job.path.lower().endswith(PICTURE_NAMES):
            return InvalidPicture(f"named like a picture, but {fault}: probably damaged")
        return fault

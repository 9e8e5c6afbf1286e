"""The very file under another name: its entries are written anew, and nothing of it is read.

A folder that is moved or renamed takes its files along: they keep their numbers, and their change
times. What the journal knows of a number is believed only where the file's size, mtime and change
time are all as they were (`model.SameFile`), on file systems that number their files for good
(`filesystems.identity`). A renamed, linked or copied file has another change time or number, and is
told by its content (`reuse.match`).

Runs in the parent, which needs no picture library for it. What is read are our own entries, within
the limits of entries; they have to be whole, and made by what decodes now (`imaging.revisions`).
"""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import accumulate
from time import perf_counter_ns
from typing import TYPE_CHECKING, NamedTuple

from pregen.cache import atomic
from pregen.cache.errors import kind_of, text_of
from pregen.errors import CacheError
from pregen.imaging import revisions
from pregen.model import Action, Kind, Outcome, SameFile, Stages
from pregen.reuse import batch
from pregen.thumbspec import fingerprint, pngbuild
from pregen.thumbspec.naming import PICTURE_NAMES, entry_name
from pregen.thumbspec.naming import key as key_of
from pregen.thumbspec.validity import Freshness, judge, own_entry
from pregen.thumbspec.wholeness import damage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pregen.cache.store import Cache
    from pregen.filesystems.bounded import BoundedFiles
    from pregen.filesystems.identity import FileSystem
    from pregen.journal import Journal
    from pregen.journal.known_files import KnownFile
    from pregen.model import Flavor, Job, Source, Stamp


# Members of an enum cost ten times a global in Python 3.11, and these are asked for every source.
_MAKE, _REUSED = Action.MAKE, Kind.REUSED

#: Rows that are asked for together, where files come in the order of their numbers ...
_MOST_AT_ONCE = 64
#: ... or nearly so: folders and other files have numbers, too.
_NEAR = 256


class Met(NamedTuple):
    """What became of a file when it was met under another name."""

    kind: Kind
    """SMALL and NOT_PICTURE: it needs no entry; otherwise it has some."""
    same: SameFile


class MetFiles:
    """Knows files again that earlier runs met. For the thread that plans.

    Args:
        system_of: tells on which file system a source lies; None where its files are not known
            again by their numbers.
        journal: remembers.
        files: looks at sources of which the walk told no number.
    """

    def __init__(
        self,
        system_of: Callable[[bytes, int], FileSystem | None],
        journal: Journal,
        files: BoundedFiles,
    ) -> None:
        self._system_of = system_of
        self._files = files
        self._journal = journal
        self._systems: dict[int, tuple[int, Callable[[int, int], bool]] | None] = {}
        """By device."""
        self._rows: dict[int, KnownFile] = {}
        self._span = (0, range(0))
        """Which numbers of which file system are in `_rows`, or nowhere."""
        self._ask_for = 1

    def find(self, source: Source) -> Met | None:
        """Return what became of this very file; None: it is not known, or has changed since."""
        path, size_bytes, mtime_ns, device, _, inode, ctime_ns = source
        if device not in self._systems:
            self._systems[device] = self._system(source)
        system = self._systems[device]
        if system is None:
            return None
        if not inode:
            try:
                now = self._files.stat(path)
            except OSError:
                return None  # the worker will say what is wrong
            if source[1:4] != (now.st_size, now.st_mtime_ns, now.st_dev):
                return None
            inode, ctime_ns = now.st_ino, now.st_ctime_ns
        number, keeps_change_time = system
        known = self._known(number, inode)
        if (
            known is None
            or (kind := known.kind) is None
            # what the journal keeps was settled then: a later change has a later time
            or known[1:4] != (size_bytes, mtime_ns, ctime_ns)
            or not keeps_change_time(ctime_ns, mtime_ns)
            # by a name like this one, what is no picture is damaged
            or (kind is Kind.NOT_PICTURE and path.lower().endswith(PICTURE_NAMES))
        ):
            return None
        return Met(kind, SameFile(known.key, inode, ctime_ns, known.brief))

    def _system(self, source: Source) -> tuple[int, Callable[[int, int], bool]] | None:
        """Return what finds files of the same file system, and `FileSystem.keeps_change_time`."""
        system = self._system_of(source.path, source.device)
        number = None if system is None else self._journal.numbered(system)
        return None if system is None or number is None else (number, system.keeps_change_time)

    def _known(self, system: int, inode: int) -> KnownFile | None:
        held, span = self._span
        if system != held or inode not in span:
            near = system == held and 0 <= inode - span.stop < _NEAR
            self._ask_for = min(2 * self._ask_for, _MOST_AT_ONCE) if near else 1
            found = self._journal.known_files(system, inode, self._ask_for)
            self._rows = {row.inode: row for row in found}
            last = found[-1].inode if len(found) == self._ask_for else inode + _NEAR
            self._span = (system, range(inode, last + 1))
        return self._rows.get(inode)


class Adopter:
    """Writes the entries of a source by those of its former name.

    Args:
        cache: read and written; closed with this.
        flavors: all that are wanted, in order.
        files: looks at sources.
        unpack: also the pixels of old entries are looked at.
    """

    def __init__(
        self, cache: Cache, flavors: Sequence[Flavor], files: BoundedFiles, *, unpack: bool
    ) -> None:
        self._cache = cache
        self._files = files
        self._flavors = flavors
        self._unpack = unpack

    def close(self) -> None:
        """Let go of the cache's folders."""
        self._cache.close()

    def adopt_all(self, jobs: Sequence[Job]) -> list[Outcome | None]:
        """Do jobs as `adopt` does one, and most of them together (`reuse.batch`)."""
        together: dict[int, Outcome] = {}
        if batch.COMPILED and not self._unpack:
            with suppress(CacheError):  # it comes again where it concerns a job
                together = self._adopt_together(self._plain(jobs))
        return [together.get(job.job_id) or self.adopt(job) for job in jobs]

    def adopt(self, job: Job) -> Outcome | None:
        """Do a job whose source is the same file as one before; None: a worker has to do it.

        All of its entries or none.
        """
        begun_ns = perf_counter_ns()
        if job.same is None or not _makes_all(job):
            return None
        try:
            return self._adopt(job, job.same, begun_ns)
        except CacheError as error:
            return Outcome(job.job_id, job.path, kind_of(error), text_of(error))

    def _adopt(self, job: Job, same: SameFile, begun_ns: int) -> Outcome | None:
        old: dict[Flavor, bytes | None] = {}
        new: list[bytes] = []
        for _, flavor, uri in job.steps:
            if flavor not in old:
                old[flavor] = self._cache.folder(flavor).read(f"{same.key}.png")
            png = self._renamed(old[flavor], same, job, flavor, uri)
            if png is None:
                return None
            new.append(png)
        if not self._is_same(job, same):
            return None
        read_ns = perf_counter_ns()
        stamps = [
            self._cache.write(flavor, uri, png)
            for (_, flavor, uri), png in zip(job.steps, new, strict=True)
        ]
        self._cache.delete_fail(job.uris[0])
        spent = Stages(encode_ns=read_ns - begun_ns, commit_ns=perf_counter_ns() - read_ns)
        return self._outcome(job, same, pngbuild.fingerprint_of(new[0]), stamps, spent)

    def _renamed(
        self, old: bytes | None, same: SameFile, job: Job, flavor: Flavor, uri: str
    ) -> bytes | None:
        """Return an old entry under a new URI, if it is whole, ours, right, and of this file."""
        facts = job.mtime_ns, job.size_bytes
        said, _ = _said(old, same) if old else ("", "")
        beginning = pngbuild.readdressed(old, said, uri, *facts) if old and said else None
        if not old or not beginning:
            return None
        new = b"".join((beginning[0], memoryview(old)[beginning[1] :]))
        judged = judge(new, flavor, uri, *facts, whole=True)
        if judged.verdict is not Freshness.FRESH or revisions.is_outdated(judged.maker):
            return None
        return None if self._unpack and damage(new) else new

    def _is_same(self, job: Job, same: SameFile) -> bool:
        """Tell whether the file at the path of a job is still the one that was planned for."""
        try:
            now = self._files.stat(job.path)
        except OSError:
            return False
        facts = now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns
        return facts == (job.device, same.inode, job.size_bytes, job.mtime_ns, same.ctime_ns)

    def _outcome(
        self, job: Job, same: SameFile, said: str, written: Sequence[Stamp], spent: Stages
    ) -> Outcome:
        """Return what has been done.

        Args:
            job: of the source.
            same: the very file.
            said: the fingerprint in its entries.
            written: the stamps of the new ones, one for each step.
            spent: how long it took.
        """
        stamps = {
            (uri, flavor): stamp for (_, flavor, uri), stamp in zip(job.steps, written, strict=True)
        }
        return Outcome(
            job.job_id,
            job.path,
            _REUSED,
            entries_written=len(written),
            bytes_written=sum([stamp.size_bytes for stamp in written]),
            stages=spent,
            worker_pid=os.getpid(),
            source_size_bytes=job.size_bytes,
            source_mtime_ns=job.mtime_ns,
            source_inode=same.inode,
            source_ctime_ns=same.ctime_ns,
            stamps=job.all_stamps(stamps, self._flavors),
            fingerprint=said,
        )

    # Many at once.

    def _plain(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs that can be done with others: C asks for the stat of their sources.

        No more than fit into one call.
        """
        plain = [job for job in jobs if job.same is not None and _makes_all(job)]
        if self._files.any_shares:
            folders = [os.path.dirname(job.path) for job in plain]
            on_share = {folder: self._files.is_on_share(folder) for folder in {*folders}}
            plain = [job for job, at in zip(plain, folders, strict=True) if not on_share[at]]
        entries = accumulate(len(job.steps) for job in plain)
        return [
            job for job, so_far in zip(plain, entries, strict=True) if so_far <= batch.MOST_ENTRIES
        ]

    def _adopt_together(self, jobs: Sequence[Job]) -> dict[int, Outcome]:
        """Do those of some jobs with which all is as it nearly always is; return them by number.

        Raises:
            CacheError: the cache cannot be written.
        """
        begun_ns = perf_counter_ns()
        folders = {flavor: self._cache.folder(flavor) for flavor in self._flavors}
        fds = {flavor: folder.writing_fd() for flavor, folder in folders.items()}
        fails = self._cache.fail_folder
        fail_fd = fails.writing_fd() if fails.exists() else None
        names = [
            (fds[flavor], f"{job.same.key}.png")
            for job in jobs
            if job.same
            for _, flavor, _ in job.steps
        ]
        heads = iter(batch.heads(names))
        planned: list[tuple[Job, SameFile, str, batch.NewEntries]] = []
        for job in jobs:
            found = [next(heads) for _ in job.steps]
            if job.same and (new := self._new_entries(job, job.same, found, fds)):
                planned.append((job, job.same, *new))
        read_ns = perf_counter_ns()
        if not planned:
            return {}
        temp = atomic.temp_name(planned[0][1].key)
        written = batch.write(temp, fail_fd, [new for *_, new in planned])
        ended_ns = perf_counter_ns()
        spent = Stages(
            encode_ns=(read_ns - begun_ns) // len(planned),
            commit_ns=(ended_ns - read_ns) // len(planned),
        )
        return {
            job.job_id: self._outcome(job, same, said, stamps, spent)
            for (job, same, said, _), stamps in zip(planned, written, strict=True)
            if stamps
        }

    def _new_entries(
        self,
        job: Job,
        same: SameFile,
        heads: Sequence[tuple[bytes, int] | None],
        fds: Mapping[Flavor, int],
    ) -> tuple[str, batch.NewEntries] | None:
        """Return what is to be written for a job, and the fingerprint in all of its old entries.

        None where one of these will not do. What `_renamed` asks of a new entry is asked of the old
        one: it is recognised as ours by the same bytes, but for the URI. That it is whole is looked
        at when it is copied.
        """
        facts = job.mtime_ns, job.size_bytes
        old_name, names = f"{same.key}.png", {uri: entry_name(uri) for uri in job.uris}
        said = pngbuild.uri_of(heads[0][0]) if heads[0] else ""
        if not said or key_of(said) != same.key:
            return None
        content = ""
        entries: list[batch.NewEntry] = []
        for (_, flavor, uri), head in zip(job.steps, heads, strict=True):
            own = own_entry(head[0], flavor, said, *facts) if head else None
            if head is None or own is None:
                return None
            old, file_bytes = head
            beginning = pngbuild.readdressed(old, said, uri, *facts)
            content = content if entries else own.fingerprint
            if (
                beginning is None
                or own.file_bytes != file_bytes
                or own.fingerprint != content
                or revisions.is_outdated(own.maker)
                or file_bytes > self._cache.folder(flavor).limit_bytes
            ):
                return None
            new, old_from = beginning
            entries.append(
                batch.NewEntry(fds[flavor], old_name, file_bytes, old, old_from, names[uri], new)
            )
        if fingerprint.brief(content) != same.brief:
            return None
        return content, batch.NewEntries(
            job.path,
            job.device,
            same.inode,
            job.size_bytes,
            job.mtime_ns,
            same.ctime_ns,
            names[job.uris[0]],
            tuple(entries),
        )


def _makes_all(job: Job) -> bool:
    return all(action is _MAKE for action, _, _ in job.steps)


def _said(old: bytes, same: SameFile) -> tuple[str, str]:
    """Return URI and fingerprint in an old entry, if they are those of its key and this content.

    Else two empty texts.
    """
    said = pngbuild.uri_of(old)
    if not said or key_of(said) != same.key:
        return "", ""
    content = pngbuild.fingerprint_of(old)
    return (said, content) if fingerprint.brief(content) == same.brief else ("", "")

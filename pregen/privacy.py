"""What the files of a run lie on, and what of that its journal may name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pregen.filesystems.bounded import BoundedFiles
from pregen.filesystems.guard import Guard
from pregen.filesystems.identity import file_system
from pregen.filesystems.mounttable import is_below
from pregen.journal.places import PRIVATE
from pregen.model import Kind
from pregen.thumbspec.naming import clean_path
from pregen.walk import guard_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pregen.config import RunConfig
    from pregen.filesystems.guard import Ground
    from pregen.filesystems.identity import FileSystem
    from pregen.journal import Journal
    from pregen.model import Job, Outcome, Source


class RunGround:
    """What the files of one run lie on, and what of that may be told.

    The journal must not name what is better protected than itself. A run's sources are never
    better protected than its cache, so the cache is compared once; a shared repository lies beside
    its sources, which are compared one by one then.

    Args:
        config: of the run.
        warn: told once of each place that is left out, in words for people.
    """

    def __init__(self, config: RunConfig, warn: Callable[[str], None]) -> None:
        shared = config.work.shared
        walk_config = config.walk._replace(cache_root=b"") if shared else config.walk
        self.files = BoundedFiles(config.engine.read_timeout_s)
        """Looks at the files of this run."""
        self.guard = guard_of(walk_config, warn, self.files)
        self.allowed = (b"/",) if shared else self._clean(config)
        self._shared = shared
        self._to_journal = Guard(
            os.path.dirname(config.journal_path) or b"/", self.allowed, files=self.files
        )
        self._folders: dict[bytes, FileSystem] = {}
        self._systems: dict[int, FileSystem | None] = {}
        self._numbered: dict[int, FileSystem | None] = {}
        self._on_share: dict[int, bool] = {}
        """By device."""
        where = self._to_journal.surveyor.of_path(config.work.cache_root)
        self.hides_from_journal = not shared and self._is_secret(where)
        """The cache itself is better protected than the journal."""

    def close(self) -> None:
        """Ask nothing more of the kernel."""
        self.guard.close()
        self._to_journal.close()

    @staticmethod
    def _clean(config: RunConfig) -> tuple[bytes, ...]:
        return tuple(clean_path(path, b"/") for path in config.walk.allow_encrypted)

    def _is_secret(self, ground: Ground) -> bool:
        return self._to_journal.is_private(ground)

    def placed(self, folder: bytes, device: int) -> None:
        """Note that sources lie in a folder. From the thread that walks."""
        if device not in self._systems:
            self._systems[device] = self._system(folder, device)
        system = self._systems[device]
        if system is not None:
            self._folders[folder] = system

    def numbered(self, path: bytes, device: int) -> FileSystem | None:
        """Return the file system of a source if its files are known again by their numbers.

        None where single files may be encrypted: only an open file tells. From the thread that
        plans.
        """
        if device not in self._numbered:
            folder = os.path.dirname(self.files.realpath(path))
            ground = self.guard.surveyor.of_folder(folder, device)
            system = self._system(folder, device)
            known = system is not None and system.numbers_files and not ground.fuse
            by_file = self.guard.surveyor.encrypts_folders(device)
            self._numbered[device] = system if known and not by_file else None
        return self._numbered[device]

    def is_remote(self, root: bytes) -> bool:
        """Tell whether a root lies on a share. From the thread of the run."""
        path = clean_path(root, os.getcwdb()) if root else b"/"
        return self.files.is_on_share(path)

    def numbered_device(self, device: int) -> FileSystem | None:
        """Return the same of a device that was asked for before. For any thread."""
        return self._numbered.get(device)

    def size_on_share(self, source: Source | Job) -> int | None:
        """Return the size of a source that lies on a share; None: of any other.

        From the thread that walks; what it found out `known_on_share` tells in any.
        """
        self.numbered(source.path, source.device)
        if source.device and source.device not in self._on_share:
            share = self.files.share_of(source.path, source.device)
            self._on_share[source.device] = bool(share)
        return self.known_on_share(source)

    def known_on_share(self, source: Source | Job) -> int | None:
        """Return the same of a source whose file system was met before."""
        return source.size_bytes if self._on_share.get(source.device) else None

    def _system(self, folder: bytes, device: int) -> FileSystem | None:
        """Return the file system a folder is on; None: nothing of it is to be noted."""
        ground = self.guard.surveyor.of_folder(folder, device)
        if self._is_secret(ground):
            return None
        try:
            # a share is told by what is mounted
            fsid = 0 if self.files.is_on_share(folder) else os.statvfs(folder).f_fsid
        except OSError:
            return None
        return file_system(ground.kind, fsid, device, ground.source)

    def may_be_named(self, job: Job, outcome: Outcome) -> bool:
        """Tell whether the journal may name a source."""
        if outcome.kind is Kind.PRIVATE:
            return False
        return not self._shared or not self._names_secret(os.path.dirname(job.path))

    def _names_secret(self, path: bytes) -> bool:
        return self._is_secret(self._to_journal.surveyor.of_path(path))

    def told_cwd(self, cwd: bytes) -> bytes:
        """Return the working directory as the journal may keep it."""
        return b"" if cwd and self._is_unsaid(cwd) else cwd

    def told(self, arguments: Sequence[str], cwd: bytes) -> tuple[str, ...]:
        """Return the command line as the journal may keep it: without names of private files."""
        return tuple(self._told_argument(each, cwd or b"/") for each in arguments)

    def _told_argument(self, argument: str, cwd: bytes) -> str:
        names = [os.fsencode(each) for each in (argument, *argument.split("=")) if each]
        paths = [clean_path(name, cwd) for name in names if b"\0" not in name]
        return PRIVATE if any(map(self._is_unsaid, paths)) else argument

    def _is_unsaid(self, path: bytes) -> bool:
        """Tell whether a path lies in what is private, and not at its very beginning."""
        if any(is_below(path, each) for each in self.allowed) and not self._shared:
            return False
        if self.files.is_on_share(path) or not os.path.lexists(path):
            return False
        ground = self._to_journal.surveyor.of_path(path)
        return self._is_secret(ground) and path != ground.point

    def remember(self, journal: Journal) -> None:
        """Have the journal know where vaults are, and on which file systems originals lie."""
        journal.note_vaults(self.guard.met)
        journal.note_file_systems(self._folders)

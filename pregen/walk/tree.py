"""One folder and all below it: the hot loop of the walk.

It reads folders and stats files; it opens no file, and knows nothing of lists or of order. What
lies on a share is listed and looked at by a process that may hang (`filesystems.bounded`).

Folders wait on a stack, so depth costs nothing; files of a folder come before its subfolders,
both by name. Name order costs 7 ms per 100,000 files over the order of the folder, and reads a
cold ext4 no slower than inode order does (0.6 s each); it is the same on every run, and it is
the order in which a camera laid the files down.
"""

from __future__ import annotations

import errno
import os
import stat
from bisect import bisect_left
from dataclasses import dataclass
from itertools import count, islice
from operator import attrgetter, itemgetter, methodcaller
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pregen.filesystems.blockdevices import spins
from pregen.model import Kind, Skip, Source
from pregen.thumbspec.naming import PICTURE_NAMES
from pregen.walk.filters import NO_MEDIA, NOT_PICTURES, PRUNED, WantedFolders, cannot_be_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pregen.config import WalkConfig
    from pregen.filesystems.bounded import BoundedFiles, Status
    from pregen.filesystems.guard import Guard
    from pregen.filesystems.share_client import ShareEntry, ShareFolder
    from pregen.walk.filters import Caches, Globs
    from pregen.walk.unchanged import Settled

    Entry = os.DirEntry[bytes] | ShareEntry
    #: The (device, inode) of a folder and of those above it. Only kept when symlinks are followed.
    Lineage = tuple[tuple[int, int], "Lineage | None"]

#: Entries of one folder held at a time (9 MB); a larger folder is sorted in pieces of this size,
#: or a folder of a million files would take 850 MB. A camera's own folders end at 9,999 (DCF).
SORTED_ENTRIES = 10_000

NO_LINKS = "a symbolic link: pregen share handles only files in the folder itself"

_NONE: dict[bytes, tuple[int, int]] = {}
_by_name = attrgetter("name")
_by_path = itemgetter(0)
_DOT = ord(".")
_is_file = stat.S_ISREG


class Settler(Protocol):
    """Knows folders from runs before, and settles what is as it was then."""

    def settle(self, folder: bytes, device: int) -> Settled | None:
        """Look at a folder; None: nothing is known of it."""
        ...

    def count(self, fresh: int) -> None:
        """So many sources are settled, and are not found by the walk."""
        ...


@dataclass(slots=True)
class WalkCounts:
    """What the walk has met so far, sources aside. Grows while the walk goes on."""

    folders: int = 0
    passed_over: int = 0
    """Files that cannot be pictures by their name or were not chosen by a pattern; hidden files
    and folders."""


class WalkContext(NamedTuple):
    """What all roots of a walk share."""

    config: WalkConfig
    globs: Globs
    caches: Caches
    folders: frozenset[bytes]
    """Folders the user named: each is a root, walked on its own turn and not from above."""
    files: frozenset[bytes]
    """The other paths the user named: not found a second time from above."""
    counts: WalkCounts
    guard: Guard
    """Knows what must be left out, by what it lies on."""
    placed: Callable[[bytes, int], None] = lambda _folder, _device: None
    """Told folders with sources in them, and on which device."""
    listings: Listings | None = None
    """What earlier walks saw, where that is believed."""
    settler: Settler | None = None
    """Settles files before they are looked at one by one."""


class Listings(Protocol):
    """What walks saw in folders (the journal)."""

    def known(self, folder: bytes, mtime_ns: int) -> Mapping[bytes, tuple[int, int]]:
        """Return size in bytes and mtime in ns of the regular files in a folder, by name.

        None of them where the folder's mtime is not what it was.
        """
        ...

    def learn(self, folder: bytes, mtime_ns: int, files: Mapping[bytes, tuple[int, int]]) -> None:
        """Note what was seen in a folder."""
        ...


class _Seen(NamedTuple):
    """What is known of a regular file that was not looked at, as stat would say it."""

    st_size: int
    st_mtime_ns: int
    st_dev: int
    st_mode: int = stat.S_IFREG
    st_ino: int = 0
    """Nor is this remembered, or the change time."""
    st_ctime_ns: int = 0
    st_blocks: int = 1
    """What has none is not remembered."""


class _Visit(NamedTuple):
    """A folder that is being read."""

    path: bytes
    lineage: Lineage | None
    subfolders: list[tuple[bytes, Lineage | None]]
    """To be walked after it."""
    device: int
    files: bool = True
    """Its files are sources, not only those of folders below it."""
    known: Mapping[bytes, tuple[int, int]] = _NONE
    """Its regular files that need no look, with size in bytes and mtime in ns."""
    met: dict[bytes, tuple[int, int]] | None = None
    """What is to be known of it by the next walk."""
    apart: ShareFolder | None = None
    """Its listing, where it lies on a share."""


class Tree:
    """The walk of one root folder."""

    def __init__(self, root: bytes, context: WalkContext) -> None:
        self._root = root
        self._below = len(root) + (root != b"/")
        self._context = context
        config = context.config
        self._files = context.guard.files
        self._know_devices = config.follow_symlinks or config.one_file_system
        self._device = 0
        self._pseudo = False
        """The root lies on a file system of the kernel: only what is called a picture is opened."""
        self._only = WantedFolders(config.only) if config.only is not None else None

    def __iter__(self) -> Iterator[Source | Skip]:
        lineage: Lineage | None = None
        try:
            first = self._look_into(self._root)
        except OSError as error:
            yield skip_for(self._root, error, self._files)
            return
        status = first[0]
        self._device = status.st_dev
        self._context.guard.placeholders.note(status)
        self._pseudo = self._context.guard.surveyor.ground(self._root, status.st_dev).pseudo
        if self._know_devices:
            lineage = ((status.st_dev, status.st_ino), None)
        stack = [(self._root, lineage)]
        while stack:
            path, lineage = stack.pop()
            try:
                status, apart = first if path == self._root else self._look_into(path)
            except OSError as error:
                yield skip_for(path, error, self._files, "cannot list the folder: ")
                continue
            device = status.st_dev
            guard = self._context.guard
            pseudo = self._pseudo and device == self._device
            barred = guard.folder(path, device, pseudo=pseudo)
            if barred is not None:
                yield barred
                if barred.kind is not Kind.PRIVATE or not guard.leads_to_allowed(path):
                    continue
            guard.placeholders.note(status)
            visit = _Visit(path, lineage, [], device, barred is None, apart=apart)
            listings = self._context.listings
            if listings is not None:
                visit = visit._replace(known=listings.known(path, status.st_mtime_ns), met={})
            self._context.counts.folders += 1
            yield from self._read(visit)
            if listings is not None and visit.met:
                listings.learn(path, status.st_mtime_ns, visit.met)
            if self._context.config.recursive:
                visit.subfolders.sort(key=_by_path, reverse=True)
                stack += visit.subfolders

    def _look_into(self, path: bytes) -> tuple[Status, ShareFolder | None]:
        """Return what stat says of a folder, and its listing where it lies on a share.

        Raises:
            OSError: it cannot be looked at; of one on a share, listed.
        """
        apart = self._files.folder(path)
        if apart is not None:
            return apart.facts, apart
        return _stat_inside(path) if path == self._root else os.stat(path), None

    def _read(self, visit: _Visit) -> Iterator[Source | Skip]:
        rest = self._settle(visit)
        if rest is not None and not rest:
            return
        try:
            scan = visit.apart or os.scandir(visit.path)
        except OSError as error:
            yield skip_for(visit.path, error, self._files, "cannot list the folder: ")
            return
        with scan:
            for piece in count():
                entries: list[Entry] = []
                broken: OSError | None = None
                try:
                    # extend keeps what it got before an error; list() would lose it.
                    entries.extend(islice(scan, SORTED_ENTRIES))
                except OSError as error:
                    broken = error
                complete = len(entries) < SORTED_ENTRIES
                if rest is not None:
                    entries = [entry for entry in entries if entry.name in rest]
                entries.sort(key=_by_name)
                if (
                    piece == 0
                    and visit.path != self._root
                    and self._bars_media(visit.path, entries, complete=complete)
                ):
                    yield Skip(visit.path, Kind.EXCLUDED, "holds a .nomedia file")
                    return
                if spins(visit.device):
                    # As they lie there, about: a head that goes to and fro is slower than any name.
                    entries.sort(key=methodcaller("inode"))
                yield from self._take(entries, visit)
                if broken is not None:
                    yield skip_for(
                        visit.path, broken, self._files, "cannot list all of the folder: "
                    )
                if complete:
                    return

    def _settle(self, visit: _Visit) -> frozenset[bytes] | None:
        """Have files settled that are as they were; return the other names. None: all names."""
        context = self._context
        if (
            context.settler is None
            or not visit.files
            or self._choosy
            or visit.apart is not None
            # what is one is told by all that lies in a folder
            or context.guard.placeholders.possible(visit.path, visit.device)
        ):
            return None
        settled = context.settler.settle(visit.path, visit.device)
        if settled is None:
            return None
        rest = frozenset(settled.rest)
        if NO_MEDIA in rest and visit.path != self._root:
            return None
        if settled.fresh:
            context.settler.count(settled.fresh)
            context.placed(visit.path, visit.device)
        return rest

    @property
    def _choosy(self) -> bool:
        """Files are not sources for their type alone."""
        context = self._context
        return (
            context.globs.any_for_files
            or bool(context.files)
            or not context.config.links
            or self._pseudo
        )

    def _take(self, entries: list[Entry], visit: _Visit) -> Iterator[Source | Skip]:
        context = self._context
        hidden = context.config.hidden
        follow = context.config.follow_symlinks
        device, known = visit.device, visit.known
        plain = self._is_plain(entries, visit)
        choosy = self._choosy or context.guard.placeholders.may_be_among(
            entries, visit.path, device
        )
        any_source = False
        passed_over = 0
        for entry in entries:
            name = entry.name
            if name[0] == _DOT and not hidden:
                passed_over += 1
                continue
            try:
                if name not in known and entry.is_dir(follow_symlinks=False):
                    yield from self._enter(entry, visit)
                    continue
                if not visit.files:
                    continue
                # Twice as fast in place as through cannot_be_picture.
                no_picture = name[name.rfind(b".") :].lower() in NOT_PICTURES
                if no_picture and not (follow and entry.is_symlink()):
                    passed_over += 1
                    continue
                status = entry.stat() if plain else self._status(entry, visit)
            except OSError as error:
                yield skip_for(entry.path, error, self._files)
                continue
            if status.st_dev != device or choosy or no_picture or not _is_file(status.st_mode):
                yield from self._judge(entry, status, visit)
            else:
                any_source = True
                yield _source(entry.path, status)
        context.counts.passed_over += passed_over
        if any_source:
            context.placed(visit.path, device)

    def _is_plain(self, entries: list[Entry], visit: _Visit) -> bool:
        """Tell whether entries are looked at one by one as they are; those on shares, at once."""
        if visit.apart is not None:
            visit.apart.look(each.name for each in entries if self._is_looked_at(each, visit))
        elif self._files.any_shares:
            return False
        return visit.met is None

    def _status(self, entry: Entry, visit: _Visit) -> Status | _Seen:
        """Return what stat says of an entry; a link may lead to a share."""
        if visit.apart is None and entry.is_symlink():
            return self._files.stat(entry.path)
        return entry.stat() if visit.met is None else _look(entry, visit)

    def _is_looked_at(self, entry: Entry, visit: _Visit) -> bool:
        """Tell whether `_take` will look at an entry of a folder on a share."""
        name, config = entry.name, self._context.config
        if (name[0] == _DOT and not config.hidden) or name in visit.known or not visit.files:
            return False
        if entry.is_symlink():
            return True
        no_picture = name[name.rfind(b".") :].lower() in NOT_PICTURES
        return not no_picture and not entry.is_dir(follow_symlinks=False)

    def _judge(
        self, entry: Entry, status: Status | _Seen, visit: _Visit
    ) -> Iterator[Source | Skip]:
        """Do with an entry what takes more than a look at its type; `status` is its target's."""
        context = self._context
        path = entry.path
        if not context.config.links and entry.is_symlink():
            yield Skip(path, Kind.EXCLUDED, NO_LINKS)
        elif not isinstance(status, _Seen) and stat.S_ISDIR(status.st_mode):
            yield from self._enter_link(entry, status, visit)
        elif path in context.files:
            pass
        elif (
            not context.globs.takes(path, self._below, entry.name)
            or (cannot_be_picture(entry.name))
            or (self._pseudo and not entry.name.lower().endswith(PICTURE_NAMES))
        ):
            context.counts.passed_over += 1
        else:
            found = source_or_special(path, status)
            if isinstance(found, Source) and context.guard.placeholders.is_away(path, status):
                found = found._replace(away=True)
            if isinstance(found, Source) and status.st_dev != visit.device:
                yield context.guard.file(path, status.st_dev) or found
            else:
                yield found

    def _enter(self, entry: Entry, visit: _Visit) -> Iterator[Skip]:
        """Put a folder on the list of those to walk, unless a rule keeps the walk out of it."""
        path = entry.path
        if self._barred(path, entry.name) or self._context.caches.is_root(entry):
            return
        lineage: Lineage | None = None
        if self._know_devices:
            status = entry.stat(follow_symlinks=False)
            if self._context.config.one_file_system and status.st_dev != self._device:
                yield Skip(path, Kind.EXCLUDED, "on another file system")
                return
            lineage = ((status.st_dev, status.st_ino), visit.lineage)
        visit.subfolders.append((path, lineage))

    def _enter_link(self, entry: Entry, status: Status, visit: _Visit) -> Iterator[Skip]:
        """Do the same for a symlink to a folder; `status` is the folder's."""
        path = entry.path
        config = self._context.config
        if self._barred(path, entry.name) or self._context.caches.holds(path):
            return
        here = (status.st_dev, status.st_ino)
        if not config.follow_symlinks:
            message = "a symbolic link to a folder; --follow-symlinks follows it"
        elif config.one_file_system and status.st_dev != self._device:
            message = "on another file system"
        elif _leads_back(here, visit.lineage):
            message = "a symbolic link to a folder that contains it"
        else:
            visit.subfolders.append((path, (here, visit.lineage)))
            return
        yield Skip(path, Kind.EXCLUDED, message)

    def _barred(self, path: bytes, name: bytes) -> bool:
        """Tell whether the rules for names keep the walk out of a folder."""
        context = self._context
        return (
            (self._only is not None and not self._only.enters(path))
            or name in PRUNED
            or path in context.folders
            or (context.globs.any_for_folders and not context.globs.enters(path, self._below, name))
            or context.caches.named(path)
        )

    def _bars_media(self, folder: bytes, entries: list[Entry], *, complete: bool) -> bool:
        place = bisect_left(entries, NO_MEDIA, key=_by_name)
        if place < len(entries) and entries[place].name == NO_MEDIA:
            return True
        return not complete and self._files.lexists(folder + b"/" + NO_MEDIA)


def _stat_inside(folder: bytes) -> os.stat_result:
    """Return the status of a folder after it was entered: so an automount has happened."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


def _look(entry: Entry, visit: _Visit) -> Status | _Seen:
    """Return what is known of a file, or what stat says of it, for the next walk to know."""
    met = visit.met if visit.met is not None else {}
    known = visit.known.get(entry.name)
    if known is not None:
        met[entry.name] = known
        return _Seen(*known, visit.device)
    status = entry.stat()
    # A link says nothing of what it leads to.
    here = status.st_dev == visit.device and not entry.is_symlink()
    if here and _is_file(status.st_mode) and status.st_blocks:
        met[entry.name] = (status.st_size, status.st_mtime_ns)
    return status


def _leads_back(here: tuple[int, int], lineage: Lineage | None) -> bool:
    while lineage is not None:
        if lineage[0] == here:
            return True
        lineage = lineage[1]
    return False


def _source(path: bytes, status: Status | _Seen) -> Source:
    return Source(
        path,
        status.st_size,
        status.st_mtime_ns,
        status.st_dev,
        False,  # noqa: FBT003 - by keyword it takes half as long again
        status.st_ino,
        status.st_ctime_ns,
    )


def source_or_special(path: bytes, status: Status | _Seen) -> Source | Skip:
    """Return what there is to say of anything but a folder."""
    if _is_file(status.st_mode):
        return _source(path, status)
    what = _SPECIAL.get(stat.S_IFMT(status.st_mode), "a special file")
    return Skip(path, Kind.SPECIAL, what)


_SPECIAL = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}


def skip_for(path: bytes, error: OSError, files: BoundedFiles, doing: str = "") -> Skip:
    """Return the skip of something the system would not let us list or examine."""
    if error.errno not in _ABSENT:
        words = error.strerror or os.strerror(error.errno or 0)
        return Skip(path, Kind.UNREADABLE, doing + words)
    link = files.is_link(path)
    return Skip(path, Kind.VANISHED, "dangling symbolic link" if link else "deleted meanwhile")


_ABSENT = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP))

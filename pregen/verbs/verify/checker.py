"""Looks through a cache and tells what is wrong in it. The I/O of `pregen verify`; changes nothing.

Runs may go on meanwhile: what seems damaged is read once more when it was replaced under our eyes.
"""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.cache.atomic import FILE_MODE
from pregen.cache.folder import ENTRY_NAME, entry_limit_bytes
from pregen.cache.opening import DIR_FLAGS, DIR_MODE
from pregen.cache.store import is_dead_temp
from pregen.errors import CacheError
from pregen.originals.status import UNKNOWN, Original, OriginalState
from pregen.thumbspec.clients import every_uri
from pregen.thumbspec.naming import key, source_path
from pregen.thumbspec.pngchunks import PngError
from pregen.verbs.verify import rules
from pregen.verbs.verify.anatomy import RIGHTS, USELESS, Anatomy, EntryFlaw, Flaw, dissect

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from pregen.cache.folder import CacheFile, Folder
    from pregen.cache.store import Cache
    from pregen.model import Flavor
    from pregen.originals.examiner import Examiner
    from pregen.verbs.reviewing import Reviewers


#: Entries in memory at once: 256 xx-large of photos are 400 MB at the very most, large ones 30 MB.
_CHUNK: Final = 256
#: How often a file that changes while it is looked at is looked at anew.
_TRIES: Final = 5
_PNG: Final = ".png"
_GNOME_TEMP: Final = ".gnome_desktop_thumbnail"
#: Temps of other programs are left over when they are older than a run of theirs can last. Names:
#: GLib's and Qt's atomic writing (`NAME.XXXXXX`), gnome-desktop's own.
_FOREIGN_TEMP_AGE_S: Final = 24 * 3600


class Cure(Enum):
    """What became of something bad. The values appear in `--json`: never rename."""

    MENDED = "mended"
    """Where it was."""
    REMOVED = "removed"
    """A run may make it anew."""
    KEPT = "kept"
    """It can be shown, and its original is not there now."""
    LEFT = "left"
    """It is not what it was, or may not be changed."""
    SAME = "same"
    """It stays: a new one would be the same."""


class Checked(NamedTuple):
    """Something in the cache, looked at."""

    item: CacheFile | None
    """None: a folder."""
    path: bytes
    uri: str
    source: bytes | None
    """The path of its original, if that is a file of this machine and known."""
    original: Original
    findings: tuple[EntryFlaw, ...]
    cure: Cure | None = None
    """What became of it; None: nothing was to be mended."""

    @property
    def flaws(self) -> frozenset[Flaw]:
        """The kinds of what is wrong."""
        return frozenset(finding.flaw for finding in self.findings)


class Checker:
    """One look through one cache.

    Args:
        cache: It is there.
        examiner: Looks at originals.
        reviewers: Decode entries.
        now_s: The time, since 1970.
    """

    def __init__(
        self, cache: Cache, examiner: Examiner, reviewers: Reviewers, now_s: float
    ) -> None:
        self._cache = cache
        self._examiner = examiner
        self._reviewers = reviewers
        self._now_s = now_s
        self._uid = os.stat(cache.root).st_uid

    def check(self) -> Iterator[Checked]:
        """Yield everything of the cache, sound or not; files that are not entries only if flawed.

        Raises:
            CacheError: The cache cannot be read.
        """
        yield from self._folder(self._cache.root, os.stat(self._cache.root))
        fails = os.path.join(self._cache.root, b"fail")
        with suppress(OSError):
            yield from self._folder(fails, os.stat(fails, follow_symlinks=False))
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for folder in self._cache.folders():
                yield from self._folder(folder.path, os.fstat(folder.fd))
                for other in folder.others():
                    if flawed := self._other(other):
                        yield flawed
                items = folder.entries()
                while chunk := list(islice(items, _CHUNK)):
                    yield from self._entries(chunk, pool.map)

    def again(self, items: Iterable[CacheFile]) -> Iterator[Checked]:
        """Yield what these are now; those that are gone are left out."""
        found = (item.folder.file(item.name) for item in items)
        here = iter([item for item in found if item])
        while chunk := list(islice(here, _CHUNK)):
            yield from self._entries(chunk, map)

    def _folder(self, path: bytes, facts: os.stat_result) -> Iterator[Checked]:
        if stat.S_ISDIR(facts.st_mode) and (findings := rules.judge_folder(facts.st_mode)):
            yield Checked(None, path, "", None, UNKNOWN, findings)

    def _entries(
        self, items: Sequence[CacheFile], apply: Callable[..., Iterable[Anatomy | None]]
    ) -> Iterator[Checked]:
        anatomies = apply(self._examined, [(_read(item), item.folder.flavor) for item in items])
        found: list[tuple[CacheFile, Anatomy, str, bytes | None]] = []
        for item, first in zip(items, anatomies, strict=True):
            sound = first
            for _ in range(_TRIES):
                if sound is None or not sound.findings or item.unchanged():
                    break
                fresh = item.folder.file(item.name)
                item = fresh or item  # noqa: PLW2901 - it was replaced
                sound = self._examined((_read(fresh), fresh.folder.flavor)) if fresh else None
            if sound is not None:
                uri = sound.head.uri(item.key) if sound.head else ""
                found.append((item, sound, uri, source_path(uri)))
        originals = self._examiner.originals(
            [(path, uri, item.stat.st_mtime_ns) for item, _, uri, path in found]
        )
        for (item, anatomy, uri, path), original in zip(found, originals, strict=True):
            findings = rules.judge(self._place(item), anatomy, original)
            yield Checked(item, item.path, uri, path, original, findings)

    def _examined(self, read: tuple[bytes | OSError | None, Flavor | None]) -> Anatomy | None:
        """Take a file of a flavor apart, and have it decoded; None: it is gone. For any thread."""
        data, flavor = read
        if data is None:
            return None
        if isinstance(data, OSError):
            words = f"it cannot be read ({data.strerror})"
            return Anatomy(None, (EntryFlaw(Flaw.UNREADABLE, words),))
        if len(data) > entry_limit_bytes(flavor):
            finding = EntryFlaw(Flaw.OVERSIZED, "it is far too large for a thumbnail")
            return Anatomy(None, (finding,))
        anatomy = dissect(data)
        if not anatomy.findings and (refusal := self._reviewers.refusal(data)):
            finding = EntryFlaw(Flaw.PIXELS, f"its picture cannot be decoded ({refusal})")
            return anatomy._replace(findings=(finding,))
        return anatomy

    def _place(self, item: CacheFile) -> rules.FileStat:
        facts, folder = item.stat, item.folder
        return rules.FileStat(
            folder.flavor, folder.program, item.key, facts.st_mode, facts.st_uid, self._uid
        )

    def _other(self, item: CacheFile) -> Checked | None:
        """Tell what is wrong with a file that is not an entry; of most there is nothing to tell."""
        mode, uri = item.stat.st_mode, ""
        named, regular = ENTRY_NAME.fullmatch(item.name), stat.S_ISREG(mode)
        if named and stat.S_ISLNK(mode):
            found = Flaw.LINK, "the thumbnail is a symbolic link"
        elif named and not regular:
            found = (
                Flaw.NOT_FILE,
                "the name of a thumbnail is taken by something that is not a file",
            )
        elif named or not regular:
            return None
        elif self._is_temp(item):
            found = Flaw.TEMP, "left by a program that died while writing"
        elif item.name.endswith(_PNG) and (uri := _uri_in(item)):
            found = Flaw.NAME, "its name is not an md5: no program will find it"
        else:
            return None
        path = source_path(uri)
        (original,) = self._examiner.originals([(path, uri, item.stat.st_mtime_ns)])
        return Checked(item, item.path, uri, path, original, (EntryFlaw(*found),))

    def _is_temp(self, item: CacheFile) -> bool:
        if is_dead_temp(item):
            return True
        foreign = ENTRY_NAME.match(item.name) or item.name.startswith(_GNOME_TEMP)
        return bool(foreign) and self._now_s - item.stat.st_mtime > _FOREIGN_TEMP_AGE_S


def comparable(checked: Checked) -> bool:
    """Tell whether its picture can be compared with one made anew from its original."""
    has_picture = checked.item is not None and checked.item.folder.flavor is not None
    return has_picture and checked.original.state is OriginalState.THERE and not checked.findings


def _read(item: CacheFile) -> bytes | OSError | None:
    """Return a file's content; None: it is gone; an error: it cannot be read."""
    try:
        return item.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        return error


def _uri_in(item: CacheFile) -> str:
    """Return whose thumbnail a file is; empty: it is none."""
    try:
        head = dissect(item.read()).head
    except OSError:
        return ""
    return head.uri("") if head else ""


# Whose an entry is that does not say so, or says it wrongly. Its key cannot be turned back into a
# URI. But the entries of one original have one key in all flavors, the journal knows the sources
# of every run, and a user who names folders says where to look.


def by_path(keys: set[str], paths: Iterable[bytes]) -> dict[str, bytes]:
    """Return those of the paths that have one of these keys, by key."""
    found: dict[str, bytes] = {}
    for path in paths:
        for uri in every_uri(path):
            name = key(uri)
            if name in keys:
                found[name] = path
        if len(found) == len(keys):
            break
    return found


def by_siblings(keys: set[str], folders: Iterable[Folder]) -> dict[str, bytes]:
    """Return the originals that sound entries of other flavors, or fail records, name, by key."""
    found: dict[str, bytes] = {}
    for folder in folders:
        for name in keys - found.keys():
            item = folder.file(name + _PNG)
            if item is None:
                continue
            try:
                uri = item.head().uri(name)
            except (OSError, PngError):
                continue
            if key(uri) == name and (path := source_path(uri)) is not None:
                found[name] = path
    return found


# Clearing away what is bad, so that a run makes it anew; modes are mended where they are.


def cure(checked: Checked) -> Cure:
    """Mend or remove one thing that was found to be bad.

    What is not as it was when it was looked at is left alone. An entry that a desktop can show is
    kept when its original is not there now: it could not be made again.
    """
    try:
        if checked.item is None:
            return _mend_folder(checked.path)
        if Flaw.DISPUTED in checked.flaws:
            return Cure.SAME
        if checked.flaws <= RIGHTS:
            return _mend_file(checked)
        useless = bool(checked.flaws & USELESS)
        if not useless and checked.original.state is not OriginalState.THERE:
            return Cure.KEPT
        return _remove(checked.flaws, checked.item)
    except (CacheError, OSError):
        return Cure.LEFT


def _remove(flaws: Collection[Flaw], item: CacheFile) -> Cure:
    if Flaw.NOT_FILE in flaws and stat.S_ISDIR(item.stat.st_mode):
        os.rmdir(item.name, dir_fd=item.folder.fd)
        return Cure.REMOVED
    return Cure.REMOVED if item.remove() else Cure.LEFT


def _mend_folder(path: bytes) -> Cure:
    # The root may be a link: people keep caches on other disks.
    fd = os.open(os.path.realpath(path), DIR_FLAGS | os.O_NOFOLLOW)
    try:
        os.fchmod(fd, DIR_MODE)
    finally:
        os.close(fd)
    return Cure.MENDED


def _mend_file(checked: Checked) -> Cure:
    item = checked.item
    if item is None or not item.unchanged():
        return Cure.LEFT
    # Not by a descriptor: a file of mode 0000 cannot be opened. Only its owner can have
    # put something else here since: the folder is 0700, or is made so first.
    with suppress(NotImplementedError):
        os.chmod(item.name, FILE_MODE, dir_fd=item.folder.fd)
    return Cure.MENDED

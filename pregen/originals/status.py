"""What is known of an original, and what follows from it. Pure.

The one rule: "not there now" is never taken for "gone". Gone is an original whose file system is
there, is the one it lay on as far as can be told, and no longer has it.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.filesystems.identity import file_system
from pregen.originals import mounts as places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pregen.filesystems.identity import FileSystem
    from pregen.originals.mounts import Mounts


class LookOutcome(Enum):
    """How looking at a path ended."""

    FOUND = "found"
    MISSING = "missing"
    FAILED = "failed"
    """Refused: no permission, a disk or a server with errors."""
    TIMED_OUT = "timed-out"
    """Its mount does not answer."""
    UNTOUCHED = "untouched"
    """On an autofs trigger, which looking would pull."""


class PathStatus(NamedTuple):
    """What looking at a path gave."""

    outcome: LookOutcome
    real: bytes
    """Where the path leads, links followed as far as they could be."""
    size_bytes: int = 0
    mtime_ns: int = 0
    errno: int = 0
    folder: bytes = b""
    """With MISSING: the nearest folder above it that is there."""
    folder_changed_ns: int = 0
    """Its ctime, which no program can set back."""
    folder_empty: bool = False
    folder_fsid: int = 0
    """Of its file system (`f_fsid` of statvfs)."""
    folder_device: int = 0


class OriginalState(Enum):
    """What became of an original. The values appear in `--json`: never rename."""

    THERE = "there"
    GONE = "gone"
    OFFLINE = "offline"
    """What it lies on is not mounted or not connected now."""
    UNREADABLE = "unreadable"
    """It cannot be examined: no permission, or the disk or server fails."""
    TIMED_OUT = "timed-out"
    """Its mount does not answer."""
    OTHER_SCHEME = "other-scheme"
    """Not a file of this machine: `http:`, `smb:`, `trash:`, another host's `file:`."""
    UNKNOWN = "unknown"
    """The entry does not say, or it was not looked for."""


class Original(NamedTuple):
    """An original, judged."""

    state: OriginalState
    size_bytes: int = 0
    """Of one that is there."""
    mtime_ns: int = 0
    remote: bool | None = None
    """Whether it lies on a file system over a network; None: cannot be told."""
    removable: bool = False
    """Whether it lies in a place of removable media."""
    place: bytes = b""
    """With OFFLINE and TIMED_OUT: what is not there, or does not answer."""
    surely: bool = True
    """With GONE: the file system it lay on is there and has lost it; else nothing speaks against
    it but that others may have vanished with it (`vanished_together`)."""


UNKNOWN = Original(OriginalState.UNKNOWN)

#: Schemes of GIO and KIO that stay on this machine: bin, recent files, archives, devices.
_LOCAL_SCHEMES = frozenset(
    word
    for line in (
        "admin afc applications archive baloosearch burn cdda computer desktop gphoto2 kamera",
        "localtest memory mtp recent recentlyused resource search starred tags tar timeline",
        "trash zip",
    )
    for word in line.split()
)


def of_other_scheme(uri: str) -> Original:
    """Return what is known of an original that is not a local file, by its URI alone."""
    scheme = uri.partition(":")[0].lower()  # `file:` is another host's here
    return Original(OriginalState.OTHER_SCHEME, remote=scheme not in _LOCAL_SCHEMES)


def judge(
    path: bytes,
    status: PathStatus,
    mounts: Mounts,
    entry_mtime_ns: int,
    remembered: Callable[[bytes], FileSystem | None] = lambda _folder: None,
) -> Original:
    """Judge a file of this machine.

    Args:
        path: As the URI has it.
        status: What looking at it gave.
        mounts: As they were when it was looked at.
        entry_mtime_ns: When its entry was written.
        remembered: Tells on which file system the originals in a folder lay; None: not known.
    """
    removable = any(_is_removable(each, mounts) for each in (path, status.real))
    absent = mounts.absent(path) or mounts.absent(status.real)
    if absent is not None:  # what is found in its place, if anything, is not the original
        return Original(
            OriginalState.OFFLINE, remote=absent.remote, removable=removable, place=absent.point
        )
    mount = mounts.of(status.real)
    missing = status.outcome is LookOutcome.MISSING
    moved = _is_elsewhere(path, status, mounts, remembered) if missing else None
    same = moved is False
    if missing and (moved or not _is_gone(path, status, mounts, entry_mtime_ns, same=same)):
        share = places.share_of(path) or places.share_of(status.real)
        medium = places.medium_of(path) or places.medium_of(status.real)
        remote = True if share or mount.remote else None
        place = share or medium or status.folder
        return Original(OriginalState.OFFLINE, remote=remote, removable=removable, place=place)
    remote = None if status.outcome is LookOutcome.UNTOUCHED else mount.remote
    state = _STATES[status.outcome]
    surely = not missing or same
    facts = status.size_bytes, status.mtime_ns, remote, removable, mount.point
    return Original(state, *facts, surely)


def _is_elsewhere(
    path: bytes,
    status: PathStatus,
    mounts: Mounts,
    remembered: Callable[[bytes], FileSystem | None],
) -> bool | None:
    """Tell whether a missing original lay on another file system than is there; None: not known."""
    folder = path.rpartition(b"/")[0] or b"/"
    then = remembered(folder)
    exact = then is not None
    while then is None and folder != b"/":
        folder = folder.rpartition(b"/")[0] or b"/"
        then = remembered(folder)
    if then is None:
        return None
    mount = mounts.of(status.folder)
    facts = mount.fstype, status.folder_fsid, status.folder_device, mount.device
    if file_system(*facts).is_another(then):
        return True
    # a folder above it says nothing about what was mounted below
    return False if exact else None


_STATES = {
    LookOutcome.FOUND: OriginalState.THERE,
    LookOutcome.MISSING: OriginalState.GONE,
    LookOutcome.FAILED: OriginalState.UNREADABLE,
    LookOutcome.TIMED_OUT: OriginalState.TIMED_OUT,
    LookOutcome.UNTOUCHED: OriginalState.OFFLINE,
}


def _is_gone(
    path: bytes, status: PathStatus, mounts: Mounts, entry_mtime_ns: int, *, same: bool
) -> bool:
    """Tell whether a path that is missing on what is mounted now is missing for good."""
    for each in (path, status.real):
        share = places.share_of(each)
        if share is not None and not (status.folder + b"/").startswith(share + b"/"):
            return False
        if _is_removable(each, mounts):
            # The standard goes by access times there: who knows which medium is in?
            return False
    # A folder that is empty, and from which nothing was removed since the entry was made, never
    # held the original: it is a mount point of something that is not mounted.
    return same or not (status.folder_empty and status.folder_changed_ns < entry_mtime_ns)


#: Fewer are deleted by hand, one by one or together; so many that leave nothing behind may have
#: left with a disk.
MANY_TOGETHER: Final = 10


def vanished_together(missing: Iterable[bytes], there: Iterable[bytes]) -> dict[bytes, bytes]:
    """Return those originals that vanished with all others of a folder that had many.

    Args:
        missing: Paths of originals that are not there, for no reason that is known.
        there: Paths of originals that are.

    Returns:
        For each path that is to be kept, the highest folder below which none is left.
    """
    alive: set[bytes] = set()
    for path in there:
        folder = path.rpartition(b"/")[0]
        while folder not in alive:
            alive.add(folder)
            folder = folder.rpartition(b"/")[0]
    groups: dict[bytes, list[bytes]] = {}
    for path in set(missing):
        highest = folder = path.rpartition(b"/")[0]
        if folder in alive:
            continue
        while folder:
            folder = folder.rpartition(b"/")[0]
            if folder in alive:
                break
            highest = folder or highest
        groups.setdefault(highest, []).append(path)
    return {
        path: folder or b"/"
        for folder, paths in groups.items()
        if len(paths) >= MANY_TOGETHER
        for path in paths
    }


def _is_removable(path: bytes, mounts: Mounts) -> bool:
    """Tell whether what lies at a path comes and goes with a medium.

    Not so where a declared or a remote file system is mounted: that is the same one every time.
    """
    absent = mounts.absent(path)
    if absent is not None:
        return absent.removable
    mount = mounts.of(path)
    declared = mounts.declared(mount.point)
    if declared is not None:
        return declared.removable
    if places.medium_of(path) is None:
        return False
    return not (mount.remote and places.medium_of(mount.point + b"/"))

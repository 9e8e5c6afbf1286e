"""What is known of an original, and what follows from it. Pure.

The one rule: "not there now" is never taken for "gone". Gone is an original whose file system is
there, is the one it lay on as far as can be told, and no longer has it.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from pregen.originals import mounts as places

if TYPE_CHECKING:
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


def judge(path: bytes, status: PathStatus, mounts: Mounts, entry_mtime_ns: int) -> Original:
    """Judge a file of this machine.

    Args:
        path: As the URI has it.
        status: What looking at it gave.
        mounts: As they were when it was looked at.
        entry_mtime_ns: When its entry was written.
    """
    removable = any(_is_removable(each, mounts) for each in (path, status.real))
    absent = mounts.absent(path) or mounts.absent(status.real)
    if absent is not None:  # what is found in its place, if anything, is not the original
        return Original(
            OriginalState.OFFLINE, remote=absent.remote, removable=removable, place=absent.point
        )
    mount = mounts.of(status.real)
    if status.outcome is LookOutcome.MISSING and not _is_gone(path, status, mounts, entry_mtime_ns):
        share = places.share_of(path) or places.share_of(status.real)
        medium = places.medium_of(path) or places.medium_of(status.real)
        remote = True if share or mount.remote else None
        place = share or medium or status.folder
        return Original(OriginalState.OFFLINE, remote=remote, removable=removable, place=place)
    remote = None if status.outcome is LookOutcome.UNTOUCHED else mount.remote
    state = _STATES[status.outcome]
    return Original(state, status.size_bytes, status.mtime_ns, remote, removable, mount.point)


_STATES = {
    LookOutcome.FOUND: OriginalState.THERE,
    LookOutcome.MISSING: OriginalState.GONE,
    LookOutcome.FAILED: OriginalState.UNREADABLE,
    LookOutcome.TIMED_OUT: OriginalState.TIMED_OUT,
    LookOutcome.UNTOUCHED: OriginalState.OFFLINE,
}


def _is_gone(path: bytes, status: PathStatus, mounts: Mounts, entry_mtime_ns: int) -> bool:
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
    return not (status.folder_empty and status.folder_changed_ns < entry_mtime_ns)


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

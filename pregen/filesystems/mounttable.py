"""The mounts of this process as the kernel lists them (proc(5), /proc/PID/mountinfo). Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Blank, tab, line feed, backslash and (in options) `#` are written as three octal digits.
_OCTAL: Final = re.compile(rb"\\([0-3][0-7]{2})")
_SEPARATOR: Final = b"-"
#: Fields before the optional ones, and behind the separator.
_LEADING: Final = 6
_TRAILING: Final = 3
_FUSE: Final = "fuse."


class MountFacts(NamedTuple):
    """One line of mountinfo."""

    mount_id: int
    device: str
    """Of the file system: "major:minor" in decimal. btrfs and overlay show files another one."""
    point: bytes
    fstype: str
    source: bytes
    options: bytes
    """Of the file system, as it writes them."""

    @property
    def kind(self) -> str:
        """The type without `fuse.`: what a person would call it."""
        return self.fstype.removeprefix(_FUSE)

    @property
    def is_fuse(self) -> bool:
        """Whether a program of the user's serves it, and says so in its type."""
        return self.fstype.startswith(_FUSE)


def parse_mountinfo(text: bytes) -> tuple[MountFacts, ...]:
    """Return the mounts in the kernel's order; lines that are none are left out."""
    return tuple(_lines(text.split(b"\n")))


def _lines(lines: Iterable[bytes]) -> Iterator[MountFacts]:
    for line in lines:
        fields = line.split(b" ")
        if _SEPARATOR not in fields[_LEADING:] or not fields[0].isdigit():
            continue
        end = fields.index(_SEPARATOR, _LEADING) + 1
        if len(fields) < end + _TRAILING:
            continue
        fstype, source, options = (_plain(field) for field in fields[end : end + _TRAILING])
        yield MountFacts(
            int(fields[0]),
            fields[2].decode("ascii", "replace"),
            _plain(fields[4]),
            fstype.decode("ascii", "replace"),
            source,
            options,
        )


def _plain(field: bytes) -> bytes:
    return _OCTAL.sub(lambda escape: bytes([int(escape[1], 8)]), field)


def is_below(path: bytes, above: bytes) -> bool:
    """Tell whether a path is `above` or below it, by their text."""
    return path == above or path.startswith(above if above.endswith(b"/") else above + b"/")


class MountTable:
    """All mounts of one moment, found by number, by device and by path."""

    def __init__(self, mounts: tuple[MountFacts, ...] = ()) -> None:
        self.mounts = mounts
        self._by_id = {mount.mount_id: mount for mount in mounts}
        # the last on a point is the one to be seen
        self._by_point = {mount.point: mount for mount in mounts}

    def by_id(self, mount_id: int) -> MountFacts | None:
        """Return the mount of this number; None: it is not to be seen from our root."""
        return self._by_id.get(mount_id)

    def by_device(self, device: str) -> MountFacts | None:
        """Return a mount of the file system with this "major:minor"."""
        return next((mount for mount in self.mounts if mount.device == device), None)

    def of(self, path: bytes) -> MountFacts | None:
        """Return the mount on which a path lies, by its text; it is absolute and clean."""
        while path not in self._by_point:
            if path == b"/":
                return None
            path = path.rpartition(b"/")[0] or b"/"
        return self._by_point[path]

    def visible(self) -> Iterator[MountFacts]:
        """Yield the mounts that no other one hides by lying on the same point."""
        yield from self._by_point.values()

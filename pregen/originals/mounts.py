"""Mount points, those that are and those that are declared, and what they say about a path.

Paths are taken by their text: resolving links would touch file systems that may hang.
"""

from __future__ import annotations

import glob
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.filesystems.mounttable import is_below
from pregen.filesystems.shares import is_remote
from pregen.thumbspec.naming import clean_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


_AUTOFS: Final = "autofs"
#: What an escape stands for in fstab (fstab(5)): three octal digits.
_OCTAL: Final = re.compile(rb"\\([0-3][0-7]{2})")
_FSTAB_FIELDS: Final = 4
_WHERE: Final = re.compile(rb"^[ \t]*Where[ \t]*=[ \t]*(/[^\r\n]*?)[ \t]*$", re.MULTILINE)
_ROOT: Final = b"/"


class Mount(NamedTuple):
    """A mount point and what is, or is declared to be, mounted there."""

    point: bytes
    fstype: str = ""
    device: bytes = b""
    removable: bool = False
    """Declared, but not mounted at start, and not remote: a CD-ROM or a card reader."""

    @property
    def remote(self) -> bool:
        """Whether its files come over a network."""
        return is_remote(self.fstype, self.device)

    @property
    def automatic(self) -> bool:
        """Whether this is an autofs trigger: what belongs here is mounted when it is asked for."""
        return self.fstype == _AUTOFS


class Mounts:
    """All mount points of this machine at one moment.

    Args:
        mounted: In the kernel's order: the last of several on one point is the one to be seen.
        declared: What fstab and its like promise, mounted or not.
    """

    def __init__(self, mounted: tuple[Mount, ...], declared: tuple[Mount, ...] = ()) -> None:
        self._facts = mounted, declared
        self._mounted = {_ROOT: Mount(_ROOT)} | {mount.point: mount for mount in mounted}
        self._declared = {mount.point: mount for mount in declared}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mounts) and self._facts == other._facts

    def __hash__(self) -> int:
        return hash(self._facts)

    @property
    def points(self) -> frozenset[bytes]:
        """Every point where something is mounted now."""
        return frozenset(self._mounted)

    def of(self, path: bytes) -> Mount:
        """Return the mount on which a path lies, by its text; it is absolute and clean."""
        return next(self._mounted[above] for above in _upwards(path) if above in self._mounted)

    def absent(self, path: bytes) -> Mount | None:
        """Return the declared mount on which a path would lie were it mounted; None: there is none.

        What is declared below what is mounted counts, what is declared above it does not.
        """
        for above in _upwards(path):
            if above in self._mounted:
                return None
            if above in self._declared:
                return self._declared[above]
        return None

    def all_declared(self) -> tuple[Mount, ...]:
        """Return all that is declared, mounted or not."""
        return self._facts[1]

    def declared(self, point: bytes) -> Mount | None:
        """Return what is declared at exactly this point."""
        return self._declared.get(point)


def parse_fstab(text: bytes) -> tuple[Mount, ...]:
    """Return the mount points of a file in the format of fstab(5); lines that are none are left."""
    found = []
    for line in text.split(b"\n"):
        fields = [_OCTAL.sub(_byte, field) for field in line.split()]
        if len(fields) < 2 or fields[0].startswith(b"#"):  # noqa: PLR2004 - device and point
            continue
        device, point, fstype, options = (fields + [b""] * _FSTAB_FIELDS)[:_FSTAB_FIELDS]
        if point.startswith(b"/"):
            mount = Mount(clean_path(point, _ROOT), fstype.decode("ascii", "replace"), device)
            noauto = b"noauto" in options.split(b",") and not mount.remote
            found.append(mount._replace(removable=noauto))
    return tuple(mount for mount in found if mount.point != _ROOT)


def parse_unit(text: bytes) -> Mount | None:
    """Return the mount point of a systemd mount or automount unit (systemd.mount(5), Where=)."""
    where = _WHERE.search(text)
    if where is None or b"%" in where[1]:  # a specifier: only systemd knows
        return None
    kind = re.search(rb"^[ \t]*Type[ \t]*=[ \t]*(\S+)", text, re.MULTILINE)
    what = re.search(rb"^[ \t]*What[ \t]*=[ \t]*(\S+)", text, re.MULTILINE)
    return Mount(
        clean_path(where[1], _ROOT),
        kind[1].decode("ascii", "replace") if kind else "",
        what[1] if what else b"",
    )


def is_below_any(path: bytes | None, above: Sequence[bytes]) -> bool:
    """Tell whether a path is known and at or below one of these; any is where none is given."""
    return not above or (path is not None and any(is_below(path, one) for one in above))


def _upwards(path: bytes) -> list[bytes]:
    """Return the path and everything above it, the root last."""
    found = [path]
    while path != _ROOT:
        path = path.rpartition(b"/")[0] or _ROOT
        found.append(path)
    return found


def _byte(escape: re.Match[bytes]) -> bytes:
    return bytes([int(escape[1], 8)])


# Places where file systems come and go, known by where desktops and admins put them (standard,
# Deleting Thumbnails, rule 3: "heuristics which can be used").

#: A medium has its folder here, and that folder goes with it. `/media/LABEL` and
#: `/media/USER/LABEL` (udisks in Debian), `/run/media/USER/LABEL` (udisks elsewhere), `/mnt/NAME`
#: by habit (FHS 3.0, 3.12: "temporarily mounted"), the rest from the fstab of older systems.
_REMOVABLE: Final = re.compile(
    rb"""(?: /(?:run/)?media(?:/[^/]+){0,2} | /mnt(?:/[^/]+)? | /(?:cdrom|floppy|zip|dvd) )
    (?=/|\Z)""",
    re.VERBOSE,
)

#: Folders in which a share or a device shows up while it is connected, and the share's own folder
#: in them: gvfs (also its old place), KIO's, autofs' customary maps, cells of AFS.
_SHARES: Final = re.compile(
    rb"""(?P<share>
        /run/user/[0-9]+/[^/]+/[^/]+
      | /(?:home|root)(?:/[^/]+)?/\.gvfs/[^/]+
      | /(?:net|misc|afs)/[^/]+
    )(?=/|\Z)""",
    re.VERBOSE,
)


def medium_of(path: bytes) -> bytes | None:
    """Return the folder of the medium on which a file lies, were one there; None: not a place."""
    found = _REMOVABLE.match(path.rpartition(b"/")[0])
    return found[0] if found else None


def share_of(path: bytes) -> bytes | None:
    """Return the folder that stands for a connected share or device on this path, or None."""
    found = _SHARES.match(path)
    return found["share"] if found else None


# This system's mount points. Reading them touches no mounted file system: files of /proc and /etc
# only.

#: How long a mount may take for an answer: a sleeping disk of a server needs up to 10 s to turn.
DEFAULT_TIMEOUT_S: Final = 15.0
#: As libmount calls the variable that names another fstab (mount(8), Environment).
FSTAB_VARIABLE: Final = "LIBMOUNT_FSTAB"
_FSTAB: Final = "/etc/fstab"
#: Units of the administrator and of generators; those of the distribution name no user's files.
_UNITS: Final = ("/etc/systemd/system", "/run/systemd/system")


def read_mounts(environ: Mapping[str, str]) -> Mounts:
    """Return the mount points as they are now. What cannot be read declares nothing."""
    import psutil  # noqa: PLC0415 - the rest of the module is what --help needs

    mounted = tuple(
        Mount(os.fsencode(part.mountpoint), part.fstype, os.fsencode(part.device))
        for part in psutil.disk_partitions(all=True)
    )
    return Mounts(mounted, tuple(_declared(environ.get(FSTAB_VARIABLE) or _FSTAB)))


def _declared(fstab: str) -> Iterator[Mount]:
    with suppress(OSError), open(fstab, "rb") as file:
        yield from parse_fstab(file.read())
    for folder in _UNITS:
        for path in sorted(glob.glob(f"{folder}/*.mount")):
            with suppress(OSError), open(path, "rb") as file:
                unit = parse_unit(file.read())
                if unit:
                    yield unit

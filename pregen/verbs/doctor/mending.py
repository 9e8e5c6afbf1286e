"""Does what a fix says: the only part of `doctor` that changes something, when it is told to.

A user's file is replaced by a whole one, with its owner and mode, and the old one is kept beside
it. Folders of the cache are walked by descriptor, and no link is followed.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.desktop_settings import MOST_BYTES, read_bytes, with_values
from pregen.display.text import plural, shown
from pregen.errors import PregenError
from pregen.private_folders import ForeignFolderError, make_folders, run_as, user_name
from pregen.verbs.doctor.fixes import GiveBack, Needs, RunProgram, SetModes, SetValues

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pregen.verbs.doctor.fixes import Fix

#: Settings tools answer at once, or wait for a bus; what installs a package may take long.
_TIMEOUT_S: Final = 20.0
_INSTALL_TIMEOUT_S: Final = 3600.0
_NEW_MODE: Final = 0o600
_WALK_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class FixError(PregenError):
    """A fix could not be done; the message says why, and what to do."""


class Mender:
    """Does fixes for one user.

    Args:
        environ: of the user's desktop.
        home: the user's.
    """

    def __init__(self, environ: Mapping[str, str], home: str) -> None:
        self._environ = environ
        self._home = os.fsencode(home)

    def do(self, fix: Fix, *, asked: bool) -> str:
        """Do it; return what a person should know besides, or nothing.

        Args:
            fix: what to do.
            asked: a person has answered a question about this very fix.

        Raises:
            FixError: it could not be done.
        """
        try:
            match fix:
                case RunProgram():
                    return self._run(fix, asked=asked)
                case SetValues():
                    return self._set(fix)
                case GiveBack():
                    return _give_back(fix)
                case SetModes():
                    return _set_modes(fix)
        except ForeignFolderError as error:
            raise FixError(str(error)) from error
        except OSError as error:
            where = f"{error.filename!r}: " if error.filename else ""
            raise FixError(f"{where}{error.strerror}") from error

    # Programs.

    def _run(self, fix: RunProgram, *, asked: bool) -> str:
        if fix.needs is Needs.ROOT and not (os.geteuid() == 0 and asked):
            root = os.geteuid() == 0
            lacks = "packages are not installed without a question" if root else "it needs root"
            raise FixError(f"{lacks}: run the command yourself")
        command, timeout_s = fix.argv, _INSTALL_TIMEOUT_S
        if fix.needs is Needs.SESSION:
            self._refuse_foreign()
            command, timeout_s = (*self._bus(), *fix.argv), _TIMEOUT_S
        try:
            done = subprocess.run(  # noqa: S603 - programs of the desktop, as the finding names them
                command,
                env=dict(self._environ),
                # what installs packages asks on its own
                stdin=subprocess.DEVNULL if fix.needs is Needs.SESSION else None,
                stdout=sys.stderr,
                stderr=subprocess.PIPE if fix.needs is Needs.SESSION else None,
                timeout=timeout_s,
                check=False,
            )
        except FileNotFoundError as error:
            raise FixError(f"{command[0]} is not installed here") from error
        except subprocess.TimeoutExpired as error:
            raise FixError(f"{command[0]} did not end within {timeout_s:g} s") from error
        if done.returncode:
            said = (done.stderr or b"").decode("utf-8", "replace").strip()
            raise FixError(f"{command[0]} ended with {done.returncode} {said}".rstrip())
        return ""

    def _bus(self) -> tuple[str, ...]:
        """Return what gives a settings tool a session bus where the user has none."""
        environ = self._environ
        runtime = environ.get("XDG_RUNTIME_DIR", "")
        has_one = environ.get("DBUS_SESSION_BUS_ADDRESS") or os.path.exists(f"{runtime}/bus")
        needs_none = environ.get("GSETTINGS_BACKEND") in {"keyfile", "memory"}
        if has_one or needs_none or not shutil.which("dbus-run-session"):
            return ()
        return "dbus-run-session", "--"

    def _refuse_foreign(self) -> None:
        """Refuse to change settings of another user as root: they would belong to root then."""
        owner = os.stat(self._home).st_uid
        if os.geteuid() == 0 and owner != 0:
            raise FixError(
                f"these are settings of {user_name(owner)}: run `pregen doctor --fix` as that user "
                f"({run_as(owner)})"
            )

    # Files.

    def _set(self, fix: SetValues) -> str:
        self._refuse_foreign()
        path = os.path.realpath(fix.path)  # people keep settings elsewhere, and link to them
        there = os.path.exists(path)
        old = read_bytes(os.fsdecode(path if there else fix.base or path), MOST_BYTES + 1)
        if len(old) > MOST_BYTES:
            raise FixError(f"{shown(path)} is too large for a settings file")
        text = old.decode("utf-8", "surrogateescape")
        for group, values in fix.groups.items():
            text = with_values(text, group, values)
        new = text.encode("utf-8", "surrogateescape")
        if not there:
            make_folders(os.path.dirname(path))
            _replace(path, new, None)
            return ""
        backup = _backup(path)
        _replace(path, new, os.stat(path))
        return f"the old file is {shown(backup)}"


def _backup(path: bytes) -> bytes:
    """Copy a file beside itself under a new name, and return that."""
    stamp = datetime.now(UTC).astimezone().strftime("%Y%m%d-%H%M%S").encode()
    backup = path + b".before-pregen-" + stamp
    number = 1
    while os.path.lexists(backup):
        number += 1
        backup = path + b".before-pregen-%b-%d" % (stamp, number)
    shutil.copy2(path, backup, follow_symlinks=False)
    found = os.stat(path)
    with suppress(PermissionError):
        os.chown(backup, found.st_uid, found.st_gid)
    return backup


def _replace(path: bytes, data: bytes, like: os.stat_result | None) -> None:
    """Write a file whole or not at all, with the mode and the owner of another."""
    temp = b"%b.pregen-%d" % (path, os.getpid())
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temp, flags, _NEW_MODE)
    try:
        with open(fd, "wb") as file:
            file.write(data)
            if like is not None:
                os.fchmod(fd, stat.S_IMODE(like.st_mode))
                with suppress(PermissionError):
                    os.fchown(fd, like.st_uid, like.st_gid)
            file.flush()
            os.fsync(fd)  # settings, unlike thumbnails, cannot be made again
        os.replace(temp, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temp)
        raise


# The cache.


class _Found(NamedTuple):
    """A file or folder in the cache."""

    name: bytes
    fd: int
    """Of the folder it is in."""
    stat: os.stat_result


def _give_back(fix: GiveBack) -> str:
    left = 0

    def give(found: _Found) -> None:
        nonlocal left
        if found.stat.st_uid == fix.uid:
            return
        if stat.S_ISREG(found.stat.st_mode) and found.stat.st_nlink > 1:
            left += 1  # it may be known elsewhere, as what is not this user's
            return
        os.chown(found.name, fix.uid, -1, dir_fd=found.fd, follow_symlinks=False)

    try:
        _each(fix.root, give)
    except PermissionError as error:
        raise FixError("it needs root: run the command yourself") from error
    kept = plural(left, "file with other names was", "files with other names were")
    return f"{kept} left as {'it is' if left == 1 else 'they are'}" if left else ""


def _set_modes(fix: SetModes) -> str:
    def change(found: _Found) -> None:
        mode = stat.S_IMODE(found.stat.st_mode)
        wanted = stat.S_IRUSR | stat.S_IWUSR
        if stat.S_ISDIR(found.stat.st_mode):
            wanted |= stat.S_IXUSR
        new = mode & ~(stat.S_IRWXG | stat.S_IRWXO) if fix.for_others else mode | wanted
        if new != mode and not stat.S_ISLNK(found.stat.st_mode):
            os.chmod(found.name, new, dir_fd=found.fd)

    _each(fix.root, change)
    return ""


def _each(root: bytes, act: Callable[[_Found], None]) -> None:
    """Call `act` for a folder and all in it, a folder before what it holds.

    Every part below the root is opened by the descriptor of the one above, and only what is not a
    link: where others may write, one that was planted leads nowhere.
    """
    above = os.open(os.path.dirname(root), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        name = os.path.basename(root)
        act(_Found(name, above, os.stat(name, dir_fd=above)))
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=above)
    finally:
        os.close(above)
    for found in _below(fd):
        act(found)


def _below(fd: int) -> Iterator[_Found]:
    """Yield all in an open folder, which is closed then."""
    try:
        for text in os.listdir(fd):
            name = os.fsencode(text)
            try:
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            yield _Found(name, fd, found)
            if stat.S_ISDIR(found.st_mode):
                yield from _below(os.open(name, _WALK_FLAGS, dir_fd=fd))
    finally:
        os.close(fd)

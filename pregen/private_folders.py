"""Makes folders for one user alone, and none as root in what belongs to another user.

sudo keeps HOME on some systems (sudoers(5), `env_keep`): a run of root would then leave
`~/.cache` and `~/.local` to root, and no program of that user could write there any more.
"""

from __future__ import annotations

import errno
import os
import pwd
from contextlib import suppress
from typing import Final

_MODE: Final = 0o700


class ForeignFolderError(PermissionError):
    """Root was to make a folder in what belongs to another user."""


def user_name(uid: int) -> str:
    """Return a user's name, as chown(1) takes it: without one the number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return str(uid)


def run_as(uid: int) -> str:
    """Return the command by which root runs pregen as a user; sudo(8) marks numbers."""
    name = user_name(uid)
    who = f"'#{name}'" if name.isdigit() else name
    return f"sudo -u {who} pregen ..."


def make_folders(path: bytes) -> None:
    """Make a folder, and those missing above it, with mode 0700 under any umask.

    XDG base directory specification: "with permission 0700". What is there stays as it is.

    Raises:
        ForeignFolderError: root was to make it in another user's folder.
        OSError: the system refused.
    """
    missing = []
    while not os.path.isdir(path) and path != os.path.dirname(path):
        missing.append(path)
        path = os.path.dirname(path)
    if missing:
        _refuse_foreign(path)
    for folder in reversed(missing):
        make_folder(folder)


def make_folder(name: bytes, above: int | None = None) -> None:
    """Make a folder with mode 0700 under any umask; another process may have just done so.

    Args:
        name: absolute, or relative to `above`.
        above: the open folder to make it in.

    Raises:
        OSError: the system refused.
    """
    try:
        os.mkdir(name, _MODE, dir_fd=above)
    except FileExistsError:
        return
    with suppress(OSError):  # file systems without modes
        os.chmod(name, _MODE, dir_fd=above)


def _refuse_foreign(path: bytes) -> None:
    if os.geteuid() != 0:
        return
    uid = os.stat(path).st_uid
    if uid:
        where = path.decode("utf-8", "backslashreplace")
        raise ForeignFolderError(
            errno.EACCES,
            f"{where} belongs to user {user_name(uid)}, who could not use files that root creates "
            f"there: run pregen as that user ({run_as(uid)})",
        )

"""How the directories of a cache are opened: as they are, or for a run, which creates and mends."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from enum import Enum
from typing import Final

from pregen.cache.errors import let_go, shown
from pregen.errors import CacheError

DIR_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
DIR_MODE: Final = 0o700


class OpenPolicy(Enum):
    """How the folders of a cache are opened."""

    OURS = "ours"
    """For a run. Written to, a folder is created, must be ours, and gets mode 0700; one that
    cannot be read yet counts as empty until then."""
    AS_FOUND = "as-found"
    """For reading: links to folders are followed, and nothing is created or mended."""
    WITHOUT_LINKS = "without-links"
    """For deleting and mending: as AS_FOUND, but folders that are links are passed over, since
    they may lead to anybody's files. The root may be one: people keep caches on other disks."""


def open_ours(name: bytes, above: int | None, path: bytes) -> int:
    """Return a descriptor of the directory `name`: created if need be, ours, 0700.

    By the descriptor of the one above it: once that is 0700, nobody can plant a link. Links are
    followed (people keep the cache on another disk) when the link is ours or root's and the
    directory it leads to is ours: anything else may have been planted by somebody else while a
    mode was too open. Whether a file can be made in it, trying tells (`atomic.probe`).

    Args:
        name: Relative to `above`, or absolute without it: then the missing folders above it are
            created too, and those that are there keep their modes.
        above: An open directory of ours.
        path: The whole path, for messages.

    Raises:
        CacheError: Something else is there, or it is not ours.
        OSError: The system refused; not yet put into words for the user.
    """
    if above is None:
        _make_ancestors(os.path.dirname(name))
    fd = _open_or_make(name, above, path)
    try:
        _check(fd, name, above, path)
    except BaseException:
        let_go(fd)
        raise
    return fd


def _open_or_make(name: bytes, above: int | None, path: bytes) -> int:
    try:
        return os.open(name, DIR_FLAGS, dir_fd=above)
    except FileNotFoundError:
        _make(name, above)
    except PermissionError:
        # Perhaps ours, with a mode that locks us out.
        if os.stat(name, dir_fd=above).st_uid != os.geteuid():
            raise
        os.chmod(name, DIR_MODE, dir_fd=above)
    except NotADirectoryError:
        raise CacheError(f"{shown(path)} is not a directory: move it away and run again") from None
    try:
        return os.open(name, DIR_FLAGS, dir_fd=above)
    except FileNotFoundError:
        if not os.path.islink(path):
            raise
        raise CacheError(
            f"{shown(path)} is a dangling symbolic link: mount the disk of its target, or "
            "remove the link"
        ) from None


def _check(fd: int, name: bytes, above: int | None, path: bytes) -> None:
    """Refuse what is not ours, mend the mode of what is."""
    facts = os.fstat(fd)
    link = os.stat(name, dir_fd=above, follow_symlinks=False)
    us = os.geteuid()
    if stat.S_ISLNK(link.st_mode) and link.st_uid not in {us, 0}:
        raise CacheError(
            f"{shown(path)} is a symbolic link made by user {link.st_uid}: remove it, or choose"
            " another cache with XDG_CACHE_HOME"
        )
    if facts.st_uid != us:
        raise CacheError(
            f"{shown(path)} belongs to user {facts.st_uid}, but pregen runs as user {us}: run "
            "pregen as that user, change the folder's owner (chown -R), or choose another "
            "cache with XDG_CACHE_HOME"
        )
    if stat.S_IMODE(facts.st_mode) & 0o777 != DIR_MODE:
        with suppress(OSError):  # file systems without modes; the probe finds the rest
            os.fchmod(fd, DIR_MODE)


def _make(name: bytes, above: int | None) -> None:
    """Create a directory with mode 0700 under any umask; somebody else may have just done so."""
    try:
        os.mkdir(name, DIR_MODE, dir_fd=above)
    except FileExistsError:
        return
    with suppress(OSError):  # file systems without modes
        os.chmod(name, DIR_MODE, dir_fd=above)


def _make_ancestors(path: bytes) -> None:
    """Create what is missing above the cache, 0700 (XDG base directory specification)."""
    if not os.path.isdir(path) and path != os.path.dirname(path):
        _make_ancestors(os.path.dirname(path))
        _make(path, None)
        if not os.path.isdir(path):
            raise CacheError(
                f"{shown(path)} is not a directory, or is a dangling symbolic link: move it "
                "away, mount the disk of its target, or set XDG_CACHE_HOME"
            )

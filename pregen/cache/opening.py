"""How the directories of a cache are opened: as they are, or for a run, which creates and mends."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, Final

from pregen.cache.errors import let_go, shown
from pregen.errors import CacheError
from pregen.private_folders import (
    ForeignFolderError,
    make_folder,
    make_folders,
    run_as,
    user_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    they may lead to other users' files. The root may be one: people keep caches on other disks."""


def open_beneath(roots: Iterable[bytes], path: bytes) -> int:
    """Return a descriptor of a directory in or below one of the roots, without following links.

    A link in the root itself, which the user named, is followed. Below it every part is opened by
    the descriptor of the one before: where others may write, a link planted a moment ago leads
    nowhere.

    Args:
        roots: absolute and clean, as `path`, which therefore holds no `..`.
        path: of the directory.

    Raises:
        OSError: ELOOP or ENOTDIR: a part is a link or no directory. ENOENT: it is not there, or
            lies below no root.
    """
    above = [root for root in roots if path == root or path.startswith(root.rstrip(b"/") + b"/")]
    if not above:
        raise FileNotFoundError(errno.ENOENT, "outside the given folders")
    root = max(above, key=len)
    fd = os.open(root, DIR_FLAGS)
    for part in filter(None, path[len(root) :].split(b"/")):
        try:
            below = os.open(part, DIR_FLAGS | os.O_NOFOLLOW, dir_fd=fd)
        finally:
            let_go(fd)
        fd = below
    return fd


def open_ours(name: bytes, above: int | None, path: bytes) -> int:
    """Return a descriptor of the directory `name`: created if need be, ours, 0700.

    By the descriptor of the one above it: once that is 0700, others cannot plant a link. Links are
    followed (people keep the cache on another disk) when the link is ours or root's and the
    directory it leads to is ours: anything else may have been planted by another user while a
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
        _make_path(os.path.dirname(name))
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
        if above is not None:
            make_folder(name, above)
        elif not os.path.islink(name):
            _make_path(name)
    except PermissionError:
        # Perhaps ours, with a mode that locks us out.
        if os.stat(name, dir_fd=above).st_uid != os.geteuid():
            raise
        os.chmod(name, DIR_MODE, dir_fd=above)
    except NotADirectoryError:
        raise CacheError(
            f"{shown(path)} is not a folder: choose another cache with --cache, or move it away"
        ) from None
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
            " another cache (--cache, XDG_CACHE_HOME)"
        )
    if facts.st_uid != us:
        how = ", change the folder's owner (chown -R)" if us else f" ({run_as(facts.st_uid)})"
        raise CacheError(
            f"{shown(path)} belongs to user {user_name(facts.st_uid)}, but pregen runs as user "
            f"{user_name(us)}: run pregen as that user{how}, or choose another cache with --cache"
        )
    if stat.S_IMODE(facts.st_mode) & 0o777 != DIR_MODE:
        with suppress(OSError):  # file systems without modes; the probe finds the rest
            os.fchmod(fd, DIR_MODE)


def _make_path(path: bytes) -> None:
    """Create a directory and what is missing above it."""
    try:
        make_folders(path)
    except ForeignFolderError as error:
        raise CacheError(f"{error.strerror}, or choose another cache with --cache") from error
    except (FileNotFoundError, NotADirectoryError):
        pass  # said below
    if not os.path.lexists(path):
        raise CacheError(f"{shown(path)} cannot be created: choose another cache with --cache")
    if not os.path.isdir(path):
        raise CacheError(
            f"{shown(path)} is not a folder, or is a dangling symbolic link: move it away, "
            "mount the disk of its target, or choose another cache (--cache, XDG_CACHE_HOME)"
        )

"""Clears away what is bad, so that a run makes it anew; mends modes where they are.

What is not as it was when it was looked at is left alone. An entry that a desktop can show is kept
when its original is not there now: it could not be made again.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING

from pregen.errors import CacheError
from pregen.originals.sight import State
from pregen.verify.flaws import RIGHTS, USELESS, Flaw

if TYPE_CHECKING:
    from pregen.verify.checker import Checked

_FILE_MODE = 0o600
_DIR_MODE = 0o700
_DIR_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


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


def cure(checked: Checked) -> Cure:
    """Mend or remove one thing that was found to be bad."""
    try:
        if checked.item is None:
            return _mend_folder(checked.path)
        if checked.flaws <= RIGHTS:
            return _mend_file(checked)
        useless = bool(checked.flaws & USELESS)
        if not useless and checked.original.state is not State.THERE:
            return Cure.KEPT
        if Flaw.NOT_FILE in checked.flaws and stat.S_ISDIR(checked.item.stat.st_mode):
            os.rmdir(checked.item.name, dir_fd=checked.item.folder.fd)
            return Cure.REMOVED
        return Cure.REMOVED if checked.item.remove() else Cure.LEFT
    except (CacheError, OSError):
        return Cure.LEFT


def _mend_folder(path: bytes) -> Cure:
    # The root may be a link: people keep caches on other disks.
    fd = os.open(os.path.realpath(path), _DIR_FLAGS)
    try:
        os.fchmod(fd, _DIR_MODE)
    finally:
        os.close(fd)
    return Cure.MENDED


def _mend_file(checked: Checked) -> Cure:
    item = checked.item
    if item is None or not item.unchanged():
        return Cure.LEFT
    # Not by a descriptor: a file of mode 0000 cannot be opened. Nobody but its owner can have
    # put something else here since: the folder is 0700, or is made so first.
    with suppress(NotImplementedError):
        os.chmod(item.name, _FILE_MODE, dir_fd=item.folder.fd)
    return Cure.MENDED

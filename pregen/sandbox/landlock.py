"""Confines this process to parts of the file system, for good (kernel documentation, landlock)."""

from __future__ import annotations

import ctypes
import os
import stat
from contextlib import suppress
from struct import Struct
from typing import TYPE_CHECKING, Final

from pregen.sandbox import syscalls

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# The same numbers on every machine.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION: Final = 1
_PATH_BENEATH: Final = 1
#: No line in the system's audit log for every source that lies elsewhere: that is not an offence.
_LOG_OFF: Final = 1

# <linux/landlock.h>, LANDLOCK_ACCESS_FS_*
WRITE_FILE, READ_FILE, READ_DIR, REMOVE_FILE = 1 << 1, 1 << 2, 1 << 3, 1 << 5
MAKE_DIR, MAKE_REG, TRUNCATE = 1 << 7, 1 << 8, 1 << 14
#: What can be said of a file that is not a folder.
_OF_A_FILE: Final = WRITE_FILE | READ_FILE | TRUNCATE
READ: Final = READ_FILE | READ_DIR
WRITE: Final = READ | WRITE_FILE | REMOVE_FILE | MAKE_REG | TRUNCATE

#: How many bits of access there are to files, by version: the last three added moving a file to
#: another folder (2), truncating (3) and control of devices (5).
_FILE_BITS: Final = {1: 13, 2: 14, 3: 15, 4: 15}
_NEWEST_FILE_BITS: Final = 16
#: Binding and connecting, both of TCP, since version 4.
_NET: Final = 0b11
#: Abstract Unix sockets and signals, since version 6.
_SCOPES: Final = 0b11

_ATTRIBUTES: Final = Struct("=QQQ")
_BENEATH: Final = Struct("=Qi")


def version() -> int:
    """Return the version of the kernel's Landlock; 0: it has none, or it was not switched on."""
    try:
        return syscalls.call(_CREATE_RULESET, 0, 0, _VERSION)
    except OSError:
        return 0


def confine(rules: Iterable[tuple[bytes, int]], opened: Mapping[bytes, int]) -> None:
    """Allow what `rules` allow: (a path and all below it, access bits), and nothing else.

    A folder that is `opened`, by path, is not looked at: its server may be dead.

    Paths that are not there are passed over. Nothing may be executed anywhere; descriptors that are
    open keep what they can do. no_new_privs must be set before.

    Raises:
        OSError: the kernel does not take the rules.
    """
    abi = version()
    handled = (1 << _FILE_BITS.get(abi, _NEWEST_FILE_BITS)) - 1
    ruleset = _create(abi, handled)
    try:
        for path, access in rules:
            with suppress(FileNotFoundError, NotADirectoryError, PermissionError, UnfitPathError):
                if path in opened:
                    _allow(ruleset, opened[path], access & handled)
                else:
                    _allow_path(ruleset, path, access & handled)
        syscalls.call(_RESTRICT_SELF, ruleset, _LOG_OFF if abi >= 7 else 0)  # noqa: PLR2004 - as above
    finally:
        os.close(ruleset)


class UnfitPathError(Exception):
    """No rule can be made of a path: it is on a file system of the kernel's own."""


def _create(abi: int, handled: int) -> int:
    whole = _ATTRIBUTES.pack(handled, _NET, _SCOPES)
    size = 8 if abi < 4 else 16 if abi < 6 else 24  # noqa: PLR2004 - versions, see above
    return syscalls.call(_CREATE_RULESET, ctypes.c_char_p(whole), size, 0)


def _allow_path(ruleset: int, path: bytes, access: int) -> None:
    there = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(there).st_mode):
            access &= _OF_A_FILE
        _allow(ruleset, there, access)
    finally:
        os.close(there)


def _allow(ruleset: int, there: int, access: int) -> None:
    rule = ctypes.c_char_p(_BENEATH.pack(access, there))
    try:
        syscalls.call(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0)
    except OSError as error:
        raise UnfitPathError(str(error)) from error

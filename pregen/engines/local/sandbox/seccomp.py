"""Has the kernel refuse system calls to this process, for good."""

from __future__ import annotations

import ctypes
import os
from struct import Struct
from typing import TYPE_CHECKING, Final

from pregen.engines.local.sandbox import system
from pregen.engines.local.sandbox.filter import INSTRUCTION_BYTES, assemble
from pregen.engines.local.sandbox.numbers import MACHINES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pregen.engines.local.sandbox.rules import Rule

#: seccomp(2), by machine.
_SECCOMP: Final = {"x86_64": 317, "aarch64": 277}
# <linux/seccomp.h>
_SET_MODE_FILTER, _GET_ACTION_AVAIL = 1, 2
_FLAG_TSYNC: Final = 1
_RET_ERRNO: Final = 0x00050000


#: struct sock_fprog: how many instructions, and where they are.
_PROGRAM: Final = Struct("HP")


def available() -> bool:
    """Tell whether this kernel filters system calls, and we know this machine's numbers."""
    machine = os.uname().machine
    if machine not in MACHINES:
        return False
    action = ctypes.c_uint32(_RET_ERRNO)
    try:
        system.call(_SECCOMP[machine], _GET_ACTION_AVAIL, 0, ctypes.byref(action))
    except OSError:
        return False
    return True


def refuse(rules: Iterable[Rule]) -> None:
    """Refuse calls by `rules` to every thread of this process. no_new_privs must be set before.

    Raises:
        OSError: the kernel does not take the filter.
    """
    machine = os.uname().machine
    code = assemble(rules, machine)
    kept = ctypes.create_string_buffer(code, len(code))
    program = _PROGRAM.pack(len(code) // INSTRUCTION_BYTES, ctypes.addressof(kept))
    system.call(_SECCOMP[machine], _SET_MODE_FILTER, _FLAG_TSYNC, ctypes.c_char_p(program))

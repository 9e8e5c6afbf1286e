"""Limits of resources, and what of root's powers a worker keeps."""

from __future__ import annotations

import ctypes
import os
import resource
from struct import Struct
from typing import Final

from pregen.sandbox import syscalls

#: A worker has some 20 files open; no library needs many more.
_MOST_FILES: Final = 256
#: No entry is larger (`cache.store`).
_MOST_FILE_BYTES: Final = 64 << 20
#: Decoding has one thread; what more there is does little.
_THREADS: Final = 2
#: No honest worker comes near its hard limit. One job more than its life may take this long.
_LONGEST_JOB_S: Final = 3600

#: capset(2), by machine.
_CAPSET: Final = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION_3: Final = 0x20080522
_CAP_HEADER: Final = Struct("=Ii")
_CAP_DATA: Final = Struct("=IIIIII")
#: CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID (bits 0 to 4 of
#: <linux/capability.h>): what root needs to work on other people's files.
_FILE_CAPABILITIES: Final = 0b11111


def limit_resources() -> None:
    """Bound what one worker may use for as long as it lives. None of it can be raised again."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, _MOST_FILES)
    _limit(resource.RLIMIT_FSIZE, _MOST_FILE_BYTES)
    # Its size was chosen before: what it is now, and by how much it may grow.
    _limit(resource.RLIMIT_AS, resource.getrlimit(resource.RLIMIT_AS)[0])


def limit_cpu(life_s: float) -> None:
    """Bound the time on the processor in the life of this worker, which is replaced after `life_s`.

    It may move the limit of a job (`allow_cpu`), and so may what has taken it over; not this one.
    """
    _limit(resource.RLIMIT_CPU, int(_THREADS * life_s) + _LONGEST_JOB_S)


def allow_cpu(limit_s: float) -> None:
    """Let the job that begins now use the processor for the time it may take, twice over.

    Against a run that was stopped and cannot watch: its deadline is otherwise the run's affair.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + limit_s * _THREADS) + 1
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard - 1)  # at the hard one there is no SIGXCPU, which says what it was
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def drop_privileges() -> None:
    """Keep, of root's privileges, those about files. Without effect for other users.

    Raises:
        OSError: the kernel refused.
    """
    if os.geteuid() != 0:
        return
    number = _CAPSET.get(os.uname().machine)
    if number is None:
        return
    kept = _FILE_CAPABILITIES & _permitted()
    header = ctypes.c_char_p(_CAP_HEADER.pack(_CAPABILITY_VERSION_3, 0))
    data = ctypes.c_char_p(_CAP_DATA.pack(kept, kept, 0, 0, 0, 0))
    syscalls.call(number, header, data)


def _permitted() -> int:
    with open("/proc/self/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith("CapPrm:"))
    return int(line.split()[1], 16)


def _limit(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    if hard != resource.RLIM_INFINITY:
        most = hard if most == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))

"""What the machine and the kernel have to say: free memory, the size of a process."""

from __future__ import annotations

import contextlib
import os
import resource
from typing import Final

#: Of the memory that is free at the start, this part may be used for big pictures: the rest is
#: for the small ones, for the page cache and for other programs that grow.
SHARE_OF_FREE: Final = 0.6
#: A worker may grow by at least this much; a 60 Mpx picture with all its copies stays below it.
LEAST_WORKER_BYTES: Final = 1 << 30
#: When nothing can be found out.
_UNKNOWN_FREE_BYTES: Final = 2 << 30
_PAGE_BYTES: Final = resource.getpagesize()
_STATM: Final = "/proc/self/statm"
_MEMINFO: Final = "/proc/meminfo"
_AVAILABLE: Final = b"MemAvailable:"
_CGROUPS: Final = "/sys/fs/cgroup"


def memory_budget_bytes() -> int:
    """Return how much memory big pictures may use together, from what is free now."""
    free = _free_bytes()
    room = cgroup_room_bytes()
    return int((free if room is None else min(free, room)) * SHARE_OF_FREE)


def _free_bytes() -> int:
    """Return what programs can have before the machine swaps (`MemAvailable` of proc(5))."""
    try:
        lines = _read(_MEMINFO).splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(_AVAILABLE))
    except (OSError, ValueError, IndexError, StopIteration):
        pass
    import psutil  # noqa: PLC0415 - takes long, and knows other systems

    try:
        return psutil.virtual_memory().available
    except (OSError, RuntimeError):
        return _UNKNOWN_FREE_BYTES


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def cgroup_room_bytes(own: str = "/proc/self/cgroup", mounted: str = _CGROUPS) -> int | None:
    """Return what the tightest memory limit of our control groups leaves; None without one.

    Control groups version 2 only (kernel documentation, cgroup-v2, `memory.max`). The page cache
    counts as free: the kernel drops it before it refuses memory.
    """
    try:
        line = next(line for line in _read(own).splitlines() if line.startswith(b"0::"))
    except (OSError, StopIteration):
        return None
    names = [name for name in os.fsdecode(line.removeprefix(b"0::")).split("/") if name]
    groups = ["/".join([mounted, *names[:count]]) for count in range(len(names) + 1)]
    return min((room for room in map(_room, groups) if room is not None), default=None)


def _room(group: str) -> int | None:
    try:
        limit = int(_read(f"{group}/memory.max"))
        used = int(_read(f"{group}/memory.current"))
        counters = dict(line.split() for line in _read(f"{group}/memory.stat").splitlines())
        cached = int(counters[b"active_file"]) + int(counters[b"inactive_file"])
    except (OSError, ValueError, KeyError):
        return None  # "max" is no number: no limit here
    return max(0, limit - used + cached)


class OwnSize:
    """The size of this process, asked often, and where no file may be opened any more."""

    def __init__(self) -> None:
        try:
            self._statm = os.open(_STATM, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._statm = -1

    def rss_bytes(self) -> int:
        """Return the resident memory; 0 if it is not known."""
        try:
            return int(os.pread(self._statm, 128, 0).split()[1]) * _PAGE_BYTES
        except (OSError, ValueError, IndexError):
            return 0


def process_size() -> tuple[int, int]:
    """Return (address space, resident memory) of this process in bytes; zeros if not known."""
    try:
        pages = _read(_STATM).split()
    except OSError:
        return 0, 0
    return int(pages[0]) * _PAGE_BYTES, int(pages[1]) * _PAGE_BYTES


def thread_count(pid: int) -> int:
    """Return how many threads a process has; 0 if that is not known."""
    try:
        stat = _read(f"/proc/{pid}/stat")
        return int(stat.rpartition(b")")[2].split()[17])  # num_threads of proc(5)
    except (OSError, ValueError, IndexError):
        return 0


def limit_growth(growth_bytes: int) -> None:
    """Let this process's address space grow by `growth_bytes` at most (RLIMIT_AS).

    Exhaustion then fails one allocation, which decoders report, and wakes no out-of-memory
    killer. Without effect where the size of a process cannot be learned.
    """
    address_space_bytes, _ = process_size()
    if not address_space_bytes:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = address_space_bytes + growth_bytes
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def volunteer_for_oom_kill() -> None:
    """Should memory run out, let the kernel take this process before the run or the desktop."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "wb") as score:
        score.write(b"500")


def is_linux() -> bool:
    """Return whether the kernel is Linux."""
    return os.uname().sysname == "Linux"

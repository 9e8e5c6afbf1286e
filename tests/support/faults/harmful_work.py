"""Work functions for engine tests, some of which do their worker harm.

A job is sabotaged only where its path says so: `job(7, b"segfault")` has the path `/7.segfault`.
Importable in worker processes as `tests.support.faults.harmful_work`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pregen.config import WorkConfig
from pregen.model import Action, Flavor, Job, Kind, Outcome, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pregen.engines.base import Ask, Work

#: Work functions read no configuration; factories get this one.
CONFIG = WorkConfig(cache_root=b"/nowhere", version="0")
GIB = 1 << 30


def job(number: int, how: bytes = b"", *, size_bytes: int = 1000) -> Job:
    """Return a job for `number`; `how` names the sabotage."""
    path = b"/%d.%s" % (number, how) if how else b"/%d" % number
    uri = f"file:///{number}"
    steps = (Step(Action.MAKE, Flavor.NORMAL, uri), Step(Action.MAKE, Flavor.LARGE, uri))
    return Job(number, path, size_bytes, 1_700_000_000_123_456_789, (uri,), steps)


def jobs(count: int) -> Iterator[Job]:
    """Return `count` harmless jobs."""
    return (job(number) for number in range(count))


def made(job: Job, message: str = "") -> Outcome:
    """Return the outcome of a job that went well."""
    return Outcome(job.job_id, job.path, Kind.MADE, message, worker_pid=os.getpid())


# --- factories --------------------------------------------------------------------------------


def make_noop(config: WorkConfig) -> Work:
    """Work that does nothing."""
    del config
    return lambda job, _ask: made(job)


def make_sleepy(config: WorkConfig) -> Work:
    """Work that takes 5 ms."""
    del config

    def sleepy(job: Job, _ask: Ask) -> Outcome:
        time.sleep(0.005)
        return made(job)

    return sleepy


def make_nothing(config: WorkConfig) -> Work:
    """Fail to make work: a library is missing."""
    del config
    raise ModuleNotFoundError("No module named 'picture_library'")


def make_death(config: WorkConfig) -> Work:
    """Die while making work."""
    del config
    ctypes.string_at(0)
    raise AssertionError("still alive")


def make_saboteur(config: WorkConfig) -> Work:
    """Work that does to its process what the job's path says."""
    del config
    return sabotage


def sabotage(job: Job, ask: Ask) -> Outcome:
    """Do what the path says; without a word in it, nothing."""
    _, _, how = job.path.partition(b".")
    if how:
        return SABOTAGE[how.decode()](job, ask)
    time.sleep(0.001)
    return made(job)


# --- sabotage ---------------------------------------------------------------------------------


def _kill_itself(job: Job, _ask: Ask) -> Outcome:
    os.kill(os.getpid(), signal.SIGKILL)
    return made(job)


def _segfault(job: Job, _ask: Ask) -> Outcome:
    ctypes.string_at(0)
    return made(job)


def _abort(job: Job, _ask: Ask) -> Outcome:
    os.abort()
    return made(job)


def _loop(job: Job, _ask: Ask) -> Outcome:
    while True:
        job.path.count(b"x")


def _loop_in_c(_job: Job, _ask: Ask) -> Outcome:
    """Stay in C and hold the interpreter's lock: no Python code runs any more."""
    while True:
        ctypes.PyDLL(None).sleep(1000)


def _stop_itself(job: Job, _ask: Ask) -> Outcome:
    os.kill(os.getpid(), signal.SIGSTOP)
    return made(job)


def _hog(job: Job, _ask: Ask) -> Outcome:
    return made(job, str(len(bytearray(64 * GIB))))


def _raise(job: Job, _ask: Ask) -> Outcome:
    raise ValueError(f"a bug met {job.job_id}")


def _exit(_job: Job, _ask: Ask) -> Outcome:
    sys.exit(0)


def _exit_at_once(job: Job, _ask: Ask) -> Outcome:
    os._exit(0)
    return made(job)


def sockets() -> list[int]:
    """Return the descriptors of this process that are sockets."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            if stat.S_ISSOCK(os.fstat(int(link.name)).st_mode):
                found.append(int(link.name))
        except OSError:
            continue  # the listing's own descriptor
    return found


def _close_pipe(job: Job, _ask: Ask) -> Outcome:
    for descriptor in sockets():
        os.close(descriptor)
    return made(job)


def _close_pipe_and_stay(job: Job, ask: Ask) -> Outcome:
    _close_pipe(job, ask)
    time.sleep(1000)
    return made(job)


def _babble(job: Job, _ask: Ask) -> Outcome:
    """Write nonsense to the run."""
    for descriptor in sockets():
        os.write(descriptor, b"\0\xff" * 1000)
    time.sleep(1000)
    return made(job)


def _wrong_outcome(job: Job, _ask: Ask) -> Outcome:
    return made(job)._replace(job_id=job.job_id + 1)


def _chatter(job: Job, _ask: Ask) -> Outcome:
    """Print, as C libraries do."""
    for stream in (1, 2):
        os.write(stream, b"a library prints\n")
    return made(job)


def _kill_server(job: Job, _ask: Ask) -> Outcome:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(1000)
    return made(job)


def _no_memory(_job: Job, _ask: Ask) -> Outcome:
    raise MemoryError


def _ask(job: Job, ask: Ask) -> Outcome:
    """Ask for more memory than any machine has, as do the others."""
    ask(1 << 60)
    return made(job)


def _modules(job: Job, _ask: Ask) -> Outcome:
    """Tell what the worker has imported."""
    return made(job, " ".join(name for name in sys.modules if name.count(".") < 2))


def _count_sockets(job: Job, _ask: Ask) -> Outcome:
    return made(job, str(len(sockets())))


def _hold(job: Job, ask: Ask) -> Outcome:
    """Hold most of 1000 bytes for a while; tell from when to when (monotonic, ns)."""
    ask(600)
    since_ns = time.monotonic_ns()
    time.sleep(0.01)
    return made(job, f"{since_ns} {time.monotonic_ns()}")


def _hold_long(job: Job, ask: Ask) -> Outcome:
    ask(600)
    time.sleep(0.5)
    return made(job)


def _oom_score(job: Job, _ask: Ask) -> Outcome:
    return made(job, Path("/proc/self/oom_score_adj").read_text().strip())


def _leak(job: Job, _ask: Ask) -> Outcome:
    """Keep 48 MB for as long as the worker lives."""
    _LEAKED.append(bytearray(b"x") * (48 << 20))
    time.sleep(0.3)
    return made(job)


def _wait_for_file(job: Job, _ask: Ask) -> Outcome:
    """Wait until the file the job's first URI names is there."""
    while not Path(job.uris[0]).exists():
        time.sleep(0.01)
    return made(job)


def _hang_twice(job: Job, _ask: Ask) -> Outcome:
    """Hang the first two times; how often it was tried is the size of its first URI's file."""
    with Path(job.uris[0]).open("ab") as tries:
        tries.write(b"x")
        count = tries.tell()
    if count <= 2:
        time.sleep(1000)
    return made(job)


def _hang_twice_and_crash(job: Job, ask: Ask) -> Outcome:
    _hang_twice(job, ask)
    return _segfault(job, ask)


_LEAKED: list[bytearray] = []

SABOTAGE: dict[str, Callable[[Job, Ask], Outcome]] = {
    "abort": _abort,
    "ask": _ask,
    "babble": _babble,
    "chatter": _chatter,
    "close-pipe": _close_pipe,
    "close-pipe-and-stay": _close_pipe_and_stay,
    "exit": _exit,
    "exit-at-once": _exit_at_once,
    "hang-twice": _hang_twice,
    "hang-twice-and-crash": _hang_twice_and_crash,
    "hog": _hog,
    "hold": _hold,
    "hold-long": _hold_long,
    "kill-itself": _kill_itself,
    "kill-server": _kill_server,
    "leak": _leak,
    "loop": _loop,
    "loop-in-c": _loop_in_c,
    "modules": _modules,
    "no-memory": _no_memory,
    "oom-score": _oom_score,
    "raise": _raise,
    "segfault": _segfault,
    "sockets": _count_sockets,
    "stop-itself": _stop_itself,
    "wait-for-file": _wait_for_file,
    "wrong-outcome": _wrong_outcome,
}

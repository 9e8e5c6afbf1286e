"""The fork server of `multiprocessing`, which workers are forked from, and what is kept from it.

By spawn where there is none; never by fork, which copies the locks that other threads hold at that
moment. The server imports once what all workers need. That takes longer than all else before the
first picture, so the program starts it before its own imports, and both go on at the same time.
"""

from __future__ import annotations

import _posixsubprocess
import multiprocessing
import os
import signal
import sys
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, resource_tracker, util
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from pregen import safepath
from pregen.descriptors import raise_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from multiprocessing.context import ForkServerContext, SpawnContext

#: What the server imports before anything else, the code in a worker, and what comes last.
_FIRST: Final = ("pregen.engines.local.served", "pregen.engines.local.worker")
_LAST: Final = "pregen.engines.local.late"
#: That of `late`, which is not imported here: it acts on the process that imports it.
_IMPORT_SIGNAL: Final = signal.SIGURG
#: Read when a worker's libraries are loaded, so they must be in its environment before. One thread
#: in each worker: the parallelism is over sources. Huge pages for large blocks of memory (glibc
#: 2.35): a decoder that takes 100 MB for one picture otherwise spends more time in page faults
#: than in decoding.
WORKER_ENVIRONMENT: Final = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VIPS_CONCURRENCY": "1",
}
#: What else a worker is told of the run's environment, where its libraries look for their settings
#: and files. Tokens, passwords and addresses of agents stay with the run.
_KEPT: Final = frozenset(
    {
        "HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LD_PRELOAD", "PATH", "TMPDIR", "TZ",
        "TZDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_DIRS", "XDG_DATA_HOME",
    }
)  # fmt: skip
_KEPT_FAMILIES: Final = (
    "ASAN_", "COVERAGE_", "DYLD_", "FONTCONFIG_", "GLIBC_", "JSIMD_", "LC_", "LIBHEIF_", "LSAN_",
    "MALLOC_", "MKL_", "OMP_", "OPENBLAS_", "ORC_", "PYTHON", "UBSAN_", "VIPS_",
)  # fmt: skip
_BLOCKED: Final = frozenset({signal.SIGINT, signal.SIGTERM, _IMPORT_SIGNAL})
#: Of `_posixsubprocess.fork_exec`, which only `multiprocessing` looks up when it is called.
_ENVIRONMENT_PLACE: Final = 5


def context(preload: Sequence[str]) -> ForkServerContext | SpawnContext:
    """Return what makes worker processes; `preload` is imported once for all of them."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload([*_FIRST, *preload, _LAST])
    return made


def start_early(preload: Sequence[str]) -> None:
    """Start the fork server now, for workers that most likely come. What fails, fails later."""
    if "forkserver" in multiprocessing.get_all_start_methods():
        context(preload)
        with suppress(OSError), isolated():
            raise_limit()
            forkserver.ensure_running()


def pid() -> int | None:
    """Return the number of the fork server; None: there is none."""
    found: int | None = vars(forkserver._forkserver)["_forkserver_pid"]  # noqa: SLF001 - there is no public way
    return found


def import_libraries() -> None:
    """Have the fork server, if there is one, import the picture libraries before it forks again."""
    if (server := pid()) is not None:
        with suppress(ProcessLookupError):
            os.kill(server, _IMPORT_SIGNAL)


def end() -> None:
    """Kill the fork server, if there is one and no worker: the next one is forked from a new one.

    At the end of the program it would notice by itself, but later, and hold the program's output
    until then.
    """
    its = forkserver._forkserver  # noqa: SLF001 - there is no public way
    if (server := pid()) is not None:
        with suppress(OSError):  # it was killed, and another thread noticed first
            os.kill(server, signal.SIGKILL)
            stop: Callable[[], None] = vars(type(its))["_stop"].__get__(its)
            stop()


@contextmanager
def isolated() -> Iterator[None]:
    """Keep from the new process what is the run's own affair.

    * Ctrl-C comes to the whole group, and SIGTERM where a service is ended: both stay blocked until
      the worker ignores them, and a fork server does not die of them, nor its workers of its death.
    * `multiprocessing` would import the program's main module in every worker, and with it the
      command line and the display. It finds an empty one.
    * The signal of `late` waits until the server has imported all else.
    * All of its environment that no library needs; `WORKER_ENVIRONMENT` comes instead, unless the
      user has said otherwise.
    * The current folder, as a place of modules.
    """
    main = sys.modules["__main__"]
    with _environment(worker_environment(os.environ)), _safe_flags(), _no_tracker():
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def worker_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a worker is told of the run's environment, and for its libraries."""
    kept = {
        name: value
        for name, value in environ.items()
        if name in _KEPT or name.startswith(_KEPT_FAMILIES)
    }
    return WORKER_ENVIRONMENT | kept | safepath.environment()


@contextmanager
def _environment(whole: Mapping[str, str]) -> Iterator[None]:
    """Have `multiprocessing` start processes in this environment, not in ours.

    Ours stays as it is meanwhile: other threads read it.
    """
    given: Callable[..., int] = vars(_posixsubprocess)["fork_exec"]
    block = [os.fsencode(f"{name}={value}") for name, value in whole.items()]

    def fork_exec(*arguments: Any) -> int:
        return given(*arguments[:_ENVIRONMENT_PLACE], block, *arguments[_ENVIRONMENT_PLACE + 1 :])

    vars(_posixsubprocess)["fork_exec"] = fork_exec
    try:
        yield
    finally:
        vars(_posixsubprocess)["fork_exec"] = given


@contextmanager
def _no_tracker() -> Iterator[None]:
    """Have `multiprocessing` start no resource tracker: no process here has what it would free.

    It would be one more Python that starts before the fork server, and hold the run's output.
    Where another part of the program has started one, that is used.
    """
    tracker = vars(resource_tracker._resource_tracker)  # noqa: SLF001 - there is no public way
    if tracker["_fd"] is not None:
        # It unblocks both signals when it starts anew, right before the fork server would inherit
        # the mask.
        resource_tracker.ensure_running()
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    tracker["_fd"] = nowhere
    try:
        yield
    finally:
        if tracker["_fd"] == nowhere:
            tracker["_fd"] = None
        os.close(nowhere)


@contextmanager
def _safe_flags() -> Iterator[None]:
    """Have `multiprocessing` add -P where it hands on -E: Python ignores the environment then."""
    names, name = vars(util), "_args_from_interpreter_flags"
    if not (sys.flags.ignore_environment and safepath.is_wanted()):
        yield
        return
    given: Callable[[], list[str]] = names[name]
    names[name] = lambda: [*given(), "-P"]
    try:
        yield
    finally:
        names[name] = given

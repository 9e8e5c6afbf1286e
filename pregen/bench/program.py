"""The whole program as a user starts it, timed: interpreter, walk, workers, journal and exit."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from pregen import safepath
from pregen.errors import ExitCode, PregenError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pregen.bench.measure import BenchStop
    from pregen.config import EngineConfig, WorkConfig
    from pregen.model import Source

#: How soon a request to stop is noticed.
_ASK_EVERY_S = 0.05
_ENDED_WELL = frozenset({ExitCode.DONE, ExitCode.SOME_FAILED})
_TOLD_BYTES = 2000


def run_s(
    sources: Sequence[Source],
    folder: bytes,
    work: WorkConfig,
    engine: EngineConfig,
    stop: BenchStop,
) -> float:
    """Return the seconds of wall time `pregen run` takes for some sources, into an empty cache.

    Args:
        sources: given to it by name.
        folder: an empty one; cache, journal and configuration of that run are in it.
        work: what is wanted; the cache it names is not used.
        engine: likewise.
        stop: read all the time; the program and its workers are killed then.

    Raises:
        StoppedError: the user wants no more.
        PregenError: the program failed; the message holds its last words.
    """
    stop.check()
    names = os.path.join(folder, b"sources")
    said = os.path.join(folder, b"said")
    with open(names, "xb") as file:
        file.writelines(source.path + b"\0" for source in sources)
    arguments = [
        *("run", "--files-from", os.fsdecode(names), "-0"),
        *("--workers", str(engine.workers), "--timeout", str(engine.timeout_s)),
        *("--flavors", ",".join(flavor.directory for flavor in work.flavors)),
        *("--decoder", work.decoder.value, "--max-pixels", str(work.max_pixels)),
    ]
    with open(said, "xb") as output:
        begun_ns = time.perf_counter_ns()
        process = subprocess.Popen(  # noqa: S603 - this very program
            [*safepath.command(), "-m", "pregen", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_environment(os.fsdecode(folder)),
            start_new_session=True,  # Ctrl-C is for the bench, which ends it
        )
        ended_ns = _wait(process, stop)
    stop.check()
    if process.returncode not in _ENDED_WELL:
        with open(said, "rb") as file:
            words = file.read()[-_TOLD_BYTES:].decode(errors="replace").strip()
        raise PregenError(f"`pregen run` over the sample ended with {process.returncode}: {words}")
    return (ended_ns - begun_ns) / 1e9


def _wait(process: subprocess.Popen[bytes], stop: BenchStop) -> int:
    """Wait for the end; return when that was. A stop kills the program and all its workers."""
    ended_ns: list[int] = []

    def wait() -> None:
        process.wait()
        ended_ns.append(time.perf_counter_ns())

    # `wait` with a timeout would notice the end up to 50 ms late
    waiter = threading.Thread(target=wait, name="pregen-bench-wait", daemon=True)
    waiter.start()
    try:
        while waiter.is_alive() and not stop.level:
            waiter.join(_ASK_EVERY_S)
    finally:
        if waiter.is_alive():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            waiter.join()
    return ended_ns[0]


def _environment(folder: str) -> dict[str, str]:
    """Return the environment of a run that finds nothing of the user's settings and cache."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREGEN_")}
    places = {
        f"XDG_{kind}_HOME": os.path.join(folder, kind.lower())
        for kind in ("CACHE", "STATE", "CONFIG")
    }
    return {**kept, **places}

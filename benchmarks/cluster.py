#!/usr/bin/env python3
"""What `--engine dask` costs: over the local engine, and as jobs a second of the client.

    python -m benchmarks.cluster PHOTOS                  pairs of runs, local and dask local:2
    python -m benchmarks.cluster --feed                  no work at all, 16 workers on 4 nodes

`PHOTOS` is a folder of pictures; both engines do all of it into empty caches, in turns, and the
entries of both are counted. `--feed` starts a scheduler and nodes as processes of their own. Nodes
and client share this machine's cores there, so the rate that is seen says little; the client's own
processor time for each job does: its inverse is what one client can feed, however many nodes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import psutil

from benchmarks.harness import noop
from pregen.config import DaskConfig, EngineConfig, WorkConfig
from pregen.engines.base import Stop
from pregen.engines.dask import batches
from pregen.engines.dask.engine import DaskEngine
from pregen.model import Job

if TYPE_CHECKING:
    from pregen.engines.base import WorkFactory

#: Work reads no configuration here; nothing is written.
_NO_CACHE = WorkConfig(cache_root=b"/nonexistent", version="0")
_DASK = str(Path(sys.executable).with_name("dask"))


class Pair(NamedTuple):
    """Wall time of the same work by both engines."""

    local_s: float
    dask_s: float


def once(photos: Path, *engine: str) -> float:
    """Do all of `photos` into an empty cache; return the wall time."""
    with tempfile.TemporaryDirectory() as scratch:
        env = {**os.environ, "XDG_CACHE_HOME": scratch, "XDG_STATE_HOME": scratch}
        command = [sys.executable, "-m", "pregen", "run", "--quiet", *engine, str(photos)]
        began_s = time.perf_counter()
        done = subprocess.run(command, env=env, check=False)
        wall_s = time.perf_counter() - began_s
        made = sum(1 for _ in Path(scratch, "thumbnails", "large").iterdir())
        if done.returncode not in {0, 3} or not made:
            raise SystemExit(f"{' '.join(engine)}: exit {done.returncode}, {made} entries")
        print(f"  {' '.join(engine):36} {wall_s:6.2f} s  {made} entries")
        return wall_s


def pairs(photos: Path, rounds: int) -> None:
    """Print both engines' times and the ratio of their medians."""
    done = [
        Pair(
            once(photos, "--engine", "local", "--workers", "2"),
            once(photos, "--engine", "dask", "--scheduler", "local:2"),
        )
        for _ in range(rounds)
    ]
    local_s, dask_s = median(one.local_s for one in done), median(one.dask_s for one in done)
    print(f"local {local_s:.2f} s, dask local:2 {dask_s:.2f} s, ratio {dask_s / local_s:.3f}")


def feed(count: int, nodes: int, threads: int) -> None:
    """Print what the client and the scheduler can feed: at full speed, and at that of pictures."""
    with tempfile.TemporaryDirectory() as scratch:
        where = ["--scheduler-file", f"{scratch}/scheduler.json"]
        options = ["--nthreads", str(threads), "--no-nanny", "--local-directory", scratch]
        scheduler = _start("scheduler", "--port", "0", *where)
        while not Path(scratch, "scheduler.json").exists():
            time.sleep(0.05)
        workers = [_start("worker", *options, *where) for _ in range(nodes)]
        time.sleep(5)  # until all of them have said who they are
        try:
            cluster = DaskConfig(scheduler_file=f"{scratch}/scheduler.json", collect=True)
            watched = psutil.Process(scheduler.pid)
            _feed(cluster, noop.make_noop, count, watched)
            _feed(cluster, noop.make_paced, count // 10, watched)
            # batches as long as a large cluster gets them
            vars(batches)["LEAST_TARGET_S"] = batches.MOST_TARGET_S
            _feed(cluster, noop.make_paced, count // 5, watched)
        finally:
            for program in (*workers, scheduler):
                program.terminate()
                program.wait()


def _start(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [_DASK, *words, "--no-dashboard"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _feed(cluster: DaskConfig, factory: WorkFactory, count: int, scheduler: psutil.Process) -> None:
    engine = DaskEngine(factory, _NO_CACHE, EngineConfig(dask=cluster, recycle_jobs=count + 1))
    jobs = (Job(number, *noop.job(number)[1:]) for number in range(count))
    first_s, done = 0.0, 0
    client_s, scheduler_s = time.process_time(), sum(scheduler.cpu_times()[:2])
    for _ in engine.run(jobs, Stop()):
        done += 1
        first_s = first_s or time.perf_counter()
    wall_s = time.perf_counter() - first_s
    client_us = 1e6 * (time.process_time() - client_s) / done
    scheduler_us = 1e6 * (sum(scheduler.cpu_times()[:2]) - scheduler_s) / done
    most = 1e6 / max(client_us, scheduler_us)
    print(
        f"{factory.__name__}: {done} jobs, {done / wall_s:.0f}/s; processor time a job: client "
        f"{client_us:.0f} us, scheduler {scheduler_us:.0f} us, so at most {most:.0f}/s, which is "
        f"{most / noop.PACE_PER_S:.0f} workers of {noop.PACE_PER_S} pictures a second each"
    )


def main() -> None:
    """Measure what was asked for."""
    about, _blank, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="benchmarks.cluster",
        description=about,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("photos", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=5, help="pairs of runs; default: 5")
    parser.add_argument("--feed", action="store_true", help="measure the client alone")
    parser.add_argument("--jobs", type=int, default=100_000, help="of --feed; default: 100000")
    options = parser.parse_args()
    if options.feed:
        feed(options.jobs, nodes=4, threads=4)
    elif options.photos:
        pairs(options.photos, options.rounds)
    else:
        parser.error("name a folder of pictures, or --feed")


if __name__ == "__main__":
    main()

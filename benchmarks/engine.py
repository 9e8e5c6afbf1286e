#!/usr/bin/env python3
"""How many jobs a second the local engine hands out and takes back when they are no work at all.

    python -m benchmarks.engine                          1, 2 and 8 workers, 3 rounds
    python -m benchmarks.engine --workers 2 --jobs 1000000
    python -m benchmarks.engine --json

The ceiling of the engine itself: real jobs take tens of milliseconds each. `jobs/s` is from the
first pull to the last outcome, start-up included; `after start-up` counts from the moment when
every worker has answered. `parent` is the processor time of the process that hands out, which no
number of workers can share. Workers are not replaced here (`recycle_jobs`): jobs like these would
do in a second what takes real ones an hour. Jobs and outcomes are as long as a photo's.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.harness import noop
from benchmarks.harness.machine import cpu_model
from benchmarks.harness.programs import ROOT
from benchmarks.harness.samples import spread
from pregen.config import EngineConfig, WorkConfig
from pregen.engines.base import Stop
from pregen.engines.local.engine import LocalEngine
from pregen.model import Job

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Work reads no configuration here; nothing is written.
_NO_CACHE = WorkConfig(cache_root=b"/nonexistent", version="0")
#: More than the engine puts into a batch.
_DISTINCT = 10_000


class Run(NamedTuple):
    """One run of the engine. Times begin with the first pull."""

    workers: int
    jobs: int
    first_outcome_s: float
    all_workers_s: float | None
    """Until every worker has answered; None when some never had a job."""
    jobs_then: int
    """How many outcomes there were at that moment."""
    last_outcome_s: float
    parent_cpu_s: float

    @property
    def rate(self) -> float:
        """Jobs a second, start-up included."""
        return self.jobs / self.last_outcome_s

    @property
    def settled_rate(self) -> float | None:
        """Jobs a second once every worker has answered; None when that was near the end."""
        if self.all_workers_s is None or self.jobs - self.jobs_then < self.jobs // 2:
            return None
        return (self.jobs - self.jobs_then) / (self.last_outcome_s - self.all_workers_s)

    @property
    def parent_us(self) -> float:
        """Microseconds of the parent's processor time for each job."""
        return 1e6 * self.parent_cpu_s / self.jobs


class _Pulled:
    """Jobs that are made when asked for, and when the first was."""

    def __init__(self, count: int) -> None:
        self._count = count
        # No two in a batch are the same: pickle would write what they share only once.
        self._made = [noop.job(number)[1:] for number in range(min(count, _DISTINCT))]
        self.since_s = 0.0

    def __iter__(self) -> Iterator[Job]:
        made, distinct = self._made, len(self._made)
        self.since_s = time.perf_counter()
        for number in range(self._count):
            yield Job(number, *made[number % distinct])


def run(workers: int, count: int) -> Run:
    """Do `count` jobs that are nothing."""
    pulled = _Pulled(count)
    config = EngineConfig(workers=workers, recycle_jobs=count + 1)
    engine = LocalEngine(noop.make_noop, _NO_CACHE, config)
    seen: set[int] = set()
    firsts: list[tuple[float, int]] = []
    done, last_s, begun_cpu_s = 0, 0.0, time.process_time()
    for outcome in engine.run(iter(pulled), Stop()):
        done += 1
        if outcome.worker_pid not in seen:
            seen.add(outcome.worker_pid)
            # When this worker first answered, and how many jobs were done by then.
            firsts.append((time.perf_counter() - pulled.since_s, done))
        if done == count:
            last_s = time.perf_counter() - pulled.since_s
    return Run(
        workers=workers,
        jobs=done,
        first_outcome_s=firsts[0][0],
        all_workers_s=firsts[-1][0] if len(firsts) == workers else None,
        jobs_then=firsts[-1][1],
        last_outcome_s=last_s,
        parent_cpu_s=time.process_time() - begun_cpu_s,
    )


def run_apart(workers: int, count: int) -> Run:
    """Do the same in a fresh process: the fork server outlives a run, and starting it counts."""
    command = [sys.executable, "-m", "benchmarks.engine", "--here", "--jobs", str(count)]
    command += ["--workers", str(workers)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return Run(**json.loads(done.stdout))


def table(runs: Sequence[Run]) -> str:
    """The runs for people: medians, and the range of the rate."""
    head = f"{'workers':>7}{'jobs/s':>24}{'after start-up':>16}{'first outcome':>15}"
    lines = [f"{head}{'all workers':>13}{'parent per job':>16}"]
    for workers in dict.fromkeys(one.workers for one in runs):
        those = [one for one in runs if one.workers == workers]
        rate = spread([one.rate for one in those]).text(0)
        settled = _median([one.settled_rate for one in those], "", 0)
        first = _median([one.first_outcome_s * 1e3 for one in those], " ms", 0)
        everybody = _median(
            [one.all_workers_s and one.all_workers_s * 1e3 for one in those], " ms", 0
        )
        parent = _median([one.parent_us for one in those], " us", 1)
        lines.append(f"{workers:7}{rate:>24}{settled:>16}{first:>15}{everybody:>13}{parent:>16}")
    return "\n".join(lines)


def _median(values: Sequence[float | None], unit: str, digits: int) -> str:
    """The median with its unit; a dash when some run has no such number."""
    known = [value for value in values if value is not None]
    return f"{spread(known).median:.{digits}f}{unit}" if len(known) == len(values) else "-"


def _numbers(text: str) -> list[int]:
    """Split a list of whole numbers at commas."""
    return [int(number) for number in text.split(",")]


def _options() -> argparse.Namespace:
    """Read the command line."""
    about, _blank, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="benchmarks.engine",
        description=about,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--workers", type=_numbers, default=[1, 2, 8], help="comma-separated; default: 1,2,8")
    add("--jobs", type=int, default=200_000, help="per run; default: 200000")
    add("--rounds", type=int, default=3, help="interleaved; default: 3")
    add("--json", action="store_true", help="every run, and the machine")
    add("--here", action="store_true", help=argparse.SUPPRESS)  # one run, in this process
    options = parser.parse_args()
    if min(*options.workers, options.jobs, options.rounds) < 1:
        parser.error("--workers, --jobs and --rounds are 1 or more")
    return options


def main() -> None:
    """Run what was asked for."""
    options = _options()
    if options.here:
        print(json.dumps(run(options.workers[0], options.jobs)._asdict()))
        return
    facts = {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }
    runs = [
        run_apart(workers, options.jobs)
        for _round in range(options.rounds)
        for workers in options.workers
    ]
    if options.json:
        records = [{**one._asdict(), "jobs_per_s": one.rate} for one in runs]
        print(json.dumps({**facts, "runs": records}, indent=2))
        return
    print(table(runs))
    print(
        f"{options.jobs} jobs, {options.rounds} rounds; {facts['cores']} cores, "
        f"Python {facts['python']}, load before {facts['load_before']:.2f}"
    )


if __name__ == "__main__":
    main()

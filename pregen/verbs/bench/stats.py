"""What passes over the sample say: costs, speeds, limits, and what the library would take.

Pure arithmetic.
"""

from __future__ import annotations

import math
from collections import defaultdict
from statistics import fmean, variance
from typing import TYPE_CHECKING, NamedTuple

from pregen.model import Stages
from pregen.verbs.bench.result import Estimate, Group, Limit, ScalingStep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pregen.model import Outcome
    from pregen.verbs.bench.sample import Stratum, Totals


#: A worker that used less of its core than this was waiting for something.
BUSY_SHARE = 0.85
#: Cold runs vary by a few percent; a slow-down below this says nothing.
COLD_SLOWDOWN = 1.10
#: Two standard errors: the truth lies within in 19 of 20 samples.
_ERRORS = 2.0


class Pass(NamedTuple):
    """One pass of the engine over a number of sources, each done `repeats` times."""

    workers: int
    repeats: int
    wall_ns: int
    """From the first job given to workers that are ready to the last outcome."""
    idle_ns: int
    """From a worker's last outcome to the end of the pass, mean of the workers: the tail of a
    small sample, which a large library does not have."""
    cpu_ns: int
    """Processor time of the workers and of the program meanwhile."""
    outcomes: tuple[Outcome, ...]

    @property
    def loaded_ns(self) -> int:
        """Wall time in which every worker had work."""
        return max(1, self.wall_ns - self.idle_ns)

    @property
    def cpu_share(self) -> float:
        """Processor time used of what the workers could have used."""
        return self.cpu_ns / max(1, self.workers * self.loaded_ns)


def costs_s(done: Pass) -> dict[bytes, float]:
    """Return the worker-seconds each source takes, by path, with its share of the engine's work.

    They add up to all the time the workers had: what no stage accounts for (opening, messages,
    waiting for the next job) is shared out evenly.
    """
    spent_ns: defaultdict[bytes, list[int]] = defaultdict(list)
    for outcome in done.outcomes:
        spent_ns[outcome.path].append(outcome.stages.total_ns)
    each_ns = rest_ns(done)
    return {path: (fmean(times_ns) + each_ns) / 1e9 for path, times_ns in spent_ns.items()}


def computing_s(done: Pass) -> dict[bytes, float]:
    """Return the same without the time that bytes were waited for: in stages and between them."""
    spent_ns: defaultdict[bytes, list[int]] = defaultdict(list)
    for outcome in done.outcomes:
        spent_ns[outcome.path].append(outcome.stages.total_ns - outcome.stages.read_ns)
    return {path: fmean(times_ns) / 1e9 for path, times_ns in spent_ns.items()}


def rest_ns(done: Pass) -> float:
    """Return the workers' time that no stage accounts for, mean of a job."""
    staged_ns = sum(outcome.stages.total_ns for outcome in done.outcomes)
    spare_ns = done.workers * done.loaded_ns - staged_ns
    return max(0.0, spare_ns / max(1, len(done.outcomes)))


def groups(done: Pass) -> tuple[Group, ...]:
    """Return what each loader took for each format, most worker-seconds first."""
    members: defaultdict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for outcome in done.outcomes:
        if outcome.loader:
            members[outcome.loader, outcome.mime].append(outcome)
    found = [_group(loader, mime, each, done) for (loader, mime), each in members.items()]
    return tuple(sorted(found, key=lambda group: -group.picture_s * group.pictures))


def overall(done: Pass) -> Group:
    """Return the same for all pictures together."""
    return _group("", "", [outcome for outcome in done.outcomes if outcome.loader], done)


def _group(loader: str, mime: str, members: Sequence[Outcome], done: Pass) -> Group:
    """Of sources done several times, each counts once."""
    costs = costs_s(done)
    once = {outcome.path: outcome for outcome in members}
    worker_s = sum(costs[path] for path in once)
    wall_s = max(1e-9, worker_s / done.workers)
    pixels = sum(outcome.width_px * outcome.height_px for outcome in once.values())
    means_ns = [
        fmean(spent_ns) for spent_ns in zip(*(each.stages for each in members), strict=True)
    ]
    return Group(
        loader=loader,
        mime=mime,
        pictures=len(once),
        images_per_s=len(once) / wall_s,
        pixels_per_s=round(pixels / wall_s),
        bytes_per_s=round(sum(outcome.bytes_read for outcome in once.values()) / wall_s),
        picture_s=worker_s / max(1, len(once)),
        stages_s={
            name.removesuffix("_ns"): mean_ns / 1e9
            for name, mean_ns in zip(Stages._fields, means_ns or Stages(), strict=True)
        },
    )


def scaling(passes: Sequence[Pass], images_per_s: float) -> tuple[ScalingStep, ...]:
    """Compare passes with different numbers of workers, the first with one, the last with all.

    They are compared over the sources that all of them did; `images_per_s` is the last one's.
    """
    costs = [costs_s(done) for done in passes]
    shared = set.intersection(*(set(each) for each in costs))
    sums = [sum(each[path] for path in shared) for each in costs]
    all_workers = passes[-1].workers
    return tuple(
        ScalingStep(
            done.workers,
            images_per_s * done.workers / all_workers * sums[-1] / max(total, 1e-9),
            sums[0] / max(total, 1e-9),
        )
        for done, total in zip(passes, sums, strict=True)
    )


def limit(slowdown: float, warm_cpu_share: float, cold_cpu_share: float) -> Limit:
    """Tell what limits a run over files that are not in memory.

    Shares are compared with each other, not with one: other programs take their part of the
    processor from both passes.

    Args:
        slowdown: time cold, as a multiple of the time warm.
        warm_cpu_share: of the processor time there was, what was used in the warm pass.
        cold_cpu_share: likewise in the cold one.
    """
    busy = cold_cpu_share / max(warm_cpu_share, 1e-9)
    if slowdown < COLD_SLOWDOWN or busy >= BUSY_SHARE:
        return Limit.CPU
    # below half, waiting for the disk filled more of the time than working did
    return Limit.DISK if busy < BUSY_SHARE / 2 else Limit.BOTH


class Measured(NamedTuple):
    """A number measured on one source of the sample."""

    stratum: Stratum
    size_bytes: int
    value: float


def estimate(library: Mapping[Stratum, Totals], measured: Sequence[Measured]) -> Estimate:
    """Estimate the sum of a value over the library.

    A stratum without a sample goes by the bytes of those with its extension, or of all.
    """
    members: dict[Stratum, list[Measured]] = defaultdict(list)
    for one in measured:
        members[one.stratum].append(one)
    total = doubt = 0.0
    for stratum, there in library.items():
        drawn = members.get(stratum)
        if drawn is None:
            total += there.size_bytes * _per_byte(stratum, measured)
            continue
        values = [one.value for one in drawn]
        total += there.sources * fmean(values)
        doubt += _sum_variance(values, there.sources)
    return Estimate(total, _ERRORS * math.sqrt(doubt))


def _sum_variance(values: Sequence[float], sources: int) -> float:
    """Variance of a stratum's sum, drawn without putting back."""
    left = sources - len(values)
    if left <= 0:
        return 0.0
    if len(values) == 1:
        return (left * values[0]) ** 2  # nothing is known: as if every other might cost twice
    return sources * left * variance(values) / len(values)


def _per_byte(stratum: Stratum, measured: Sequence[Measured]) -> float:
    alike = [one for one in measured if one.stratum.extension == stratum.extension] or measured
    size_bytes = sum(one.size_bytes for one in alike)
    return math.fsum(one.value for one in alike) / max(1, size_bytes)


class WholeRun(NamedTuple):
    """The whole program over the sample, with all workers. Seconds of wall time."""

    wall_s: float
    startup_s: float
    tail_s: float


def library_s(
    run: WholeRun, sample_cost_s: float, library: Estimate, slowdown: float = 1.0
) -> Estimate:
    """Return the seconds a run over the library takes, start-up included.

    `run` is one of the whole program, so walk, journal and display are in it, and when the sample
    is the library, the prediction is that run. Worker-seconds say how often the work of the sample
    is done again; start-up and tail, in which the last workers finish, come once.

    Args:
        run: of the program over the sample, warm.
        sample_cost_s: worker-seconds of the sample.
        library: worker-seconds of the library.
        slowdown: what the work takes as a multiple of `run`; 1 when it is warm.
    """
    tail_s = min(run.tail_s, max(0.0, run.wall_s - run.startup_s))
    work_s = max(0.0, run.wall_s - run.startup_s - tail_s) * max(1.0, slowdown)
    scale = library.total / max(sample_cost_s, 1e-9)
    spread = library.plus_minus / max(sample_cost_s, 1e-9)
    return Estimate(run.startup_s + work_s * scale + tail_s * max(1.0, slowdown), work_s * spread)

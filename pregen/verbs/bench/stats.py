"""What a pass over the sample says: costs, speeds, stages, limits. Pure arithmetic."""

from __future__ import annotations

import math
from collections import defaultdict
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from pregen.model import Stages

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pregen.model import Outcome
    from pregen.verbs.bench.sample import Stratum, Totals


#: A worker that used less of its core than this was waiting for something.
BUSY_SHARE = 0.85
#: Cold runs vary by a few percent; a slow-down below this says nothing.
COLD_SLOWDOWN = 1.10


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
    outcomes: tuple[tuple[int, Outcome], ...]
    """With the index of the source."""

    def renumbered(self, indices: Sequence[int]) -> Pass:
        """Return the same pass, over sources that go by other indices elsewhere."""
        return self._replace(
            outcomes=tuple((indices[index], outcome) for index, outcome in self.outcomes)
        )

    @property
    def loaded_ns(self) -> int:
        """Wall time in which every worker had work."""
        return max(1, self.wall_ns - self.idle_ns)

    @property
    def cpu_share(self) -> float:
        """Processor time used of what the workers could have used."""
        return self.cpu_ns / max(1, self.workers * self.loaded_ns)


def costs_s(done: Pass) -> dict[int, float]:
    """Return the worker-seconds each source takes, by index, with its share of the engine's work.

    They add up to all the time the workers had: what no stage accounts for (opening, messages,
    waiting for the next job) is shared out evenly.
    """
    spent_ns: dict[int, int] = defaultdict(int)
    times: dict[int, int] = defaultdict(int)
    for index, outcome in done.outcomes:
        spent_ns[index] += outcome.stages.total_ns
        times[index] += 1
    each_ns = rest_ns(done)
    return {index: (spent_ns[index] / times[index] + each_ns) / 1e9 for index in spent_ns}


def rest_ns(done: Pass) -> float:
    """Return the workers' time that no stage accounts for, mean of a job."""
    staged_ns = sum(outcome.stages.total_ns for _, outcome in done.outcomes)
    spare_ns = done.workers * done.loaded_ns - staged_ns
    return max(0.0, spare_ns / max(1, len(done.outcomes)))


def firsts(done: Pass) -> dict[int, Outcome]:
    """Return one outcome for each source."""
    found: dict[int, Outcome] = {}
    for index, outcome in done.outcomes:
        found.setdefault(index, outcome)
    return found


class Group(NamedTuple):
    """The pictures that one loader made of one format."""

    loader: str
    mime: str
    pictures: int
    worker_s: float
    """Worker-seconds for all of them."""
    workers: int
    stages: Stages
    """Mean for a picture."""
    pixels: int
    """Of all originals together."""
    bytes_read: int

    @property
    def picture_s(self) -> float:
        """Worker-seconds for one."""
        return self.worker_s / max(1, self.pictures)

    @property
    def wall_s(self) -> float:
        """Wall time for all of them with every worker busy."""
        return max(1e-9, self.worker_s / self.workers)

    @property
    def images_per_s(self) -> float:
        """With every worker busy."""
        return self.pictures / self.wall_s

    @property
    def pixels_per_s(self) -> float:
        """Likewise; pixels of the originals."""
        return self.pixels / self.wall_s

    @property
    def bytes_per_s(self) -> float:
        """Likewise; bytes read."""
        return self.bytes_read / self.wall_s


def groups(done: Pass) -> tuple[Group, ...]:
    """Return what each loader took for each format, most worker-seconds first."""
    costs = costs_s(done)
    members: dict[tuple[str, str], list[tuple[int, Outcome]]] = defaultdict(list)
    for index, outcome in done.outcomes:
        if outcome.loader:
            members[outcome.loader, outcome.mime].append((index, outcome))
    found = [
        _group(loader, mime, each, costs, done.workers) for (loader, mime), each in members.items()
    ]
    return tuple(sorted(found, key=lambda group: -group.worker_s))


def overall(done: Pass) -> Group:
    """Return the same for all pictures together."""
    pictures = [(index, outcome) for index, outcome in done.outcomes if outcome.loader]
    return _group("", "", pictures, costs_s(done), done.workers)


def _group(
    loader: str,
    mime: str,
    members: Sequence[tuple[int, Outcome]],
    costs: Mapping[int, float],
    workers: int,
) -> Group:
    """Of sources done several times, each counts once."""
    once = dict(members)
    number = max(1, len(members))
    sums = [sum(column) for column in zip(*(outcome.stages for _, outcome in members), strict=True)]
    return Group(
        loader=loader,
        mime=mime,
        pictures=len(once),
        worker_s=sum(costs[index] for index in once),
        workers=workers,
        stages=Stages(*(round(total / number) for total in sums)),
        pixels=sum(outcome.width_px * outcome.height_px for outcome in once.values()),
        bytes_read=sum(outcome.bytes_read for outcome in once.values()),
    )


class ScalingStep(NamedTuple):
    """What a number of workers achieves."""

    workers: int
    images_per_s: float
    efficiency: float
    """Speed of one worker of these, as a share of that of a worker alone."""


def scaling(passes: Sequence[Pass], images_per_s: float) -> tuple[ScalingStep, ...]:
    """Compare passes with different numbers of workers, the first with one, the last with all.

    They are compared over the sources that all of them did; `images_per_s` is the last one's.
    """
    costs = [costs_s(done) for done in passes]
    shared = set.intersection(*(set(each) for each in costs))
    sums = [sum(each[index] for index in shared) for each in costs]
    all_workers = passes[-1].workers
    return tuple(
        ScalingStep(
            done.workers,
            images_per_s * done.workers / all_workers * sums[-1] / max(total, 1e-9),
            sums[0] / max(total, 1e-9),
        )
        for done, total in zip(passes, sums, strict=True)
    )


class Limit(Enum):
    """What would have to be faster for the run to be faster."""

    CPU = "cpu"
    DISK = "disk"
    BOTH = "both"
    """Both take turns: neither alone would help much."""


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


def median(values: Iterable[float]) -> float:
    """Return the middle value; 0 when there is none."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


# --- What the whole library would take, from what its sample took. Pure arithmetic
#
#     time = start-up + (run over the sample - start-up - tail) x library / sample + tail
#
# The run over the sample is one of the whole program, so walk, journal and display are in it, and
# when the sample is the library, the prediction is that run. `library / sample` is a ratio of
# worker-seconds: for every stratum the number of sources times the mean of those measured. The
# tail, in which the last workers finish, comes once however large the library is.


#: Two standard errors: the truth lies within in 19 of 20 samples.
_ERRORS = 2.0


class Measured(NamedTuple):
    """A number measured on one source of the sample."""

    stratum: Stratum
    size_bytes: int
    value: float


class Estimate(NamedTuple):
    """A sum over the whole library."""

    total: float
    spread: float
    """The true sum is within `total` plus or minus this, most likely; 0 when all was measured."""


class WholeRun(NamedTuple):
    """The whole program over the sample, with all workers. Seconds of wall time."""

    wall_s: float
    startup_s: float
    tail_s: float


def estimate(library: Mapping[Stratum, Totals], measured: Sequence[Measured]) -> Estimate:
    """Estimate the sum of a value over the library.

    A stratum nobody was drawn from goes by the bytes of those with its extension, or of all.
    """
    members: dict[Stratum, list[Measured]] = defaultdict(list)
    for one in measured:
        members[one.stratum].append(one)
    total = variance = 0.0
    for stratum, there in library.items():
        drawn = members.get(stratum)
        if drawn is None:
            total += there.size_bytes * _per_byte(stratum, measured)
            continue
        values = [one.value for one in drawn]
        mean = math.fsum(values) / len(values)
        total += there.sources * mean
        variance += _variance(values, mean, there.sources)
    return Estimate(total, _ERRORS * math.sqrt(variance))


def _variance(values: Sequence[float], mean: float, sources: int) -> float:
    """Variance of a stratum's sum, drawn without putting back."""
    number = len(values)
    left = sources - number
    if left <= 0:
        return 0.0
    if number == 1:
        return (left * mean) ** 2  # nothing is known: as if every other one might cost twice
    spread = math.fsum((value - mean) ** 2 for value in values) / (number - 1)
    return sources * left * spread / number


def _per_byte(stratum: Stratum, measured: Sequence[Measured]) -> float:
    alike = [one for one in measured if one.stratum.extension == stratum.extension] or measured
    size_bytes = sum(one.size_bytes for one in alike)
    return math.fsum(one.value for one in alike) / max(1, size_bytes)


def library_s(
    run: WholeRun, sample_cost_s: float, library: Estimate, slowdown: float = 1.0
) -> Estimate:
    """Return the seconds a run over the library takes, start-up included.

    Args:
        run: of the program over the sample, warm.
        sample_cost_s: worker-seconds of the sample.
        library: worker-seconds of the library.
        slowdown: what the work takes as a multiple of `run`; 1 when it is warm.
    """
    tail_s = min(run.tail_s, max(0.0, run.wall_s - run.startup_s))
    work_s = max(0.0, run.wall_s - run.startup_s - tail_s) * max(1.0, slowdown)
    scale = library.total / max(sample_cost_s, 1e-9)
    spread = library.spread / max(sample_cost_s, 1e-9)
    return Estimate(run.startup_s + work_s * scale + tail_s * max(1.0, slowdown), work_s * spread)

"""What the whole library would take, from what its sample took. Pure arithmetic.

    time = start-up + (run over the sample - start-up - tail) x library / sample + tail

The run over the sample is one of the whole program, so walk, journal and display are in it, and
when the sample is the library, the prediction is that run. `library / sample` is a ratio of
worker-seconds: for every stratum the number of sources times the mean of those measured. The tail,
in which the last workers finish, comes once however large the library is.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pregen.bench.sample import Stratum, Totals

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


class Run(NamedTuple):
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


def library_s(run: Run, sample_cost_s: float, library: Estimate, slowdown: float = 1.0) -> Estimate:
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

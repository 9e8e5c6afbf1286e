"""How much of the sample a pass does, how often, and with how many workers. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Shorter passes are repeated: their start and end are worth some milliseconds.
PASS_S = 1.0
#: Tiny files: more copies than this say nothing more.
MOST_REPEATS = 20
#: With fewer workers than all, no more than so many worker-seconds of the sample are done.
PART_S = 15.0


def worker_steps(workers: int) -> list[int]:
    """Return 1, 2, 4, ... and at last `workers`."""
    steps = []
    step = 1
    while step < workers:
        steps.append(step)
        step *= 2
    return [*steps, workers]


def repeats(costs_s: Sequence[float], workers: int) -> int:
    """Return how often sources of these worker-seconds are done in one pass."""
    return min(MOST_REPEATS, max(1, round(PASS_S * workers / max(sum(costs_s), 1e-3))))


def part(costs_s: Sequence[float]) -> list[int]:
    """Return the indices of some sources, spread evenly, that take `PART_S` together, or of all."""
    total_s = sum(costs_s)
    if total_s <= PART_S:
        return list(range(len(costs_s)))
    number = max(1, int(len(costs_s) * PART_S / total_s))
    return [index * len(costs_s) // number for index in range(number)]

"""What the passes that compare decoders say. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from pregen.bench.contest import CONTENDERS, contender_of, is_floor
from pregen.bench.model import Contest, Decoding, Floor
from pregen.bench.stats import median, rest_ns
from pregen.model import Kind

if TYPE_CHECKING:
    from pregen.bench.stats import Pass
    from pregen.model import Stages


def contest_of(done: Pass) -> Contest | None:
    """Compare the decoders over the pictures that each of them made by itself.

    Of the rounds of one picture, the median counts.
    """
    rounds: dict[tuple[bytes, str], list[Stages]] = defaultdict(list)
    unfit: set[bytes] = set()
    for _, outcome in done.outcomes:
        contender = contender_of(outcome.job_id)
        if outcome.kind is not Kind.MADE or contender.loader not in {"", outcome.loader}:
            unfit.add(outcome.path)
        rounds[outcome.path, contender.name].append(outcome.stages)
    pictures = {path for path, _ in rounds} - unfit
    if not pictures:
        return None
    means = []
    for contender in CONTENDERS:
        each = [rounds[path, contender.name] for path in pictures]
        decode_ns = [median(one.read_ns + one.decode_ns for one in stages) for stages in each]
        total_ns = [median(one.total_ns for one in stages) for stages in each]
        number = len(pictures) * 1e9
        means.append((contender.name, sum(decode_ns) / number, sum(total_ns) / number))
    best_s = max(min(total_s for _, _, total_s in means), 1e-9)
    return Contest(
        len(pictures),
        tuple(
            Decoding(name, decode_s, total_s, total_s / best_s) for name, decode_s, total_s in means
        ),
    )


def floor_of(done: Pass) -> Floor | None:
    """Set the floor against what a run takes, over the pictures that both of them decoded.

    The run's side has all that the engine does for a job; the floor is the decode alone.
    """
    spent_ns: dict[bytes, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    unfit = {outcome.path for _, outcome in done.outcomes if outcome.kind is not Kind.MADE}
    for _, outcome in done.outcomes:
        if outcome.path not in unfit:
            floor, run = spent_ns[outcome.path]
            (floor if is_floor(outcome.job_id) else run).append(outcome.stages.total_ns)
    if not spent_ns:
        return None
    number = len(spent_ns) * 1e9
    floor_ns = sum(median(floor) for floor, _ in spent_ns.values())
    run_ns = sum(median(run) for _, run in spent_ns.values())
    return Floor(len(spent_ns), floor_ns / number, run_ns / number + rest_ns(done) / 1e9)

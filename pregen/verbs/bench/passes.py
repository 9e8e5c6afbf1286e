"""A whole bench, from the walk to the result: which passes there are, and in which order.

draw       the walk, and the sample
first      all workers: what becomes of each source; from here on the sample is warm
scaling    1, 2, 4 ... workers, warm; the last of them, with all, is the one reported
cold       all workers, after the kernel was asked to forget the sample
program    `pregen run` over the sample, and over hardly anything: the start-up
contest    each decoder on the same JPEGs, one worker
floor      nothing but the decode, all workers
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from pregen.display import text
from pregen.display.words import label
from pregen.engines.base import make_work
from pregen.errors import UsageError
from pregen.installation import install_command
from pregen.model import FAILURES, Kind, Source
from pregen.verbs.bench import environment
from pregen.verbs.bench.contest import (
    CONTENDERS,
    FLOOR_TURNS,
    contest_of,
    floor_of,
    make_contest,
    make_floor,
)
from pregen.verbs.bench.environment import Scratch, describe, remove
from pregen.verbs.bench.measure import Course, measure, run_s
from pregen.verbs.bench.model import (
    BenchConfig,
    Cold,
    Contest,
    Floor,
    Prediction,
    Result,
    Space,
    Troubled,
)
from pregen.verbs.bench.sample import Draw, Sample, stratum_of
from pregen.verbs.bench.stats import (
    Measured,
    WholeRun,
    costs_s,
    estimate,
    firsts,
    groups,
    library_s,
    limit,
    median,
    overall,
    scaling,
)
from pregen.walk import WalkCounts, walk

if TYPE_CHECKING:
    from collections.abc import Sequence


# --- How much of the sample a pass does, how often, and with how many workers. Pure


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


# --- A whole bench, from the walk to the result: which passes there are, and in which order


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pregen.engines.base import WorkFactory
    from pregen.model import Outcome
    from pregen.verbs.bench.measure import BenchStop
    from pregen.verbs.bench.stats import Estimate, Pass

    Say = Callable[[str], None]

#: Runs of the program over the sample; their median counts.
_RUNS = 3
#: ... unless one takes longer than this: then the noise is small as it is.
_LONG_RUN_S = 10.0
#: Enough to rank decoders.
_CONTEST_PICTURES = 40
_CONTEST_ROUNDS = 3
_JPEG = "image/jpeg"
_TROUBLES = FAILURES | {Kind.UNSUPPORTED}
#: These end their worker, or keep it for a minute: once is enough.
_ONCE = frozenset({Kind.CRASHED, Kind.TIMED_OUT, Kind.OUT_OF_MEMORY, Kind.DISTURBED, Kind.VANISHED})


def run_bench(config: BenchConfig, stop: BenchStop, say: Say) -> Result:
    """Measure.

    Args:
        config: what, and how.
        stop: read all the time.
        say: told what is done now, for people who wait.

    Raises:
        UsageError: there is no picture to measure.
        BenchStoppedError: the user wants no more.
        PregenError: something that is needed does not work.
    """
    say("looking for pictures")
    counts = WalkCounts()
    drawing = Draw(config.sources, config.seed)
    unread = 0
    for item in walk(config.walk, counts=counts):
        stop.check()
        if isinstance(item, Source):
            drawing.add(item)
        else:
            unread += item.kind is Kind.UNREADABLE
    sample = drawing.result()
    if not sample.sources:
        raise UsageError(
            "no pictures found: name a folder that holds some. Hidden ones need --hidden."
        )
    with Scratch(config.work.cache_root) as scratch:
        return _Bench(config, sample, scratch, stop, say).result(counts.passed_over, unread)


class _Bench:
    """The passes over one sample."""

    def __init__(
        self, config: BenchConfig, sample: Sample, scratch: Scratch, stop: BenchStop, say: Say
    ) -> None:
        self._config = config
        self._sample = sample
        self._scratch = scratch
        self._stop = stop
        self._say = say
        self._workers = config.engine.workers
        self._warmups: Sequence[Source] = ()

    def result(self, passed_over: int, unread: int) -> Result:
        """Do all passes."""
        found = self._first()
        steady = [one for one in found if one.outcome.kind not in _ONCE]
        sources = [one.source for one in steady]
        passes = self._scaling(sources, [one.outcome.stages.total_ns / 1e9 for one in steady])
        warm = passes[-1]
        cold, chilled = self._cold(sources, warm)
        costs = costs_s(warm)
        whole = overall(warm)
        made = firsts(warm)
        jpegs = [i for i in sorted(made) if _is_made_jpeg(made[i])]
        outcomes = [one.outcome for one in found]
        extras = Counter(each.extra for each in outcomes if each.kind is Kind.NEEDS_EXTRA)
        return Result(
            config=self._config,
            machine=describe(self._config.work.version),
            sample=self._sample,
            passed_over=passed_over,
            unread=unread,
            kinds=Counter(outcome.kind for outcome in outcomes),
            extras=extras,
            install=install_command(extras) if extras else "",
            failures=tuple(
                Troubled(outcome.path, outcome.kind, outcome.message)
                for outcome in outcomes
                if outcome.kind in _TROUBLES
            ),
            groups=groups(warm),
            warm=whole,
            warm_cpu_share=warm.cpu_share,
            cold=cold,
            scaling=scaling(passes, whole.images_per_s),
            contest=self._contest([sources[i] for i in jpegs]),
            floor=self._floor([sources[i] for i in jpegs], [costs[i] for i in jpegs]),
            limit=limit(cold.slowdown, warm.cpu_share, cold.cpu_share),
            prediction=self._prediction(sources, warm, chilled, cold.slowdown),
        )

    def _first(self) -> list[_WalkedSource]:
        """Learn what becomes of each source. Workers may still be starting meanwhile."""
        sources = self._sample.sources
        self._say(f"first look at {text.plural(len(sources), 'file')}")
        outcomes = firsts(self._pass(sources))
        found = [_WalkedSource(sources[index], outcomes[index]) for index in sorted(outcomes)]
        self._warmups = [one.source for one in found if one.outcome.kind is Kind.MADE]
        if not self._warmups:
            raise UsageError(_nothing_made(one.outcome for one in found))
        return found

    def _pass(
        self,
        sources: Sequence[Source],
        workers: int = 0,
        repeats: int = 1,
        factory: WorkFactory = make_work,
        before: Callable[[], None] = lambda: None,
    ) -> Pass:
        folder = self._scratch.fresh()
        try:
            return measure(
                Course(sources, repeats, self._warmups),
                factory,
                replace(self._config.work, cache_root=folder + b"/thumbnails"),
                replace(self._config.engine, workers=workers or self._workers),
                self._stop,
                before,
            )
        finally:
            remove(folder)

    def _scaling(self, sources: Sequence[Source], guessed_s: Sequence[float]) -> list[Pass]:
        """Do the warm passes: with one worker first, with all of them last."""
        passes = []
        some = part(guessed_s)
        for workers in worker_steps(self._workers):
            self._say(f"warm, {text.plural(workers, 'worker')}")
            chosen = range(len(sources)) if workers == self._workers else some
            times = repeats([guessed_s[i] for i in chosen], workers)
            done = self._pass([sources[i] for i in chosen], workers, times)
            passes.append(done.renumbered(chosen))
        return passes

    def _cold(self, sources: Sequence[Source], warm: Pass) -> tuple[Cold, Pass]:
        resident_share = 1.0

        def forget() -> None:
            nonlocal resident_share
            environment.drop(sources)
            resident_share = environment.resident_share(sources)

        self._say("cold")
        done = self._pass(sources, before=forget)
        slowdown = max(1.0, done.loaded_ns * warm.repeats / warm.loaded_ns)
        return Cold(overall(done), slowdown, done.cpu_share, resident_share), done

    def _contest(self, jpegs: Sequence[Source]) -> Contest | None:
        if not jpegs:
            return None
        self._say("decoders side by side")
        step = -(-len(jpegs) // _CONTEST_PICTURES)
        chosen = [source for source in jpegs[::step] for _ in CONTENDERS]
        return contest_of(self._pass(chosen, 1, _CONTEST_ROUNDS, make_contest))

    def _floor(self, jpegs: Sequence[Source], run_costs_s: Sequence[float]) -> Floor | None:
        if not jpegs:
            return None
        self._say("the floor")
        chosen = [source for source in jpegs for _ in range(FLOOR_TURNS)]
        times = repeats([2 * cost_s for cost_s in run_costs_s], self._workers)
        return floor_of(self._pass(chosen, self._workers, times, make_floor))

    def _prediction(
        self, sources: Sequence[Source], warm: Pass, chilled: Pass, slowdown: float
    ) -> Prediction:
        strata = self._sample.library
        block_bytes = self._scratch.block_bytes()
        costs, cold_costs, outcomes = costs_s(warm), costs_s(chilled), firsts(warm)

        def library(values: Mapping[int, float]) -> Estimate:
            known = [
                Measured(stratum_of(sources[i]), sources[i].size_bytes, value)
                for i, value in values.items()
            ]
            return estimate(strata, known)

        run = self._program(sources, costs, warm.idle_ns / 1e9)
        return Prediction(
            startup_s=run.startup_s,
            warm_s=library_s(run, sum(costs.values()), library(costs)),
            cold_s=library_s(run, sum(cold_costs.values()), library(cold_costs), slowdown),
            space=Space(
                library({i: outcome.entries_written for i, outcome in outcomes.items()}),
                library({i: _on_disk(outcome, block_bytes) for i, outcome in outcomes.items()}),
                self._scratch.free_bytes(),
            ),
        )

    def _program(
        self, sources: Sequence[Source], costs: Mapping[int, float], tail_s: float
    ) -> WholeRun:
        """Time the program over all sources, and over one for each worker, in turns."""
        quickest = sorted(costs, key=costs.__getitem__)[: self._workers]
        few = [sources[index] for index in quickest]
        whole_s: list[float] = []
        few_s: list[float] = []
        for number in range(_RUNS):
            self._say(f"`pregen run` over the sample, {number + 1} of {_RUNS}")
            whole_s.append(self._timed(sources))
            few_s.append(self._timed(few))
            if whole_s[0] > _LONG_RUN_S:
                break
        wall_s = median(whole_s)
        startup_s = median(few_s) - max(costs[index] for index in quickest)
        return WholeRun(wall_s, min(wall_s, max(0.0, startup_s)), tail_s)

    def _timed(self, sources: Sequence[Source]) -> float:
        folder = self._scratch.fresh()
        try:
            return run_s(sources, folder, self._config.work, self._config.engine, self._stop)
        finally:
            remove(folder)


class _WalkedSource(NamedTuple):
    source: Source
    outcome: Outcome


def _is_made_jpeg(outcome: Outcome) -> bool:
    return outcome.kind is Kind.MADE and outcome.mime == _JPEG


def _on_disk(outcome: Outcome, block_bytes: int) -> int:
    """Return the bytes an outcome's entries take, in whole blocks."""
    if not outcome.stamps:  # sizes of single entries are not known: half a block is lost in each
        return outcome.bytes_written + outcome.entries_written * block_bytes // 2
    return sum(-(-stamp.size_bytes // block_bytes) * block_bytes for stamp in outcome.stamps)


def _nothing_made(outcomes: Iterable[Outcome]) -> str:
    """Return why there is nothing to measure."""
    kinds = Counter(outcome.kind for outcome in outcomes)
    each = ", ".join(f"{text.count(number)} {label(kind)}" for kind, number in kinds.items())
    return (
        f"no pictures found that can be measured, of {text.plural(kinds.total(), 'file')}: {each}."
    )

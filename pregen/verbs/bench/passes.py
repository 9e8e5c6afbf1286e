"""A whole bench, from the walk to the result: which passes there are, and in which order.

draw       the walk, and the sample
shares     where files lie on a share: reading some, before anything else does
first      all workers: what becomes of each source; from here on the sample is warm
scaling    1, 2, 4 ... workers, warm; the last of them, with all, is the one reported
cold       all workers, after the kernel was asked to forget the sample
program    `pregen run` over the sample, and over hardly anything: the start-up
contest    each decoder on the same JPEGs, one worker
floor      nothing but the decode, all workers
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from statistics import median
from typing import TYPE_CHECKING

from pregen.display import text
from pregen.display.words import label
from pregen.engines.base import make_work
from pregen.errors import UsageError
from pregen.model import FAILURES, Kind, Source
from pregen.thumbspec.naming import clean_path
from pregen.verbs.bench import contest, environment, result, shares, stats
from pregen.verbs.bench.measure import Course, check, measure, run_s
from pregen.verbs.bench.sample import draw, stratum_of
from pregen.walk import WalkCounts, guard_of, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pregen.config import RunConfig
    from pregen.engines.base import WorkFactory
    from pregen.model import Outcome
    from pregen.pipeline import RunStop
    from pregen.verbs.bench.sample import Sample
    from pregen.verbs.bench.stats import Pass

    Say = Callable[[str], None]

#: Shorter passes are repeated: their start and end are worth some milliseconds.
PASS_S = 1.0
#: Tiny files: more copies than this say nothing more.
MOST_REPEATS = 20
#: With fewer workers than all, no more than so many worker-seconds of the sample are done.
PART_S = 15.0
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


def run_bench(
    config: RunConfig,
    most_sources: int,
    seed: int,
    stop: RunStop,
    say: Say,
    *,
    share: bool = False,
) -> result.BenchResult:
    """Measure.

    Args:
        config: the settings; its cache is only looked at to find its disk.
        most_sources: at most so many are drawn.
        seed: draws one of many samples.
        stop: read all the time.
        say: told what is done now, for people who wait.
        share: measure reading as of a share, also of a local disk.

    Raises:
        UsageError: there is no picture to measure, or a share does not answer.
        BenchStoppedError: the user wants no more.
        PregenError: something that is needed does not work.
    """
    counts = WalkCounts()
    guard = guard_of(config.walk)
    ledger = shares.ShareLedger(guard.surveyor, everything=share)
    unreadable = 0

    def sources() -> Iterator[Source]:
        nonlocal unreadable
        for item in walk(config.walk, counts=counts, guard=guard):
            check(stop)
            if isinstance(item, Source):
                ledger.add(item)
                yield item
            else:
                unreadable += item.kind is Kind.UNREADABLE

    say("looking for pictures")
    sample = draw(sources(), most_sources, seed)
    if not sample.sources:
        raise UsageError(
            "no pictures found: give a folder with pictures. Hidden ones need --hidden."
        )
    allowed = tuple(clean_path(path, b"/") for path in config.walk.allow_encrypted)
    work = config.work._replace(allow_encrypted=allowed, cache_keys=guard.place_keys)
    config = config._replace(work=work)
    with environment.scratch_folder(config.work.cache_root) as scratch:
        readings = [
            shares.measure_share(each, lambda: check(stop), say) for each in ledger.drawn(sample)
        ]
        bench = _Bench(config, sample, scratch, stop, say, readings)
        return bench.all_passes(_library(sample, counts.passed_over, unreadable))


def _library(sample: Sample, passed_over: int, unreadable: int) -> result.Library:
    drawn = Counter(sample.strata)
    strata = (
        result.StratumTotals(each.extension, 4**each.size_class, *totals, drawn=drawn[each])
        for each, totals in sorted(sample.library.items())
    )
    return result.Library(*sample.total, passed_over, unreadable, tuple(strata))


class _Bench:
    """The passes over one sample."""

    def __init__(
        self,
        config: RunConfig,
        sample: Sample,
        scratch: bytes,
        stop: RunStop,
        say: Say,
        readings: Sequence[shares.ShareReading],
    ) -> None:
        self._config = config
        self._sample = sample
        self._scratch = scratch
        self._stop = stop
        self._say = say
        self._readings = readings
        self._workers = config.engine.workers
        self._warmups: Sequence[Source] = ()

    def all_passes(self, library: result.Library) -> result.BenchResult:
        """Do all passes."""
        found = self._first()
        sources = [one for one in self._sample.sources if found[one.path].kind not in _ONCE]
        passes = self._scaling(sources, found)
        last = passes[-1]
        cold, cold_pass = self._cold(sources, last)
        warm = result.Warm(stats.overall(last), last.cpu_share)
        mimes = {each.path: each.mime for each in last.outcomes if each.kind is Kind.MADE}
        jpegs = [one for one in sources if mimes.get(one.path) == _JPEG]
        work = self._config.work
        return result.BenchResult(
            machine=environment.describe(work.version),
            roots=self._config.walk.roots,
            settings=result.BenchSettings(
                self._workers, tuple(flavor.directory for flavor in work.flavors), work.decoder
            ),
            library=library,
            sample=self._sample_result(found),
            warm=warm,
            cold=cold,
            loaders=stats.groups(last),
            scaling=stats.scaling(passes, warm.group.images_per_s),
            decoders=self._contest(jpegs) if jpegs else None,
            floor=self._floor(jpegs, stats.costs_s(last)) if jpegs else None,
            limit=stats.limit(cold.slowdown, warm.cpu_share, cold.cpu_share),
            prediction=self._prediction(sources, last, cold_pass, cold.slowdown),
            shares=tuple(
                shares.prediction(reading, stats.computing_s(last), self._workers)
                for reading in self._readings
            ),
        )

    def _sample_result(self, found: Mapping[bytes, Outcome]) -> result.SampleResult:
        sample, outcomes = self._sample, found.values()
        return result.SampleResult(
            sources=len(sample.sources),
            bytes=sum(source.size_bytes for source in sample.sources),
            seed=sample.seed,
            digest=sample.digest,
            covers=sample.covers,
            kinds=Counter(each.kind for each in outcomes),
            needs_extra=Counter(each.extra for each in outcomes if each.kind is Kind.NEEDS_EXTRA),
            failures=tuple(
                result.Troubled(each.path, each.kind, each.message)
                for each in outcomes
                if each.kind in _TROUBLES
            ),
        )

    def _first(self) -> dict[bytes, Outcome]:
        """Learn what becomes of each source. Workers may still be starting meanwhile."""
        sources = self._sample.sources
        self._say(f"first look at {text.plural(len(sources), 'file')}")
        found = dict(sorted(_by_path(self._pass(sources)).items()))
        self._warmups = [one for one in sources if found[one.path].kind is Kind.MADE]
        if not self._warmups:
            kinds = Counter(outcome.kind for outcome in found.values())
            each = ", ".join(f"{text.count(n)} {label(kind)}" for kind, n in kinds.items())
            files = text.plural(kinds.total(), "file")
            raise UsageError(f"no pictures found that can be measured, of {files}: {each}.")
        return found

    def _pass(
        self,
        sources: Sequence[Source],
        workers: int = 0,
        repeats: int = 1,
        factory: WorkFactory = make_work,
        before: Callable[[], None] = lambda: None,
    ) -> Pass:
        with tempfile.TemporaryDirectory(dir=self._scratch, ignore_cleanup_errors=True) as folder:
            return measure(
                Course(sources, repeats, self._warmups),
                factory,
                self._config.work._replace(cache_root=folder + b"/thumbnails"),
                self._config.engine._replace(workers=workers or self._workers),
                self._stop,
                before,
            )

    def _scaling(self, sources: Sequence[Source], found: Mapping[bytes, Outcome]) -> list[Pass]:
        """Do the warm passes: with one worker first, with all of them last."""
        guessed_s = [found[one.path].stages.total_ns / 1e9 for one in sources]
        passes = []
        for workers in worker_steps(self._workers):
            self._say(f"warm, {text.plural(workers, 'worker')}")
            chosen = range(len(sources)) if workers == self._workers else part(guessed_s)
            times = repeats([guessed_s[i] for i in chosen], workers)
            passes.append(self._pass([sources[i] for i in chosen], workers, times))
        return passes

    def _cold(self, sources: Sequence[Source], warm: Pass) -> tuple[result.Cold, Pass]:
        resident_share = 1.0

        def forget() -> None:
            nonlocal resident_share
            environment.drop(sources)
            resident_share = environment.resident_share(sources)

        self._say("cold")
        done = self._pass(sources, before=forget)
        slowdown = max(1.0, done.loaded_ns * warm.repeats / warm.loaded_ns)
        return result.Cold(stats.overall(done), done.cpu_share, slowdown, resident_share), done

    def _contest(self, jpegs: Sequence[Source]) -> result.Contest | None:
        self._say("decoders side by side")
        step = -(-len(jpegs) // _CONTEST_PICTURES)
        chosen = [source for source in jpegs[::step] for _ in contest.CONTENDERS]
        return contest.contest_of(self._pass(chosen, 1, _CONTEST_ROUNDS, contest.make_contest))

    def _floor(
        self, jpegs: Sequence[Source], costs_s: Mapping[bytes, float]
    ) -> result.Floor | None:
        self._say("the floor")
        chosen = [source for source in jpegs for _ in range(contest.FLOOR_TURNS)]
        times = repeats([costs_s[source.path] for source in chosen], self._workers)
        return contest.floor_of(self._pass(chosen, self._workers, times, contest.make_floor))

    def _prediction(
        self, sources: Sequence[Source], warm: Pass, cold: Pass, slowdown: float
    ) -> result.Prediction:
        disk = os.statvfs(self._scratch)
        costs, cold_costs, outcomes = stats.costs_s(warm), stats.costs_s(cold), _by_path(warm)

        def library(values: Mapping[bytes, float]) -> result.Estimate:
            known = [
                stats.Measured(stratum_of(one), one.size_bytes, values[one.path]) for one in sources
            ]
            return stats.estimate(self._sample.library, known)

        run = self._program(sources, costs, warm.idle_ns / 1e9)
        return result.Prediction(
            startup_s=run.startup_s,
            warm=stats.library_s(run, sum(costs.values()), library(costs)),
            cold=stats.library_s(run, sum(cold_costs.values()), library(cold_costs), slowdown),
            entries=library({path: each.entries_written for path, each in outcomes.items()}),
            disk_bytes=library(
                {path: _on_disk(each, disk.f_frsize) for path, each in outcomes.items()}
            ),
            free_bytes=disk.f_bavail * disk.f_frsize,
        )

    def _program(
        self, sources: Sequence[Source], costs: Mapping[bytes, float], tail_s: float
    ) -> stats.WholeRun:
        """Time the program over all sources, and over one for each worker, in turns."""
        few = sorted(sources, key=lambda source: costs[source.path])[: self._workers]
        whole_s: list[float] = []
        few_s: list[float] = []
        for number in range(_RUNS):
            self._say(f"`pregen run` over the sample, {number + 1} of {_RUNS}")
            whole_s.append(self._timed(sources))
            few_s.append(self._timed(few))
            if whole_s[0] > _LONG_RUN_S:
                break
        wall_s = median(whole_s)
        startup_s = median(few_s) - max(costs[source.path] for source in few)
        return stats.WholeRun(wall_s, min(wall_s, max(0.0, startup_s)), tail_s)

    def _timed(self, sources: Sequence[Source]) -> float:
        with tempfile.TemporaryDirectory(dir=self._scratch, ignore_cleanup_errors=True) as folder:
            return run_s(sources, folder, self._config.work, self._config.engine, self._stop)


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


def _by_path(done: Pass) -> dict[bytes, Outcome]:
    """Return one outcome for each source."""
    return {outcome.path: outcome for outcome in done.outcomes}


def _on_disk(outcome: Outcome, block_bytes: int) -> int:
    """Return the bytes an outcome's entries take, in whole blocks."""
    if not outcome.stamps:  # sizes of single entries are not known: half a block is lost in each
        return outcome.bytes_written + outcome.entries_written * block_bytes // 2
    return sum(-(-stamp.size_bytes // block_bytes) * block_bytes for stamp in outcome.stamps)

"""Decoders compared: the same JPEG by each, and by the floor.

The work is done in the worker processes of the engine, in their environment and under their
limits, so that its times stand beside those of a run. It writes no entry. As in `engines.base`,
the parent of workers knows this module and does not import the picture libraries.
"""

from __future__ import annotations

import os
from collections import defaultdict
from statistics import fmean, median
from typing import TYPE_CHECKING, NamedTuple

from pregen.config import Decoder
from pregen.imaging.faults import Fault
from pregen.model import Kind, Outcome, Stages
from pregen.source_file import SourceAccessError, open_source
from pregen.verbs.bench.result import Contest, Decoding, Floor
from pregen.verbs.bench.stats import rest_ns

if TYPE_CHECKING:
    from collections.abc import Callable

    from pregen.config import WorkConfig
    from pregen.engines.base import Ask, Work
    from pregen.model import Job
    from pregen.source_file import SourceFile
    from pregen.verbs.bench.stats import Pass


class Contender(NamedTuple):
    """One way to decode a JPEG."""

    name: str
    decoder: Decoder | None
    """None: not one that a run can be told to use."""
    loader: str
    """What the outcome must say, or another decoder has done the work; empty: any may."""


#: In the order of the table; the job's number says whose turn it is.
CONTENDERS = (
    Contender("auto", Decoder.AUTO, ""),
    Contender("libjpeg-turbo", Decoder.TURBO, "turbo"),
    Contender("libvips", Decoder.VIPS, "vips"),
    Contender("Pillow", None, "pillow"),
)
#: The floor and a run.
FLOOR_TURNS = 2


def contender_of(job_id: int) -> Contender:
    """Return whose turn a job is."""
    return CONTENDERS[job_id % len(CONTENDERS)]


def make_contest(config: WorkConfig) -> Work:
    """Return work that has the job's contender make all flavors (an `engines.base.WorkFactory`)."""
    from pregen.imaging import reference, thumbnail  # noqa: PLC0415 - see the module

    def by_contender(source: SourceFile, job: Job, ask: Ask) -> tuple[str, Stages]:
        contender = contender_of(job.job_id)
        if contender.decoder is None:
            return contender.loader, reference.by_pillow(
                source.fd, source.size_bytes, config.flavors
            )
        made = thumbnail.make(
            source.fd,
            source.size_bytes,
            config.flavors,
            config.max_pixels,
            ask,
            contender.decoder,
        )
        return made.loader, Stages(made.read_ns, made.decode_ns, made.resize_ns, made.encode_ns)

    return _work(by_contender)


def is_floor(job_id: int) -> bool:
    """Tell whether a job is the floor's, or a run's."""
    return job_id % FLOOR_TURNS == 0


def make_floor(config: WorkConfig) -> Work:
    """Return work that does jobs as a run does, and the floor's (an `engines.base.WorkFactory`).

    In one pass and in turns, because a machine that slows down must slow both.
    """
    from pregen.imaging import reference  # noqa: PLC0415 - see the module
    from pregen.work import make_worker  # noqa: PLC0415 - likewise

    box_px = max(flavor.box_px for flavor in config.flavors)
    as_in_a_run = make_worker(config)

    def by_floor(source: SourceFile, _job: Job, _ask: Ask) -> tuple[str, Stages]:
        return "floor", reference.floor(source.fd, source.size_bytes, box_px)

    floor = _work(by_floor)

    def work(job: Job, ask: Ask) -> Outcome:
        return (floor if is_floor(job.job_id) else as_in_a_run)(job, ask)

    return work


def _work(measure: Callable[[SourceFile, Job, Ask], tuple[str, Stages]]) -> Work:
    def work(job: Job, ask: Ask) -> Outcome:
        outcome = Outcome(job.job_id, job.path, Kind.MADE, worker_pid=os.getpid())
        try:
            with open_source(job.path) as source:
                loader, stages = measure(source, job, ask)
        except (Fault, SourceAccessError) as error:
            return outcome._replace(kind=error.kind, message=str(error))
        except OSError as error:
            return outcome._replace(kind=Kind.UNREADABLE, message=str(error))
        return outcome._replace(loader=loader, stages=stages)

    return work


def contest_of(done: Pass) -> Contest | None:
    """Compare the decoders over the pictures that each of them made by itself.

    Of the rounds of one picture, the median counts.
    """
    rounds: defaultdict[tuple[bytes, str], list[Stages]] = defaultdict(list)
    unfit: set[bytes] = set()
    for outcome in done.outcomes:
        contender = contender_of(outcome.job_id)
        if outcome.kind is not Kind.MADE or contender.loader not in {"", outcome.loader}:
            unfit.add(outcome.path)
        rounds[outcome.path, contender.name].append(outcome.stages)
    pictures = {path for path, _ in rounds} - unfit
    if not pictures:
        return None
    times_s = {}
    for contender in CONTENDERS:
        each = [rounds[path, contender.name] for path in pictures]
        decode_ns = fmean(median(one.read_ns + one.decode_ns for one in stages) for stages in each)
        total_ns = fmean(median(one.total_ns for one in stages) for stages in each)
        times_s[contender.name] = decode_ns / 1e9, total_ns / 1e9
    best_s = max(min(total_s for _, total_s in times_s.values()), 1e-9)
    return Contest(
        len(pictures),
        tuple(
            Decoding(name, decode_s, total_s, total_s / best_s)
            for name, (decode_s, total_s) in times_s.items()
        ),
    )


def floor_of(done: Pass) -> Floor | None:
    """Set the floor against what a run takes, over the pictures that both of them decoded.

    The run's side has all that the engine does for a job; the floor is the decode alone.
    """
    unfit = {outcome.path for outcome in done.outcomes if outcome.kind is not Kind.MADE}
    floor_ns: defaultdict[bytes, list[int]] = defaultdict(list)
    run_ns: defaultdict[bytes, list[int]] = defaultdict(list)
    for outcome in done.outcomes:
        if outcome.path not in unfit:
            spent_ns = floor_ns if is_floor(outcome.job_id) else run_ns
            spent_ns[outcome.path].append(outcome.stages.total_ns)
    if not floor_ns:
        return None
    floor_s = fmean(map(median, floor_ns.values())) / 1e9
    run_s = (fmean(map(median, run_ns.values())) + rest_ns(done)) / 1e9
    return Floor(len(floor_ns), floor_s, run_s, run_s / max(floor_s, 1e-9))

"""`pregen report [RUN]`: a page about a run, for the morning after."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from pregen import __version__
from pregen.argument_types import WholeNumber
from pregen.commandline import Command, Option, under
from pregen.errors import ExitCode, UsageError
from pregen.installation import requires
from pregen.model import FAILURES
from pregen.session import Session, cache_option

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pregen.journal import Journal, RecordedRun
    from pregen.journal.rows import SourceHistory
    from pregen.verbs.report.figures import Figures
    from pregen.verbs.report.page import ReportFacts

#: A month of nightly runs, or a week of a watch.
_LOOKED_THROUGH = 200


@click.pass_obj
def _report(session: Session, /, *, run_id: int | None, output: str) -> ExitCode:
    """Write an HTML report of RUN, a number that `pregen status` shows.

    Without RUN it is the last run on this cache that did something.

    One file that opens in any browser without a network: speed over time, time by stage, formats
    and sizes, what failed and why, the slowest files, and a contact sheet with all doubtful
    pictures. Needs pregen[report].

    Example: pregen report -o report.html
    """
    with requires("report", "pregen report"):
        from pregen.verbs.report.page import render  # noqa: PLC0415 - may be missing, and takes 0.4 s

    warnings: list[str] = []
    with session.journal(warnings.append) as journal:
        run = _run(journal, run_id, session.cache_root)
        figures = run and _added_up(run, journal.sources_of(run.run_id))
    if warnings:
        raise UsageError(warnings[0])
    if run is None or figures is None:
        raise UsageError(
            f"No runs recorded. Start one first: pregen run ~/Pictures{session.cache_flag}"
        )
    _write(output, render(_facts(run, figures, run.cache or session.cache_root)))
    return ExitCode.DONE


def _run(journal: Journal, run_id: int | None, cache_root: bytes) -> RecordedRun | None:
    """Return the run that is wanted; None: there is none at all."""
    last = journal.last_runs(_LOOKED_THROUGH, cache=None if run_id else cache_root)
    if run_id is None:
        return next(filter(_did_something, last), next(iter(last), None))
    found = journal.last_runs(1, run_id)
    if last and not found:
        raise UsageError(f"There is no run {run_id}. pregen status --runs 20 lists the last runs.")
    return next(iter(found), None)


def _did_something(run: RecordedRun) -> bool:
    return bool(run.entries_written or any(run.counts.get(kind.value) for kind in FAILURES))


def _added_up(run: RecordedRun, sources: Iterable[SourceHistory]) -> Figures:
    from pregen.verbs.report.figures import Figures  # noqa: PLC0415 - no --help needs it

    end_ns = run.started_at_ns + run.wall_ns if run.wall_ns else run.ended_at_ns or time.time_ns()
    figures = Figures(run.started_at_ns, end_ns)
    for seen in sources:
        figures.add(seen)
    return figures


def _facts(run: RecordedRun, figures: Figures, cache_root: bytes) -> ReportFacts:
    """Look at the thumbnails of a run that is added up."""
    from pregen.cache.store import Cache  # noqa: PLC0415 - no --help needs it
    from pregen.verbs.report.contact_sheet import make_sheet  # noqa: PLC0415 - likewise
    from pregen.verbs.report.page import ReportFacts  # noqa: PLC0415 - likewise
    from pregen.verbs.reviewing import Reviewers  # noqa: PLC0415 - likewise

    with Cache(cache_root, __version__) as cache, Reviewers() as reviewers:
        sheet = make_sheet(cache, reviewers, figures.sample.kept, figures.extreme)
    return ReportFacts(run, figures, sheet, __version__)


def _write(output: str, page: str) -> None:
    """Write the page, whole or not at all."""
    if output == "-":
        sys.stdout.write(page)
        return
    folder = os.path.dirname(output) or "."
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=folder, prefix=".pregen-report-", delete=False
        ) as file:
            try:
                file.write(page)
                file.flush()
                os.chmod(file.name, 0o600)  # it shows what the cache shows
                os.replace(file.name, output)
            except BaseException:
                with suppress(OSError):
                    os.unlink(file.name)
                raise
    except OSError as error:
        raise UsageError(
            f"{output} cannot be written: {error.strerror}. Choose another file with -o."
        ) from error
    print(f"Written to {output}", file=sys.stderr)  # noqa: T201 - what people are told


report = Command(
    "report",
    callback=_report,
    params=[
        click.Argument(["run_id"], metavar="[RUN]", type=WholeNumber(1), required=False),
        *under(
            "Options",
            cache_option(),
            Option(
                ["-o", "--output"],
                metavar="FILE",
                default="report.html",
                show_default=True,
                help="Where to write it; - is standard output.",
            ),
        ),
    ],
    help=_report.__doc__,
)

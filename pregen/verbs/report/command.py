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
from pregen.commandline import Command, Option, under
from pregen.errors import ExitCode, PregenError, UsageError
from pregen.installation import requires
from pregen.session import Session, cache_option

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pregen.journal import RecordedRun
    from pregen.journal.rows import SourceHistory
    from pregen.verbs.report.page import ReportFacts


@click.pass_obj
def _report(session: Session, /, *, run_id: int | None, output: str) -> ExitCode:
    """Write an HTML report of a run (default: the last; `pregen status` lists the numbers).

    One file that opens in any browser without a network: speed over time, time by stage, formats
    and sizes, what failed and why, the slowest files, and a contact sheet with all doubtful
    pictures. Needs pregen[report].

    Example: pregen report -o report.html
    """
    with requires("report", "pregen report"):
        from pregen.verbs.report.page import render  # noqa: PLC0415 - may be missing, and takes 0.4 s

    from pregen.journal.rows import sources_of  # noqa: PLC0415 - no --help needs it

    run = _run(session, run_id)
    facts = _gather(run, sources_of(session.journal_path, run.run_id), session.cache_root)
    _write(output, render(facts))
    return ExitCode.DONE


def _run(session: Session, run_id: int | None) -> RecordedRun:
    warnings: list[str] = []
    with session.journal(warnings.append) as journal:
        last = journal.last_runs(1)
        found = last if run_id is None else journal.last_runs(1, run_id)
    if warnings:
        raise UsageError(warnings[0])
    if not last:
        raise UsageError("No runs recorded. Start one first: pregen run ~/Pictures")
    if not found:
        raise UsageError(f"There is no run {run_id}. pregen status --runs 20 lists the last runs.")
    return found[0]


def _gather(run: RecordedRun, sources: Iterable[SourceHistory], cache_root: bytes) -> ReportFacts:
    """Add up a run and look at its thumbnails.

    Raises:
        PregenError: the journal cannot be read.
    """
    import sqlite3  # noqa: PLC0415 - no --help needs it

    from pregen.cache.store import Cache  # noqa: PLC0415 - likewise
    from pregen.verbs.report.contact_sheet import make_sheet  # noqa: PLC0415 - likewise
    from pregen.verbs.report.figures import Figures  # noqa: PLC0415 - likewise
    from pregen.verbs.report.page import ReportFacts  # noqa: PLC0415 - likewise
    from pregen.verbs.reviewing import Reviewers  # noqa: PLC0415 - likewise

    end_ns = run.started_at_ns + run.wall_ns if run.wall_ns else run.ended_at_ns or time.time_ns()
    figures = Figures(run.started_at_ns, end_ns)
    try:
        for seen in sources:
            figures.add(seen)
    except sqlite3.Error as error:
        raise PregenError(f"The journal cannot be read ({error}). Try again later.") from error
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
        click.Argument(["run_id"], metavar="[RUN]", type=click.IntRange(1), required=False),
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

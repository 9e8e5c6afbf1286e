"""`pregen watch PATH...`: keeps the cache up to date as pictures come, change and go."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from pregen.argument_types import Number, raw_bytes
from pregen.commandline import Option, print_record, under
from pregen.config import OutputConfig
from pregen.display.printer import Output
from pregen.display.text import count, duration, plural
from pregen.display.words import label
from pregen.errors import UsageError
from pregen.installation import requires
from pregen.model import Kind
from pregen.options import check_output, made, options
from pregen.session import ConfiguredCommand, Session, Signals, cache_option

if TYPE_CHECKING:
    from pregen.config import RunConfig
    from pregen.display.printer import RunReport
    from pregen.errors import ExitCode
    from pregen.verbs.watch.rounds import FollowConfig, Round


@click.pass_obj
def _watch(
    session: Session, /, *, paths: tuple[bytes, ...], settle: float, rescan: float, **values: Any
) -> ExitCode:
    """Fill the cache for the pictures below PATHs, then keep it up to date until you stop it.

    Creates thumbnails of new and changed pictures, deletes those of deleted ones and follows moved
    folders. Needs pregen[watch]. The system does not report changes that another machine makes on
    a network share: --rescan finds them.

    Example: pregen watch ~/Pictures
    """
    with requires("watch", "pregen watch"):
        from pregen.verbs.watch.rounds import FollowConfig  # noqa: PLC0415 - may be missing

    check_output(made(OutputConfig, values))
    config = session.run_config(values, paths)._replace(wait=True)
    return watch_session(session, made(OutputConfig, values), config, FollowConfig(settle, rescan))


watch = ConfiguredCommand(
    "watch",
    callback=_watch,
    params=[
        click.Argument(["paths"], metavar="PATH...", type=raw_bytes, nargs=-1, required=True),
        *under(
            "When",
            Option(
                ["--settle"],
                metavar="SECONDS",
                type=Number(0.1, 3600),
                default="0.5",
                show_default=True,
                help="Wait until nothing has changed for this long.",
            ),
            Option(
                ["--rescan"],
                metavar="SECONDS",
                type=Number(0),
                default="3600",
                show_default=True,
                help="Scan everything this often; 0: never.",
            ),
        ),
        *options(
            "include", "exclude", "hidden", "follow-symlinks", "one-file-system", "allow-encrypted"
        ),
        *options("flavors", "clients", "realpath-keys"),
        cache_option(),
        *options("workers", "decoder", "timeout", "max-pixels", "json", "quiet", "verbose"),
    ],
    help=_watch.__doc__,
)


def watch_session(
    session: Session, output: OutputConfig, config: RunConfig, how: FollowConfig
) -> ExitCode:
    """Do the first run with the usual display, and report every later one in a line.

    Raises:
        PregenError: what ended it before its time.
    """
    from pregen.display.listener import Watch  # noqa: PLC0415 - no --help needs it
    from pregen.engines.base import StopLevel  # noqa: PLC0415 - likewise
    from pregen.pipeline import RunStop, run  # noqa: PLC0415 - likewise
    from pregen.verbs.watch.rounds import follow  # noqa: PLC0415 - likewise

    stop = RunStop()
    people = Output(sys.stderr)
    rounds = 0
    since: Counter[str] = Counter()
    start_s = time.monotonic()

    def one_run(part: RunConfig) -> RunReport:
        nonlocal rounds
        rounds += 1
        shown = output._replace(quiet=output.quiet or rounds > 1)
        watch = Watch(session.printer(shown, lambda _error: stop.raise_to(StopLevel.DRAIN)))
        watch.cache_flag = session.cache_flag
        watch.again = f"pregen failures{session.cache_flag} --retry"
        with Signals(stop, watch) as signals:
            watch.poll(signals.announce)
            report = run(part, watch, stop)
        if rounds == 1 and not stop.is_set() and not output.quiet:
            people.write("Watching for changes. Ctrl-C ends it.\n")
        return report

    def told(done: Round) -> None:
        since.update(created=done.report.totals.count(Kind.MADE), failed=done.report.totals.failed)
        since.update(removed=done.removed)
        if output.json:
            print_record({"v": 1, "type": "removed", "entries": done.removed})
        elif not output.quiet and (line := round_line(done)):
            people.write(f"{datetime.now(UTC).astimezone():%H:%M:%S}  {line}\n")

    roots = [session.clean(root) for root in config.walk.roots]
    for root in roots:
        if not os.path.isdir(root):
            shown = root.decode("utf-8", "backslashreplace")
            raise UsageError(f"{shown} is not a folder. Give the folders to watch.")
    idle = Watch(session.printer(OutputConfig(quiet=True), lambda _error: None))
    with Signals(stop, idle):
        code = follow(session, config, how, roots, stop, one_run, told=told)
    if rounds and not (output.json or output.quiet):
        # A terminal shows ^C where the line begins.
        start = "\r" if session.is_terminal(sys.stderr) else ""
        people.write(f"{start}{_end(since, time.monotonic() - start_s, session.cache_flag)}\n")
    return code


def _end(since: Counter[str], elapsed_s: float, cache_flag: str) -> str:
    """Return the last line: for how long it watched, and what came of it after the first run."""
    created, removed = since["created"], plural(since["removed"], "thumbnail")
    text = f"Watched for {duration(elapsed_s)}: {count(created)} created, {removed} removed"
    if not since["failed"]:
        return f"{text}."
    attempts = plural(since["failed"], "failed attempt")
    return f"{text}, {attempts}. What still fails: pregen failures{cache_flag}"


def round_line(done: Round) -> str:
    """Return what a round came to, for people; empty when there was nothing to do."""
    counts = done.report.totals.kinds
    parts = [
        f"{counts[kind]} {label(kind)}"
        for kind in Kind
        if counts.get(kind) and kind not in _NOTHING_NEW
    ]
    if done.removed:
        parts.append(f"{plural(done.removed, 'thumbnail')} removed")
    if done.everywhere and parts:
        parts.append("everything scanned")
    return ", ".join(parts)


_NOTHING_NEW = frozenset(
    {
        Kind.FRESH,
        Kind.SMALL,
        Kind.NOT_PICTURE,
        Kind.EXCLUDED,
        Kind.FAILED_BEFORE,
        Kind.OFFLINE,
        Kind.SPECIAL,
    }
)

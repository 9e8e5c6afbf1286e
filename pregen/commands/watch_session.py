"""One call of `pregen watch`: displays, signals, rounds, exit code."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from pregen.commands.printers import make_printer
from pregen.commands.signals import Signals
from pregen.commands.style import print_record
from pregen.engines.base import StopLevel
from pregen.errors import MissingLibraryError, UsageError
from pregen.model import Kind
from pregen.pipeline import RunStop, run
from pregen.progress.output import Output
from pregen.progress.units import plural
from pregen.progress.watch import Watch
from pregen.thumbspec.naming import clean_path
from pregen.walk.roots import working_directory

if TYPE_CHECKING:
    from pregen.commands.watch import WatchFlags
    from pregen.config import RunConfig
    from pregen.errors import ExitCode
    from pregen.follow.session import Round
    from pregen.progress.base import Report


class _Shown(NamedTuple):
    """Which display a run gets."""

    json: bool
    quiet: bool
    verbose: bool
    dry_run: bool = False


def watch_session(flags: WatchFlags, config: RunConfig) -> ExitCode:
    """Do the first run with the usual display, and tell of every later one in a line.

    Raises:
        PregenError: what ended it before its time.
    """
    try:
        from pregen.follow.session import FollowConfig, follow  # noqa: PLC0415 - may be missing
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("watchfiles"):
            raise
        from pregen.installation import install_command  # noqa: PLC0415 - seldom needed

        raise MissingLibraryError(
            f"pregen watch needs watchfiles. Get it with: {install_command(['watch'])}"
        ) from error
    stop = RunStop()
    people = Output(sys.stderr)
    rounds = 0

    def one_run(part: RunConfig) -> Report:
        nonlocal rounds
        rounds += 1
        shown = _Shown(flags.json, flags.quiet or rounds > 1, flags.verbose)
        watch = Watch(make_printer(shown, lambda _error: stop.raise_to(StopLevel.DRAIN)))
        with Signals(stop, watch) as signals:
            watch.poll(signals.announce)
            report = run(part, watch, stop)
        if rounds == 1 and not stop.asked and not flags.quiet:
            people.write("Watching for changes. Ctrl-C ends it.\n")
        return report

    def told(done: Round) -> None:
        if flags.json:
            print_record({"v": 1, "type": "removed", "entries": done.removed})
        elif not flags.quiet and (line := round_line(done)):
            people.write(f"{datetime.now(UTC).astimezone():%H:%M:%S}  {line}\n")

    roots = _folders(config)
    idle = Watch(make_printer(_Shown(json=False, quiet=True, verbose=False), _nothing))
    with Signals(stop, idle):
        how = FollowConfig(flags.settle, flags.rescan)
        return follow(config, how, roots, stop, one_run, told)


def round_line(done: Round) -> str:
    """Return what a round came to, for people; empty when there was nothing to do."""
    counts = done.report.totals.kinds
    parts = [
        f"{counts[kind]} {kind.value}"
        for kind in Kind
        if counts.get(kind) and kind not in _NOTHING_NEW
    ]
    if done.removed:
        parts.append(f"{plural(done.removed, 'entry', 'entries')} removed")
    if done.everywhere and parts:
        parts.append("all looked at")
    return ", ".join(parts)


_NOTHING_NEW = frozenset(
    {Kind.FRESH, Kind.SMALL, Kind.NOT_PICTURE, Kind.EXCLUDED, Kind.FAILED_BEFORE, Kind.SPECIAL}
)


def _folders(config: RunConfig) -> list[bytes]:
    """Return the roots, which must be folders."""
    cwd = working_directory(os.environ)
    roots = [clean_path(root, cwd) for root in config.walk.roots]
    for root in roots:
        if not os.path.isdir(root):
            shown = root.decode("utf-8", "backslashreplace")
            raise UsageError(f"{shown} is no folder. Name the folders to be watched.")
    return roots


def _nothing(_error: OSError) -> None:
    """Nobody reads it."""

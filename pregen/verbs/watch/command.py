"""`pregen watch PATH...`: keeps the cache fresh as pictures come, change and go."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from pregen import __version__
from pregen.commandline import Option, print_record, raw_bytes
from pregen.config import Decoder, EngineConfig, PlanConfig, RunConfig, WalkConfig, WorkConfig
from pregen.display.listener import Watch
from pregen.display.output import Output
from pregen.display.text import plural
from pregen.engines.base import StopLevel
from pregen.errors import UsageError
from pregen.installation import requires
from pregen.journal.database import journal_path
from pregen.model import Kind
from pregen.options import OPTIONS
from pregen.pipeline import RunStop, run
from pregen.session import Signals
from pregen.thumbspec.naming import clean_path, thumbnails_root
from pregen.verbs.run import make_printer
from pregen.verbs.share import ShareCommand
from pregen.walk.roots import working_directory

if TYPE_CHECKING:
    from pregen.display.printer import RunReport
    from pregen.errors import ExitCode
    from pregen.model import Flavor
    from pregen.verbs.watch.rounds import Round


#: Flags of `run` that mean the same here.
_WALK = ("include", "exclude", "hidden", "follow_symlinks", "one_file_system")
_ENTRIES = ("flavors", "realpath_keys")
_HOW = ("workers", "decoder", "timeout", "max_pixels")
_OUTPUT = ("json", "quiet", "verbose")
_SAME = (*_WALK, *_ENTRIES, *_HOW, *_OUTPUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchFlags:
    """The command line of `pregen watch`, parsed. A field for every flag."""

    paths: tuple[bytes, ...]
    include: tuple[bytes, ...]
    exclude: tuple[bytes, ...]
    hidden: bool
    follow_symlinks: bool
    one_file_system: bool
    flavors: tuple[Flavor, ...]
    realpath_keys: bool
    settle: float
    rescan: float
    workers: int | None
    decoder: str
    timeout: float
    max_pixels: int
    json: bool
    quiet: bool
    verbose: bool


class WatchCommand(ShareCommand):
    """A command whose flags, where `run` has them too, have the defaults that `run` has."""

    same: tuple[str, ...] = _SAME


def _watch(**flags: Any) -> ExitCode:
    """Fill the cache for the pictures below PATHs, then keep it fresh until you end it.

    New and changed pictures get their thumbnails, those of deleted ones go, moved folders are
    followed. Needs pregen[watch]. Changes on a network share that another machine makes are not
    told by the system: those are found by --rescan.

    Example: pregen watch ~/Pictures
    """
    parsed = WatchFlags(**flags)
    if parsed.quiet and parsed.verbose:
        raise UsageError("--quiet and --verbose contradict each other: choose one.")
    return watch_session(parsed, watch_config(parsed))


def watch_config(flags: WatchFlags) -> RunConfig:
    """Return the settings of a run over everything."""
    home = os.path.expanduser("~")
    cache_root = thumbnails_root(os.environ, home)
    return RunConfig(
        walk=WalkConfig(
            roots=flags.paths,
            include=flags.include,
            exclude=flags.exclude,
            hidden=flags.hidden,
            follow_symlinks=flags.follow_symlinks,
            one_file_system=flags.one_file_system,
            cache_root=cache_root,
        ),
        plan=PlanConfig(flavors=flags.flavors, realpath_keys=flags.realpath_keys),
        work=WorkConfig(
            cache_root=cache_root,
            version=__version__,
            flavors=flags.flavors,
            max_pixels=flags.max_pixels,
            decoder=Decoder(flags.decoder),
        ),
        engine=EngineConfig(
            workers=flags.workers or len(os.sched_getaffinity(0)), timeout_s=flags.timeout
        ),
        wait=True,
        journal_path=journal_path(os.environ, home),
        arguments=tuple(sys.argv[1:]),
    )


_PATHS = click.Argument(["paths"], metavar="PATH...", type=raw_bytes, nargs=-1, required=True)
_SETTLE = Option(
    ["--settle"],
    metavar="SECONDS",
    type=click.FloatRange(0.1, 3600),
    default="0.5",
    show_default=True,
    help="Work on changes when nothing more came for so long.",
)
_RESCAN = Option(
    ["--rescan"],
    metavar="SECONDS",
    type=click.FloatRange(0),
    default="3600",
    show_default=True,
    help="Look at everything this often all the same; 0 is never.",
)
_same = {str(option.name): option for option in OPTIONS if option.name in _SAME}

watch = WatchCommand(
    "watch",
    callback=_watch,
    params=[_PATHS, _SETTLE, _RESCAN, *(_same[name] for name in _SAME)],
    help=_watch.__doc__,
)
watch.panels = {
    "When": (_SETTLE, _RESCAN),
    "Which files": tuple(_same[name] for name in _WALK),
    "Which thumbnails": tuple(_same[name] for name in _ENTRIES),
    "How": tuple(_same[name] for name in _HOW),
    "Output": tuple(_same[name] for name in _OUTPUT),
}


# --- One call of `pregen watch`: displays, signals, rounds, exit code


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
    with requires("watch", "pregen watch"):
        from pregen.verbs.watch.rounds import FollowConfig, follow  # noqa: PLC0415 - may be missing
    stop = RunStop()
    people = Output(sys.stderr)
    rounds = 0

    def one_run(part: RunConfig) -> RunReport:
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

"""`pregen watch PATH...`: keeps the cache fresh as pictures come, change and go."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from pregen import __version__
from pregen.commands.options import OPTIONS
from pregen.commands.paramtypes import raw_bytes
from pregen.commands.share import ShareCommand
from pregen.commands.style import Option
from pregen.config import Decoder, EngineConfig, PlanConfig, RunConfig, WalkConfig, WorkConfig
from pregen.errors import UsageError
from pregen.journal.place import journal_path
from pregen.thumbspec.naming import thumbnails_root

if TYPE_CHECKING:
    from pregen.errors import ExitCode
    from pregen.model import Flavor

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
    from pregen.commands.watch_session import watch_session  # noqa: PLC0415 - --help needs none

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

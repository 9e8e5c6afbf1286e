"""`pregen share PATH...`: thumbnails beside the originals, for whoever mounts or is given them."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from pregen import __version__
from pregen.commandline import Command, Option, raw_bytes
from pregen.config import (
    Check,
    Decoder,
    EngineConfig,
    Order,
    PlanConfig,
    RunConfig,
    Sandbox,
    WalkConfig,
    WorkConfig,
)
from pregen.errors import UsageError
from pregen.journal.database import journal_path
from pregen.options import OPTIONS, config_path, load_defaults
from pregen.thumbspec.naming import thumbnails_root
from pregen.verbs.run import run

if TYPE_CHECKING:
    from pregen.errors import ExitCode
    from pregen.model import Flavor

#: Flags of `run` that mean the same here.
_WALK = ("include", "exclude", "hidden", "follow_symlinks", "one_file_system", "order")
_ENTRIES = ("flavors", "retry_failed")
_HOW = ("workers", "engine", "decoder", "drop_cache", "timeout", "max_pixels", "sandbox", "dry_run")
_OUTPUT = ("json", "quiet", "verbose")
_SAME = (*_WALK, *_ENTRIES, *_HOW, *_OUTPUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareFlags:
    """The command line of `pregen share`, parsed. A field for every flag."""

    paths: tuple[bytes, ...]
    recursive: bool
    include: tuple[bytes, ...]
    exclude: tuple[bytes, ...]
    hidden: bool
    follow_symlinks: bool
    one_file_system: bool
    order: str
    flavors: tuple[Flavor, ...]
    retry_failed: bool
    update: bool
    workers: int | None
    engine: str
    decoder: str
    drop_cache: bool
    timeout: float
    max_pixels: int
    sandbox: str
    dry_run: bool
    json: bool
    quiet: bool
    verbose: bool


class ShareCommand(Command):
    """A command whose flags, where `run` has them too, have the defaults that `run` has."""

    same: tuple[str, ...] = _SAME

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Read the configuration file, which is that of `run`, then parse."""
        if not {"-h", "--help"} & set(args):
            defaults = load_defaults(config_path(os.environ), run)
            extra["default_map"] = {name: defaults[name] for name in self.same if name in defaults}
        return super().make_context(info_name, args, parent, **extra)


def _share(**flags: Any) -> ExitCode:
    """Make thumbnails beside the originals, in a folder .sh_thumbnails in each folder of PATHs.

    For media and shares that others read: the thumbnails go where the pictures go, under whatever
    path. They have the owner, group and mode of their originals. Thumbnails that are there are
    left as they are, also outdated ones, unless --update is given. Xfce's programs read them
    (Thunar, tumbler); GNOME, KDE and LXQt do not: for them use `pregen run`.

    Example: pregen share /srv/photos
    """
    from pregen.verbs.run import run_session  # noqa: PLC0415 - --help needs none of it

    parsed = ShareFlags(**flags)
    if parsed.engine == "dask":
        raise UsageError("pregen share works on one machine: choose --engine local.")
    return run_session(parsed, lambda: share_config(parsed))


def share_config(flags: ShareFlags) -> RunConfig:
    """Return the settings of a run that fills shared repositories."""
    home = os.path.expanduser("~")
    cache_root = thumbnails_root(os.environ, home)
    return RunConfig(
        walk=WalkConfig(
            roots=flags.paths,
            include=flags.include,
            exclude=flags.exclude,
            hidden=flags.hidden,
            recursive=flags.recursive,
            follow_symlinks=flags.follow_symlinks,
            one_file_system=flags.one_file_system,
            order=Order(flags.order),
            cache_root=cache_root,
        ),
        plan=PlanConfig(
            flavors=flags.flavors,
            missing_only=not flags.update,
            retry_failed=flags.retry_failed,
            check=Check.FULL,
        ),
        work=WorkConfig(
            cache_root=cache_root,
            version=__version__,
            flavors=flags.flavors,
            max_pixels=flags.max_pixels,
            decoder=Decoder(flags.decoder),
            drop_cache=flags.drop_cache,
            missing_only=not flags.update,
            shared=True,
        ),
        engine=EngineConfig(
            workers=flags.workers or len(os.sched_getaffinity(0)),
            timeout_s=flags.timeout,
            sandbox=Sandbox(flags.sandbox),
        ),
        engine_name=flags.engine,
        journal_path=journal_path(os.environ, home),
        arguments=tuple(sys.argv[1:]),
    )


_PATHS = click.Argument(["paths"], metavar="PATH...", type=raw_bytes, nargs=-1, required=True)
_RECURSIVE = Option(
    ["--recursive/--no-recursive"],
    default=True,
    help="Also in the folders below (default), or in the folders that are PATHs alone.",
)
_UPDATE = Option(
    ["--update"], is_flag=True, help="Make outdated and damaged shared thumbnails anew too."
)
_same = {str(option.name): option for option in OPTIONS if option.name in _SAME}

share = ShareCommand(
    "share",
    callback=_share,
    params=[_PATHS, _RECURSIVE, _UPDATE, *(_same[name] for name in _SAME)],
    help=_share.__doc__,
)
share.panels = {
    "Which files": (_RECURSIVE, *(_same[name] for name in _WALK)),
    "Which thumbnails": (_UPDATE, *(_same[name] for name in _ENTRIES)),
    "How": tuple(_same[name] for name in _HOW),
    "Output": tuple(_same[name] for name in _OUTPUT),
}

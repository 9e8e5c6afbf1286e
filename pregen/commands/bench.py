"""`pregen bench PATH...`: how fast this collection becomes thumbnails here, and what limits it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from pregen.bench.sample import DEFAULT_SOURCES
from pregen.commands.options import OPTIONS, PATHS
from pregen.commands.paramtypes import raw_bytes
from pregen.commands.run import run
from pregen.commands.settings import config_path, load_defaults
from pregen.commands.style import Command, Option

if TYPE_CHECKING:
    from pregen.errors import ExitCode

#: Flags of `run` that mean the same here.
_SHARED = (
    "include",
    "exclude",
    "hidden",
    "follow_symlinks",
    "one_file_system",
    "flavors",
    "workers",
    "decoder",
    "timeout",
    "max_pixels",
)
_WALK = _SHARED[:5]


class BenchCommand(Command):
    """A command whose flags, where `run` has them too, have the defaults that `run` has."""

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
            extra["default_map"] = {name: defaults[name] for name in _SHARED if name in defaults}
        return super().make_context(info_name, args, parent, **extra)


def _bench(**flags: Any) -> ExitCode:
    """Measure how fast the pictures in PATHs become thumbnails on this machine, and why.

    Draws a sample by format and size, does the real work on it again and again into a cache of
    its own, which is removed at the end, and tells what the whole collection would take. Your own
    cache is not touched. Takes from some seconds to some minutes; measures best when nothing else
    runs.
    """
    from pregen.commands.bench_session import BenchFlags, bench_session  # noqa: PLC0415 - --help needs none of it

    return bench_session(BenchFlags(**flags))


_OWN = (
    Option(
        ["--sample"],
        metavar="NUMBER",
        type=click.IntRange(1, 100_000),
        default=DEFAULT_SOURCES,
        show_default=True,
        help="At most so many files are measured.",
    ),
    Option(
        ["--seed"],
        metavar="NUMBER",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        help="Draws another sample; the same number draws the same one.",
    ),
)
_OUTPUT = (
    Option(["--json"], is_flag=True, help="Write one JSON object instead of tables."),
    Option(["--save"], metavar="FILE", type=raw_bytes, help="Keep that JSON object in FILE."),
    Option(
        ["--compare"],
        metavar="FILE",
        type=raw_bytes,
        help="Set the numbers against those that --save kept in FILE.",
    ),
)
_shared = {str(option.name): option for option in OPTIONS if option.name in _SHARED}

bench = BenchCommand(
    "bench",
    callback=_bench,
    params=[PATHS, *(_shared[name] for name in _SHARED), *_OWN, *_OUTPUT],
    help=_bench.__doc__,
    epilog="Example: pregen bench ~/Pictures",
)
bench.panels = {
    "Which files": (*(_shared[name] for name in _WALK), *_OWN),
    "How": tuple(_shared[name] for name in _SHARED if name not in _WALK),
    "Output": _OUTPUT,
}

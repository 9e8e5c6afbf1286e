"""`pregen bench PATH...`: how fast this collection becomes thumbnails here, and what limits it."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from pregen import __version__
from pregen.commandline import Command, Option, print_lines, print_record, raw_bytes
from pregen.config import Decoder, EngineConfig, WalkConfig, WorkConfig
from pregen.display.output import Output
from pregen.display.text import cells, shown
from pregen.engines.base import StopLevel
from pregen.errors import ExitCode, UsageError
from pregen.options import OPTIONS, PATHS, config_path, load_defaults
from pregen.session import ENDINGS
from pregen.thumbspec.naming import thumbnails_root
from pregen.verbs.bench import record, tables
from pregen.verbs.bench.measure import BenchStop
from pregen.verbs.bench.model import BenchConfig
from pregen.verbs.bench.passes import run_bench
from pregen.verbs.bench.record import result_record
from pregen.verbs.bench.sample import DEFAULT_SOURCES
from pregen.verbs.run import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import FrameType

    from pregen.model import Flavor
    from pregen.verbs.bench.record import Record
    from pregen.verbs.bench.tables import Table


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


# --- Draws the tables of `pregen bench`: with rich on a terminal, as aligned text elsewhere


_GAP = "  "


def print_tables(tables: Sequence[Table]) -> None:
    """Write tables to standard output."""
    if sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown"}:
        _print_rich(tables)
    else:
        for number, table in enumerate(tables):
            print_lines([""] * bool(number))
            print_lines(plain_lines(table))


def plain_lines(table: Table) -> Iterator[str]:
    """Yield the lines of a table: the first column to the left, the others to the right."""
    yield table.title
    grid = [table.columns, *table.rows] if table.rows else []
    widths = [max(map(cells, column)) for column in zip(*grid, strict=True)]
    for row in grid:
        padded = (
            _padded(cell, width, place)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield (_GAP + _GAP.join(padded)).rstrip()
    for note in table.notes:
        yield _GAP + note


def _padded(cell: str, width: int, place: int) -> str:
    gap = " " * (width - cells(cell))
    return gap + cell if place else cell + gap


def _print_rich(tables: Iterable[Table]) -> None:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - nobody else shall wait for rich
    from rich.console import Console  # noqa: PLC0415 - likewise
    from rich.padding import Padding  # noqa: PLC0415 - likewise
    from rich.table import Table as RichTable  # noqa: PLC0415 - likewise
    from rich.text import Text  # noqa: PLC0415 - likewise

    console = Console(highlight=False, markup=False, emoji=False)
    for number, table in enumerate(tables):
        if number:
            console.print()
        console.print(Text(table.title, "bold"))
        if table.rows:
            drawn = RichTable(
                box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim"
            )
            for place, column in enumerate(table.columns):
                drawn.add_column(Text(column), justify="right" if place else "left")
            for row in table.rows:
                drawn.add_row(
                    *(Text(cell, "" if place else "cyan") for place, cell in enumerate(row))
                )
            console.print(Padding(drawn, (0, 0, 0, 2), expand=False))
        for note in table.notes:
            console.print(Padding(Text(note), (0, 0, 0, 2), expand=False))


# --- One call of `pregen bench`, from parsed flags to what is written: files, signals, tables


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchFlags:
    """The command line of `pregen bench`, parsed. A field for every flag."""

    paths: tuple[bytes, ...]
    include: tuple[bytes, ...]
    exclude: tuple[bytes, ...]
    hidden: bool
    follow_symlinks: bool
    one_file_system: bool
    flavors: tuple[Flavor, ...]
    workers: int | None
    decoder: str
    timeout: float
    max_pixels: int
    sample: int
    seed: int
    json: bool
    save: bytes | None
    compare: bytes | None


def bench_session(flags: BenchFlags) -> ExitCode:
    """Measure and tell.

    Raises:
        PregenError: what ended it before its time; nothing is written then.
    """
    if not flags.paths:
        raise UsageError(
            "name the folders or files to measure, for example: pregen bench ~/Pictures"
        )
    old = _read(flags.compare) if flags.compare is not None else None
    if flags.save is not None:
        _check_writable(flags.save)
    stop = BenchStop()
    with _signals(stop), _told() as say:
        result = run_bench(_config(flags), stop, say)
    new = result_record(result)
    if flags.save is not None:
        _save(flags.save, new)
    if flags.json:
        print_record(
            new if old is None else {**new, "comparison": record.comparison_record(old, new)}
        )
    else:
        compared = [] if old is None else [tables.comparison(old, new)]
        print_tables([*tables.tables(result), *compared])
    return ExitCode.DONE


def _config(flags: BenchFlags) -> BenchConfig:
    cache_root = thumbnails_root(os.environ, os.path.expanduser("~"))
    return BenchConfig(
        walk=WalkConfig(
            roots=flags.paths,
            include=flags.include,
            exclude=flags.exclude,
            hidden=flags.hidden,
            follow_symlinks=flags.follow_symlinks,
            one_file_system=flags.one_file_system,
            cache_root=cache_root,
        ),
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
        sources=flags.sample,
        seed=flags.seed,
    )


@contextmanager
def _signals(stop: BenchStop) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the bench, which then cleans up; a second one changes nothing."""

    def end(number: int, _frame: FrameType | None) -> None:
        if not stop.level:
            stop.code = ENDINGS[signal.Signals(number)]
        stop.raise_to(StopLevel.KILL)

    old = {number: signal.signal(number, end) for number in ENDINGS}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


@contextmanager
def _told() -> Iterator[Any]:
    """Tell people who wait what is done now, in one line of their terminal that is gone later."""
    people = Output(sys.stderr)
    live = sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown"}

    def say(what: str) -> None:
        if live:
            people.write(f"\r\x1b[Kmeasuring: {what} ...")

    try:
        yield say
    finally:
        if live:
            people.write("\r\x1b[K")


def _read(path: bytes) -> Record:
    """Return an older result."""
    try:
        with open(path, "rb") as file:
            return record.check(json.load(file))
    except OSError as error:
        raise UsageError(f"{shown(path)} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{shown(path)} is no JSON: name a file made with --save.") from error
    except UsageError as error:
        raise UsageError(f"{shown(path)} {error}") from error


def _check_writable(path: bytes) -> None:
    """Refuse a place for the result before minutes are spent on it."""
    folder = os.path.dirname(path) or b"."
    if os.path.isdir(path) or not os.access(path if os.path.exists(path) else folder, os.W_OK):
        raise UsageError(f"{shown(path)} cannot be written: choose another file for --save.")


def _save(path: bytes, new: Record) -> None:
    try:
        with open(path, "w", encoding="ascii") as file:
            json.dump(new, file, indent=1)
            file.write("\n")
    except OSError as error:
        raise UsageError(f"{shown(path)} cannot be written: {error.strerror}.") from error

"""One call of `pregen bench`, from parsed flags to what is written: files, signals, tables."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pregen import __version__
from pregen.bench import compare, report
from pregen.bench.measure import BenchStop
from pregen.bench.model import BenchConfig
from pregen.bench.record import record
from pregen.bench.session import bench
from pregen.commands.bench_tables import print_tables
from pregen.commands.style import print_record
from pregen.config import Decoder, EngineConfig, WalkConfig, WorkConfig
from pregen.engines.base import StopLevel
from pregen.errors import ExitCode, UsageError
from pregen.progress.output import Output
from pregen.progress.text import shown
from pregen.thumbspec.naming import thumbnails_root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from pregen.bench.record import Record
    from pregen.model import Flavor

_ENDINGS = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


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
        result = bench(_config(flags), stop, say)
    new = record(result)
    if flags.save is not None:
        _save(flags.save, new)
    if flags.json:
        print_record(
            new if old is None else {**new, "comparison": compare.comparison_record(old, new)}
        )
    else:
        compared = [] if old is None else [report.comparison(old, new)]
        print_tables([*report.tables(result), *compared])
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
            stop.code = _ENDINGS[signal.Signals(number)]
        stop.raise_to(StopLevel.KILL)

    old = {number: signal.signal(number, end) for number in _ENDINGS}
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
            return compare.check(json.load(file))
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

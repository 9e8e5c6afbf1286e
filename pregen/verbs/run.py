"""`pregen run`: the main job. Parses and hands over; no work of its own."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import click

from pregen import pipeline
from pregen.commandline import print_lines
from pregen.config import Check
from pregen.display.forecast import Forecast, forecast_lines, forecast_record
from pregen.display.jsonl import JsonPrinter
from pregen.display.listener import Watch
from pregen.display.output import Output, silence
from pregen.display.plain import PlainPrinter, QuietPrinter
from pregen.display.printer import Printer
from pregen.engines.base import StopLevel
from pregen.errors import ExitCode, PregenError, UsageError
from pregen.installation import requires
from pregen.limits import be_nice
from pregen.options import (
    OPTIONS,
    PANELS,
    PATHS,
    ConfiguredCommand,
    RunFlags,
    checked_config,
    run_config,
    user_flags,
)
from pregen.pipeline import RunStop, rehearse
from pregen.session import Signals
from pregen.walk import named_sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pregen.config import RunConfig
    from pregen.display.metrics import MetricsFile
    from pregen.model import Outcome


class RunCommand(ConfiguredCommand):
    """A command that tells its refusal as a summary too, where `--json` promised one."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Parse; what is wrong is told twice: for a program, and by what is raised for people."""
        json = "--json" in args
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            self._refuse(error.format_message(), json=json)
            raise
        except UsageError as error:
            self._refuse(str(error), json=json)
            raise

    def _refuse(self, message: str, *, json: bool) -> None:
        if json:
            from pregen.display.listener import Watch  # noqa: PLC0415 - likewise

            Watch(json_printer()).finish(ExitCode.USAGE, message)


def _run(**flags: Any) -> ExitCode:
    """Fill the thumbnail cache for the pictures in PATHs: folders are walked, files are taken.

    Run it again at any time: entries that are up to date are left alone.
    """
    parsed = RunFlags(**flags)
    extras = Extras(parsed.metrics_file, parsed.log, parsed.nice, parsed.idle)
    return run_session(parsed, lambda: checked_config(parsed), extras)


run = RunCommand(
    "run",
    callback=_run,
    params=[PATHS, *OPTIONS],
    help=_run.__doc__,
    epilog="Each flag can be set in the environment (--max-pixels is PREGEN_MAX_PIXELS) and in "
    '$XDG_CONFIG_HOME/pregen/config.toml (max-pixels = "1G"). The command line goes before the '
    "environment, the environment before the file. Several globs in a variable are separated by "
    "spaces.\n\nExamples: `pregen run ~/Pictures`; `pregen run ~/Pictures --dry-run`; "
    "`pregen run /mnt/nas --order newest --workers 8`.",
)
run.panels = PANELS


# --- Which printer a run gets, by its flags and by what standard error is


def make_printer(flags: SessionFlags, on_results_lost: Callable[[OSError], None]) -> Printer:
    """Return the printer. Only a terminal's imports rich.

    Args:
        flags: of the run.
        on_results_lost: called once when standard output takes no more records.
    """
    if flags.json:
        return json_printer(on_results_lost, verbose=flags.verbose)
    people = Output(sys.stderr)
    if flags.quiet:
        return QuietPrinter(people)
    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown"}:
        from rich.console import Console  # noqa: PLC0415 - nobody else shall wait for rich

        from pregen.display.tty import TtyPrinter, terminal_size  # noqa: PLC0415 - likewise

        console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        return TtyPrinter(people, console, terminal_size, verbose=flags.verbose)
    return PlainPrinter(people, verbose=flags.verbose)


def json_printer(
    on_results_lost: Callable[[OSError], None] = lambda _error: None, *, verbose: bool = False
) -> JsonPrinter:
    """Return the printer of `--json`: records to standard output, notes to standard error."""
    return JsonPrinter(Output(sys.stdout, on_results_lost), Output(sys.stderr), verbose=verbose)


# --- One call of `pregen run` or `pregen share`: printer, signals, pipeline, exit code


class SessionFlags(Protocol):
    """What a session itself wants to know; the rest is in its settings."""

    @property
    def dry_run(self) -> bool:
        """Tell what would be done."""
        ...

    @property
    def json(self) -> bool:
        """Write records to standard output."""
        ...

    @property
    def quiet(self) -> bool:
        """Write nothing but what failed."""
        ...

    @property
    def verbose(self) -> bool:
        """Write a line for every file."""
        ...


class Extras(NamedTuple):
    """What `pregen run` can do besides."""

    metrics_file: str | None = None
    """Where the run's figures are kept for Prometheus."""
    log: str | None = None
    nice: int | None = None
    idle: bool = False


class ResultsLostError(PregenError):
    """Standard output takes no more: its disk is full. Whoever wanted the records lacks some."""


def run_session(
    flags: SessionFlags,
    configure: Callable[[], RunConfig],
    extras: Extras | None = None,
    paths: Iterable[bytes] | None = None,
) -> ExitCode:
    """Run, or tell what a run would do. With `--json` the last record is a summary in any case.

    Args:
        flags: How to show it.
        configure: Makes the settings; a PregenError it raises is told as any other.
        extras: What only `pregen run` has.
        paths: Absolute and clean: work on these files alone.

    Raises:
        PregenError: what ended the run before its time.
        BrokenPipeError: whoever read standard output is gone.
    """
    extras = extras or Extras()
    be_nice(extras.nice, idle=extras.idle)
    stop = RunStop()
    lost: list[OSError] = []

    def on_results_lost(error: OSError) -> None:
        lost.append(error)
        stop.code = ExitCode.READER_GONE
        stop.raise_to(StopLevel.DRAIN)

    watch = Watch(_logged(make_printer(flags, on_results_lost), extras.log))
    with Signals(stop, watch) as signals, _metrics(extras.metrics_file, watch) as metrics:

        def poll() -> None:
            signals.announce()
            if metrics is not None:
                metrics.look(watch.warn)

        watch.poll(poll)
        try:
            config = configure()
        except PregenError as error:
            watch.finish(error.exit_code, str(error))
            raise
        if flags.dry_run:
            code = _rehearse(config, watch, stop, json=flags.json)
        else:
            sources = None if paths is None else named_sources(paths, config.work.cache_root)
            code = pipeline.run(config, watch, stop, sources).exit_code
        if metrics is not None:
            metrics.ended_with(code)
    if lost:
        silence(sys.stdout)
        if isinstance(lost[0], BrokenPipeError):
            raise lost[0]
        raise ResultsLostError(
            f"standard output takes no more ({lost[0].strerror}): the records are not complete. "
            "The run was stopped; the same command goes on from here."
        )
    return code


def _logged(printer: Printer, path: str | None) -> Printer:
    if path is None:
        return printer
    from pregen.display.logfile import LogStream, TeePrinter  # noqa: PLC0415 - seldom needed

    try:
        stream = LogStream(path)
    except OSError as error:
        raise UsageError(
            f"--log {path} cannot be written: {error.strerror}. "
            "Name a file in a folder that is there and yours."
        ) from error
    return TeePrinter(printer, stream)


@contextmanager
def _metrics(path: str | None, watch: Watch) -> Iterator[MetricsFile | None]:
    """Have a file of metrics that tells the end of the run, too, however it ends."""
    if path is None:
        yield None
        return
    with requires("metrics", "--metrics-file"):
        from pregen.display.metrics import MetricsFile  # noqa: PLC0415 - may be missing
    metrics = MetricsFile(path, watch.view)
    try:
        metrics.write()
    except OSError as error:
        raise UsageError(
            f"--metrics-file {path} cannot be written: {error.strerror}. "
            "Name a file in a folder that is there and yours."
        ) from error
    try:
        yield metrics
    except PregenError as error:
        metrics.ended_with(error.exit_code)
        raise
    finally:
        metrics.finish(watch.warn)


def _rehearse(config: RunConfig, watch: Watch, stop: RunStop, *, json: bool) -> ExitCode:
    forecast = Forecast()
    code, experience = rehearse(config, watch, stop, forecast)
    report = watch.finish(code, would=forecast_record(forecast, experience))
    if not json:
        print_lines(line.text for line in forecast_lines(forecast, experience, report))
    return code


# --- Runs that another verb starts, over files it names: as the user would, or unseen


def flags_for_files(**overrides: Any) -> RunFlags:
    """Return the user's own settings for a run over some files, but for `overrides`.

    What chooses files or entries is not the user's: these files were chosen. They are looked at
    in full, and decoded: what is made anew because it was wrong must not come back from a copy.

    Raises:
        UsageError: as `options.user_flags`.
    """
    chosen: dict[str, Any] = {
        "paths": (),
        "files_from": None,
        "null": False,
        "shard": None,
        "missing_only": False,
        "use_shared": False,
        "publish": (),
        "cache": None,
        "check": Check.FULL.value,
        "reuse": False,
        "wait": True,
        "dry_run": False,
        "json": False,
    }
    return user_flags(**{**chosen, **overrides})


def run_over(paths: Iterable[bytes], flags: RunFlags) -> ExitCode:
    """Do a run over these files, and show it.

    Raises:
        PregenError: as `run_session`.
    """
    return run_session(flags, lambda: run_config(flags), paths=paths)


def run_unseen(paths: Iterable[bytes], config: RunConfig) -> tuple[ExitCode, list[Outcome]]:
    """Do a run over these files that shows nothing; return how it ended and what failed.

    Raises:
        PregenError: what ended the run before its time.
    """
    printer = _FailureList()
    stop = RunStop()
    watch = Watch(printer)
    with Signals(stop, watch):
        sources = named_sources(paths, config.work.cache_root)
        code = pipeline.run(config, watch, stop, sources).exit_code
    return code, printer.failed


class _FailureList(Printer):
    """Keeps what failed, and shows nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.failed: list[Outcome] = []

    def outcome(self, outcome: Outcome) -> None:
        if outcome.failed:
            self.failed.append(outcome)

"""One call of `pregen run` or `pregen share`: printer, signals, pipeline, exit code."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pregen.commands.printers import make_printer
from pregen.commands.signals import Signals
from pregen.commands.style import print_lines
from pregen.engines.base import StopLevel
from pregen.errors import ExitCode, MissingLibraryError, PregenError, UsageError
from pregen.governor.manners import be_nice
from pregen.pipeline import RunStop, rehearse, run
from pregen.progress.forecast import Forecast, forecast_lines, forecast_record
from pregen.progress.output import silence
from pregen.progress.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pregen.config import RunConfig
    from pregen.progress.base import Printer
    from pregen.progress.metrics import MetricsFile


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
    flags: SessionFlags, configure: Callable[[], RunConfig], extras: Extras | None = None
) -> ExitCode:
    """Run, or tell what a run would do. With `--json` the last record is a summary in any case.

    Args:
        flags: How to show it.
        configure: Makes the settings; a PregenError it raises is told as any other.
        extras: What only `pregen run` has.

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
            code = run(config, watch, stop).exit_code
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
    from pregen.progress.tee import LogStream, TeePrinter  # noqa: PLC0415 - seldom needed

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
    try:
        from pregen.progress.metrics import MetricsFile  # noqa: PLC0415 - may be missing
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "pregen":
            raise
        from pregen.installation import install_command  # noqa: PLC0415 - seldom needed

        raise MissingLibraryError(
            f"--metrics-file needs {error.name}. Get it with: {install_command(['metrics'])}"
        ) from error
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

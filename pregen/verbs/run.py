"""`pregen run`: the main job; and the runs that other verbs start."""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from pregen.commandline import print_lines
from pregen.config import Check, OutputConfig
from pregen.display.printer import Printer, silence
from pregen.display.text import shown
from pregen.errors import ExitCode, PregenError, ResultsLostError, UsageError
from pregen.installation import requires
from pregen.model import Outcome, Skip
from pregen.options import PATHS, all_options, check, made
from pregen.session import ConfiguredCommand, Session, Signals, cache_option, json_printer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pregen.config import RunConfig
    from pregen.display.listener import Watch
    from pregen.display.metrics import MetricsFile
    from pregen.display.state import Snapshot
    from pregen.options import Values
    from pregen.pipeline import RunStop


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
        except UsageError as error:
            self._refuse(str(error), json=json)
            raise

    def _refuse(self, message: str, *, json: bool) -> None:
        if json:
            from pregen.display.listener import Watch  # noqa: PLC0415 - no --help needs it

            Watch(json_printer()).finish(ExitCode.USAGE, message)


@click.pass_obj
def _run(session: Session, /, *, paths: tuple[bytes, ...], **values: Any) -> ExitCode:
    """Fill the thumbnail cache for the pictures in PATHs: folders are searched recursively.

    Run it again at any time: up-to-date thumbnails are skipped.
    """

    def configure() -> RunConfig:
        config = session.run_config(values, paths)
        check(config, values)
        return config

    return run_session(session, values, configure)


run = RunCommand(
    "run",
    callback=_run,
    params=[PATHS, *all_options(), cache_option()],
    help=_run.__doc__,
    epilog="Settings come from the command line, else from the environment (PREGEN_MAX_PIXELS), "
    'else from $XDG_CONFIG_HOME/pregen/config.toml (max-pixels = "1G"); --force from the command '
    "line only. Globs in a variable are separated by spaces.\n\nExamples: "
    "`pregen run ~/Pictures`; `pregen run ~/Pictures --dry-run`; "
    "`pregen run /mnt/nas --order newest --workers 8`.",
)


def run_session(
    session: Session,
    values: Values,
    configure: Callable[[], RunConfig],
    paths: Iterable[bytes] | None = None,
) -> ExitCode:
    """Run, or tell what a run would do. With `--json` the last record is a summary in any case.

    Args:
        session: Where it works.
        values: What is set; how to show the run is among it.
        configure: Makes the settings of the run; a PregenError it raises is told as any other.
        paths: Absolute and clean: work on these files alone.

    Raises:
        PregenError: what ended the run before its time.
        BrokenPipeError: the program that read standard output is gone.
    """
    from pregen import pipeline  # noqa: PLC0415 - no --help needs it
    from pregen.display.listener import Watch  # noqa: PLC0415 - likewise
    from pregen.engines.base import StopLevel  # noqa: PLC0415 - likewise
    from pregen.engines.local import server  # noqa: PLC0415 - likewise
    from pregen.limits import be_nice  # noqa: PLC0415 - likewise
    from pregen.walk import named_sources  # noqa: PLC0415 - likewise

    output = made(OutputConfig, values)
    stop = pipeline.RunStop()
    lost: list[OSError] = []

    def on_results_lost(error: OSError) -> None:
        lost.append(error)
        stop.code = ExitCode.READER_GONE
        stop.raise_to(StopLevel.DRAIN)

    watch = Watch(_logged(session.printer(output, on_results_lost), output.log))
    with Signals(stop, watch) as signals, _metrics(output.metrics_file, watch) as metrics:

        def poll() -> None:
            signals.announce()
            if metrics is not None:
                metrics.look(watch.warn)

        watch.poll(poll)
        try:
            config = configure()
            if config.priority.nice or config.priority.idle:
                server.end()  # what it inherited
                be_nice(config.priority.nice, idle=config.priority.idle)
        except PregenError as error:
            watch.finish(error.exit_code, str(error))
            raise
        watch.cache_flag = session.cache_flag
        _tell_of_link(session, config, watch)
        watch.before_the_end(partial(_tell_of_limit, session, config, watch))
        if config.dry_run:
            code = _rehearse(config, watch, stop, json=output.json)
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
            f"standard output cannot be written ({lost[0].strerror}): the records are "
            "incomplete. The run was stopped; run the same command to continue."
        )
    return code


def _tell_of_link(session: Session, config: RunConfig, watch: Watch) -> None:
    """Say who will not find the thumbnails of a root that is reached through a link."""
    from pregen.entry_keys import unserved_link  # noqa: PLC0415 - no --help needs it

    if config.work.shared or config.walk.only is not None:
        return
    found = unserved_link(config.plan, map(session.clean, config.walk.roots))
    if found is not None:
        link, real = found
        watch.note(
            f"{shown(link)} is a link to {shown(real)}. KDE and COSMIC, which are not "
            "installed here, look for thumbnails by the real path and will not find these. "
            "--realpath-keys always creates theirs too; --realpath-keys never hides this note."
        )


def _tell_of_limit(session: Session, config: RunConfig, watch: Watch, totals: Snapshot) -> None:
    """Warn where a desktop will delete of what the run wrote."""
    from pregen.errors import CacheError  # noqa: PLC0415 - no --help needs it
    from pregen.verbs.doctor.readers.housekeepers import limit_passed  # noqa: PLC0415 - likewise

    if config.work.shared:
        return
    with suppress(CacheError):  # it can be filled, but not listed: the doctor says so
        root = config.work.cache_root
        if told := limit_passed(session.environ, session.home, root, totals.bytes_written):
            watch.warn(told)


def _logged(printer: Printer, path: str | None) -> Printer:
    if path is None:
        return printer
    from pregen.display.plain import LoggedPrinter, LogStream  # noqa: PLC0415 - seldom needed

    try:
        stream = LogStream(path)
    except OSError as error:
        raise UsageError(
            f"--log {path} cannot be written: {error.strerror}. Choose a file in an existing, "
            "writable folder."
        ) from error
    return LoggedPrinter(printer, stream)


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
            f"--metrics-file {path} cannot be written: {error.strerror}. Choose a file in an "
            "existing, writable folder."
        ) from error
    try:
        yield metrics
    except PregenError as error:
        metrics.ended_with(error.exit_code)
        raise
    finally:
        metrics.finish(watch.warn)


def _rehearse(config: RunConfig, watch: Watch, stop: RunStop, *, json: bool) -> ExitCode:
    from pregen.display.summary import (  # noqa: PLC0415 - no --help needs it
        Forecast,
        forecast_lines,
        forecast_record,
    )
    from pregen.pipeline import rehearse  # noqa: PLC0415 - likewise

    forecast = Forecast()
    code, images_per_s = rehearse(config, watch, stop, forecast)
    report = watch.finish(code, would=forecast_record(forecast, images_per_s))
    if not json:
        print_lines(line.text for line in forecast_lines(forecast, images_per_s, report))
    return code


def values_for_files(session: Session, /, **given: Any) -> dict[str, Any]:
    """Return the user's own settings for a run over some files, but for what is given.

    What chooses files or entries is not the user's: these files were chosen. They are looked at
    in full, and decoded: what is made anew because it was wrong must not come back from a copy.

    Raises:
        UsageError: as `Session.run_values`.
    """
    chosen: dict[str, Any] = {
        "files_from": None,
        "null": False,
        "shard": None,
        "missing_only": False,
        "use_shared": False,
        "publish": (),
        "check": Check.FULL,
        "reuse": False,
        "wait": True,
        "dry_run": False,
        "json": False,
    }
    return session.run_values(**{**chosen, **given})


def run_over(session: Session, paths: Iterable[bytes], values: Values) -> ExitCode:
    """Do a run over these files, and show it.

    Raises:
        PregenError: as `run_session`.
    """
    return run_session(session, values, lambda: session.run_config(values), paths)


def run_unseen(
    paths: Iterable[bytes],
    config: RunConfig,
    wanted: Callable[[Outcome], bool] = lambda outcome: outcome.failed,
) -> tuple[ExitCode, list[Outcome]]:
    """Do a run over these files that shows nothing; return how it ended, and outcomes.

    Args:
        paths: of the files.
        config: of the run.
        wanted: chooses the outcomes that are returned; those that failed, unless told otherwise.

    Raises:
        PregenError: what ended the run before its time.
    """
    from pregen import pipeline  # noqa: PLC0415 - no --help needs it
    from pregen.display.listener import Watch  # noqa: PLC0415 - likewise
    from pregen.walk import named_sources  # noqa: PLC0415 - likewise

    printer = _OutcomeList(wanted)
    stop = pipeline.RunStop()
    watch = Watch(printer)
    with Signals(stop, watch):
        sources = named_sources(paths, config.work.cache_root)
        code = pipeline.run(config, watch, stop, sources).exit_code
    return code, printer.outcomes


class _OutcomeList(Printer):
    """Keeps outcomes, and shows nothing."""

    def __init__(self, wanted: Callable[[Outcome], bool]) -> None:
        super().__init__()
        self._wanted = wanted
        self.outcomes: list[Outcome] = []

    def outcome(self, outcome: Outcome | Skip) -> None:
        if isinstance(outcome, Outcome) and self._wanted(outcome):
            self.outcomes.append(outcome)

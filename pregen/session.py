"""What every verb is given: where it works and how it speaks, decided once for all of them."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, Self, TextIO

import click

from pregen.argument_types import Number
from pregen.commandline import Command, Option, asks_for_help, terminal_columns
from pregen.display import text
from pregen.display.printer import Output, silence
from pregen.display.text import count, printable
from pregen.errors import ExitCode, UsageError
from pregen.options import all_options, config_path, load_defaults, option, run_config
from pregen.thumbspec.naming import clean_path, thumbnails_root

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pregen.cache.lock import CacheLock
    from pregen.config import FlavorChoice, OutputConfig, RunConfig
    from pregen.display.listener import Watch
    from pregen.display.printer import Printer
    from pregen.display.records import JsonPrinter
    from pregen.filesystems.identity import FileSystem
    from pregen.journal import Journal
    from pregen.options import Values
    from pregen.originals.examiner import Examiner
    from pregen.originals.mounts import Mounts
    from pregen.originals.vaults import PrivatePlaces
    from pregen.pipeline import RunStop


@dataclass(frozen=True)
class Session:
    """One call of the program. The group makes it; the verb's --cache may make another of it."""

    environ: Mapping[str, str]
    home: str
    cache: bytes | None = None
    """What --cache or PREGEN_CACHE name; None: neither is given."""

    @cached_property
    def file_settings(self) -> dict[str, Any]:
        """What config.toml sets, by the name of the field.

        Raises:
            UsageError: it makes no sense.
        """
        return load_defaults(config_path(self.environ))

    @cached_property
    def cache_root(self) -> bytes:
        """The thumbnails directory that this call works on, absolute and clean.

        Raises:
            UsageError: config.toml makes no sense, what is named is not a folder, or the working
                directory was deleted.
        """
        named = self._named(self.cache)
        if named is not None and os.path.exists(named) and not os.path.isdir(named):
            raise UsageError(f"the cache {printable(os.fsdecode(named))} is not a folder.")
        return named or thumbnails_root(self.environ, self.home)

    def _named(self, cache: bytes | None) -> bytes | None:
        """Return where the cache is that a flag or variable names, or else config.toml."""
        if cache is None and (setting := self.file_settings.get("cache_root")):
            cache = os.fsencode(setting)
        return None if cache is None else self.clean(cache)

    @cached_property
    def cache_flag(self) -> str:
        """What a command that is shown needs to work on this cache too: "" or " --cache DIR"."""
        named = self._named(os.fsencode(self.environ.get("PREGEN_CACHE", "")) or None)
        if self.cache_root == (named or thumbnails_root(self.environ, self.home)):
            return ""
        return f" --cache {shlex.quote(printable(os.fsdecode(self.cache_root)))}"

    @property
    def journal_path(self) -> bytes:
        """The journal's file, which need not exist. There is one for all caches."""
        from pregen.journal.database import journal_path  # noqa: PLC0415 - imports SQLite

        return journal_path(self.environ, self.home)

    def journal(
        self,
        warn: Callable[[str], None] = lambda _why: None,
        libraries: str = "",
        revision: int = 0,
    ) -> closing[Journal]:
        """Open the journal, an inert one where there is none; a context that closes it.

        Args:
            warn: told why it cannot be used.
            libraries: that decode; needed to ask for what is remembered of a source.
            revision: of our own decoders; likewise.
        """
        from pregen.journal import Journal  # noqa: PLC0415 - imports SQLite

        found = Journal.open(
            self.journal_path, warn, libraries=libraries, revision=revision, create=False
        )
        return closing(found)

    def clean(self, path: bytes) -> bytes:
        """Return a path absolute and clean, as the user sees it.

        Raises:
            UsageError: the working directory was deleted.
        """
        from pregen.walk.roots import working_directory  # noqa: PLC0415 - no --help needs it

        return clean_path(path, working_directory(self.environ))

    def mounts(self) -> Mounts:
        """Return what is mounted now."""
        from pregen.originals.mounts import read_mounts  # noqa: PLC0415 - no --help needs it

        return read_mounts(self.environ)

    def examiner(
        self,
        mount_timeout_s: float,
        remembered: Callable[[bytes], FileSystem | None] = lambda _folder: None,
    ) -> Examiner:
        """Return what looks for originals, and waits no longer for a mount.

        Args:
            mount_timeout_s: how long it waits.
            remembered: tells on which file system the originals in a folder lay.
        """
        from pregen.originals.examiner import Examiner  # noqa: PLC0415 - no --help needs it

        return Examiner(self.mounts(), mount_timeout_s, remembered)

    def private_places(
        self, journal: Journal, named: Iterable[bytes] = (), place: bytes = b""
    ) -> PrivatePlaces:
        """Return what tells which originals are better protected than thumbnails would be.

        Args:
            journal: has met vaults.
            named: what the user says is one.
            place: where the thumbnails go; empty: into the cache.
        """
        from pregen.originals.vaults import (  # noqa: PLC0415 - no --help needs it
            PrivatePlaces,
            declared_vaults,
        )

        declared = declared_vaults(self.home, self.environ, self.mounts())
        memory = journal.vaults()
        return PrivatePlaces(
            place or self.cache_root, declared, memory.holds, named, met_any=bool(memory.hashes)
        )

    def run_values(self, **given: Any) -> dict[str, Any]:
        """Return what the user sets for every run: in the environment, in config.toml.

        Args:
            given: fields that have these values instead.

        Raises:
            UsageError: the file makes no sense.
            click.UsageError: a variable makes no sense.
        """
        command = click.Command("run", params=[*all_options()])
        context = command.make_context("run", [], default_map=self.file_settings)
        return {**context.params, **given}

    def run_config(self, values: Values, paths: Iterable[bytes] = ()) -> RunConfig:
        """Return the settings of a run on this cache.

        Raises:
            UsageError: a setting makes no sense.
        """
        root, journal_path = self.cache_root, self.journal_path
        config = run_config(values, paths, root, journal_path, self.clean, self.choose_flavors)
        return config._replace(arguments=tuple(sys.argv[1:]))

    def choose_flavors(self) -> FlavorChoice:
        """Return the flavors of a run that names none."""
        from pregen.screens.facts import flavors_for_screens  # noqa: PLC0415 - no --help needs it

        return flavors_for_screens(self.environ, self.home, self.cache_root)

    @contextmanager
    def locked(self, root: bytes | None = None, *, wait: bool) -> Iterator[CacheLock]:
        """Have a cache for ourselves: that at `root`, or the session's.

        Raises:
            LockedError: a run holds it, and `wait` is not set.
        """
        from pregen.cache.lock import CacheLock  # noqa: PLC0415 - no --help needs it

        lock = CacheLock(self.cache_root if root is None else root)
        acquire(lock, wait=wait)
        try:
            yield lock
        finally:
            lock.release()

    def is_terminal(self, stream: TextIO) -> bool:
        """Tell whether a stream is a terminal that can do more than write lines."""
        return stream.isatty() and self.environ.get("TERM", "dumb") not in {"dumb", "unknown"}

    @contextmanager
    def status_line(self) -> Iterator[Callable[[str], None]]:
        """Say what is done now in one line of people's terminal; "" removes it, as the end does."""
        people = Output(sys.stderr)
        live = self.is_terminal(sys.stderr)
        shown = False

        def say(what: str) -> None:
            nonlocal shown
            if live and (what or shown):
                people.write(f"\r\x1b[K{what}")
                shown = bool(what)

        try:
            yield say
        finally:
            say("")

    @contextmanager
    def entry_count(self) -> Iterator[Callable[[int], None]]:
        """Count entries in one line of people's terminal; a number below zero removes it."""
        with self.status_line() as say:
            yield lambda number: say(f"{count(number)} thumbnails ..." if number >= 0 else "")

    def printer(self, output: OutputConfig, on_results_lost: Callable[[OSError], None]) -> Printer:
        """Return the printer of a run. Only a terminal's imports rich.

        Args:
            output: how the run is to be shown.
            on_results_lost: called once when standard output takes no more records.
        """
        from pregen.display.plain import PlainPrinter, QuietPrinter  # noqa: PLC0415 - no --help needs it

        if output.json:
            return json_printer(on_results_lost, verbose=output.verbose)
        people = Output(sys.stderr)
        # What the run came to belongs to a file or a program, if there is one.
        results = None
        if sys.stdout is not None and not self.is_terminal(sys.stdout):
            results = Output(sys.stdout, lambda _error: silence(sys.stdout))
        if output.quiet:
            return QuietPrinter(people, terminal_columns(sys.stderr))
        if self.is_terminal(sys.stderr):
            from rich.console import Console  # noqa: PLC0415 - takes long, and only a terminal needs it

            from pregen.display.tty import TtyPrinter, terminal_size  # noqa: PLC0415 - likewise

            console = Console(stderr=True, highlight=False, markup=False, emoji=False)
            return TtyPrinter(
                people, console, terminal_size, verbose=output.verbose, results=results
            )
        return PlainPrinter(people, verbose=output.verbose, results=results)


class ConfiguredCommand(Command):
    """A command that takes settings of a run: those in config.toml are its defaults."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Read the file, then parse. Help is shown also with a wrong file."""
        session = parent.obj if parent is not None else this_session()
        if isinstance(session, Session) and not asks_for_help(args):
            # the cache is the session's: it goes by what the program was called with as well
            settings = {k: v for k, v in session.file_settings.items() if k != "cache_root"}
            extra = {"obj": session, "default_map": settings, **extra}
        return super().make_context(info_name, args, parent, **extra)


def this_session(cache: bytes | None = None) -> Session:
    """Return the session of this process."""
    return Session(os.environ, os.path.expanduser("~"), cache)


def cache_option() -> Option:
    """Return the --cache of a verb, which goes before that of the program and PREGEN_CACHE."""
    return option("cache", setting=False, expose_value=False, callback=_use_cache)


def mount_timeout_option() -> Option:
    """Return the --mount-timeout of a verb that looks for originals."""
    from pregen.originals.mounts import DEFAULT_TIMEOUT_S  # noqa: PLC0415 - few verbs need it

    return Option(
        ["--mount-timeout"],
        metavar="SECONDS",
        type=Number(0, min_open=True),
        default=f"{DEFAULT_TIMEOUT_S:g}",
        show_default=True,
        help="How long to wait for a mount; its files count as unavailable when it does not "
        "answer.",
    )


def _use_cache(ctx: click.Context, _option: click.Parameter, value: bytes | None) -> None:
    if value is not None and isinstance(ctx.obj, Session):
        ctx.obj = replace(ctx.obj, cache=value)


def json_printer(
    on_results_lost: Callable[[OSError], None] = lambda _error: None, *, verbose: bool = False
) -> JsonPrinter:
    """Return the printer of `--json`: records to standard output, notes to standard error."""
    from pregen.display.records import JsonPrinter  # noqa: PLC0415 - no --help needs it

    return JsonPrinter(Output(sys.stdout, on_results_lost), Output(sys.stderr), verbose=verbose)


def acquire(lock: CacheLock, *, wait: bool) -> None:
    """Take the lock; say so when that means waiting.

    Raises:
        LockedError: a run holds it, and `wait` is not set.
    """
    lock.acquire(
        wait=wait, waiting=lambda why: click.echo(f"pregen: waiting: {printable(why)}", err=True)
    )
    if lock.warning:
        click.echo(f"pregen: {printable(lock.warning)}", err=True)


# What signals do to a run: the first stops it gently, the second at once, SIGUSR1 asks. Handlers
# only set attributes: they may interrupt any line, also one that holds a lock. What is said about
# them is said by the ticker's thread, a moment later.


#: Signals that end a program in order, and with which exit code.
ENDINGS: Final = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}
#: timeout(1) sends its signal to the program and then to its whole group: twice, within
#: microseconds. A person cannot press Ctrl-C twice in this time.
_DOUBLED_S = 0.1


_Handler = Callable[[int, FrameType | None], Any] | int | None


class Signals:
    """As a context: signals act on `stop` and `watch`. Only in the main thread."""

    def __init__(self, stop: RunStop, watch: Watch) -> None:
        from pregen.engines.base import StopLevel  # noqa: PLC0415 - no --help needs it

        self._levels = StopLevel.DRAIN, StopLevel.KILL
        self._stop = stop
        self._watch = watch
        self._heard = 0
        self._heard_s = 0.0
        self._told = 0
        self._old: dict[int, _Handler] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in ENDINGS:
                self._old[number] = signal.signal(number, self._end)
            self._old[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def announce(self) -> None:
        """Say what the last signal does. Called by the ticker."""
        heard = self._heard
        if heard == self._told:
            return
        self._told = heard
        if heard > 1:
            self._watch.note("stopping at once")
            return
        busy = self._watch.busy()
        doing = f"finishing {text.plural(busy, 'picture')} in flight" if busy else "stopping"
        again = "press Ctrl-C again" if self._stop.code is ExitCode.INTERRUPTED else "send it again"
        self._watch.note(f"{doing}; {again} to stop at once")

    def _end(self, number: int, _frame: FrameType | None) -> None:
        now_s = time.monotonic()
        if self._heard and now_s - self._heard_s < _DOUBLED_S:
            return
        self._heard_s = now_s
        self._heard += 1
        if self._heard == 1:
            self._stop.code = ENDINGS[signal.Signals(number)]
        self._stop.raise_to(self._levels[self._heard > 1])

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._watch.ask()

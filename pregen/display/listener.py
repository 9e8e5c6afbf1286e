"""A run's one listener: counts into the state, tells the printer, drives the ticker.

It does not know what a run is; `pregen.pipeline` tells it what happens.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from pregen.display.printer import Printer, RunReport, View
from pregen.display.state import RateWindow, RunCounts, Snapshot
from pregen.model import Flavor, Kind, Skip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pregen.config import FlavorChoice
    from pregen.errors import ExitCode
    from pregen.model import Outcome, WorkerView


#: How late an asked-for tick may come. A signal handler must not touch a lock that its own
#: thread may hold, so it sets an attribute and the ticker looks at it this often.
_LOOK_S = 0.1
#: In a smaller run the speed does not matter, nor what its entries take.
_ENOUGH_IMAGES = 50


class Ticker:
    """Calls `tick(asked)` every `interval_s` seconds and soon after `ask()`, in a thread.

    An interval of None: only when asked. `poll` is called at every look, for what must be
    noticed soon. What a call raises is kept and raised by `close`, in the thread of the run: a
    bug in a display must not pass unseen, nor must it stop the run half way.
    """

    def __init__(self, tick: Callable[[bool], None], interval_s: float | None) -> None:
        self._tick = tick
        self._interval_s = interval_s
        self.poll: Callable[[], None] = lambda: None
        self._asked = False
        self._error: BaseException | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pregen-ticker", daemon=True)

    def start(self) -> None:
        """Begin to tick."""
        self._thread.start()

    def ask(self) -> None:
        """Ask for a tick now. Safe in a signal handler."""
        self._asked = True

    def close(self) -> None:
        """End the thread; raise what a tick raised. A second call does nothing."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self) -> None:
        try:
            self._loop()
        except BaseException as error:  # noqa: BLE001 - handed to the run's thread by close()
            self._error = error

    def _loop(self) -> None:
        interval_s = self._interval_s
        look_s = _LOOK_S if interval_s is None else min(_LOOK_S, interval_s)
        due_s = time.monotonic() + (interval_s or 0.0)
        while not self._over.wait(look_s):
            self.poll()
            asked, self._asked = self._asked, False
            now_s = time.monotonic()
            if asked or (interval_s is not None and now_s >= due_s):
                self._tick(asked)
                # counted from now, not from `due_s`: a stalled terminal is not served a backlog
                due_s = time.monotonic() + (interval_s or 0.0)


class Watch:
    """State, rates, ticker and printer of one run."""

    def __init__(self, printer: Printer, state: RunCounts | None = None) -> None:
        self._printer = printer
        self.cache_flag = ""
        """What commands need that are shown in the end (`session.Session.cache_flag`)."""
        self.again = "--retry-failed"
        """The flag or the command that tries again what failed earlier."""
        self._state = state or RunCounts()
        self._window = RateWindow(self._state.snapshot().elapsed_s)
        self._ended_because = ""
        self._flavors: tuple[Flavor, ...] = ()
        self._flavors_because = ""
        self._workers: Callable[[], list[WorkerView]] = list
        self._before_the_end: Callable[[Snapshot], None] = lambda _: None
        self._ticker = Ticker(self._tick, printer.interval_s)

    def start(self) -> None:
        """Begin to show the run."""
        self._printer.start()
        self._ticker.start()

    def watch_workers(self, workers: Callable[[], list[WorkerView]]) -> None:
        """Show what these are doing from now on."""
        self._workers = workers

    def poll(self, look: Callable[[], None]) -> None:
        """Have the ticker call `look` several times a second."""
        self._ticker.poll = look

    def before_the_end(self, look: Callable[[Snapshot], None]) -> None:
        """Have `look` called with the totals of a run of some size, while it may still warn."""
        self._before_the_end = look

    def busy(self) -> int:
        """Return how many workers have a source in hand."""
        return sum(worker.path is not None for worker in self._workers())

    def skipped(self, skip: Skip) -> None:
        """A source needs no job."""
        self._state.skipped(skip)
        self._printer.outcome(skip)

    def fresh(self, paths: Sequence[bytes]) -> None:
        """Sources need no job and no look: many at once, because of a million there may be none."""
        self._state.fresh(len(paths))
        if self._printer.verbose:
            for path in paths:
                self._printer.outcome(Skip(path, Kind.FRESH))

    @property
    def lists_fresh(self) -> bool:
        """Their names are shown, not only their number."""
        return self._printer.verbose

    def settled(self, number: int) -> None:
        """So many sources need no look, of a folder that was settled as a whole."""
        self._state.fresh(number)

    def planned(self, size_bytes: int = 0, *, on_share_bytes: int | None = None) -> None:
        """A job is on its way to the engine; sizes as `RunCounts.planned` has them."""
        self._state.planned(size_bytes, on_share_bytes=on_share_bytes)

    def walk_ended(self) -> None:
        """The number of jobs is final."""
        self._state.walk_ended()

    def passed_over(self, number: int) -> None:
        """The walk left this much out by rules."""
        self._state.passed_over(number)

    def finished(
        self, outcome: Outcome, size_bytes: int = 0, *, on_share_bytes: int | None = None
    ) -> None:
        """A job ended; sizes as they were planned."""
        self._state.finished(outcome, size_bytes, on_share_bytes=on_share_bytes)
        self._printer.outcome(outcome)

    def warn(self, message: str) -> None:
        """Something is wrong that does not end the run."""
        self._state.warned(message)
        self._printer.warning(message)

    def note(self, message: str) -> None:
        """A person should know this now."""
        self._printer.note(message)

    def paused(self, why: str) -> None:
        """The run waits, or, with an empty text, goes on."""
        self._state.paused(why)
        self._printer.note(f"paused: {why}" if why else "continuing")

    def ends_because(self, why: str) -> None:
        """The run ends before it is done, as it was asked to."""
        self._ended_because = why

    def sizes(self, flavors: tuple[Flavor, ...], choice: FlavorChoice | None) -> None:
        """The run makes entries of these flavors; told where it is more than usual, or asked for.

        Args:
            flavors: small to large.
            choice: why; None: the user named them.
        """
        self._flavors = flavors
        if choice is None:
            return
        self._flavors_because = choice.why
        larger = Flavor.X_LARGE in flavors or Flavor.XX_LARGE in flavors
        tell = self.note if larger else self.remark
        tell(choice.told)
        for each in choice.ignored:
            self.remark(each)

    def remark(self, message: str) -> None:
        """Someone who wants to know everything should know this."""
        if self._printer.verbose:
            self._printer.note(message)

    def ask(self) -> None:
        """Show a line of progress now. Safe in a signal handler."""
        self._ticker.ask()

    def totals(self) -> Snapshot:
        """Return all counters as they are now."""
        return self._state.snapshot()

    def finish(
        self, exit_code: ExitCode, error: str = "", would: Mapping[str, Any] | None = None
    ) -> RunReport:
        """Stop showing, print the end, return it. Raises what went wrong in the ticker."""
        totals = self._state.snapshot()
        if totals.images >= _ENOUGH_IMAGES:
            self._before_the_end(totals)
        findings = self._state.findings()
        install = _how_to_get(findings.extras) if findings.extras else ""
        report = RunReport(
            totals,
            findings,
            exit_code,
            error,
            would,
            install,
            _how_to_compile(totals.images),
            self._ended_because,
            self._flavors,
            self._flavors_because,
            self.cache_flag,
            self.again,
        )
        try:
            self._ticker.close()
        finally:
            self._printer.finish(report)
        return report

    def view(self) -> View:
        """Return the run at this moment; between `start` and `finish` for the ticker's thread."""
        now = self._state.snapshot()
        self._window.add(now.elapsed_s, now.point)
        eta_s = None if now.walking else self._window.eta_s(now.work_bytes)
        return View(now, self._window.rates(), eta_s, tuple(self._workers()))

    def _tick(self, asked: bool) -> None:  # noqa: FBT001 - the ticker's one argument
        self._printer.tick(self.view(), asked=asked)


def _how_to_get(extras: Iterable[str]) -> str:
    from pregen.installation import install_command  # noqa: PLC0415 - seldom needed, and takes 20 ms

    return install_command(extras)


def _how_to_compile(images: int) -> str:
    if images < _ENOUGH_IMAGES:
        return ""
    from pregen.installation import compile_command, is_compiled  # noqa: PLC0415 - as above

    return "" if is_compiled() else compile_command()

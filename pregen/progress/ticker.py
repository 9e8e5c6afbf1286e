"""The one thread that drives a printer, limited by time and not by work done.

It decides nothing: it calls. What a call raises is kept and raised by `close`, in the thread
of the run: a bug in a display must not pass unseen, nor must it stop the run half way.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: How late an asked-for tick may come. A signal handler must not touch a lock that its own
#: thread may hold, so it sets an attribute and the ticker looks at it this often.
_LOOK_S = 0.1


class Ticker:
    """Calls `tick(asked)` every `interval_s` seconds and soon after `ask()`.

    An interval of None: only when asked. `poll` is called at every look, for what must be
    noticed soon.
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

"""Looks at clock, load, battery and disk, once a second at most, and asks the rules."""

from __future__ import annotations

import os
import time
from datetime import datetime
from typing import TYPE_CHECKING, Final

import psutil

from pregen.governor.rules import GO, Do, Now, Verdict, decide
from pregen.model import Action

if TYPE_CHECKING:
    from collections.abc import Callable

    from pregen.config import GovernorConfig
    from pregen.model import Job

#: A battery, a disk and a load average change no faster than anybody cares.
_EVERY_S: Final = 1.0


class Governor:
    """Decides about one job after the other.

    Args:
        config: the user's limits.
        cache_root: a folder on the disk of the cache.
        told: called when a pause begins, and, with an empty text, when it ends.
    """

    def __init__(
        self, config: GovernorConfig, cache_root: bytes, told: Callable[[str], None]
    ) -> None:
        self._config = config
        self._cache_root = cache_root
        self._told = told
        self._began_s = time.monotonic()
        self._due_s = 0.0
        self._verdict = GO
        self._decoded = 0

    def ask(self) -> Verdict:
        """Return what to do about the next job."""
        now_s = time.monotonic()
        config = self._config
        reached = config.limit is not None and self._decoded >= config.limit
        # A disk fills faster than anything else changes, and asking it costs 2 us.
        if now_s < self._due_s and not reached and config.min_free_bytes is None:
            return self._verdict
        self._due_s = now_s + _EVERY_S
        before, self._verdict = self._verdict, decide(self._config, self._look(now_s))
        paused, was_paused = self._verdict.do is Do.PAUSE, before.do is Do.PAUSE
        if paused != was_paused:
            self._told(self._verdict.why if paused else "")
        return self._verdict

    def begun(self, job: Job) -> None:
        """Count a job that goes to the workers. What decodes nothing is no work to be limited."""
        self._decoded += job.steps[-1].action is Action.MAKE

    def _look(self, now_s: float) -> Now:
        config = self._config
        return Now(
            elapsed_s=now_s - self._began_s,
            clock=datetime.now().astimezone(),
            decoded=self._decoded,
            load=os.getloadavg()[0] if config.max_load is not None else 0.0,
            on_battery=config.pause_on_battery and on_battery(),
            free_bytes=self._free_bytes() if config.min_free_bytes is not None else None,
        )

    def _free_bytes(self) -> int | None:
        try:
            facts = os.statvfs(self._cache_root)
        except OSError:
            return None  # a commit will tell what is wrong
        return facts.f_bavail * facts.f_frsize


def on_battery() -> bool:
    """Tell whether the machine runs on its battery; False where there is none, or none is known."""
    try:
        battery = psutil.sensors_battery()
    except (OSError, AttributeError, NotImplementedError, RuntimeError):
        return False
    return battery is not None and battery.power_plugged is False

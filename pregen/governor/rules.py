"""Go on, pause, or end: the decision. Pure.

Ends come before pauses, and the disk before all: a run that waits for a power supply until its
time is over has to end then.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from pregen.config import GovernorConfig


class Now(NamedTuple):
    """What the governor sees."""

    elapsed_s: float
    """Since the run began, by a clock that nobody sets."""
    clock: datetime
    decoded: int
    """Sources given to workers to be decoded."""
    load: float = 0.0
    """Processes that run or want to, over the last minute (getloadavg)."""
    on_battery: bool = False
    free_bytes: int | None = None
    """Of the disk of the cache; None: cannot be told."""


class Do(Enum):
    """What follows."""

    GO = "go"
    PAUSE = "pause"
    END = "end"
    """Pictures in flight are finished; it is no failure."""
    FULL = "full"
    """The cache takes no more."""


class Verdict(NamedTuple):
    """A decision, with its reason for people."""

    do: Do
    why: str = ""


GO: Final = Verdict(Do.GO)


def decide(config: GovernorConfig, now: Now) -> Verdict:
    """Decide about the next source."""
    if _is_full(config, now):
        return Verdict(
            Do.FULL,
            f"The disk of the cache has less than {_size(config.min_free_bytes)} left "
            "(--min-free). Free some space, then run again: nothing is done twice.",
        )
    if why := _ended(config, now):
        return Verdict(Do.END, why)
    if why := _waits_for(config, now):
        return Verdict(Do.PAUSE, why)
    return GO


def _ended(config: GovernorConfig, now: Now) -> str:
    if config.limit is not None and now.decoded >= config.limit:
        return f"{config.limit} files were worked on (--limit)"
    if config.max_time_s is not None and now.elapsed_s >= config.max_time_s:
        return "its time is over (--max-time)"
    if config.until is not None and now.clock >= config.until:
        return f"it is {config.until:%H:%M} (--until)"
    return ""


def _waits_for(config: GovernorConfig, now: Now) -> str:
    if config.pause_on_battery and now.on_battery:
        return "on battery"
    if config.max_load is not None and now.load >= config.max_load:
        return f"the load is {now.load:.1f}, and --max-load {config.max_load:g}"
    return ""


def _is_full(config: GovernorConfig, now: Now) -> bool:
    return (
        config.min_free_bytes is not None
        and now.free_bytes is not None
        and now.free_bytes < config.min_free_bytes
    )


def _size(size_bytes: int | None) -> str:
    return f"{(size_bytes or 0) / 1e9:,.1f} GB"

"""When a run goes on, pauses or ends by the user's limits, and how much it leaves to others.

The decision is pure (`decide`); `Governor` looks at clock, load, battery and disk for it, once a
second at most. Priority is to be set before the first worker is started: workers inherit it.
"""

from __future__ import annotations

import os
import time
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.errors import UsageError
from pregen.model import Action, Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from pregen.config import GovernorConfig
    from pregen.model import Job, Outcome


#: A battery, a disk and a load average change no faster than this.
_EVERY_S: Final = 1.0
#: With the idle class a job may have to wait for as long as others are busy: its deadline, which
#: counts that, must not be that of a run with a machine of its own.
IDLE_PATIENCE: Final = 10


#: Actions for which the source is read.
_READS: Final = (Action.MAKE, Action.RECHECK)
#: Of what became of a source, what tells that all that was read was counted ...
_COUNTED: Final = frozenset({Kind.FRESH, Kind.REFITTED, Kind.REUSED, Kind.SMALL, Kind.TIDIED})
#: ... or that nothing was read.
_NOT_READ: Final = frozenset(
    {Kind.INTERRUPTED, Kind.PRIVATE, Kind.SPECIAL, Kind.VANISHED, Kind.CACHE_ERROR}
)
#: How much of a file tells that it is not a picture.
_LOOKED_AT_BYTES: Final = 64 * 1024


class MachineLoad(NamedTuple):
    """What a decision is made from."""

    elapsed_s: float
    """Since the run began, by the monotonic clock."""
    clock: datetime
    decoded: int
    """Sources given to workers to be decoded."""
    load: float = 0.0
    """Processes that run or want to, over the last minute (getloadavg)."""
    on_battery: bool = False
    read_bytes: int = 0
    """Of originals, where that is limited."""
    promised_bytes: int = 0
    """What the sources in work may take of that."""
    free_bytes: int | None = None
    """Of the disk of the cache; None: cannot be told."""


class Do(Enum):
    """What follows."""

    GO = "go"
    PAUSE = "pause"
    WAIT = "wait"
    """For what is in work: it may be the last."""
    END = "end"
    """Pictures in flight are finished; it is not a failure."""
    FULL = "full"
    """The cache takes no more."""


class LimitDecision(NamedTuple):
    """A decision, with its reason for people."""

    do: Do
    why: str = ""


GO: Final = LimitDecision(Do.GO)
WAIT: Final = LimitDecision(Do.WAIT)


def decide(config: GovernorConfig, now: MachineLoad) -> LimitDecision:
    """Decide about the next source.

    Ends come before pauses, and the disk before all: a run that waits for a power supply until its
    time is over has to end then.
    """
    least, free = config.min_free_bytes, now.free_bytes
    if least is not None and free is not None and free < least:
        return LimitDecision(
            Do.FULL,
            f"The disk of the cache has {_size(free)} free, --min-free asks for {_size(least)}. "
            "Free some space, then run again: finished work is kept.",
        )
    if why := _ended(config, now):
        return LimitDecision(Do.END, why)
    if why := _waits_for(config, now):
        return LimitDecision(Do.PAUSE, why)
    most = config.max_read_bytes
    if most is not None and now.promised_bytes and now.read_bytes + now.promised_bytes >= most:
        return WAIT
    return GO


def _size(size_bytes: float) -> str:
    """Return `20 MB`, `1.5 GB` or `2.0 TB`: these limits are of disks and shares."""
    if size_bytes < 1e9:  # noqa: PLR2004 - a unit
        return f"{size_bytes / 1e6:,.0f} MB"
    terabytes = size_bytes / 1e12
    return f"{terabytes:,.1f} TB" if terabytes >= 1 else f"{size_bytes / 1e9:,.1f} GB"


def _ended(config: GovernorConfig, now: MachineLoad) -> str:
    if config.limit is not None and now.decoded >= config.limit:
        return f"{config.limit} files were processed (--limit)"
    if config.max_time_s is not None and now.elapsed_s >= config.max_time_s:
        return "the time limit is reached (--max-time)"
    most = config.max_read_bytes
    if most is not None and now.read_bytes >= most:
        return f"{_size(now.read_bytes)} were read (--max-read)"
    if config.until is not None and now.clock >= config.until:
        return f"it is {config.until:%H:%M} (--until)"
    return ""


def _waits_for(config: GovernorConfig, now: MachineLoad) -> str:
    if config.pause_on_battery and now.on_battery:
        return "on battery"
    if config.max_load is not None and now.load >= config.max_load:
        return f"the load is {now.load:.1f}, over --max-load {config.max_load:g}"
    return ""


class Governor:
    """Decides about one job after the other.

    Args:
        config: the user's limits.
        cache_root: a folder on the disk of the cache.
        told: called when a pause begins, and, with an empty text, when it ends.
        counted: tells whether what is read of a job's source counts (`--max-read`).
    """

    def __init__(
        self,
        config: GovernorConfig,
        cache_root: bytes,
        told: Callable[[str], None],
        counted: Callable[[Job], bool] = lambda _job: True,
    ) -> None:
        self._config = config
        self._cache_root = cache_root
        self._told = told
        self._began_s = time.monotonic()
        self._due_s = 0.0
        self._verdict = GO
        self._decoded = 0
        self._counted = counted
        self._read_bytes = 0
        self._promised: dict[int, int] = {}

    def ask(self) -> LimitDecision:
        """Return what to do about the next job."""
        now_s = time.monotonic()
        config = self._config
        reached = config.limit is not None and self._decoded >= config.limit
        # A disk fills faster than anything else changes, and asking it costs 2 us.
        at_once = config.min_free_bytes is not None or config.max_read_bytes is not None
        if now_s < self._due_s and not reached and not at_once:
            return self._verdict
        self._due_s = now_s + _EVERY_S
        before, self._verdict = self._verdict, decide(config, self._look(now_s))
        paused, was_paused = self._verdict.do is Do.PAUSE, before.do is Do.PAUSE
        if paused != was_paused:
            self._told(self._verdict.why if paused else "")
        return self._verdict

    def begun(self, job: Job) -> None:
        """Count a job that goes to the workers. What decodes nothing is no work to be limited."""
        self._decoded += job.steps[-1].action is Action.MAKE
        if self._config.max_read_bytes is not None and self._reads(job):
            self._promised[job.job_id] = max(1, job.size_bytes)

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Count what was read of a source."""
        if self._promised.pop(job.job_id, None) is not None:
            self._read_bytes += bytes_read(job, outcome)

    def _reads(self, job: Job) -> bool:
        return job.steps[-1].action in _READS and self._counted(job)

    def _look(self, now_s: float) -> MachineLoad:
        config = self._config
        return MachineLoad(
            elapsed_s=now_s - self._began_s,
            clock=datetime.now().astimezone(),
            decoded=self._decoded,
            load=os.getloadavg()[0] if config.max_load is not None else 0.0,
            on_battery=config.pause_on_battery and on_battery(),
            read_bytes=self._read_bytes,
            promised_bytes=sum(self._promised.values()),
            free_bytes=self._free_bytes() if config.min_free_bytes is not None else None,
        )

    def _free_bytes(self) -> int | None:
        try:
            facts = os.statvfs(self._cache_root)
        except OSError:
            return None  # a commit will tell what is wrong
        return facts.f_bavail * facts.f_frsize


def bytes_read(job: Job, outcome: Outcome) -> int:
    """Return what was read of a source, or may have been where it was not counted.

    Libraries that read by themselves do not say how much (an entry without a fingerprint); nor does
    what failed.
    """
    if outcome.kind in _NOT_READ:
        return outcome.bytes_read
    if outcome.kind is Kind.NOT_PICTURE:
        return max(outcome.bytes_read, min(job.size_bytes, _LOOKED_AT_BYTES))
    counted = bool(outcome.fingerprint) or outcome.kind in _COUNTED
    return outcome.bytes_read if counted else max(outcome.bytes_read, job.size_bytes)


def on_battery() -> bool:
    """Tell whether the machine runs on its battery; False where there is none, or none is known."""
    import psutil  # noqa: PLC0415 - takes long, and few runs ask

    try:
        battery = psutil.sensors_battery()
    except (OSError, AttributeError, NotImplementedError, RuntimeError):
        return False
    return battery is not None and battery.power_plugged is False


def be_nice(nice: int | None, *, idle: bool) -> None:
    """Take less than others do.

    Args:
        nice: added to the niceness, 1 to 19.
        idle: run only when no other program wants the processor or the disk (Linux: SCHED_IDLE, and
            the idle class of I/O).

    Raises:
        UsageError: the system refuses.
    """
    try:
        if nice:
            os.nice(nice)
        if idle:
            _take_idle_time_only()
    except (OSError, AttributeError) as error:
        raise UsageError(
            f"The system refuses the priority for --nice or --idle ({error}). Omit them, or "
            "use the settings of your service manager."
        ) from error


def _take_idle_time_only() -> None:
    """Raises OSError, or AttributeError where there is no such class."""
    import psutil  # noqa: PLC0415 - takes long, and few runs ask

    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    try:
        psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)
    except psutil.Error as error:
        raise OSError(str(error)) from error

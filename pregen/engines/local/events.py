"""What the supervisor is told (events) and what it answers (commands). Values only.

Workers go by numbers that are never used twice within a run; `workers` knows which process a number
stands for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pregen.engines.base import StopLevel
    from pregen.engines.local.deaths import Death
    from pregen.engines.local.protocol import SlotReading
    from pregen.model import Job, Outcome


# events -----------------------------------------------------------------------------------


class JobsArrived(NamedTuple):
    """The feed gave these; from now on each is owed one outcome."""

    jobs: tuple[Job, ...]


class FeedEnded(NamedTuple):
    """The feed has no more."""


class WorkerReady(NamedTuple):
    """A worker has made its work function and waits for jobs."""

    worker: int
    rss_bytes: int


class WorkerFailed(NamedTuple):
    """A worker cannot start, or cannot go on; its death follows."""

    worker: int
    text: str
    """The traceback."""


class OutcomesReceived(NamedTuple):
    """A worker reports finished jobs, in the order in which it did them."""

    worker: int
    outcomes: tuple[Outcome, ...]
    busy_ns: int
    """The wall time these jobs took together."""
    rss_bytes: int
    """Resident memory when last looked at; 0 when unknown."""
    pid: int = 0


class JobsReturned(NamedTuple):
    """A worker that was told to gives back what it had not begun."""

    worker: int
    job_ids: tuple[int, ...]


class MemoryRequested(NamedTuple):
    """The job in flight waits until this much memory may be used."""

    worker: int
    job_id: int
    size_bytes: int


class SourceRequested(NamedTuple):
    """A confined worker cannot open the source of a job it has."""

    worker: int
    job_id: int


class RuleBroken(NamedTuple):
    """A worker does what no honest one does."""

    worker: int
    what: str
    """As in "it was ended because it ..."."""


class PipeClosed(NamedTuple):
    """Nothing more will be heard of a worker: its pipe is closed, or carries nonsense."""

    worker: int


class WorkerDied(NamedTuple):
    """A worker's process is gone; everything it had sent has been received before."""

    worker: int
    death: Death
    last: SlotReading
    pid: int


class Ticked(NamedTuple):
    """Time has passed. Expected every `TICK_NS`; a late one means that the run was stopped."""

    readings: Mapping[int, SlotReading]


class StopRaised(NamedTuple):
    """The run is to end."""

    level: StopLevel


Event = (
    JobsArrived
    | FeedEnded
    | WorkerReady
    | WorkerFailed
    | OutcomesReceived
    | JobsReturned
    | MemoryRequested
    | SourceRequested
    | RuleBroken
    | PipeClosed
    | WorkerDied
    | Ticked
    | StopRaised
)


# commands ---------------------------------------------------------------------------------


class Spawn(NamedTuple):
    """Start a process for this worker."""

    worker: int


class Send(NamedTuple):
    """Give a worker these jobs."""

    worker: int
    jobs: tuple[Job, ...]


class GrantMemory(NamedTuple):
    """Let the job that asked for memory go on."""

    worker: int


class OpenSource(NamedTuple):
    """Open this source for a worker."""

    worker: int
    path: bytes
    """Empty: it may have none."""


class OrderReaders(NamedTuple):
    """Say how a worker is to read ahead."""

    worker: int
    readers: int
    """At a time, on each share."""
    bytes_per_s: int
    """0: as fast as it goes."""


class Drain(NamedTuple):
    """Ask a worker to return what it has not begun."""

    worker: int


class Recall(NamedTuple):
    """Ask a worker to return what it has not begun, and to wait for other jobs."""

    worker: int


class Quit(NamedTuple):
    """Tell a worker that nothing more will come: it leaves by itself."""

    worker: int


class Terminate(NamedTuple):
    """Ask it to say where it is and to end."""

    worker: int


class Kill(NamedTuple):
    """Send SIGKILL."""

    worker: int


class Abandon(NamedTuple):
    """Forget a process that even SIGKILL does not end (it hangs inside the kernel)."""

    worker: int


class Emit(NamedTuple):
    """Hand these outcomes to the caller of the engine."""

    outcomes: tuple[Outcome, ...]


class Finish(NamedTuple):
    """Every job has its outcome and no more are to come."""


class Fail(NamedTuple):
    """The run cannot go on: workers die without ever doing anything."""

    why: str
    missing: bool
    """No worker ever got ready: most likely something is not installed."""


WorkerCommand = (
    Send
    | GrantMemory
    | OpenSource
    | OrderReaders
    | Drain
    | Recall
    | Quit
    | Terminate
    | Kill
    | Abandon
)
"""What concerns one worker that is there."""

Command = WorkerCommand | Spawn | Emit | Finish | Fail

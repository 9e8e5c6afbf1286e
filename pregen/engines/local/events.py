"""What the supervisor is told (facts) and what it answers (orders). Values only.

Workers go by numbers that are never used twice within a run; the shell in `engine` knows which
process a number stands for.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pregen.engines.base import StopLevel
    from pregen.model import Job, Kind, Outcome


class SlotReading(NamedTuple):
    """What a worker's slot of shared memory said at one moment."""

    job_id: int | None
    """The job in flight."""
    started_ns: int
    """When it began, on the monotonic clock; without meaning when `job_id` is None."""
    done: int
    """Jobs this worker has finished, whether their outcomes have been received or not."""


class Cause(Enum):
    """What one bug would do again: two deaths of the same cause are the same death twice."""

    FAULT = auto()
    """A signal that the kernel or libc raises in the process itself; the same damage to memory
    comes out as one or another."""
    LEFT = auto()
    """It ended itself, or hung up."""
    SIGNAL = auto()
    """Another signal."""
    KILLED = auto()
    """SIGKILL: the kernel for want of memory, or anybody."""
    TIME = auto()
    """It took too long, by the clock or on the processor."""
    UNTOLD = auto()
    """From outside."""


class Death(NamedTuple):
    """How a worker ended, in so far as its exit status tells."""

    kind: Kind
    """What its job comes to if the job is to blame: CRASHED or OUT_OF_MEMORY."""
    words: str
    """For people: "segmentation fault (SIGSEGV)"."""
    innocent: bool = False
    """The cause lies outside: its job is not to blame."""
    where: str = ""
    """The innermost Python line at that moment, as faulthandler saw it."""
    cause: Cause = Cause.UNTOLD
    """Never UNTOLD where the job may be to blame."""


# --- facts ------------------------------------------------------------------------------------


class JobsArrived(NamedTuple):
    """The feed gave these; from now on each is owed one outcome."""

    jobs: tuple[Job, ...]


class FeedEnded(NamedTuple):
    """The feed has no more."""


class WorkerReady(NamedTuple):
    """A worker has made its work function and waits for jobs."""

    worker: int
    rss_bytes: int


class GaveUp(NamedTuple):
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


class JobsReturned(NamedTuple):
    """A worker told to drain gives back what it had not begun."""

    worker: int
    job_ids: tuple[int, ...]


class MemoryAsked(NamedTuple):
    """The job in flight waits until this much memory may be used."""

    worker: int
    job_id: int
    size_bytes: int


class SourceAsked(NamedTuple):
    """A confined worker cannot open the source of a job it has."""

    worker: int
    job_id: int


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

    glances: Mapping[int, SlotReading]


class StopRaised(NamedTuple):
    """The run is to end."""

    level: StopLevel


Fact = (
    JobsArrived
    | FeedEnded
    | WorkerReady
    | GaveUp
    | OutcomesReceived
    | JobsReturned
    | MemoryAsked
    | SourceAsked
    | PipeClosed
    | WorkerDied
    | Ticked
    | StopRaised
)


# --- orders -----------------------------------------------------------------------------------


class Spawn(NamedTuple):
    """Start a process for this worker."""

    worker: int


class Send(NamedTuple):
    """Give a worker these jobs."""

    worker: int
    jobs: tuple[Job, ...]


class Grant(NamedTuple):
    """Let the job that asked for memory go on."""

    worker: int


class HandOver(NamedTuple):
    """Open this source for a worker."""

    worker: int
    path: bytes


class Drain(NamedTuple):
    """Ask a worker to return what it has not begun."""

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
    """Hand these outcomes to whoever runs the engine."""

    outcomes: tuple[Outcome, ...]


class Finish(NamedTuple):
    """Every job has its outcome and no more are to come."""


class Fail(NamedTuple):
    """The run cannot go on: workers die without ever doing anything."""

    why: str
    missing: bool
    """No worker ever got ready: most likely something is not installed."""


CrewOrder = Send | Grant | HandOver | Drain | Quit | Terminate | Kill | Abandon
"""What concerns one worker that is there."""

Order = CrewOrder | Spawn | Emit | Finish | Fail

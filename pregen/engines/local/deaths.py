"""What becomes of a dead worker: why it ended, which job is to blame, what that job comes to. Pure.

The way of a SIGKILL: `workers` finds the process gone and asks `cause_of` for its exit status;
`Supervisor._died` finds the job with `blamed_job`, the reason with `true_death`, and charges the
job in the `DeathLedger`.

A result that is remembered (CRASHED, TIMED_OUT) keeps a source from being tried until it changes.
So it takes two deaths of the job's own, of the same cause. What ends workers from outside is
spared a few times, and causes that differ add up to nothing: SIGKILL by a person and by the kernel
for want of memory look alike. A job to which that goes on is DISTURBED, and the next run tries
it again.
"""

from __future__ import annotations

import os
import re
import signal
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.model import Job, Kind, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The second death of the same cause is the job's own (it was alone).
STRIKES: Final = 2
#: Deaths of its own, each of another cause, by which a job is given up.
MIXED: Final = 3
#: Deaths from outside that a job in flight survives without a strike.
SPARED: Final = 3
#: Deaths of workers that said they had not begun the job that was their turn, after which it is
#: given up; after two it is tried alone. One of them may have been taken over, and lie.
PASSED: Final = 8
#: No job sees more deaths than this.
MOST_DEATHS: Final = SPARED + MIXED
#: The exit status of a confined worker that makes room for one that may write in the folders
#: there are now.
FOLDERS_REPLACED: Final = 75

#: 'File "/a/b.py", line 12 in name', innermost first, the thread that died marked "Current".
_FRAME: Final = re.compile(rb'File "([^"\n]*)", line (\d+) in ([^\n]*)')
_CURRENT: Final = re.compile(rb"^(?:Current thread|Stack \(most recent call first\))", re.MULTILINE)

#: Signals other people send to end a program: the job in flight has nothing to do with it.
_FROM_OUTSIDE: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
#: Signals of a process that did something impossible.
_FAULTS: Final = frozenset(
    {
        signal.SIGSEGV,
        signal.SIGABRT,
        signal.SIGBUS,
        signal.SIGILL,
        signal.SIGFPE,
        signal.SIGTRAP,
        signal.SIGSYS,
    }
)


class Cause(Enum):
    """What one bug would do again: two deaths of the same cause are the same death twice."""

    FAULT = auto()
    """A signal that the kernel or libc raises in the process itself; the same damage to memory
    comes out as one or another."""
    EXIT = auto()
    """It ended itself, or hung up."""
    SIGNAL = auto()
    """Another signal."""
    KILLED = auto()
    """SIGKILL: the kernel for want of memory, or a person."""
    TIME = auto()
    """It took too long, by the clock or on the processor."""
    EXTERNAL = auto()
    """From outside."""


class Death(NamedTuple):
    """How a worker ended."""

    kind: Kind
    """What its job comes to if the job is to blame: CRASHED, OUT_OF_MEMORY or TIMED_OUT."""
    words: str
    """For people: "segmentation fault (SIGSEGV)"."""
    external: bool = False
    """The cause lies outside: its job is not to blame."""
    where: str = ""
    """The innermost Python line at that moment, as faulthandler saw it."""
    cause: Cause = Cause.EXTERNAL
    """Another than EXTERNAL where the job may be to blame."""


CLOSED_PIPE: Final = Death(Kind.CRASHED, "it closed its connection to the run", cause=Cause.EXIT)
SILENT: Final = Death(Kind.CRASHED, "it stopped answering between two jobs", external=True)
NEVER_STARTED: Final = Death(Kind.CRASHED, "it never finished starting", cause=Cause.TIME)
SERVER_LOST: Final = Death(
    Kind.CRASHED, "the process that starts the workers was killed", external=True
)


def hung(limit_s: float) -> Death:
    """Return the death of a worker whose job did not end within `limit_s` seconds."""
    return Death(Kind.TIMED_OUT, f"not finished after {round(limit_s, 1):g} s", cause=Cause.TIME)


def expelled(what: str) -> Death:
    """Return the death of a worker that does what no honest one does."""
    return Death(Kind.CRASHED, f"it was ended because it {what}", cause=Cause.EXIT)


def cause_of(exitcode: int | None, last_words: bytes = b"") -> Death:
    """Describe the end of a worker by its exit status.

    Args:
        exitcode: as `multiprocessing.Process.exitcode` has it, a signal negative; None: lost with
            the fork server.
        last_words: what faulthandler wrote, may be empty.
    """
    where = innermost(last_words)
    if exitcode is None:
        return SERVER_LOST
    if exitcode == FOLDERS_REPLACED:
        return Death(Kind.CRASHED, "the cache's folders kept being replaced", external=True)
    if exitcode >= 0:
        words = f"it exited with status {exitcode}"
        return Death(Kind.CRASHED, words, where=where, cause=Cause.EXIT)
    return _by_signal(-exitcode, where)


def _by_signal(number: int, where: str) -> Death:
    if number == signal.SIGKILL:
        words = "killed by SIGKILL, most likely the kernel's out-of-memory killer"
        return Death(Kind.OUT_OF_MEMORY, words, cause=Cause.KILLED)
    if number == signal.SIGXCPU:
        words = "not finished after twice its processor time"
        return Death(Kind.TIMED_OUT, words, where=where, cause=Cause.TIME)
    words = signal_words(number)
    if number in _FROM_OUTSIDE:
        return Death(Kind.CRASHED, words, external=True, where=where)
    cause = Cause.FAULT if number in _FAULTS else Cause.SIGNAL
    return Death(Kind.CRASHED, words, where=where, cause=cause)


def signal_words(number: int) -> str:
    """Name a signal for people: "segmentation fault (SIGSEGV)"."""
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    words = signal.strsignal(number) or ""
    return f"{words[:1].lower()}{words[1:]} ({name})" if words else name


def innermost(last_words: bytes) -> str:
    """Return "function (file.py:12)" of a dump's innermost Python frame, "" without one."""
    current = _CURRENT.search(last_words)
    frame = _FRAME.search(last_words, current.start() if current else 0)
    if frame is None:
        return ""
    path, line, function = (part.decode(errors="replace").strip() for part in frame.groups())
    return f"{function} ({os.path.basename(path)}:{line})"


def blamed_job(open_jobs: Mapping[int, Job], in_flight: int | None, unreported: int) -> Job | None:
    """Find the job to blame: the one in flight, or one done just before and never reported.

    Args:
        open_jobs: what the worker had without having reported it, in the order of its work.
        in_flight: the id of the job its slot named after its end.
        unreported: how many jobs it had done and not reported, by its slot.
    """
    if in_flight is not None:
        return open_jobs.get(in_flight)
    if 0 < unreported <= len(open_jobs):
        return list(open_jobs.values())[unreported - 1]
    return None


def true_death(
    death: Death, ended_for: Death | None, overdue: int | None, job: Job | None
) -> Death:
    """Return why a worker that had `job` really ended.

    Args:
        death: what its exit status says.
        ended_for: why the run ended it, if it did.
        overdue: the id of the job because of which it did.
        job: what is to blame by `blamed_job`.
    """
    if ended_for is None:
        return death
    # It may have ended the job that hung, and begun another, before the signal came.
    other = overdue is not None and job is not None and job.job_id != overdue
    return ended_for._replace(where=death.where, external=other or ended_for.external)


class DeathLedger:
    """The deaths of the jobs that have no outcome yet."""

    def __init__(self) -> None:
        self._deaths: dict[int, list[Death]] = {}
        self._passed: dict[int, int] = {}

    def charge(self, job: Job, death: Death, pid: int) -> Outcome | None:
        """Note that `job` was in flight at `death`; return what it comes to, None: try again."""
        deaths = self._deaths.setdefault(job.job_id, [])
        deaths.append(death)
        own = [each for each in deaths if not each.external]
        alike = [each for each in own if each.cause is death.cause]
        if not death.external and len(alike) >= STRIKES:
            kind, message = death.kind, _verdict(death)
        elif len(own) >= MIXED or len(deaths) - len(own) > SPARED:
            causes = "; ".join(dict.fromkeys(death.words for death in deaths))
            kind = Kind.DISTURBED
            message = f"{len(deaths)} workers died while processing it ({causes}); run again"
        else:
            return None
        self.forget(job.job_id)
        return Outcome(job.job_id, job.path, kind, message, worker_pid=pid)

    def pass_over(self, job: Job, death: Death, pid: int) -> tuple[int, Outcome | None]:
        """Note that a worker died whose turn `job` was, and that said it was not in flight.

        Return how often that has happened, and what the job comes to; None: try again.
        """
        times = self._passed[job.job_id] = self._passed.get(job.job_id, 0) + 1
        if times < PASSED:
            return times, None
        self.forget(job.job_id)
        message = f"{times} workers ended as they started on this file ({death.words}); run again"
        return times, Outcome(job.job_id, job.path, Kind.DISTURBED, message, worker_pid=pid)

    def forget(self, job_id: int) -> None:
        """Drop what is known of a job that has its outcome."""
        self._deaths.pop(job_id, None)
        self._passed.pop(job_id, None)


def _verdict(death: Death) -> str:
    where = f", in {death.where}" if death.where else ""
    match death.kind:
        case Kind.TIMED_OUT:
            return f"{death.words}, twice{where}; a slow disk may need a longer --timeout"
        case Kind.OUT_OF_MEMORY:
            return f"{death.words}; close other programs or use fewer --workers"
        case _:
            return f"its worker died twice: {death.words}{where}"

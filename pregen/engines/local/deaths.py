"""Whose fault the death of a worker is, and what a job comes to by it. Pure.

A verdict that is remembered (CRASHED, TIMED_OUT) keeps a source from being tried until it changes.
So it takes two deaths of the job's own, of the same cause. What ends workers from outside is
spared a few times, and causes that differ add up to nothing: SIGKILL by a person and by the kernel
for want of memory look alike. A job to which that goes on is DISTURBED, and the next run tries
it again.
"""

from __future__ import annotations

import re
import signal
from pathlib import PurePosixPath
from typing import Final

from pregen.engines.local.events import Cause, Death
from pregen.model import Job, Kind, Outcome

#: The second death of the same cause is the job's own (it was alone).
STRIKES: Final = 2
#: Deaths of its own, each of another cause, by which a job is given up.
MIXED: Final = 3
#: Deaths from outside that a job in flight survives without a strike.
SPARED: Final = 3
#: No job sees more deaths than this.
MOST_DEATHS: Final = SPARED + MIXED

CLOSED_PIPE: Final = Death(Kind.CRASHED, "it closed its connection to the run", cause=Cause.LEFT)
SILENT: Final = Death(Kind.CRASHED, "it stopped answering between two jobs", innocent=True)
NEVER_STARTED: Final = Death(Kind.CRASHED, "it never finished starting", cause=Cause.TIME)


def hung(limit_s: float) -> Death:
    """Return the death of a worker whose job did not end within `limit_s` seconds."""
    return Death(Kind.TIMED_OUT, f"no end after {round(limit_s, 1):g} s", cause=Cause.TIME)


class DeathLedger:
    """The deaths of the jobs that have no outcome yet."""

    def __init__(self) -> None:
        self._deaths: dict[int, list[Death]] = {}

    def charge(self, job: Job, death: Death, pid: int) -> Outcome | None:
        """Note that `job` was in flight at `death`; return what it comes to, None: try again."""
        deaths = self._deaths.setdefault(job.job_id, [])
        deaths.append(death)
        own = [each for each in deaths if not each.innocent]
        alike = [each for each in own if each.cause is death.cause]
        if not death.innocent and len(alike) >= STRIKES:
            kind, message = death.kind, _verdict(death)
        elif len(own) >= MIXED or len(deaths) - len(own) > SPARED:
            kind, message = Kind.DISTURBED, _no_verdict(deaths)
        else:
            return None
        self.forget(job.job_id)
        return Outcome(job.job_id, job.path, kind, message, worker_pid=pid)

    def forget(self, job_id: int) -> None:
        """Drop what is known of a job that has its outcome."""
        self._deaths.pop(job_id, None)


def _verdict(death: Death) -> str:
    where = f", in {death.where}" if death.where else ""
    match death.kind:
        case Kind.TIMED_OUT:
            return f"{death.words}, twice{where}; a slow disk may need a longer --timeout"
        case Kind.OUT_OF_MEMORY:
            return f"{death.words}; close other programs or use fewer --workers"
        case _:
            return f"its worker died twice: {death.words}{where}"


def _no_verdict(deaths: list[Death]) -> str:
    causes = "; ".join(dict.fromkeys(death.words for death in deaths))
    return f"{len(deaths)} workers ended while they had it ({causes}); run again"


# --- What an exit status and faulthandler's last words say about a worker's end
#
# It decides nothing: whether the job or somebody else is to blame is `supervisor`'s decision.


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

#: With this a confined worker makes room for one that may write in the folders there are now.
PLACES_MOVED: Final = 75

SERVER_LOST: Final = Death(
    Kind.CRASHED, "the process that starts the workers was killed", innocent=True
)


def cause_of(exitcode: int, last_words: bytes = b"") -> Death:
    """Describe the end of a worker that was not sent a signal by the run itself.

    Args:
        exitcode: as `multiprocessing.Process.exitcode` has it, a signal negative.
        last_words: what faulthandler wrote, may be empty.
    """
    where = innermost(last_words)
    if exitcode == PLACES_MOVED:
        return Death(Kind.CRASHED, "the cache's folders were replaced over and over", innocent=True)
    if exitcode >= 0:
        words = f"it ended itself with exit status {exitcode}"
        return Death(Kind.CRASHED, words, where=where, cause=Cause.LEFT)
    number = -exitcode
    if number == signal.SIGKILL:
        words = "killed by SIGKILL, most likely the kernel's out-of-memory killer"
        return Death(Kind.OUT_OF_MEMORY, words, cause=Cause.KILLED)
    if number == signal.SIGXCPU:
        words = "no end after twice its time on the processor"
        return Death(Kind.TIMED_OUT, words, where=where, cause=Cause.TIME)
    words = signal_words(number)
    if number in _FROM_OUTSIDE:
        return Death(Kind.CRASHED, words, innocent=True, where=where)
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
    path, line, function = frame.groups()
    return f"{_text(function)} ({PurePosixPath(_text(path)).name}:{_text(line)})"


def _text(data: bytes) -> str:
    return data.decode(errors="replace").strip()

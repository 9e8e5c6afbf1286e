"""What an exit status and faulthandler's last words say about a worker's end.

It decides nothing: whether the job or somebody else is to blame is `supervisor`'s decision.
"""

from __future__ import annotations

import re
import signal
from pathlib import PurePosixPath
from typing import Final

from pregen.engines.local.facts import Cause, Death
from pregen.model import Kind

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

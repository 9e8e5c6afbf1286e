"""What can go wrong, and the exit code each ending of a command has.

A failing *run* is a `PregenError`: its message says what to do next, its `exit_code` how the
command ends. A failing *source* ends itself only: its exception (`pregen.imaging.faults`) never
leaves the worker, where it becomes a value (`pregen.model.Outcome`). Anything else is a bug and
keeps its traceback. `pregen.cli` alone turns errors into exit codes.
"""

from __future__ import annotations

import errno
from enum import IntEnum
from typing import Final, Self

#: Of a process, and of the whole system.
TOO_MANY_OPEN: Final = frozenset({errno.EMFILE, errno.ENFILE})


class ExitCode(IntEnum):
    """How a command ended. Scripts may rely on these numbers; an unknown one is a failure.

    What they mean is told in these words by the help, the man page, `pregen status` and the README.
    """

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        """Make a member, which is a number with a meaning."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    DONE = 0, "done"
    UNEXPECTED = 1, "an unexpected error: a bug"
    USAGE = 2, "wrong command line or configuration"
    SOME_FAILED = 3, "done, some failed"
    BAD_ENTRIES = 4, "verify or doctor found problems"
    LOCKED = 10, "another run works on the same cache (--wait waits for it)"
    MISSING_LIBRARY = 11, "a required engine, library or sandbox is missing"
    CACHE = 12, "the cache cannot be written or its disk is full"
    CLUSTER = 13, "the Dask cluster cannot be used or was lost"
    INTERRUPTED = 130, "stopped by Ctrl-C"
    READER_GONE = 141, "standard output took no more: its reader ended, or its disk is full"
    """128 + SIGPIPE, as for any program in a pipe."""
    TERMINATED = 143, "stopped by SIGTERM"


def meaning(exit_code: int) -> str:
    """Return what an exit code means; one that this version does not know is named."""
    known = (code.meaning for code in ExitCode if code == exit_code)
    return next(known, f"exit code {exit_code}")


def exit_codes() -> str:
    """Return all exit codes in one sentence."""
    return "Exit codes: " + "; ".join(f"{code} {code.meaning}" for code in ExitCode) + "."


class PregenError(Exception):
    """A reason to end the run. The message is for the user and names the next step."""

    exit_code = ExitCode.UNEXPECTED


class UsageError(PregenError):
    """The command line, the environment or the configuration file makes no sense."""

    exit_code = ExitCode.USAGE


class LockedError(PregenError):
    """Another run works on the same cache."""

    exit_code = ExitCode.LOCKED


class MissingLibraryError(PregenError):
    """An engine or a library that this run cannot do without is not installed."""

    exit_code = ExitCode.MISSING_LIBRARY


class ClusterError(PregenError):
    """The cluster that was to do the work is not there, is not fit for it, or went away."""

    exit_code = ExitCode.CLUSTER


class SandboxError(PregenError):
    """The sandbox was required, and this system has none, or not a whole one."""

    exit_code = ExitCode.MISSING_LIBRARY


class TooManyOpenError(PregenError):
    """The limit of open files is too low for a run at all."""

    exit_code = ExitCode.MISSING_LIBRARY

    def __init__(self) -> None:
        super().__init__("Too many open files. Allow more (ulimit -n 256) and run again.")


class CacheError(PregenError):
    """The cache cannot be written: the whole run is pointless, not one source."""

    exit_code = ExitCode.CACHE


class CacheFullError(CacheError):
    """The disk or the quota of the cache is used up (ENOSPC, EDQUOT, EFBIG).

    Args:
        message: for people, with what to do.
        brief: the same of one of many sources: only why.
    """

    def __init__(self, message: str, brief: str = "") -> None:
        super().__init__(message)
        self.brief = brief or message


class ResultsLostError(PregenError):
    """Standard output takes no more: its disk is full. Something of it is lost."""

    exit_code = ExitCode.READER_GONE

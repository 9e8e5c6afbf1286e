"""What can go wrong, and the exit code each ending of a run has.

    PregenError                      ends the run; `exit_code` says with which code
     +- UsageError              2    the command line or the configuration makes no sense
     +- LockedError            10    another run holds the cache's lock
     +- MissingLibraryError    11    an engine or a library this run needs is not installed
     +- ClusterError           13    the Dask cluster cannot be used, or was lost
     +- SandboxError           11    the sandbox this run was to have cannot be had
     +- CacheError             12    the cache cannot be written
         +- CacheFullError     12    ... because its disk or quota is full
    SourceError                      ends one source; never leaves a worker
     +- ... see `pregen.imaging.faults`

A failing *source* is a value (`pregen.model.Outcome`); a failing *run* is one of the
exceptions above, with a message that says what to do next; anything else is a bug and
keeps its traceback. `pregen.cli` alone turns these into exit codes.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended. Scripts may rely on these numbers; an unknown one is a failure."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    SOME_FAILED = 3
    BAD_ENTRIES = 4
    LOCKED = 10
    MISSING_LIBRARY = 11
    CACHE = 12
    CLUSTER = 13
    INTERRUPTED = 130
    READER_GONE = 141
    """Whoever read our standard output left (128 + SIGPIPE, as for any program in a pipe)."""
    TERMINATED = 143


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


class CacheError(PregenError):
    """The cache cannot be written: the whole run is pointless, not one source."""

    exit_code = ExitCode.CACHE


class CacheFullError(CacheError):
    """The disk or the quota of the cache is used up (ENOSPC, EDQUOT, EFBIG)."""

"""What is believed of what a worker reports about a job: what the run cannot know, within bounds.

A worker may have been taken over by a file. Path, process and planned facts are the run's own; a
number that cannot be, a text that no honest worker says, or a verdict that only the run can give
is a lie, for which the worker is ended. Pure.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from pregen.model import ALL_FLAVORS, Kind

if TYPE_CHECKING:
    from pregen.model import Job, Outcome

#: The extras that a decoder may wait for: a name goes into a command that the user is told to run.
DECODER_EXTRAS: Final = frozenset({"heic", "raw", "video", "pdf", "jxl"})

#: Said by the run of a worker, or of a source that no worker has seen.
_NOT_A_WORKERS: Final = frozenset(
    {
        Kind.FAILED_BEFORE,
        Kind.EXCLUDED,
        Kind.OFFLINE,
        Kind.CRASHED,
        Kind.TIMED_OUT,
        Kind.DISTURBED,
        Kind.INTERRUPTED,
    }
)
#: No decoder knows larger pictures (PNG: 2^31 - 1).
_MOST_EDGE_PX: Final = 2**31 - 1
#: No entry is larger (`sandbox.rlimits`).
_MOST_ENTRY_BYTES: Final = 64 << 20
#: Larger than any file that was read in one job.
_MOST_READ_BYTES: Final = 1 << 50
#: Films are read in part, some parts twice: of more than this only the bound is believed.
_READS: Final = 16
_SOME_BYTES: Final = 64 << 20

_LOADER: Final = re.compile(r"[a-z0-9-]{0,32}", re.ASCII)
_MIME: Final = re.compile(r"(?:[\w.+-]{1,64}/[\w.+-]{1,128})?", re.ASCII)
#: As `thumbspec.fingerprint` writes them.
_FINGERPRINT: Final = re.compile(r"(?:[0-9a-f]{32}:[0-9,+*]{1,400})?", re.ASCII)


class LieError(Exception):
    """A worker says what cannot be; the message says what."""


def vetted(outcome: Outcome, job: Job, pid: int, elapsed_ns: int) -> Outcome:
    """Return `outcome` with what is the run's to say put right.

    Args:
        outcome: as reported.
        job: as it was handed out, with the same id.
        pid: of the worker.
        elapsed_ns: since the worker was started.

    Raises:
        LieError: no honest worker reports this.
    """
    if outcome.kind in _NOT_A_WORKERS:
        raise LieError(f"the kind {outcome.kind.value}")
    if outcome.extra and (
        outcome.kind is not Kind.NEEDS_EXTRA or outcome.extra not in DECODER_EXTRAS
    ):
        raise LieError("an extra that pregen does not have")
    if not _are_names(outcome.loader, outcome.mime):
        raise LieError("a loader or type of file that pregen does not know")
    if not _FINGERPRINT.fullmatch(outcome.fingerprint):
        raise LieError("an invalid fingerprint")
    entries = outcome.entries_written
    if not (
        0 <= outcome.width_px <= _MOST_EDGE_PX
        and 0 <= outcome.height_px <= _MOST_EDGE_PX
        and 0 <= entries <= len(job.uris) * len(ALL_FLAVORS)
        and 0 <= outcome.bytes_written <= entries * _MOST_ENTRY_BYTES
        and 0 <= outcome.bytes_read <= _MOST_READ_BYTES
        and outcome.source_size_bytes >= -1
        and min(outcome.source_inode, outcome.source_ctime_ns) >= 0
    ):
        raise LieError("impossible sizes")
    stages = *outcome.stages, outcome.waited_ns
    if min(stages) < 0 or sum(outcome.stages) > elapsed_ns or outcome.waited_ns > elapsed_ns:
        raise LieError("more time than has passed")
    if len(outcome.stamps) > len(job.uris) * len(ALL_FLAVORS) or (
        outcome.stamps and min(map(min, outcome.stamps)) < 0
    ):
        raise LieError("impossible entries")
    if job.share:
        outcome = outcome._replace(share=job.share)
    most_read = _READS * max(0, job.size_bytes) + _SOME_BYTES
    if (outcome.path, outcome.worker_pid) == (job.path, pid) and outcome.bytes_read <= most_read:
        return outcome  # as of an honest worker
    read = min(outcome.bytes_read, most_read)
    return outcome._replace(path=job.path, worker_pid=pid, bytes_read=read)


@lru_cache(maxsize=256)
def _are_names(loader: str, mime: str) -> bool:
    return bool(_LOADER.fullmatch(loader) and _MIME.fullmatch(mime))

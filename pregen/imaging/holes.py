"""Where a file's data is lost: what was allocated on a disk and never written reads as zeros.

Interrupted copies and worn memory cards leave such files. A decoder takes zeros for codes and
paints on, so the loss must be seen before. Long runs of zeros are ordinary in some sound files
(flat areas with optimised tables); those of a disk begin and end where its sectors do.
"""

from __future__ import annotations

import numpy as np

#: The smallest unit of loss, and the step at which it is looked for.
_SECTOR_BYTES = 512
_STEP_BYTES = 2048
#: A sound file may end its last sector before a hole with some zeros of its own.
_SLACK_BYTES = 8


def before_the_first(data: bytes, begin: int) -> bytes:
    """Return `data` up to the first hole behind `begin`; all of it where there is none."""
    samples = np.frombuffer(data, np.uint8)[-(-begin // _STEP_BYTES) * _STEP_BYTES :: _STEP_BYTES]
    first = -(-begin // _STEP_BYTES) * _STEP_BYTES
    for index in np.flatnonzero(samples == 0):
        at = first + int(index) * _STEP_BYTES
        if data.startswith(_ZEROS, at):
            start, end = _run(data, at)
            if _like_a_disk(start, end, len(data)) and start > begin:
                return data[:start]
    return data


_ZEROS = bytes(_STEP_BYTES)


def _run(data: bytes, at: int) -> tuple[int, int]:
    """The run of zeros around `at`."""
    start = len(data[:at].rstrip(b"\0"))
    end = at
    while data.startswith(_ZEROS, end):
        end += _STEP_BYTES
    while end < len(data) and data[end] == 0:
        end += 1
    return start, end


def _like_a_disk(start: int, end: int, size_bytes: int) -> bool:
    begins = start % _SECTOR_BYTES == 0 or start % _SECTOR_BYTES >= _SECTOR_BYTES - _SLACK_BYTES
    return end == size_bytes or (begins and end % _SECTOR_BYTES == 0)

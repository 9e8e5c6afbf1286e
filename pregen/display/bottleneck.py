"""What would have to be faster for a run to be faster. Pure.

Workers either have the bytes of a picture, and compute, or they wait for them. Where they mostly
wait, reading is the limit. Where the processors are busy all the same, with what carries the bytes
(ssh and sshfs encrypt and copy them) or with other programs, a faster link alone gains little.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

#: Workers that wait for longer than they compute.
_MOSTLY: Final = 0.5
#: Less than this is what opening and the first page take from any disk.
_HARDLY: Final = 0.2
#: A machine with less to spare than this is busy.
_SPARE: Final = 0.1
#: Of a shorter time nothing is said.
_LEAST_S: Final = 1.0
#: A disk that is slow for a shorter time needs no word: every disk is, in the beginning.
_DISK_S: Final = 5.0


class Bottleneck(Enum):
    """What limits a run. The values appear in `--json`: never rename."""

    LINK = "link"
    DISK = "disk"
    CPU = "cpu"
    BOTH = "both"
    """Reading and computing: neither alone would help much."""


class Spent(NamedTuple):
    """Where time went, in seconds: since the start of a run, or in one second of it."""

    waiting_s: float = 0.0
    """Of all workers, for the bytes of sources."""
    computing_s: float = 0.0
    """Of all workers, with all else."""
    idle_s: float = 0.0
    """Of all processors of this machine."""
    processors_s: float = 0.0
    """Of all processors, busy and idle; 0: not measured."""


def bottleneck(spent: Spent, *, share: bool) -> Bottleneck | None:
    """Return what limits; None: too little was done to tell.

    Args:
        spent: where the time went.
        share: bytes came over a network.
    """
    worked_s = spent.waiting_s + spent.computing_s
    if worked_s <= 0:
        return None
    waits = spent.waiting_s / worked_s
    if waits <= _HARDLY:
        return Bottleneck.CPU
    busy = spent.processors_s > 0 and spent.idle_s / spent.processors_s < _SPARE
    if waits < _MOSTLY or busy:
        return Bottleneck.BOTH
    return Bottleneck.LINK if share else Bottleneck.DISK


def slow_disk(spent: Spent, elapsed_s: float, *, share: bool) -> bool:
    """Tell whether a run over local files is slower than it could be because of their disk.

    Args:
        spent: where the time went.
        elapsed_s: how long the run has taken.
        share: bytes came over a network.
    """
    return elapsed_s >= _DISK_S and bottleneck(spent, share=share) is Bottleneck.DISK


def long_enough(spent: Spent) -> bool:
    """Tell whether workers did enough for something to be said."""
    return spent.waiting_s + spent.computing_s >= _LEAST_S


#: Behind "limited by".
LIMITED_BY: Final = {
    Bottleneck.LINK: "the link",
    Bottleneck.DISK: "the disk",
    Bottleneck.CPU: "the processors",
    Bottleneck.BOTH: "reading and the processors",
}

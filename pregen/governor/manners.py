"""How much of the machine the run and its children may have: priority of processor and disk.

To be set before the first worker is started: they inherit it.
"""

from __future__ import annotations

import os
from typing import Final

import psutil

from pregen.errors import UsageError

#: With the idle class a job may have to wait for as long as others are busy: its deadline, which
#: counts that, must not be that of a run with a machine of its own.
IDLE_PATIENCE: Final = 10


def be_nice(nice: int | None, *, idle: bool) -> None:
    """Take less than others do.

    Args:
        nice: added to the niceness, 1 to 19.
        idle: run only when nobody else wants the processor or the disk (Linux: SCHED_IDLE, and
            the idle class of I/O).

    Raises:
        UsageError: the system refuses.
    """
    try:
        if nice:
            os.nice(nice)
        if idle:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)
    except (OSError, psutil.Error, AttributeError) as error:
        raise UsageError(
            f"The system refuses the priority that --nice or --idle ask for ({error}). "
            "Leave them out, or use those of your service manager."
        ) from error

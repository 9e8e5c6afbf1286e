"""Tells whether a process whose number was written down can still be at work."""

from __future__ import annotations


def born_s(pid: int) -> float | None:
    """Return when the process that has this number began (Unix time); None: none is at work.

    0.0 where the system does not say.
    """
    import psutil  # noqa: PLC0415 - takes long, and most runs meet no number

    # Ended, and only waiting for its parent to notice. Orphans stay like that for seconds where the
    # first process of the machine or container is slow to look, and for ever where it never does
    # (`docker run` without `--init`).
    ended = {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
    try:
        process = psutil.Process(pid)
        return None if process.status() in ended else process.create_time()
    except psutil.NoSuchProcess:
        return None
    except (psutil.Error, OSError):
        return 0.0
    except (OverflowError, ValueError):
        return None  # no system has numbers that large

"""The facts of a report, gathered from the journal and the cache. Reads only."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING

from pregen import __version__
from pregen.errors import PregenError
from pregen.report.figures import Figures
from pregen.report.page import Facts
from pregen.report.sheet import make_sheet
from pregen.storage.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pregen.journal import Run
    from pregen.journal.history import Seen


def gather(run: Run, sources: Iterable[Seen], cache_root: bytes) -> Facts:
    """Add up a run and look at its thumbnails.

    Raises:
        PregenError: the journal cannot be read.
    """
    figures = Figures(run.started_at_ns, _end_ns(run))
    try:
        for seen in sources:
            figures.add(seen)
    except sqlite3.Error as error:
        raise PregenError(f"The journal cannot be read ({error}). Try again later.") from error
    with Cache(cache_root, __version__) as cache:
        sheet = make_sheet(cache, figures.to_look_at, figures.extreme)
    return Facts(run, figures, sheet, __version__)


def _end_ns(run: Run) -> int:
    if run.wall_ns:
        return run.started_at_ns + run.wall_ns
    return run.ended_at_ns or time.time_ns()

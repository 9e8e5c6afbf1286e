"""`pregen watch`: a run, then one for each group of changes, until somebody ends it.

    notifier --Change--> places_of --Places--> a run of that part; entries of what is gone, removed

The notifier listens before the first run begins, so nothing is missed between the two.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.config import RunConfig
from pregen.follow.changes import Places, places_of
from pregen.follow.gone import remove_all_gone, remove_gone
from pregen.follow.notifier import Notifier, queue_length
from pregen.progress.base import Report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pregen.errors import ExitCode
    from pregen.pipeline import RunStop

#: A storm goes on for longer than anybody wants to wait: it is worked on in portions.
_MOST_SETTLE_S: Final = 10.0
#: A stop is seen within the notifier's own step; this is only how often the loop turns.
_TURN_S: Final = 60.0
_EVERYWHERE: Final = Places(everywhere=True)


@dataclass(frozen=True, slots=True)
class FollowConfig:
    """How changes are followed."""

    settle_s: float
    """Changes are worked on when nothing more came for so long."""
    rescan_s: float
    """Everything is looked at this often all the same; 0: never."""


class Round(NamedTuple):
    """What one group of changes came to."""

    report: Report
    removed: int
    everywhere: bool


Runner = Callable[[RunConfig], Report]
"""Does one run, with a display of its own."""


class _Ended:
    """A stop as the notifier asks for it."""

    def __init__(self, stop: RunStop) -> None:
        self._stop = stop

    def is_set(self) -> bool:
        """Tell whether the run is to end."""
        return self._stop.asked


def follow(
    config: RunConfig,
    how: FollowConfig,
    roots: Sequence[bytes],
    stop: RunStop,
    run: Runner,
    told: Callable[[Round], None],
) -> ExitCode:
    """Keep the cache fresh until `stop`; return with which code it ended.

    Args:
        config: of a run over everything.
        how: see there.
        roots: the folders of `config`, absolute and clean.
        stop: ends it.
        run: does one run.
        told: called after every round but the first.

    Raises:
        PregenError: the folders cannot be watched, or a run ended before its time.
    """
    ended = _Ended(stop)
    with Notifier(roots) as notifier:
        most = queue_length() // 2
        run(config)
        due_s = time.monotonic() + how.rescan_s
        while not ended.is_set():
            patience_s = due_s - time.monotonic() if how.rescan_s > 0 else _TURN_S
            changes = notifier.wait(min(max(patience_s, 0), _TURN_S), ended)
            if changes:
                changes += notifier.settle(how.settle_s, _MOST_SETTLE_S, ended)
            overdue = how.rescan_s > 0 and time.monotonic() >= due_s
            if ended.is_set() or not (changes or overdue):
                continue
            places = _EVERYWHERE if overdue else places_of(changes, most)
            if places.everywhere:
                due_s = time.monotonic() + how.rescan_s
            told(_round(config, places, roots, run))
    return stop.code


def _round(config: RunConfig, places: Places, roots: Sequence[bytes], run: Runner) -> Round:
    """Work on one group of changes: first what is new, which may use what has moved."""
    part = replace(
        config,
        walk=replace(config.walk, only=places.only),
        sweep=places.everywhere,
    )
    report = run(part)
    cache_root = config.work.cache_root
    if places.everywhere:
        removed = remove_all_gone(cache_root, roots)
    else:
        removed = remove_gone(cache_root, config.journal_path, places.folders, places.gone)
    return Round(report, removed, places.everywhere)

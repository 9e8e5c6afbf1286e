"""What `pregen status` tells, gathered from the cache and the journal. Reads only."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from pregen.commands.census import Census, take_census
from pregen.journal import Failure, Journal, Run, journal_path
from pregen.thumbspec.naming import thumbnails_root

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pregen.model import Kind


class StatusFacts(NamedTuple):
    """All that is told."""

    root: bytes
    """The thumbnails directory."""
    journal: bytes
    """The journal's file, which need not exist."""
    census: Census
    runs: tuple[Run, ...]
    """Newest first."""
    failure_counts: Mapping[Kind, int]
    failures: tuple[Failure, ...]
    """Sources whose last outcome was a failure, by path."""
    warnings: tuple[str, ...]


def gather(runs: int) -> StatusFacts:
    """Gather the facts about the user's cache and the last `runs` runs.

    Raises:
        CacheError: a folder of the cache cannot be listed.
    """
    home = os.path.expanduser("~")
    root, path = thumbnails_root(os.environ, home), journal_path(os.environ, home)
    warnings: list[str] = []
    census = take_census(root)
    journal = Journal.open(path, warnings.append, create=False)
    try:
        last, counts = tuple(journal.last_runs(runs)), journal.failure_counts()
        failures = tuple(journal.failures())
    finally:
        journal.close()
    return StatusFacts(root, path, census, last, counts, failures, tuple(warnings))

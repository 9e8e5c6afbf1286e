"""The SQLite record of runs, outcomes and failures. It never stops a run, and is never needed."""

from pregen.journal.database import journal_path, state_dir
from pregen.journal.journal import Journal
from pregen.journal.rows import RecordedFailure, RecordedRun, RunState, RunTotals

__all__ = [
    "Journal",
    "RecordedFailure",
    "RecordedRun",
    "RunState",
    "RunTotals",
    "journal_path",
    "state_dir",
]

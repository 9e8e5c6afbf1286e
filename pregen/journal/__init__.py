"""The SQLite record of runs, outcomes and failures. It never stops a run, and is never needed."""

from pregen.journal.journal import Journal
from pregen.journal.place import journal_path, state_dir
from pregen.journal.rows import Failure, Run, RunState, RunTotals

__all__ = [
    "Failure",
    "Journal",
    "Run",
    "RunState",
    "RunTotals",
    "journal_path",
    "state_dir",
]

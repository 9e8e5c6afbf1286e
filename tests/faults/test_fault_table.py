"""Every system call of a run fails once; what is left is whole, and the next run mends the rest.

The table is made by `tests.support.faults.fault_table`, which says what is checked after each cell.
`scripts/soak-faults` does all of it (with `--every`, at later calls too); here is the part for
which there is time. `scripts/prove-faults` shows that it would notice.
"""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from pathlib import Path

#: A part of the table is a hundred runs, each with a limit of its own.
_LIMIT_S = 400

pytestmark = [
    needs(Capability.PRELOAD),
    pytest.mark.usefixtures("no_leaks"),
    pytest.mark.slow,
    pytest.mark.timeout(_LIMIT_S + 20),
]

_FEW = "EIO,ENOSPC,short,kill-before,kill-after"


def fault_table(folder: Path, *arguments: str) -> int:
    """Do a part of the table; return the number of cells, none of which may be wrong."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.faults.fault_table", "--folder", folder, *arguments],
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    [count] = re.findall(r"^([0-9]+) cells, 0 wrong$", done.stdout, flags=re.MULTILINE)
    return int(count)


@pytest.mark.parametrize(("files", "least"), [("temp", 50), ("entry", 20)])
def test_any_fault_of_a_commit_leaves_the_old_entry_or_the_new_one(
    files: str, least: int, tmp_path: Path
) -> None:
    assert fault_table(tmp_path, "--files", files) > least


def test_a_source_that_changes_or_fails_while_it_is_read_gets_no_wrong_entry(
    tmp_path: Path,
) -> None:
    assert fault_table(tmp_path, "--files", "source") > 35


def test_any_fault_of_the_lock_or_a_folder_ends_a_run_in_order(tmp_path: Path) -> None:
    assert fault_table(tmp_path, "--files", "lock,folder", "--faults", _FEW) > 40


def test_any_fault_of_the_journal_costs_time_only(tmp_path: Path) -> None:
    files = "journal,journal-dir,wal,shm,rollback"
    assert fault_table(tmp_path, "--files", files, "--faults", "EIO,short,kill-after") > 70


@pytest.mark.parametrize("role", ["run", "worker"])
def test_any_fault_of_the_pipes_costs_a_worker_at_most(tmp_path: Path, role: str) -> None:
    arguments = ["--engine", "local", "--role", role, "--files", "socket"]
    assert fault_table(tmp_path, *arguments, "--faults", "EIO,kill-before") > 3

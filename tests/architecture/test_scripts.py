"""The scripts only call: what they do is Python in `tools` and `tests`, checked like the rest."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tools.prove_faults import Sabotage

ROOT = Path(__file__).resolve().parents[2]
SABOTAGES = pytest.importorskip("tools.prove_faults", reason="not a checkout").SABOTAGES
SCRIPTS = sorted(path for path in (ROOT / "scripts").iterdir() if os.access(path, os.X_OK))
#: They run a Python; `check` runs what is installed beside it, and `desktop-root` none.
_OTHERS = {"check", "desktop-root", "env"}
RUNNERS = [path.name for path in SCRIPTS if path.is_file() and path.name not in _OTHERS]
_PYTHON = re.compile(rb"#!.*python")


def python_in_disguise(folder: Path) -> list[str]:
    """Return the tracked files that are Python and do not look like it to the checks."""
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=folder, text=True).split("\0")
    return [
        name
        for name in filter(None, listed)
        if not name.endswith(".py") and _PYTHON.match((folder / name).read_bytes())
    ]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")
def test_no_python_escapes_the_checks() -> None:
    assert python_in_disguise(ROOT) == []


def test_python_without_its_ending_is_found(tmp_path: Path) -> None:
    (tmp_path / "man").write_text("#!/usr/bin/env python3\n")
    (tmp_path / "man.py").write_text("#!/usr/bin/env python3\n")
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    assert python_in_disguise(tmp_path) == ["man"]


@pytest.mark.parametrize("name", RUNNERS)
def test_a_script_runs_from_anywhere_and_through_a_link(name: str, tmp_path: Path) -> None:
    """Also where hostile files and PYTHONPATH wait for the Python that makes the environment."""
    checkout, elsewhere = tmp_path / "checkout", tmp_path / "elsewhere"
    shutil.copytree(ROOT / "scripts", checkout / "scripts")
    (checkout / "tools").mkdir()
    elsewhere.mkdir()
    (elsewhere / "json.py").write_text("raise SystemExit('hostile')")
    python = checkout / "python"
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    (checkout / "tools" / "environment.py").write_text(f"import json\nprint({str(python)!r})\n")
    link = elsewhere / "linked"
    link.symlink_to(checkout / "scripts" / name)
    done = subprocess.run(
        ["./linked", "one", "two words"],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(elsewhere)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    program = re.fullmatch(r"(?:-[IP] )?(?:-m (\S+)|(\S+)) (?:.* )?one two words\n", done.stdout)
    assert program, done.stdout
    module, file = program.groups()
    assert find_spec(module) if module else Path(file).name == "man.py"


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.name)
def test_what_prove_faults_takes_away_is_there(sabotage: Sabotage) -> None:
    assert sabotage.old in (ROOT / "pregen" / sabotage.file).read_text()

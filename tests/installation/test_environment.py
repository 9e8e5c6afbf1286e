"""The environment that the first command makes: really made, stopped, and gone on with."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "tools").exists(), reason="not a checkout")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of what the first command needs, in a folder with a space in its name."""
    copy = tmp_path / "my pregen"
    ignored = shutil.ignore_patterns("__pycache__", "*.so")
    for name in ("pregen", "scripts", "tools", "man"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy2(ROOT / name, copy)  # without uv.lock: pip, which everybody has
    return copy


def path_with(folder: Path, **programs: str) -> str:
    """Return a PATH that begins with a folder of these programs, as text of shell scripts."""
    folder.mkdir()
    for name, text in programs.items():
        program = folder / name.replace("_", ".")
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def first_command(checkout: Path, *words: str, path: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [checkout / "scripts" / "pregen", *words],
        env={**os.environ, "PATH": path or os.environ["PATH"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_first_command_sets_up_and_goes_on_after_a_ctrl_c(checkout: Path) -> None:
    first = first_command(checkout, "--version")
    assert first.stderr
    # Told before anything is fetched: what happens, how large and how long.
    assert str(checkout / ".venv") in first.stderr.readline()
    assert "MB" in first.stderr.readline()
    os.killpg(first.pid, signal.SIGINT)
    out, err = first.communicate()
    # The shell around it ends as the signal wants it.
    assert first.returncode in {130, -signal.SIGINT}
    assert out == ""
    assert "Stopped. Run the same command to continue." in err
    assert "Traceback" not in err

    second = first_command(checkout, "--version")
    out, err = second.communicate()
    if second.returncode == 1 and "No matching distribution" in err:
        pytest.skip("no package index can be reached")
    assert (second.returncode, out) == (0, "pregen 0.1.0\n"), err
    assert "Ready after" in err

    hint = [str(checkout / ".venv/bin/python"), "-P", "-c"]
    hint += ["from pregen.installation import install_command; print(install_command(['watch']))"]
    command = subprocess.run(hint, check=True, capture_output=True, text=True).stdout
    assert command == f"'{checkout}/scripts/pregen' --with watch\n"
    subprocess.run(command, shell=True, check=True, capture_output=True)  # noqa: S602 - as pasted
    # It stays, and what was there stays, too.
    third = first_command(checkout, "--version")
    assert third.communicate() == ("pregen 0.1.0\n", "")
    look = "import watchfiles, pillow_heif"
    subprocess.run([checkout / ".venv/bin/python", "-c", look], check=True)


def test_an_extra_that_does_not_exist_is_named_with_those_that_do(checkout: Path) -> None:
    asked = first_command(checkout, "--with", "films", "run")
    out, err = asked.communicate()
    assert (asked.returncode, out) == (1, "")
    assert "no extra 'films'" in err
    assert "video" in err
    assert not (checkout / ".venv").exists()


def test_an_old_python_in_front_is_passed_over(checkout: Path, tmp_path: Path) -> None:
    path = path_with(tmp_path / "bin", python3="exit 1", python3_14=f'exec {sys.executable} "$@"')
    asked = first_command(checkout, "--with", "films", path=path)
    assert "no extra 'films'" in asked.communicate()[1]


def test_without_a_new_python_the_message_says_which_is_needed(
    checkout: Path, tmp_path: Path
) -> None:
    old = {f"python3{minor}": "exit 1" for minor in ("", "_11", "_12", "_13", "_14")}
    asked = first_command(checkout, "--version", path=path_with(tmp_path / "bin", **old))
    out, err = asked.communicate()
    assert (asked.returncode, out) == (1, "")
    assert err.startswith("pregen needs Python 3.11 or newer")

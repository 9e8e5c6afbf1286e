"""Python files beside the photos are never run, from wherever the program is started."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pregen import safepath
from tests.support.files import foreign_entries
from tests.support.files.source_trees import few
from tests.support.running.program import Finished, environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

pytestmark = [pytest.mark.usefixtures("no_leaks"), pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
#: As people have it: an installer's start script, which runs Python without -P.
INSTALLED = str(Path(sys.executable).with_name("pregen"))
SAFE = (sys.executable, "-P", "-m", "pregen")
COUNT = 3
_TIMEOUT_S = 90

#: Tells by a file of its name that it ran, and in which command.
_HOSTILE = """\
import os, sys
with open(os.path.join({markers!r}, __name__), "a") as marker:
    marker.write(repr(sys.orig_argv))
raise SystemExit("hostile")
"""


def start(
    command: Sequence[str], folder: Path, cache: Path, env: Mapping[str, str] | None = None
) -> Finished:
    """Run a command in a folder to its end."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(cache, env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def imported(folder: Path) -> set[str]:
    """Return what a real run imports, in the program and in its workers."""
    command = (sys.executable, "-P", "-X", "importtime", "-m", "pregen", "run", ".")
    done = start(command, folder, folder.parent / "cache")
    assert done.code == 0, done
    return set(re.findall(r"^import time:.*\| +(\w+)", done.err, re.MULTILINE))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of photos and of modules named as every one that could be imported."""
    base = tmp_path_factory.mktemp("downloads")
    folder, markers = base / "photos", base / "markers"
    markers.mkdir()
    few(folder, COUNT)
    live = imported(folder)
    assert {"pregen", "click", "signal", "multiprocessing", "pyvips"} <= live
    names = {*live, *sys.stdlib_module_names, *packages_distributions()}
    names |= {"sitecustomize", "usercustomize"}
    code = _HOSTILE.format(markers=str(markers))
    for name in names:
        if name.isidentifier():
            (folder / f"{name}.py").write_text(code)
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def ran(folder: Path) -> dict[str, str]:
    """Return which hostile modules ran, and in which command; forget them."""
    found = {}
    for marker in (folder.parent / "markers").iterdir():
        found[marker.name] = marker.read_text()
        marker.unlink()
    return found


def made(cache: Path) -> int:
    return sum(path.parent.name in {"normal", "large"} for path in foreign_entries.files(cache))


def test_the_modules_are_as_hostile_as_they_look(hostile: Path, cache: Path) -> None:
    start((sys.executable, "-m", "pregen", "--version"), hostile, cache)
    assert ran(hostile)


@pytest.mark.parametrize("program", [SAFE, (INSTALLED,)], ids=["checkout", "installed"])
def test_no_verb_runs_them(program: tuple[str, ...], hostile: Path, cache: Path) -> None:
    verbs = (
        ("--version",),
        ("run", "."),
        ("run", "--sandbox", "off", "--check", "full", "."),
        ("show", "00.jpg"),
        ("verify", "--deep"),
        ("clean", "--yes"),
        ("status",),
        ("failures",),
    )
    for verb in verbs:
        done = start((*program, *verb), hostile, cache)
        assert not ran(hostile), (verb, done)
        assert done.code == 0, (verb, done)
    assert made(cache) == 2 * COUNT


def test_a_start_script_that_shuts_out_the_environment_does_not(hostile: Path, cache: Path) -> None:
    done = start((sys.executable, "-E", INSTALLED, "run", "."), hostile, cache)
    assert not ran(hostile), done
    assert done.code == 0, done
    assert made(cache) == 2 * COUNT


def test_the_bench_does_not(hostile: Path, cache: Path) -> None:
    done = start((INSTALLED, "bench", "--workers", "1", "--sample", "3", "."), hostile, cache)
    assert not ran(hostile), done
    assert done.code == 0, done


@pytest.mark.skipif(find_spec("distributed") is None, reason="needs pregen[dask]")
def test_a_node_of_a_dask_cluster_does_not(hostile: Path, cache: Path) -> None:
    command = (INSTALLED, "run", "--engine", "dask", "--scheduler", "local:1", ".")
    done = start(command, hostile, cache)
    assert not ran(hostile), done
    assert done.code == 0, done
    assert made(cache) == 2 * COUNT


@pytest.mark.skipif(find_spec("watchfiles") is None, reason="needs pregen[watch]")
def test_watching_does_not(hostile: Path, cache: Path) -> None:
    with subprocess.Popen(
        (INSTALLED, "watch", "."),
        cwd=hostile,
        env=environment(cache, None),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        until_s = time.monotonic() + _TIMEOUT_S
        while made(cache) < 2 * COUNT and process.poll() is None and time.monotonic() < until_s:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(_TIMEOUT_S) == 130
    assert not ran(hostile)
    assert made(cache) == 2 * COUNT


def test_the_start_script_does_not_even_with_the_folder_on_the_path(
    hostile: Path, cache: Path, tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / "scripts", checkout / "scripts")
    (checkout / "tools").mkdir()
    (checkout / "tools" / "environment.py").write_text(
        f"import shutil, subprocess, tomllib\nprint({sys.executable!r})\n"
    )
    for env in ({}, {"PYTHONPATH": f"{tmp_path}:"}):
        for verb in (("--version",), ("run", ".")):
            done = start((str(checkout / "scripts" / "pregen"), *verb), hostile, cache, env)
            assert not ran(hostile), done
            assert done.code == 0, done
    assert made(cache) == 2 * COUNT


def test_what_makes_the_environment_does_not(hostile: Path, cache: Path, tmp_path: Path) -> None:
    """It is offline here, and fails: after it has made a venv, and called pip."""
    checkout = tmp_path / "checkout"
    for part in ("scripts", "tools"):
        shutil.copytree(ROOT / part, checkout / part)
    shutil.copy(ROOT / "pyproject.toml", checkout)
    offline = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    done = start((str(checkout / "scripts" / "env"), "run"), hostile, cache, offline)
    assert not ran(hostile), done
    assert "pip" in done.err, done
    assert (checkout / ".venv" / "bin" / "python").exists()


def test_a_copy_that_is_run_from_its_own_folder_starts_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert not sys.flags.safe_path
    monkeypatch.chdir(ROOT)
    assert safepath.command() == [sys.executable]
    assert not safepath.environment()
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    assert safepath.command() == [sys.executable, "-P"]
    gone.rmdir()
    assert safepath.environment()

"""A C module of ours under sanitizers, in a process of its own: compiled, and run by a trial."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

_ROOT = Path(__file__).resolve().parents[3]
_FLAGS = ("-g", "-O1", "-shared", "-fPIC", "-pthread", "-fsanitize=address,undefined")
_STRICT = ("-fno-sanitize-recover=all", f"-I{sysconfig.get_path('include')}")


class Said(NamedTuple):
    """How a trial ended."""

    code: int
    said: str


def run_sanitized(
    trial: str,
    module: str,
    folder: Path,
    rounds: int,
    seed: int = 0,
    *,
    options: Sequence[str] = (),
) -> Said:
    """Compile a module into a folder, and run a trial with folder, rounds and seed.

    Args:
        trial: the name of its module, which is run with `-m`.
        module: the dotted name of the module in C.
        folder: takes what is compiled.
        rounds: of the trial.
        seed: of its damage.
        options: more for the compiler.

    Raises:
        CalledProcessError: there is no compiler that can.
    """
    source = (_ROOT / module.replace(".", "/")).with_suffix(".c")
    target = _in_folder(folder, module)
    command = ("gcc", *_FLAGS, *_STRICT, *options, str(source), "-o", str(target))
    subprocess.run(command, check=True)
    runtime = subprocess.check_output(["gcc", "-print-file-name=libasan.so"], text=True).strip()
    asan = "detect_leaks=0:allocator_may_return_null=1"
    done = subprocess.run(
        [sys.executable, "-m", trial, str(folder), str(rounds), str(seed)],
        env={**os.environ, "LD_PRELOAD": runtime, "ASAN_OPTIONS": asan},
        capture_output=True,
        text=True,
        check=False,
    )
    return Said(done.returncode, done.stdout + done.stderr)


def sanitized(folder: Path, module: str) -> ModuleType:
    """Return the module that was compiled into a folder."""
    spec = importlib.util.spec_from_file_location(module, _in_folder(folder, module))
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def _in_folder(folder: Path, module: str) -> Path:
    return folder / f"{module.rpartition('.')[2]}.so"

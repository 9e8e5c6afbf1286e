"""Whole runs of the program without the start of a Python for each: forks of one that has begun.

For trials of many runs. One run costs some 50 ms of a processor instead of a second. It has its
own process, environment and output as any other; `run` works in it (`--engine serial`).

    python -m tests.support.running.forked

is the process that forks: a line of JSON comes in for each run, its exit code goes out.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pregen import cli
from tests.support.running.program import Finished, environment

if TYPE_CHECKING:
    from typing import Any

    from tests.support.running.program import Argument

#: Imported before the first fork, once for all runs.
_EARLY = (
    "pregen.engines.serial", "pregen.imaging.decoders.jpeg", "pregen.imaging.decoders.vips",
    "pregen.originals.examiner", "pregen.pipeline", "pregen.verbs.failures.command",
    "pregen.verbs.report.command", "pregen.verbs.report.charts", "pregen.verbs.run",
    "pregen.verbs.show", "pregen.verbs.status", "pregen.verbs.verify.command", "pregen.work",
)  # fmt: skip
_TIMEOUT_S = 300


class ForkServer:
    """As a context: runs programs as `run_pregen` does.

    Raises:
        subprocess.TimeoutExpired: a run hangs.
    """

    def __init__(self, scratch: Path) -> None:
        """`scratch` takes what runs write to their screens."""
        self._screens = scratch / "out", scratch / "err"

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.running.forked"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def run(self, *arguments: Argument, cache: Path, cwd: Path | None = None) -> Finished:
        """Run the program to its end."""
        words = [os.fsdecode(each) for each in arguments]
        if words[0] == "run":
            words[1:1] = ["--engine", "serial"]
        order = {
            "arguments": words,
            "env": environment(cache, None),
            "cwd": os.fspath(cwd or Path.cwd()),
            "screens": [*map(str, self._screens)],
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], _TIMEOUT_S)[0]:
            raise subprocess.TimeoutExpired(words, _TIMEOUT_S)
        code = int(self._process.stdout.readline())
        out, err = (screen.read_bytes() for screen in self._screens)
        return Finished(code, out, err)


def _be_program(order: dict[str, Any]) -> int:
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, screen in enumerate(order["screens"], 1):
        os.dup2(os.open(screen, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    try:
        return cli.run(order["arguments"])
    except BaseException:  # noqa: BLE001 - as Python ends with whatever was raised
        traceback.print_exc()
        return 1


def main() -> None:
    """Fork a program for every order, until there are no more."""
    for module in _EARLY:
        __import__(module)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = _be_program(json.loads(line))
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

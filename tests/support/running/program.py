"""The program as a user runs it: a process, its output, its exit code, its signals."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, Self

from tests.support.judges.leaks import wait_until_gone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    Argument = str | bytes | os.PathLike[str]
    Record = dict[str, Any]

PREGEN: tuple[str, ...] = (sys.executable, "-m", "pregen")
#: How root runs a program that has to obey file modes, as everybody else's programs do.
MODES_COUNT = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--")
_TIMEOUT_S = 90


class Finished:
    """A run that has ended."""

    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code = code
        self.out = out.decode(errors="replace")
        self.err = err.decode(errors="replace")

    def __repr__(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.out[-4000:]}\n--- stderr\n{self.err[-4000:]}"

    @cached_property
    def records(self) -> list[Record]:
        """Every line of `--json`; ValueError when one is not JSON."""
        return [json.loads(line) for line in self.out.splitlines()]

    @cached_property
    def summary(self) -> Record:
        """The last record of `--json`, which must be the summary."""
        last = self.records[-1]
        assert last["type"] == "summary", self
        return last

    @cached_property
    def outcomes(self) -> dict[bytes, Record]:
        """The records of sources by path; no path may have two."""
        found: dict[bytes, Record] = {}
        for record in self.records:
            if record["type"] == "outcome":
                path = path_of(record)
                assert path not in found, f"two outcomes for {path!r}"
                found[path] = record
        return found

    def kinds(self) -> dict[str, str]:
        """Return the kind of every source by file name."""
        return {
            os.fsdecode(path.rpartition(b"/")[2]): record["kind"]
            for path, record in self.outcomes.items()
        }


def path_of(record: Record) -> bytes:
    """Return the exact path of a record of `--json`."""
    if "path_b64" in record:
        return base64.b64decode(record["path_b64"])
    return os.fsencode(record["path"])


def environment(cache: Path | None, env: Mapping[str, str] | None) -> dict[str, str]:
    """Return the environment of this test (isolated by the suite's conftest) with a cache set.

    Each cache gets a journal of its own, beside it.
    """
    chosen = {}
    if cache is not None:
        chosen = {"XDG_CACHE_HOME": str(cache), "XDG_STATE_HOME": f"{cache}-state"}
    return {**os.environ, **chosen, **(env or {})}


def run_pregen(
    *arguments: Argument,
    cache: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    umask: int = 0o022,
    cwd: Path | None = None,
    prefix: Sequence[str] = (),
    program: Sequence[str] = PREGEN,
) -> Finished:
    """Run the program to its end; a run of more than a minute and a half is a hang."""
    done = subprocess.run(
        [*prefix, *program, *arguments],
        input=stdin,
        capture_output=True,
        env=environment(cache, env),
        umask=umask,
        cwd=cwd,
        timeout=_TIMEOUT_S,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


class Running:
    """A run under way, in a process group of its own; killed with all its workers at the end.

    `patience_s`: a run of the lowest priority may need more beside a busy suite.
    """

    def __init__(
        self,
        *arguments: Argument,
        cache: Path | None = None,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        patience_s: float = _TIMEOUT_S,
    ) -> None:
        self._patience_s = patience_s
        self._mark = ("PYTHON_TEST_RUN", f"{os.getpid()}-{id(self)}-{time.monotonic_ns()}")
        self.process = subprocess.Popen(
            [*prefix, *PREGEN, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**environment(cache, env), self._mark[0]: self._mark[1]},
            start_new_session=True,
        )
        self._out: list[bytes] = []
        self._err: list[bytes] = []
        self._news = threading.Condition()
        self._open_pipes = 2
        self._readers = [
            threading.Thread(target=self._read, args=(pipe, lines), daemon=True)
            for pipe, lines in ((self.process.stdout, self._out), (self.process.stderr, self._err))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, pipe: IO[bytes] | None, lines: list[bytes]) -> None:
        assert pipe is not None
        for line in pipe:
            with self._news:
                lines.append(line)
                self._news.notify_all()
        pipe.close()
        with self._news:
            self._open_pipes -= 1
            self._news.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(self._patience_s)
        for process in self.survivors(0):
            process.kill()
        for reader in self._readers:
            reader.join(10)

    def wait_for_records(self, enough: Callable[[list[Record]], bool]) -> list[Record]:
        """Wait until what `--json` printed is enough; fails when the run ends before that."""
        self._wait(self._out, lambda: enough(self._records()))
        return self._records()

    def wait_for_outcomes(self, count: int = 1) -> None:
        """Wait until `--json` told what became of `count` sources."""
        self.wait_for_records(
            lambda records: sum(record["type"] == "outcome" for record in records) >= count
        )

    def wait_for_workers(self) -> list[int]:
        """Wait until `--json` shows workers with a source in hand; return their process ids."""

        def busy(records: list[Record]) -> list[int]:
            shown = [record["workers"] for record in records if record["type"] == "progress"]
            return [worker["pid"] for worker in shown[-1] if worker["path"]] if shown else []

        return busy(self.wait_for_records(lambda records: bool(busy(records))))

    def wait_for_stderr(self, text: str) -> None:
        """Wait until people were told `text`."""
        self._wait(self._err, lambda: text.encode() in b"".join(self._err))

    def _records(self) -> list[Record]:
        return [json.loads(line) for line in self._out]

    def _wait(self, lines: list[bytes], enough: Callable[[], bool]) -> None:
        with self._news:
            self._news.wait_for(lambda: enough() or self._open_pipes == 0, self._patience_s)
            assert enough(), f"ended or hung before that: {lines} {self._err}"

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program alone, as `kill` does."""
        self.process.send_signal(number)

    def send_to_group(self, number: signal.Signals) -> None:
        """Send a signal to the program and its workers, as a terminal's Ctrl-C does."""
        os.killpg(self.process.pid, number)

    def survivors(self, timeout_s: float) -> list[Any]:
        """Return the processes of this run that still live after a time."""
        return wait_until_gone(self._mark, timeout_s)

    def end(self) -> Finished:
        """Wait for the end of the run."""
        code = self.process.wait(self._patience_s)
        for reader in self._readers:
            reader.join(10)
        return Finished(code, b"".join(self._out), b"".join(self._err))

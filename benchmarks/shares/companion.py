"""A program of this folder that runs beside a measurement: it answers lines, and ends with us."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from typing import IO

from benchmarks.harness.programs import ROOT


class CompanionError(Exception):
    """It has ended, or says something else than it should."""


class Companion:
    """`python -m benchmarks.shares.NAME`, started; its first line is in `said`."""

    def __init__(self, name: str, *words: str) -> None:
        self._name = name
        self.process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.shares.{name}", *words],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            self.said = self._answer()
        except CompanionError:
            self.end()
            raise

    def ask(self, line: str) -> str:
        """Say a line, and return the answer.

        Raises:
            CompanionError: there is none.
        """
        try:
            print(line, file=self._stream(self.process.stdin), flush=True)
        except OSError as error:
            raise CompanionError(f"{self._name} has ended") from error
        return self._answer()

    def end(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                self._stream(stream).close()

    def _answer(self) -> str:
        if not (line := self._stream(self.process.stdout).readline()):
            raise CompanionError(f"{self._name} has ended")
        return line.strip()

    def _stream(self, stream: IO[str] | None) -> IO[str]:
        if stream is None:
            raise CompanionError(f"{self._name} has no such stream")
        return stream

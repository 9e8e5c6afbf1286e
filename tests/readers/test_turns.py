"""Processes that take turns: one at a time, and none for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from itertools import pairwise

from pregen.readers.turns import DiskTurns

_SCRIPT = """
import sys, time
from pregen.readers.turns import DiskTurns
with DiskTurns(int(sys.argv[1])).turn():
    began = time.monotonic()
    time.sleep(0.2)
    print(began, time.monotonic())
"""


def turn(fd: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, str(fd)], pass_fds=[fd], stdout=subprocess.PIPE, text=True
    )


def test_turns_do_not_overlap() -> None:
    with tempfile.TemporaryFile() as file:
        processes = [turn(file.fileno()) for _ in range(3)]
        spans = sorted(tuple(map(float, process.communicate()[0].split())) for process in processes)
    for (_, end), (begin, _) in pairwise(spans):
        assert begin >= end


def test_one_that_holds_its_turn_for_ever_holds_up_nobody() -> None:
    script = _SCRIPT.replace("time.sleep(0.2)", "print(0, flush=True); time.sleep(600)")
    with tempfile.TemporaryFile() as file:
        fd = file.fileno()
        holder = subprocess.Popen(
            [sys.executable, "-c", script, str(fd)], pass_fds=[fd], stdout=subprocess.PIPE
        )
        try:
            assert holder.stdout is not None
            holder.stdout.readline()
            own = os.dup(fd)
            with DiskTurns(own).turn():
                pass
            os.close(own)
        finally:
            holder.kill()
            holder.communicate()

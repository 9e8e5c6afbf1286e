"""What processes take from the machine."""

from __future__ import annotations

import os
import subprocess
import sys

from pregen.display.screen import NOTHING, LoadMeter
from tests.support.running.pretend_runs import Clock


def _burn(cpu_s: float) -> None:
    end_s = sum(os.times()[:2]) + cpu_s
    while sum(os.times()[:2]) < end_s:
        sum(range(1000))


def test_nothing_is_said_before_two_measurements() -> None:
    clock = Clock()
    meter = LoadMeter(clock)
    assert meter.load([]) == NOTHING
    clock.now_s += 1
    assert meter.load([]) == NOTHING


def test_processor_time_between_two_looks_becomes_cores() -> None:
    clock = Clock()
    meter = LoadMeter(clock)
    clock.now_s += 1
    meter.load([])
    _burn(0.2)
    clock.now_s += 1
    load = meter.load([])
    assert 0.15 <= load.cores < 5
    assert load.memory_bytes > 1_000_000


def test_looks_too_close_together_tell_the_same() -> None:
    clock = Clock()
    meter = LoadMeter(clock)
    clock.now_s += 1
    meter.load([])
    clock.now_s += 1
    before = meter.load([])
    clock.now_s += 0.1
    assert meter.load([]) is before


def test_a_process_that_ends_between_two_looks_does_no_harm() -> None:
    clock = Clock()
    meter = LoadMeter(clock)
    code = "import sys; sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as child:
        clock.now_s += 1
        meter.load([child.pid])
        clock.now_s += 1
        with_child = meter.load([child.pid])
    clock.now_s += 1
    without = meter.load([child.pid])
    assert 0 < without.memory_bytes < with_child.memory_bytes
    assert without.cores >= 0

"""The benchmark over a share: its link delays and slows, its limits are the longer of two."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.shares import record
from benchmarks.shares.link import Lane
from benchmarks.shares.record import LINK, LOCAL, Sample
from benchmarks.shares.share import Share, Speed
from benchmarks.shares.spinning import HALF_TURN_S, RATE_BYTES_S, Head, Read
from tests.support.running.capabilities import Capability, needs

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = Sample(
    case="matrix",
    rtt_ms=10,
    rate_mb_s=60,
    round=1,
    lane="run",
    wall_s=6.0,
    cpu_s=3.0,
    carriers_s={"ssh": 0.5, "sshd": 0.75, "link": 0.25, "sshfs": 9.0},
    down_bytes=1100,
    files=2,
    size_bytes=1000,
    exit_code=0,
    expected=4,
    right=4,
    pictures=4,
    load_before=0.0,
    code="",
)
READ = SAMPLE._replace(lane=LINK, wall_s=4.0, cpu_s=0.1, expected=0, right=0, pictures=0)
HERE = SAMPLE._replace(lane=LOCAL, wall_s=2.0, cpu_s=3.0, carriers_s={}, down_bytes=0)


@pytest.mark.parametrize(
    ("local_cpu_s", "limit_s", "bold"),
    [(3.0, 4.0, "| **4.00 (4.00-4.00)** | 2.25"), (8.5, 5.0, "| 4.00 (4.00-4.00) | **5.00")],
)
def test_the_limit_is_the_longer_of_link_and_processors(
    local_cpu_s: float, limit_s: float, bold: str
) -> None:
    samples = [READ, HERE._replace(cpu_s=local_cpu_s), SAMPLE]
    (cell,) = record.cells(samples)
    assert cell.limits(cores=2)[1].s == limit_s
    assert cell.ratios("run", cores=2) == [6.0 / limit_s]
    assert bold in record.table(samples, cores=2)


def test_ratios_are_of_one_round_and_a_round_without_its_limit_has_none() -> None:
    second = [one._replace(round=2, wall_s=2 * one.wall_s) for one in (READ, HERE, SAMPLE)]
    (cell,) = record.cells([READ, HERE, SAMPLE, *second, SAMPLE._replace(round=3)])
    assert cell.ratios("run", cores=2) == [1.5, 1.5]


@pytest.mark.parametrize(
    "sample",
    [
        SAMPLE._replace(exit_code=3),
        SAMPLE._replace(right=3),
        SAMPLE._replace(pictures=5),
        READ._replace(down_bytes=999),
    ],
    ids=["failed", "wrong", "too many", "not all was read"],
)
def test_what_did_not_do_its_work_is_no_result(sample: Sample) -> None:
    assert not sample.whole
    assert "No result" in record.table([READ, HERE, SAMPLE, sample], cores=2)


def test_what_did_its_work_is_whole() -> None:
    assert all(sample.whole for sample in (READ, HERE, SAMPLE))


def test_a_lane_is_one_queue_for_all_and_idle_time_is_not_saved_up() -> None:
    lane = Lane()
    lane.rate_bytes_s, lane.delay_s = 1000.0, 0.5
    assert lane.take(100, 10.0) == pytest.approx(10.6)
    assert lane.take(200, 10.0) == pytest.approx(10.8)  # waits for the first
    assert lane.take(100, 20.0) == pytest.approx(20.6)  # ten idle seconds later, the same


def test_a_full_lane_takes_no_more_until_some_has_left() -> None:
    lane = Lane()
    lane.rate_bytes_s = 1000.0
    lane.take(1000, 0.0)
    assert 0.9 < lane.open_s(0.0) < 1.0
    assert lane.open_s(1.0) == 0


def test_a_head_that_goes_on_only_reads_and_one_that_moves_pays_for_the_way() -> None:
    head = Head(10**9)
    assert head.take(Read(0, 10**6, 1)) == pytest.approx(10**6 / RATE_BYTES_S)
    near, far = head.take(Read(10**8, 0, 2)), head.take(Read(10**9, 0, 3))
    assert HALF_TURN_S < near < far
    assert head.seeks == 2


def test_the_disk_serves_upwards_and_then_from_below() -> None:
    head = Head(1000)
    head.place = 500
    waiting = [Read(place, 1, place) for place in (900, 100, 600, 300)]
    served = []
    while waiting:
        read = head.next(waiting)
        waiting.remove(read)
        head.take(read)
        served.append(read.offset)
    assert served == [600, 900, 100, 300]


@needs(Capability.SSHFS)
def test_over_a_slow_share_bytes_are_the_same_and_wait_for_the_link(tmp_path: Path) -> None:
    served, point = tmp_path / "served", tmp_path / "point"
    served.mkdir()
    point.mkdir()
    content = os.urandom(400_000)
    (served / "photo").write_bytes(content)
    with Share(served) as share:
        share.slow(Speed(rtt_ms=40, rate_mb_s=2))
        with share.mounted(point):
            before = share.processor_s()
            share.traffic()
            begun_s = time.monotonic()
            assert (point / "photo").read_bytes() == content
            took_s = time.monotonic() - begun_s
            down_bytes = share.traffic().down_bytes
            after = share.processor_s()
    # no link is faster than it is: at least one round trip, and the time of the bytes
    assert took_s > 0.040 + 400_000 / 2e6
    assert 400_000 < down_bytes < 500_000
    assert set(after) == {"sshd", "ssh", "link", "sshfs"}
    assert all(after[name] >= before[name] for name in after)
    assert not list(point.iterdir())


_HOLDS = """
import sys, time
from pathlib import Path
from benchmarks.shares.share import Share
with Share(Path(sys.argv[1])) as share, share.mounted(Path(sys.argv[2])):
    print(share.server_pid, flush=True)
    time.sleep(60)
"""


@needs(Capability.SSHFS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupt", "kill"])
def test_however_it_ends_neither_mount_nor_server_is_left(
    tmp_path: Path, number: signal.Signals
) -> None:
    served, point = tmp_path / "served", tmp_path / "point"
    served.mkdir()
    point.mkdir()
    command = [sys.executable, "-c", _HOLDS, str(served), str(point)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},  # a killed one leaves its keys
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        server = int(holder.stdout.readline())
        assert os.path.ismount(point)
        holder.send_signal(number)
    deadline_s = time.monotonic() + 60
    while os.path.ismount(point) or psutil.pid_exists(server):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)

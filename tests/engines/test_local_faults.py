"""The local engine with real processes, and everything that can happen to them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from pregen.config import EngineConfig
from pregen.engines.base import Stop, StopLevel
from pregen.engines.local.engine import LocalEngine
from pregen.engines.local.launch import wait_until_gone
from pregen.errors import MissingLibraryError
from pregen.model import REMEMBERED, Kind
from tests.support.faults import harmful_work
from tests.support.faults.harmful_work import job
from tests.support.running.worker_processes import open_descriptors, worker_processes, workers_left

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pregen.engines.base import WorkFactory
    from pregen.model import Job

pytestmark = pytest.mark.xdist_group("faults")

#: What the path asks for -> what must become of it. Hangs take two deadlines each.
GUILTY = {
    "kill-itself": Kind.OUT_OF_MEMORY,
    "segfault": Kind.CRASHED,
    "abort": Kind.CRASHED,
    "loop": Kind.TIMED_OUT,
    "loop-in-c": Kind.TIMED_OUT,
    "hog": Kind.OUT_OF_MEMORY,
    "raise": Kind.ERROR,
    "exit": Kind.ERROR,
    "exit-at-once": Kind.CRASHED,
    "close-pipe": Kind.CRASHED,
    "close-pipe-and-stay": Kind.CRASHED,
    "babble": Kind.CRASHED,
    "stop-itself": Kind.TIMED_OUT,
    "wrong-outcome": Kind.ERROR,
}


def engine(factory: WorkFactory = harmful_work.make_saboteur, **config: Any) -> LocalEngine:
    settings = EngineConfig(**{"workers": 2, "timeout_s": 30.0, **config})
    return LocalEngine(
        factory, harmful_work.CONFIG, settings, ("tests.support.faults.harmful_work",)
    )


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    list(engine().run(iter([job(0)]), Stop()))  # starts what stays: the fork server
    before = len(open_descriptors())
    yield
    assert workers_left() == []
    assert len(open_descriptors()) == before


def during(watched: LocalEngine, act: Callable[[], None], *, busy: int = 1) -> threading.Thread:
    """Call `act` in a thread as soon as `busy` workers of `watched` are at work."""

    def wait_and_act() -> None:
        while sum(view.path is not None for view in watched.workers()) < busy:
            time.sleep(0.005)
        act()

    thread = threading.Thread(target=wait_and_act, daemon=True)
    thread.start()
    return thread


# --- saboteurs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [2, 8])
def test_the_guilty_are_named_and_the_innocent_are_done(workers: int) -> None:
    guilty = {15 + 20 * number: how for number, how in enumerate(GUILTY)}
    jobs = [job(number, guilty.get(number, "").encode()) for number in range(300)]
    outcomes = list(engine(workers=workers, timeout_s=1.5).run(iter(jobs), Stop()))

    assert Counter(outcome.job_id for outcome in outcomes) == Counter(range(300))
    kinds = {outcome.job_id: outcome.kind for outcome in outcomes}
    innocent = {number for number in kinds if number not in guilty}
    assert {kinds[number] for number in innocent} == {Kind.MADE}
    assert {guilty[number]: kinds[number] for number in guilty} == GUILTY

    messages = {guilty.get(outcome.job_id): outcome.message for outcome in outcomes}
    assert "SIGSEGV" in messages["segfault"]
    assert "it exited with status 0" in messages["exit-at-once"]
    assert "SIGKILL" in messages["kill-itself"]
    assert "_loop (harmful_work.py:" in messages["loop"]
    assert "1.5 s" in messages["loop"]
    assert "a bug met" in messages["raise"]


def test_the_death_of_the_fork_server_costs_no_job() -> None:
    watched = engine(harmful_work.make_sleepy)

    def kill_server() -> None:
        (server,) = {psutil.Process(view.pid).ppid() for view in watched.workers()}
        os.kill(server, signal.SIGKILL)

    thread = during(watched, kill_server, busy=2)
    outcomes = list(watched.run(harmful_work.jobs(200), Stop()))
    thread.join()
    assert Counter(outcome.job_id for outcome in outcomes) == Counter(range(200))
    assert {outcome.kind for outcome in outcomes} == {Kind.MADE}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM])
def test_signals_that_come_to_the_whole_group_cost_no_job(number: signal.Signals) -> None:
    watched = engine(harmful_work.make_sleepy)

    def send() -> None:
        for view in watched.workers():
            os.kill(view.pid, number)

    thread = during(watched, send, busy=2)
    outcomes = list(watched.run(harmful_work.jobs(100), Stop()))
    thread.join()
    assert Counter(outcome.job_id for outcome in outcomes) == Counter(range(100))
    assert {outcome.kind for outcome in outcomes} == {Kind.MADE}


@pytest.mark.parametrize(
    ("how", "kind"), [(b"hang-twice", Kind.MADE), (b"hang-twice-and-crash", Kind.DISTURBED)]
)
def test_a_kill_from_outside_and_one_hang_are_no_verdict(
    tmp_path: Path, how: bytes, kind: Kind
) -> None:
    tries = tmp_path / "tries"
    watched = engine(workers=1, timeout_s=1.5)

    def kill_once() -> None:
        # Killed between making the file and writing to it, a try would not be counted.
        while not tries.exists() or not tries.stat().st_size:
            time.sleep(0.005)
        (view,) = watched.workers()
        os.kill(view.pid, signal.SIGKILL)  # well before its deadline

    thread = during(watched, kill_once)
    (outcome,) = watched.run(iter([job(0, how)._replace(uris=(str(tries),))]), Stop())
    thread.join()
    assert tries.stat().st_size == 3
    assert outcome.kind is kind
    assert kind not in REMEMBERED


# --- the death of the run -----------------------------------------------------------------------


def test_no_worker_outlives_a_killed_run() -> None:
    hows = ["loop", "loop-in-c", "wait-for-file", "close-pipe-and-stay"]
    program = [sys.executable, "-m", "tests.engines.orphaned_run", *hows]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        pids = [int(word) for word in run.stdout.readline().split()]
        assert len(pids) == len(hows)
        family = psutil.Process(run.pid).children(recursive=True)
        assert {process.pid for process in family} >= set(pids)
        run.kill()
    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []


def test_a_process_that_was_reported_dead_is_waited_for() -> None:
    """Its pipes end first; then it lives on for as long as the kernel takes to clear it away."""
    program = [sys.executable, "-c", "input()"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        process.stdin.close()
        wait_until_gone(process.pid)
        assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
    wait_until_gone(process.pid)  # there is nobody: no error


# --- start-up -----------------------------------------------------------------------------------


def test_work_that_cannot_be_made_ends_the_run_with_its_traceback() -> None:
    with pytest.raises(MissingLibraryError, match="No module named 'picture_library'"):
        list(engine(harmful_work.make_nothing).run(harmful_work.jobs(10), Stop()))


def test_work_that_dies_while_it_is_made_ends_the_run_with_the_signal() -> None:
    with pytest.raises(MissingLibraryError, match="SIGSEGV"):
        list(engine(harmful_work.make_death, workers=8).run(harmful_work.jobs(10), Stop()))


def test_nothing_is_started_before_there_is_a_job() -> None:
    seen: list[int] = []

    def feed() -> Iterator[Job | None]:
        for _ in range(3):
            seen.append(len(worker_processes()))
            yield None

    assert list(engine().run(feed(), Stop())) == []
    assert seen == [0, 0, 0]


def test_where_there_is_no_fork_server_workers_are_spawned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    jobs = [job(number, b"segfault" if number == 3 else b"") for number in range(20)]
    outcomes = list(engine(workers=1).run(iter(jobs), Stop()))
    kinds = Counter(outcome.kind for outcome in outcomes)
    assert kinds == {Kind.MADE: 19, Kind.CRASHED: 1}


# --- what workers are kept from -------------------------------------------------------------------


def test_workers_import_neither_the_display_nor_the_program() -> None:
    (outcome,) = engine().run(iter([job(0, b"modules")]), Stop())
    modules = set(outcome.message.split())
    assert "pregen.engines" in modules
    unwanted = {"rich", "click", "rich_click", "pytest", "pregen.cli"}
    assert not modules & unwanted


def test_a_program_run_as_a_script_is_not_run_again_in_its_workers(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(
        "from tests.engines import orphaned_run\n"
        "print('main')\n"
        "orphaned_run.main(['modules'])\n"  # without the usual guard
    )
    ran = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout.count("main") == 1
    assert ran.stderr == ""


def test_what_a_library_prints_reaches_no_screen(capfd: pytest.CaptureFixture[str]) -> None:
    jobs = [job(0, b"chatter"), job(1, b"segfault"), job(2, b"chatter")]
    outcomes = list(engine().run(iter(jobs), Stop()))
    assert len(outcomes) == 3
    assert capfd.readouterr() == ("", "")


def test_a_worker_holds_its_own_pipe_only() -> None:
    jobs = [job(number, b"sockets") for number in range(50)]
    outcomes = list(engine(workers=8).run(iter(jobs), Stop()))
    assert {outcome.message for outcome in outcomes} == {"1"}


def test_the_environment_of_the_run_stays_as_it_was() -> None:
    before = dict(os.environ)
    main = sys.modules["__main__"]
    list(engine().run(harmful_work.jobs(3), Stop()))
    assert dict(os.environ) == before
    assert sys.modules["__main__"] is main
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


# --- memory and leaks -----------------------------------------------------------------------------


def test_big_pictures_take_turns_when_the_memory_is_small() -> None:
    jobs = [job(number, b"hold") for number in range(20)]
    outcomes = list(engine(workers=4, memory_bytes=1000).run(iter(jobs), Stop()))
    times = sorted(tuple(map(int, outcome.message.split())) for outcome in outcomes)
    assert len(times) == 20
    for (_, until_ns), (since_ns, _) in pairwise(times):
        assert until_ns <= since_ns


def test_waiting_for_memory_does_not_count_as_hanging() -> None:
    jobs = [job(number, b"hold-long") for number in range(6)]  # the last waits for 2.5 s
    crowded = engine(workers=6, memory_bytes=1000, timeout_s=2.0)
    outcomes = list(crowded.run(iter(jobs), Stop()))
    assert Counter(outcome.kind for outcome in outcomes) == {Kind.MADE: 6}
    assert len({outcome.worker_pid for outcome in outcomes}) == 6


def test_the_kernel_is_offered_a_worker_when_memory_runs_out() -> None:
    (outcome,) = engine().run(iter([job(0, b"oom-score")]), Stop())
    assert outcome.message == "500"


def test_workers_are_replaced_after_their_share_of_jobs() -> None:
    outcomes = list(engine(recycle_jobs=10).run(harmful_work.jobs(95), Stop()))
    assert len(outcomes) == 95
    each = Counter(outcome.worker_pid for outcome in outcomes)
    assert max(each.values()) == 10
    assert len(each) >= 10


def test_workers_that_have_grown_are_replaced() -> None:
    jobs = [job(number, b"leak") for number in range(4)]
    outcomes = list(engine(workers=1, recycle_growth_bytes=32 << 20).run(iter(jobs), Stop()))
    assert {outcome.kind for outcome in outcomes} == {Kind.MADE}
    assert len({outcome.worker_pid for outcome in outcomes}) >= 2


# --- stopping -------------------------------------------------------------------------------------


def test_a_kill_does_not_wait_for_jobs_that_hang() -> None:
    stop, watched = Stop(), engine(timeout_s=1000)
    jobs = [job(number, b"loop-in-c") for number in range(10)]
    thread = during(watched, lambda: stop.raise_to(StopLevel.KILL), busy=2)
    outcomes = list(watched.run(iter(jobs), stop))
    thread.join()
    assert len(outcomes) >= 2
    assert {outcome.kind for outcome in outcomes} == {Kind.INTERRUPTED}


def test_a_drain_finishes_what_is_in_flight_only(tmp_path: Path) -> None:
    go = tmp_path / "go"
    stop, watched = Stop(), engine()
    jobs = [
        job(number, b"wait-for-file")._replace(uris=(str(go),), path=b"/%d.wait-for-file" % number)
        for number in range(50)
    ]

    def drain() -> None:
        stop.raise_to(StopLevel.DRAIN)
        go.touch()

    thread = during(watched, drain, busy=2)
    outcomes = list(watched.run(iter(jobs), stop))
    thread.join()
    kinds = Counter(outcome.kind for outcome in outcomes)
    assert kinds[Kind.MADE] >= 2
    assert kinds.keys() <= {Kind.MADE, Kind.INTERRUPTED}


def test_a_run_that_was_suspended_blames_nobody(tmp_path: Path) -> None:
    go = tmp_path / "go"
    program = "import sys; from tests.engines import suspended_run; suspended_run.main(sys.argv[1])"
    command = [sys.executable, "-c", program, str(go)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        pid = int(run.stdout.readline())
        everybody = [run.pid, *(p.pid for p in psutil.Process(run.pid).children(recursive=True))]
        for process in everybody:
            os.kill(process, signal.SIGSTOP)
        time.sleep(3.5)  # longer than the deadline of 2 s: that is what is tested
        for process in reversed(everybody):
            os.kill(process, signal.SIGCONT)
        time.sleep(0.5)  # for ticks in which the job is still in flight
        go.touch()
        assert run.stdout.readline() == f"made {pid}\n"

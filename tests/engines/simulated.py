"""A world of simulated workers for the supervisor: what the shell and real processes would do."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pregen.engines.local import deaths, events
from pregen.engines.local.deaths import MOST_DEATHS
from pregen.engines.local.protocol import SlotReading
from pregen.engines.local.supervisor import TICK_NS, Supervisor
from pregen.engines.local.worker_state import Rules
from pregen.model import Kind, Outcome
from tests.support.faults.harmful_work import job, made

if TYPE_CHECKING:
    from pregen.engines.base import StopLevel
    from pregen.engines.local.deaths import Death
    from pregen.engines.local.events import Command, Event
    from pregen.model import Job

S = 1_000_000_000
RULES = Rules(
    workers=2,
    timeout_ns=10 * S,
    memory_bytes=1000,
    recycle_jobs=20_000,
    recycle_growth_bytes=1 << 20,
)
SEGFAULT = deaths.cause_of(-11)
SIGKILL = deaths.cause_of(-9)


@dataclass
class SimWorker:
    """A process that does nothing until it is told to."""

    number: int
    ready: bool = False
    queue: list[Job] = field(default_factory=list)
    in_flight: Job | None = None
    started_ns: int = 0
    unheard: list[Job] = field(default_factory=list)
    """Done, the outcome not sent."""
    done: int = 0
    taken: list[int] = field(default_factory=list)
    """Every job it was ever sent."""
    asking: bool = False
    handed: list[bytes] = field(default_factory=list)
    """The sources opened for it."""
    draining: bool = False
    recalled: int = 0
    """So often it is still to return what it has not begun."""
    told_to_quit: bool = False
    signalled: list[str] = field(default_factory=list)
    waits: bool = False
    in_vain: int = 0
    """Jobs for which nothing came from their share."""
    """In the middle of a job it says that it waits for its share."""
    hung: int | None = None
    """The job because of which it was told to end."""

    @property
    def owes(self) -> list[int]:
        """The jobs it has and has not answered."""
        flying = [self.in_flight] if self.in_flight else []
        return [job.job_id for job in (*self.unheard, *flying, *self.queue)]


class World:
    """A supervisor, its workers, and all that has happened to its jobs."""

    def __init__(self, rules: Rules = RULES, cursed: frozenset[int] = frozenset()) -> None:
        self.cursed = cursed
        """Jobs that kill their worker, always."""
        self.silent: set[int] = set()
        """Shares that do not answer."""
        self.supervisor = Supervisor(rules)
        self.now_ns = 0
        self.workers: dict[int, SimWorker] = {}
        self.arrived: list[int] = []
        self.outcomes: dict[int, Outcome] = {}
        self.deaths: dict[int, list[list[int]]] = defaultdict(list)
        """For each job: what the workers had ever been sent that died with it."""
        self.causes: dict[int, list[object]] = defaultdict(list)
        """For each job: what these died of; None for what was not its own doing."""
        self.abandoned: list[int] = []
        self.finished = False
        self.failed: events.Fail | None = None

    # --- what happens -------------------------------------------------------------------------

    def arrive(self, count: int, *shares: int) -> None:
        """Let the feed give `count` jobs, in turn on each of `shares` (0: on none)."""
        first = len(self.arrived)
        new = tuple(
            job(number)._replace(share=shares[number % len(shares)] if shares else 0)
            for number in range(first, first + count)
        )
        self.arrived.extend(job.job_id for job in new)
        self.tell(events.JobsArrived(new))

    def end_feed(self) -> None:
        self.tell(events.FeedEnded())

    def stop(self, level: StopLevel) -> None:
        self.tell(events.StopRaised(level))

    def ready(self, worker: SimWorker) -> None:
        """Let it finish its start."""
        worker.ready = True
        self.tell(events.WorkerReady(worker.number, 0))

    def all_ready(self) -> list[SimWorker]:
        """Let all finish their start."""
        for worker in list(self.workers.values()):
            if not worker.ready:
                self.ready(worker)
        return list(self.workers.values())

    def begin(self, worker: SimWorker) -> None:
        """Let it take its next job, or give back what it has if it is to drain."""
        if worker.draining or worker.recalled:
            self.give_back(worker)
        elif worker.queue and worker.in_flight is None and not self.is_held_up(worker):
            worker.in_flight = worker.queue.pop(0)
            worker.started_ns = self.now_ns

    def give_back(self, worker: SimWorker) -> None:
        """Let it return what it has not begun."""
        self.deliver(worker)
        returned = tuple(job.job_id for job in worker.queue)
        worker.queue.clear()
        if returned or worker.recalled:
            worker.recalled -= bool(worker.recalled)
            self.tell(events.JobsReturned(worker.number, returned))

    def is_held_up(self, worker: SimWorker) -> bool:
        """Tell whether the source of its next job is on a share that does not answer."""
        return bool(worker.queue) and worker.queue[0].share in self.silent

    def end(self, worker: SimWorker) -> None:
        """Let it finish its job; the outcome stays with it."""
        if worker.in_flight is not None and not worker.asking:
            worker.unheard.append(worker.in_flight)
            worker.in_flight = None
            worker.done += 1

    def deliver(self, worker: SimWorker, *, rss_bytes: int = 0, busy_ns: int = 10_000_000) -> None:
        """Let it send the outcomes it has."""
        outcomes = tuple(made(job) for job in worker.unheard)
        worker.unheard.clear()
        if outcomes:
            self.tell(
                events.OutcomesReceived(worker.number, outcomes, busy_ns * len(outcomes), rss_bytes)
            )

    def work_off(self, worker: SimWorker, most: int = 10_000) -> None:
        """Let it do and deliver up to `most` jobs, or die of one."""
        for _ in range(most):
            self.begin(worker)
            if worker.in_flight is not None and worker.in_flight.job_id in self.cursed:
                self.die(worker)
                return
            self.end(worker)
            self.deliver(worker)
            if not worker.queue:
                return

    def give_up(self, worker: SimWorker) -> None:
        """Let it answer what it has: nothing came for any of it."""
        while worker.queue:
            worker.unheard.append(worker.queue.pop(0))
            worker.done += 1
            worker.in_vain += 1
            self.deliver(worker)

    def ask(self, worker: SimWorker, size_bytes: int) -> None:
        """Let the job in flight ask for memory."""
        if worker.in_flight is not None and not worker.asking:
            self.deliver(worker)
            worker.asking = True
            self.tell(events.MemoryRequested(worker.number, worker.in_flight.job_id, size_bytes))

    def die(self, worker: SimWorker, death: Death = SEGFAULT) -> None:
        """Let it die here and now."""
        reading = self.reading(worker)
        self._gone(worker, death)
        self.tell(events.WorkerDied(worker.number, death, reading, 1000 + worker.number))

    def _gone(self, worker: SimWorker, death: Death = SIGKILL) -> None:
        del self.workers[worker.number]
        last = worker.in_flight or (worker.unheard[-1] if worker.unheard else None)
        if last is not None:
            self.deaths[last.job_id].append(list(worker.taken))
            self.causes[last.job_id].append(self._cause(worker, last.job_id, death))

    @staticmethod
    def _cause(worker: SimWorker, job_id: int, death: Death) -> object:
        """Tell what this death says about the job: seen from here, not by the supervisor."""
        if "terminate" in worker.signalled:
            return deaths.Cause.TIME if worker.hung == job_id else None
        if "kill" in worker.signalled:
            return deaths.Cause.EXIT
        return None if death.external else death.cause

    def close_pipe(self, worker: SimWorker) -> None:
        self.tell(events.PipeClosed(worker.number))

    def tick(self, ns: int = TICK_NS) -> None:
        """Let `ns` pass in which the shell was not there, then tell the time."""
        self.now_ns += ns
        readings = {number: self.reading(worker) for number, worker in self.workers.items()}
        self.tell(events.Ticked(readings))

    def pass_time(self, ns: int) -> None:
        """Let `ns` pass with a tick whenever one is due."""
        for _ in range(ns // TICK_NS):
            self.tick()

    @staticmethod
    def reading(worker: SimWorker) -> SlotReading:
        flying = worker.in_flight
        return SlotReading(
            None if flying is None else flying.job_id,
            worker.started_ns,
            worker.done,
            1000 * (worker.done - worker.in_vain),
            worker.waits,
        )

    # --- what the supervisor commands ---------------------------------------------------------

    def tell(self, event: Event) -> None:
        for command in self.supervisor.handle(event, self.now_ns):
            self.obey(command)

    def obey(self, command: Command) -> None:
        match command:
            case events.Emit(outcomes):
                for outcome in outcomes:
                    assert outcome.job_id not in self.outcomes, f"a second outcome: {outcome}"
                    self.outcomes[outcome.job_id] = outcome
            case events.Finish():
                self.finished = True
            case events.Fail():
                self.failed = command
            case events.Spawn(number):
                self.workers[number] = SimWorker(number)
            case _ if command.worker in self.workers:
                self.obey_for(self.workers[command.worker], command)
            case _:
                pass  # that worker has died; the supervisor is about to learn of it

    def obey_for(self, worker: SimWorker, command: events.WorkerCommand) -> None:  # noqa: C901 - as above
        match command:
            case events.Send(_, jobs):
                assert jobs
                worker.queue.extend(jobs)
                worker.taken.extend(job.job_id for job in jobs)
            case events.GrantMemory():
                worker.asking = False
            case events.OpenSource(_, path):
                worker.handed.append(path)
            case events.OrderReaders(_, readers, bytes_per_s):
                assert readers >= 1
                assert bytes_per_s >= 0
            case events.Drain():
                worker.draining = True
            case events.Recall():
                assert worker.ready
                worker.recalled += 1
            case events.Quit():
                assert not worker.owes
                worker.told_to_quit = True
            case events.Terminate():
                worker.signalled.append("terminate")
                worker.hung = worker.in_flight.job_id if worker.in_flight else None
            case events.Kill():
                worker.signalled.append("kill")
            case events.Abandon():
                self.abandoned.append(worker.number)
                self._gone(worker)

    # --- what must be true at any time --------------------------------------------------------

    def check(self) -> None:
        """Fail if a job is in two places, or blamed for what it did not do."""
        for worker in self.workers.values():
            flying = [worker.in_flight] if worker.in_flight else []
            shares = {job.share for job in (*worker.unheard, *flying, *worker.queue)}
            assert len(shares) <= 1, "a share holds up another"
        owed = [job_id for worker in self.workers.values() for job_id in worker.owes]
        assert len(owed) == len(set(owed)), "a job is in two places"
        if not self.finished:
            assert not set(owed) & self.outcomes.keys(), "a job with an outcome is still being done"
        for outcome in self.outcomes.values():
            if outcome.kind in {Kind.CRASHED, Kind.OUT_OF_MEMORY, Kind.TIMED_OUT}:
                died_with = self.deaths[outcome.job_id]
                assert len(died_with) >= 2, "blamed for one death"
                assert died_with[-1] == [outcome.job_id], "blamed although it was not alone"
                *before, last = self.causes[outcome.job_id]
                assert last is not None, "blamed for what came from outside"
                assert last in before, "blamed for deaths of different causes"
        for job_id, died_with in self.deaths.items():
            assert len(died_with) <= MOST_DEATHS, f"job {job_id} goes on for ever"

    def run_to_the_end(self) -> None:
        """From now on nothing goes wrong but the cursed: everything must come to its end."""
        self.silent.clear()
        self.end_feed()
        for _ in range(10_000):
            if self.finished or self.failed:
                return
            for worker in list(self.workers.values()):
                if worker.signalled or worker.told_to_quit:
                    self.die(worker, SIGKILL)
                elif not worker.ready:
                    self.ready(worker)
                else:
                    self.work_off(worker, most=1)
            self.tick()
        raise AssertionError("the run does not come to its end")

"""Which worker does what, who is to blame for a death, when to kill: decisions only.

A pure state machine: facts in, orders out (`facts`). It starts no process, reads no clock and
touches no pipe, so every decision can be tested without a process. `engine` is the shell.

The rules:

* Every job that arrives gets exactly one outcome, whatever dies.
* The job in flight when a worker dies gets a strike; the rest of the batch goes back free. A
  struck job is tried again, alone in a fresh worker. What it comes to is for `blame` to say.
* A job that outlives its deadline has its worker ended, and is judged like a death.
* Memory is promised by `budget`; waiting for it stops the job's clock.
* Workers leave at job boundaries, after so many jobs or so much growth.
* Workers that die without having begun anything are replaced a few times, not forever.
"""

from __future__ import annotations

from collections import deque
from math import ceil
from typing import TYPE_CHECKING, Final, assert_never

from pregen.engines.base import StopLevel
from pregen.engines.local import deaths, events
from pregen.engines.local.worker_state import (
    GRACE_NS,
    LEAVE_NS,
    MOST_PER_BATCH,
    Budget,
    Pace,
    Phase,
    Rules,
    S,
    WorkerState,
)
from pregen.model import Job, Kind, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: How often the shell is to tell the time. Deadlines are many seconds; stops should feel prompt.
TICK_NS: Final = S // 20
#: A tick later than this means that the run itself was stopped (Ctrl-Z, a frozen container, a
#: consumer busy with a slow disk); no worker is to blame for that time.
LATE_NS: Final = S
#: Start-ups that may fail in a row, each by itself, before any has succeeded.
FIRST_STARTS: Final = 3
#: In any case, this many workers may die one after the other without having begun anything.
BARREN_FOR_EACH: Final = 10
#: Jobs pulled ahead for each worker, in batches: two sent, two in reserve to share at the end.
BATCHES_AHEAD: Final = 4
#: Bound of the pull: jobs without an outcome never exceed this for each worker.
MOST_AHEAD: Final = BATCHES_AHEAD * MOST_PER_BATCH


class Supervisor:
    """The state of one run on this machine."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._workers: dict[int, WorkerState] = {}
        self._hungry: dict[int, WorkerState] = {}
        self._pending: deque[Job] = deque()
        self._suspects: deque[Job] = deque()
        self._open = 0
        self._ledger = deaths.DeathLedger()
        self._budget = Budget(rules.memory_bytes)
        self._pace = Pace()
        self._level = StopLevel.RUN
        self._feed_ended = False
        self._over = False
        self._next_worker = 0
        self._ever_ready = False
        self._barren = self._failed_starts = 0
        self._last_words = ""
        self._last_tick_ns: int | None = None
        self._now_ns = 0
        self._orders: list[events.Order] = []
        self._emitted: list[Outcome] = []

    @property
    def appetite(self) -> int:
        """How many more jobs should be pulled from the feed now."""
        if self._feed_ended or self._level or self._over:
            return 0
        target = self._rules.workers * BATCHES_AHEAD * self._pace.batch
        return max(0, target - self._in_sight)

    @property
    def hungry(self) -> bool:
        """True when some worker, or a worker not yet started, could use more jobs at once."""
        return self.appetite > 0 and (
            bool(self._hungry) or len(self._workers) < self._rules.workers
        )

    @property
    def _in_sight(self) -> int:
        return self._open + len(self._pending) + len(self._suspects)

    def handle(self, fact: events.Fact, now_ns: int) -> list[events.Order]:
        """Take notice of `fact` at `now_ns` (monotonic); return what is to be done, in order."""
        self._now_ns = now_ns
        self._orders, self._emitted = [], []
        if not self._over:
            self._note(fact)
            self._settle()
        orders, self._orders = self._orders, []
        return orders

    def _note(self, fact: events.Fact) -> None:  # noqa: C901, PLR0912 - one case per fact, no more
        match fact:
            case events.OutcomesReceived():
                self._outcomes(fact)
            case events.JobsArrived(jobs):
                self._arrived(jobs)
            case events.Ticked(glances):
                self._tick(glances)
            case events.FeedEnded():
                self._feed_ended = True
            case events.WorkerReady(number, rss_bytes):
                self._ready(number, rss_bytes)
            case events.GaveUp(_, text):
                self._last_words = text
            case events.JobsReturned(number, job_ids):
                self._returned(number, job_ids)
            case events.MemoryAsked():
                self._asked(fact)
            case events.SourceAsked(number, job_id):
                self._source_asked(number, job_id)
            case events.PipeClosed(number):
                self._pipe_closed(number)
            case events.WorkerDied(number, death, last, pid):
                self._died(number, death, last, pid)
            case events.StopRaised(level):
                self._stop(level)
            case _:
                assert_never(fact)

    def _settle(self) -> None:
        """What follows from the state, whichever fact led to it."""
        for number in self._budget.grant():
            self._grant(self._workers[number])
        self._crew_up()
        if self._emitted:
            self._orders.append(events.Emit(tuple(self._emitted)))
        if not self._in_sight and (self._feed_ended or self._level) and not self._over:
            self._over = True
            self._orders.append(events.Finish())

    # --- jobs ---------------------------------------------------------------------------------

    def _arrived(self, jobs: tuple[Job, ...]) -> None:
        if self._level:
            self._interrupt(jobs)
            return
        self._pending.extend(jobs)
        self._feed_hungry()

    def _feed_hungry(self) -> None:
        for worker in sorted(self._hungry.values(), key=lambda worker: len(worker.open)):
            self._feed(worker)

    def _feed(self, worker: WorkerState) -> None:
        """Give `worker` what it can use; remember that it is hungry if that is not enough."""
        self._hungry.pop(worker.number, None)
        if worker.phase is not Phase.SERVING or worker.alone:
            return
        if self._suspects and worker.fresh:
            worker.alone = True
            self._send(worker, (self._suspects.popleft(),))
            return
        full = self._pace.batch
        crew = len(self._workers)
        while self._pending:
            if worker.open and len(self._pending) <= crew:
                break  # the last few wait for whoever is free first
            room = self._rules.recycle_jobs - worker.assigned
            size = min(full, ceil(len(self._pending) / (2 * crew)), room)
            if size < len(worker.open):
                break
            if size <= 0:
                return
            self._send(worker, tuple(self._pending.popleft() for _ in range(size)))
        if len(worker.open) <= full:
            self._hungry[worker.number] = worker

    def _send(self, worker: WorkerState, jobs: tuple[Job, ...]) -> None:
        worker.open.update((job.job_id, job) for job in jobs)
        worker.assigned += len(jobs)
        worker.heard()
        self._open += len(jobs)
        self._orders.append(events.Send(worker.number, jobs))

    def _take(self, worker: WorkerState, job_id: int) -> Job | None:
        """Take `job_id` from what `worker` owes; None when it does not owe it (any more)."""
        job = worker.open.pop(job_id, None)
        if job is not None:
            self._open -= 1
            worker.alone = worker.alone and bool(worker.open)
        return job

    def _outcomes(self, fact: events.OutcomesReceived) -> None:
        worker = self._workers.get(fact.worker)
        if worker is None:
            return
        worker.delivered += len(fact.outcomes)
        worker.heard()
        for outcome in fact.outcomes:
            if self._take(worker, outcome.job_id) is not None:
                self._ledger.forget(outcome.job_id)
                self._emitted.append(outcome)
        self._barren = 0
        self._pace.saw(len(fact.outcomes), fact.busy_ns)
        if self._budget.holds(worker.number):
            self._budget.release(worker.number)
        self._recycle(worker, fact.rss_bytes)
        self._feed(worker)

    def _returned(self, number: int, job_ids: Iterable[int]) -> None:
        worker = self._workers.get(number)
        if worker is not None:
            jobs = [self._take(worker, job_id) for job_id in job_ids]
            self._interrupt(job for job in jobs if job is not None)
            self._part(worker)

    def _interrupt(self, jobs: Iterable[Job]) -> None:
        self._emitted.extend(Outcome(job.job_id, job.path, Kind.INTERRUPTED) for job in jobs)

    def _source_asked(self, number: int, job_id: int) -> None:
        """Have a source opened, if it is that of a job the worker has: of no other."""
        worker = self._workers.get(number)
        job = None if worker is None else worker.open.get(job_id)
        if job is not None:
            self._orders.append(events.HandOver(number, job.path))

    # --- memory -------------------------------------------------------------------------------

    def _asked(self, fact: events.MemoryAsked) -> None:
        worker = self._workers.get(fact.worker)
        if worker is not None and worker.phase is not Phase.DYING and fact.job_id in worker.open:
            worker.asks(fact.job_id, self._now_ns)
            self._budget.ask(fact.worker, fact.size_bytes)

    def _grant(self, worker: WorkerState) -> None:
        worker.granted(self._now_ns)
        self._orders.append(events.Grant(worker.number))

    # --- workers come and go ------------------------------------------------------------------

    def _crew_up(self) -> None:
        """Start workers for the jobs in sight, and a fresh one for every suspect."""
        if self._level or not self._in_sight:
            return
        useless = not self._ever_ready and self._failed_starts >= FIRST_STARTS
        if useless or self._barren >= BARREN_FOR_EACH * self._rules.workers:
            if not self._open:
                self._over = True
                self._orders.append(events.Fail(self._last_words, missing=not self._ever_ready))
            return
        fresh = sum(worker.fresh for worker in self._workers.values()) if self._suspects else 0
        while (crew := len(self._workers)) < self._rules.workers and (
            crew < self._in_sight or fresh < len(self._suspects)
        ):
            number = self._next_worker
            self._next_worker += 1
            fresh += 1
            self._workers[number] = WorkerState(number, self._now_ns)
            self._orders.append(events.Spawn(number))

    def _ready(self, number: int, rss_bytes: int) -> None:
        worker = self._workers.get(number)
        if worker is None or worker.phase is not Phase.STARTING:
            return
        self._ever_ready = True
        self._last_words = ""
        worker.phase = Phase.SERVING
        worker.first_rss_bytes = rss_bytes
        self._feed(worker)

    def _recycle(self, worker: WorkerState, rss_bytes: int) -> None:
        grown = rss_bytes - worker.first_rss_bytes > self._rules.recycle_growth_bytes
        if worker.phase is Phase.SERVING and (grown or worker.assigned >= self._rules.recycle_jobs):
            worker.phase = Phase.LEAVING
        self._part(worker)

    def _part(self, worker: WorkerState) -> None:
        """Let a leaving worker go once it owes nothing."""
        if worker.phase is Phase.LEAVING and not worker.open and not worker.told_to_quit:
            worker.told_to_quit = True
            self._orders.append(events.Quit(worker.number))
            worker.plan_end(self._now_ns, LEAVE_NS)

    def _pipe_closed(self, number: int) -> None:
        worker = self._workers.get(number)
        if worker is not None and worker.phase is not Phase.DYING and not worker.told_to_quit:
            self._doom(worker)
            worker.plan_end(self._now_ns, GRACE_NS)

    def _doom(self, worker: WorkerState) -> None:
        worker.phase = Phase.DYING
        worker.granted(self._now_ns)
        self._budget.release(worker.number)
        self._hungry.pop(worker.number, None)

    def _end(self, worker: WorkerState, fate: events.Death) -> None:
        """Terminate, wait, kill."""
        worker.fate = fate
        self._doom(worker)
        self._orders.append(events.Terminate(worker.number))
        worker.plan_end(self._now_ns, GRACE_NS)

    def _died(self, number: int, death: events.Death, last: events.SlotReading, pid: int) -> None:
        worker = self._workers.pop(number, None)
        if worker is None:
            return
        self._doom(worker)
        self._open -= len(worker.open)
        struck = self._whose(worker, last)
        fate = worker.died_of(death, struck)
        verdict = None if struck is None else self._ledger.charge(struck, fate, pid)
        if verdict is None and fate.innocent:
            struck = None
        rest = [job for job in worker.open.values() if job is not struck]
        if self._level:
            self._interrupt(rest)
        else:
            (self._suspects if worker.alone else self._pending).extendleft(reversed(rest))
        if verdict is not None:
            self._emitted.append(verdict)
        elif struck is not None and self._level:
            self._interrupt([struck])
        elif struck is not None:
            self._suspects.append(struck)
        elif not worker.delivered and not worker.told_to_quit and not self._level:
            self._barren += 1
            # The end of the fork server takes all that are starting, and says nothing about them.
            self._failed_starts += not fate.innocent
            self._last_words = self._last_words or fate.words
        self._feed_hungry()

    @staticmethod
    def _whose(worker: WorkerState, last: events.SlotReading) -> Job | None:
        """Find the job to blame: the one in flight, or one done just before and never heard of."""
        if last.job_id is not None and last.job_id in worker.open:
            return worker.open[last.job_id]
        unheard = last.done - worker.delivered
        if last.job_id is None and 0 < unheard <= len(worker.open):
            return list(worker.open.values())[unheard - 1]
        return None

    # --- time and stop ------------------------------------------------------------------------

    def _tick(self, glances: Mapping[int, events.SlotReading]) -> None:
        last_ns, self._last_tick_ns = self._last_tick_ns, self._now_ns
        late_ns = 0 if last_ns is None else self._now_ns - last_ns - TICK_NS
        for worker in list(self._workers.values()):
            glance = glances.get(worker.number, events.SlotReading(None, 0, 0))
            if late_ns > LATE_NS:
                worker.excuse(glance, late_ns)
            elif worker.doomed:
                self._strike_blow(worker, glance)
            elif fate := worker.overdue(glance, self._rules, self._now_ns):
                self._end(worker, fate)

    def _strike_blow(self, worker: WorkerState, glance: events.SlotReading) -> None:
        blow = worker.due_blow(self._now_ns)
        if blow is None:
            return
        worker.fate = worker.fate or deaths.CLOSED_PIPE
        self._orders.append(blow(worker.number))
        if blow is events.Abandon:
            self._died(worker.number, worker.fate, glance, 0)

    def _stop(self, level: StopLevel) -> None:
        if level <= self._level:
            return
        self._level = level
        self._interrupt(self._pending)
        self._interrupt(self._suspects)
        self._pending.clear()
        self._suspects.clear()
        self._hungry.clear()
        for worker in self._workers.values():
            if level is StopLevel.KILL:
                self._interrupt(worker.open.values())
                self._open -= len(worker.open)
                worker.open.clear()
                self._orders.append(events.Kill(worker.number))
            elif worker.phase is not Phase.DYING:
                worker.phase = Phase.LEAVING
                if worker.open:
                    self._orders.append(events.Drain(worker.number))
                self._part(worker)

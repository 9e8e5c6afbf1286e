"""Which worker does what, who is to blame for a death, when to kill: decisions only.

A pure state machine: events in, commands out (`events`). It starts no process, reads no clock and
touches no pipe, so every decision can be tested without a process. `engine` is the shell.

The rules:

* Every job that arrives gets exactly one outcome, also when workers die.
* The job in flight when a worker dies gets a strike; the rest of the batch goes back free. A
  struck job is tried again, alone in a new worker. What it comes to is for `deaths` to say.
* A job that outlives its deadline has its worker ended, and is judged like a death.
* Memory is promised by a `MemoryBudget`; waiting for it stops the job's clock.
* Workers leave at job boundaries, after so many jobs or so much growth.
* Workers that die without having begun anything are replaced a few times, not forever.
* A worker has jobs of one share at a time, or of none (`share_state`); those of a share are sent
  further ahead, to be read meanwhile. Where jobs of elsewhere wait and have fewer workers, by two
  at least, a worker is sent no more of its share, and returns what it has not begun.
"""

from __future__ import annotations

from collections import deque
from math import ceil
from typing import TYPE_CHECKING, Final, assert_never

from pregen.engines.base import StopLevel
from pregen.engines.local import deaths, events, vetting
from pregen.engines.local.placement import Placement, can_move
from pregen.engines.local.protocol import SlotReading
from pregen.engines.local.share_state import (
    LEAST_JOBS_AHEAD,
    MOST_JOBS_AHEAD,
    MOST_STALLED,
    Shares,
)
from pregen.engines.local.worker_state import (
    GRACE_NS,
    LEAVE_NS,
    MOST_PER_BATCH,
    RETIRE_NS,
    BatchSizer,
    MemoryBudget,
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
USELESS_DEATHS_PER_WORKER: Final = 10
#: Jobs pulled ahead for each worker, in batches: two sent, two in reserve to share at the end.
BATCHES_AHEAD: Final = 4
#: Bound of the pull: jobs without an outcome never exceed this for each worker.
MOST_AHEAD: Final = BATCHES_AHEAD * MOST_PER_BATCH


class Supervisor:
    """The state of one run on this machine."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._workers: dict[int, WorkerState] = {}
        self._starved: dict[int, WorkerState] = {}
        self._pending: deque[Job] = deque()
        self._suspects: deque[Job] = deque()
        self._shares = Shares(rules.reading)
        self._placement = Placement(rules, self._workers, self._pending, self._shares)
        self._open = 0
        self._ledger = deaths.DeathLedger()
        self._budget = MemoryBudget(rules.memory_bytes)
        self._batches = BatchSizer()
        self._level = StopLevel.RUN
        self._feed_ended = False
        self._over = False
        self._next_worker = 0
        self._ever_ready = False
        self._useless_deaths = 0
        """Workers in a row that died without having begun anything."""
        self._failed_starts = 0
        self._last_words = ""
        self._last_tick_ns: int | None = None
        """When it was last told the time; at first, when it was told anything."""
        self._now_ns = 0
        self._commands: list[events.Command] = []
        self._emitted: list[Outcome] = []

    @property
    def jobs_wanted(self) -> int:
        """How many more jobs should be pulled from the feed now."""
        if self._feed_ended or self._level or self._over:
            return 0
        target = self._rules.workers * BATCHES_AHEAD * self._batches.size
        stalled = 0
        if self._shares:
            target = max(target, self._rules.workers * 2 * MOST_JOBS_AHEAD)
            stalled = self._shares.stalled
            if stalled >= MOST_STALLED:
                return 0
        return max(0, target - self._in_sight + stalled)

    @property
    def starved(self) -> bool:
        """True when some worker, or a worker not yet started, could use more jobs at once."""
        return self.jobs_wanted > 0 and (
            bool(self._starved) or len(self._workers) < self._rules.workers
        )

    @property
    def stuck(self) -> frozenset[int]:
        """Workers that have asked a share for something and get no answer."""
        return frozenset(
            worker.number
            for worker in self._workers.values()
            if any(self._shares[share].stalled for share in worker.met)
        )

    @property
    def _in_sight(self) -> int:
        waiting = len(self._pending) + len(self._suspects)
        return self._open + waiting + (self._shares.pending if self._shares else 0)

    def handle(self, event: events.Event, now_ns: int) -> list[events.Command]:
        """Take notice of `event` at `now_ns` (monotonic); return what is to be done, in order."""
        self._now_ns = now_ns
        if self._last_tick_ns is None:
            self._last_tick_ns = now_ns
        self._commands, self._emitted = [], []
        if not self._over:
            self._apply(event)
            self._follow_up()
        commands, self._commands = self._commands, []
        return commands

    def _apply(self, event: events.Event) -> None:  # noqa: C901, PLR0912 - one case per event
        match event:
            case events.OutcomesReceived():
                self._outcomes(event)
            case events.JobsArrived(jobs):
                self._arrived(jobs)
            case events.Ticked(readings):
                self._tick(readings)
            case events.FeedEnded():
                self._feed_ended = True
            case events.WorkerReady(number, rss_bytes):
                self._ready(number, rss_bytes)
            case events.RuleBroken(number, what):
                if worker := self._heeded(number):
                    self._expel(worker, what)
            case events.WorkerFailed(_, text):
                self._last_words = text
            case events.JobsReturned(number, job_ids):
                self._returned(number, job_ids)
            case events.MemoryRequested():
                self._asked(event)
            case events.SourceRequested(number, job_id):
                self._source_asked(number, job_id)
            case events.PipeClosed(number):
                self._pipe_closed(number)
            case events.WorkerDied(number, death, last, pid):
                self._died(number, death, last, pid)
            case events.StopRaised(level):
                self._stop(level)
            case _:
                assert_never(event)

    def _follow_up(self) -> None:
        """Do what follows from the state, after any event."""
        for number in self._budget.grant():
            self._grant(self._workers[number])
        self._start_workers()
        if self._emitted:
            self._commands.append(events.Emit(tuple(self._emitted)))
        if not self._in_sight and (self._feed_ended or self._level) and not self._over:
            self._over = True
            self._commands.append(events.Finish())

    # --- jobs ---------------------------------------------------------------------------------

    def _arrived(self, jobs: tuple[Job, ...]) -> None:
        if self._level:
            self._interrupt(jobs)
            return
        self._pending.extend(job for job in jobs if not job.share)
        self._shares.add(job for job in jobs if job.share)
        self._feed_starved()
        self._recall()

    def _feed_starved(self) -> None:
        for worker in sorted(self._starved.values(), key=lambda worker: len(worker.open)):
            self._feed(worker)

    def _feed(self, worker: WorkerState) -> None:
        """Give `worker` what it can use; remember that it is starved if that is not enough."""
        self._starved.pop(worker.number, None)
        if worker.phase is not Phase.SERVING or worker.alone or worker.recalled:
            return
        if self._suspects and worker.unused:
            worker.alone = True
            self._send(worker, (self._suspects.popleft(),))
            return
        if self._shares and worker.open and self._placement.waiting_elsewhere(worker):
            self._starved[worker.number] = worker
            return
        if self._shares and self._feed_by_share(worker):
            return
        full = self._batches.size
        workers = len(self._workers)
        while self._pending:
            if worker.open and len(self._pending) <= workers:
                break  # the last few wait for the first free worker
            room = self._rules.recycle_jobs - worker.assigned
            size = min(full, ceil(len(self._pending) / (2 * workers)), room)
            if size < len(worker.open):
                break
            if size <= 0:
                return
            self._send(worker, tuple(self._pending.popleft() for _ in range(size)))
        if len(worker.open) <= full:
            self._starved[worker.number] = worker

    # --- shares -------------------------------------------------------------------------------

    def _feed_by_share(self, worker: WorkerState) -> bool:
        """Give `worker` jobs of one share; False: it is to have jobs of none."""
        if self._placement.is_surplus(worker):
            worker.phase = Phase.LEAVING
            self._part(worker)
            return True
        share = self._placement.share_for(worker)
        if share is None:
            self._starved[worker.number] = worker
        elif share:
            self._feed_ahead(worker, share)
        return share != 0

    def _feed_ahead(self, worker: WorkerState, share: int) -> None:
        """Give `worker` jobs of a share, as many as may be read before their turn."""
        state = self._shares[share]
        others = self._placement.served().get(share, 0) - bool(worker.open)
        rules = self._rules
        if others and state.stalled:
            if not worker.open:
                self._starved[worker.number] = worker
            return
        room = min(
            MOST_JOBS_AHEAD - len(worker.open),
            ceil(len(state.pending) / (others + 1)),
            rules.recycle_jobs - worker.assigned,
        )
        held_bytes = sum(max(0, job.size_bytes) for job in worker.open.values())
        most_bytes = rules.reading.ahead_bytes // (others + 1) - held_bytes
        least = max(0, LEAST_JOBS_AHEAD - len(worker.open))
        if jobs := self._shares.take(share, room, most_bytes, least):
            self._send(worker, jobs)
        if len(worker.open) < MOST_JOBS_AHEAD and not state.pending:
            self._starved[worker.number] = worker

    def _recall(self) -> None:
        """Ask workers to return their jobs of a share, where others wait elsewhere.

        What was read of them is lost. So it is done only where no fewer wait than a worker has, or
        where it gets nothing.
        """
        for worker in self._workers.values():
            if worker.share and can_move(worker):
                jobs = self._placement.waiting_elsewhere(worker)
                in_vain = worker.waits and self._shares[worker.share].quiet
                if jobs >= len(worker.open) or (jobs and in_vain):
                    worker.recalled = True
                    self._commands.append(events.Recall(worker.number))

    def _listen(self, readings: Mapping[int, SlotReading]) -> None:
        """Note what came from shares, and have as many readers there as bring more."""
        waiting: dict[int, bool] = {}
        for worker in self._workers.values():
            reading = readings.get(worker.number)
            if not worker.share or reading is None:
                continue
            state = self._shares[worker.share]
            if new := worker.note_heard(reading.heard, self._now_ns):
                state.hear(new, self._now_ns)
            worker.waits = bool(worker.open) and (reading.job_id is None or reading.waits)
            waiting[worker.share] = waiting.get(worker.share, False) or worker.waits
        for share, state in self._shares:
            if waiting.get(share):
                state.stall(self._now_ns)
            if share in waiting and not state.stalled:
                state.pace.look(self._now_ns, state.heard, waits=waiting[share])
            else:
                state.pace.rest()
        served = self._placement.served()
        for worker in self._workers.values():
            if worker.share and worker.open:
                self._order(worker, served)
            if self._placement.is_held_up(worker):
                worker.unanswered.add(worker.share)
        self._feed_starved()
        self._recall()

    def _order(self, worker: WorkerState, served: Mapping[int, int]) -> None:
        """Tell a worker how to read ahead, if that is not what it was told last."""
        readers = self._shares[worker.share].pace.readers
        together = max(1, served.get(worker.share, 1))
        rate = self._rules.reading.bytes_per_s
        everywhere = max(1, sum(count for share, count in served.items() if share))
        orders = max(1, round(readers / together)), rate and max(1, rate // everywhere)
        if orders != worker.orders:
            worker.orders = orders
            self._commands.append(events.OrderReaders(worker.number, *orders))

    def _send(self, worker: WorkerState, jobs: tuple[Job, ...]) -> None:
        worker.share = jobs[0].share
        if worker.share:
            worker.met.add(worker.share)
        if not worker.open:
            worker.note_activity(self._now_ns)
            worker.waits = False
            if worker.share and not self._placement.served().get(worker.share):
                self._shares[worker.share].heard_ns = self._now_ns
        worker.open.update((job.job_id, job) for job in jobs)
        worker.assigned += len(jobs)
        self._open += len(jobs)
        if worker.share:
            self._order(worker, self._placement.served())
        self._commands.append(events.Send(worker.number, jobs))

    def _take(self, worker: WorkerState, job_id: int) -> Job | None:
        """Take `job_id` from what `worker` owes; None when it does not owe it (any more)."""
        job = worker.open.pop(job_id, None)
        if job is not None:
            self._open -= 1
            worker.alone = worker.alone and bool(worker.open)
        return job

    def _heeded(self, number: int) -> WorkerState | None:
        """Return worker `number`; None when it is gone, or nothing it says counts any more."""
        worker = self._workers.get(number)
        return None if worker is None or worker.unheeded else worker

    def _outcomes(self, event: events.OutcomesReceived) -> None:
        worker = self._heeded(event.worker)
        if worker is None:
            return
        for outcome in event.outcomes:
            self._outcome(worker, outcome, event.pid)
            if worker.unheeded:
                return
        busy_ns = max(0, min(event.busy_ns, self._now_ns - worker.born_ns))
        worker.busy_ns += busy_ns
        worker.note_activity(self._now_ns)
        self._useless_deaths = 0
        self._batches.learn(len(event.outcomes), busy_ns)
        if self._budget.holds(worker.number):
            self._budget.release(worker.number)
        self._recycle(worker, event.rss_bytes)
        self._feed(worker)

    def _outcome(self, worker: WorkerState, outcome: Outcome, pid: int) -> None:
        job = worker.open.get(outcome.job_id)
        if job is None:
            if self._level is not StopLevel.KILL:
                self._expel(worker, "reported a result for a file that it did not have")
            return
        try:
            believed = vetting.vetted(outcome, job, pid, self._now_ns - worker.born_ns)
        except vetting.LieError as lie:
            self._expel(worker, f"reported {lie}", job.job_id)
            return
        self._take(worker, job.job_id)
        worker.delivered += 1
        self._ledger.forget(job.job_id)
        self._emitted.append(believed)

    def _returned(self, number: int, job_ids: Iterable[int]) -> None:
        worker = self._heeded(number)
        if worker is None:
            return
        if not (worker.recalled or self._level):
            self._expel(worker, "returned files without being asked")
            return
        worker.recalled = False
        worker.requests = 0
        taken = [self._take(worker, job_id) for job_id in job_ids]
        jobs = [job for job in taken if job is not None]
        if self._level:
            self._interrupt(jobs)
        else:
            self._put_back(jobs, alone=False)
            self._recycle(worker, 0)  # where these were its last, it gets no others
            self._feed(worker)
            self._feed_starved()
        self._part(worker)

    def _interrupt(self, jobs: Iterable[Job]) -> None:
        self._emitted.extend(Outcome(job.job_id, job.path, Kind.INTERRUPTED) for job in jobs)

    def _source_asked(self, number: int, job_id: int) -> None:
        """Have a source opened, if it is that of a job the worker has, or refuse it.

        A thread that reads ahead may ask for one whose job was returned or given up meanwhile.
        """
        worker = self._heeded(number)
        if worker is None:
            return
        if worker.begs():
            self._expel(worker, "asked for the same file again and again")
        else:
            job = worker.open.get(job_id)
            self._commands.append(events.OpenSource(number, b"" if job is None else job.path))

    # --- memory -------------------------------------------------------------------------------

    def _asked(self, event: events.MemoryRequested) -> None:
        worker = self._heeded(event.worker)
        if worker is None or worker.phase is Phase.DYING or event.job_id not in worker.open:
            return
        if worker.is_waiting or worker.begs():
            self._expel(worker, "asked for memory again and again")
        else:
            worker.pause_clock(event.job_id, self._now_ns)
            self._budget.ask(event.worker, event.size_bytes)

    def _grant(self, worker: WorkerState) -> None:
        worker.resume_clock(self._now_ns)
        self._commands.append(events.GrantMemory(worker.number))

    # --- workers come and go ------------------------------------------------------------------

    def _start_workers(self) -> None:
        """Start workers for the jobs in sight, and an unused one for every suspect."""
        if self._level or not self._in_sight:
            return
        useless = not self._ever_ready and self._failed_starts >= FIRST_STARTS
        if useless or self._useless_deaths >= USELESS_DEATHS_PER_WORKER * self._rules.workers:
            if not self._open:
                self._over = True
                self._commands.append(events.Fail(self._last_words, missing=not self._ever_ready))
            return
        unused = sum(worker.unused for worker in self._workers.values()) if self._suspects else 0
        held_up = self._placement.held_up() if self._shares else 0
        in_sight = self._in_sight - (self._shares.stalled if held_up else 0)
        while (workers := len(self._workers)) - held_up < self._rules.workers and (
            workers < in_sight or unused < len(self._suspects)
        ):
            number = self._next_worker
            self._next_worker += 1
            unused += 1
            self._workers[number] = WorkerState(number, self._now_ns, self._now_ns)
            self._commands.append(events.Spawn(number))
        if unused < len(self._suspects):
            self._make_room(len(self._suspects) - unused)

    def _make_room(self, wanted: int) -> None:
        """Let workers go that have nothing to do: suspects need new ones."""
        idle = [each for each in self._starved.values() if not (each.open or each.unused)]
        for worker in idle[:wanted]:
            del self._starved[worker.number]
            worker.phase = Phase.LEAVING
            self._part(worker)

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
        spent = worker.assigned >= self._rules.recycle_jobs or worker.busy_ns > RETIRE_NS
        if worker.phase is Phase.SERVING and (grown or spent):
            worker.phase = Phase.LEAVING
        self._part(worker)

    def _part(self, worker: WorkerState) -> None:
        """Let a leaving worker go once it owes nothing."""
        if worker.phase is Phase.LEAVING and not worker.open and not worker.told_to_quit:
            worker.told_to_quit = True
            self._commands.append(events.Quit(worker.number))
            worker.plan_end(self._now_ns, LEAVE_NS)

    def _pipe_closed(self, number: int) -> None:
        worker = self._workers.get(number)
        if worker is not None and worker.phase is not Phase.DYING and not worker.told_to_quit:
            self._mark_dying(worker)
            worker.plan_end(self._now_ns, GRACE_NS)

    def _mark_dying(self, worker: WorkerState) -> None:
        worker.phase = Phase.DYING
        worker.resume_clock(self._now_ns)
        self._budget.release(worker.number)
        self._starved.pop(worker.number, None)

    def _end(self, worker: WorkerState, reason: deaths.Death) -> None:
        """Terminate, wait, kill."""
        worker.ended_for = reason
        self._mark_dying(worker)
        self._commands.append(events.Terminate(worker.number))
        worker.plan_end(self._now_ns, GRACE_NS)

    def _expel(self, worker: WorkerState, what: str, job_id: int | None = None) -> None:
        """End a worker that does what no honest one does; the job it has in hand is to blame.

        Which one that is, its slot is not asked: jobs are done in the order in which they are sent.
        """
        worker.unheeded = True
        worker.culprit = next(iter(worker.open), None) if job_id is None else job_id
        worker.ended_for = deaths.expelled(what)
        self._mark_dying(worker)
        self._commands.append(events.Kill(worker.number))
        worker.plan_end(self._now_ns, GRACE_NS)

    def _died(self, number: int, death: deaths.Death, last: SlotReading, pid: int) -> None:
        """Find the job to blame, charge it, and give back the jobs that had no part in it."""
        worker = self._workers.pop(number, None)
        if worker is None:
            return
        self._mark_dying(worker)
        self._open -= len(worker.open)
        if worker.culprit is not None:
            blamed = worker.open.get(worker.culprit)
        else:
            blamed = deaths.blamed_job(worker.open, last.job_id, last.done - worker.delivered)
        death = deaths.true_death(death, worker.ended_for, worker.overdue_job, blamed)
        outcome = None if blamed is None else self._ledger.charge(blamed, death, pid)
        if outcome is None and death.external:
            blamed = None
        rest = [job for job in worker.open.values() if job is not blamed]
        if not death.external and rest and rest[0] is next(iter(worker.open.values())):
            self._pass_over(worker, rest, death, pid)
        if self._level:
            self._interrupt(rest)
        else:
            self._put_back(rest, alone=worker.alone)
        if outcome is not None:
            self._emitted.append(outcome)
        elif blamed is not None and self._level:
            self._interrupt([blamed])
        elif blamed is not None:
            self._suspects.append(blamed)
        elif not worker.delivered and not worker.told_to_quit and not self._level:
            self._useless_deaths += 1
            # The end of the fork server takes all that are starting, and says nothing about them.
            self._failed_starts += not death.external
            self._last_words = self._last_words or death.words
        self._feed_starved()

    def _put_back(self, jobs: list[Job], *, alone: bool) -> None:
        """Have jobs wait before all others."""
        if alone:
            self._suspects.extendleft(reversed(jobs))
            return
        self._pending.extendleft(job for job in reversed(jobs) if not job.share)
        self._shares.put_back(job for job in jobs if job.share)

    def _pass_over(
        self, worker: WorkerState, rest: list[Job], death: deaths.Death, pid: int
    ) -> None:
        """Take from `rest` the job whose turn it was when it has been the turn of too many deaths.

        Jobs are done in the order of sending. That the first one is done, or not begun, only the
        worker says.
        """
        times, outcome = self._ledger.pass_over(rest[0], death, pid)
        if outcome is not None:
            del rest[0]
            self._emitted.append(outcome)
        elif times >= deaths.STRIKES and not worker.alone and not self._level:
            self._suspects.append(rest.pop(0))

    # --- time and stop ------------------------------------------------------------------------

    def _tick(self, readings: Mapping[int, SlotReading]) -> None:
        last_ns = self._now_ns if self._last_tick_ns is None else self._last_tick_ns
        self._last_tick_ns = self._now_ns
        late_ns = self._now_ns - last_ns - TICK_NS
        for worker in list(self._workers.values()):
            reading = readings.get(worker.number, SlotReading(None, 0, 0))
            if late_ns > LATE_NS:
                worker.excuse(reading, late_ns)
            elif worker.is_ending:
                self._go_on_ending(worker, reading)
            elif reason := worker.overdue(reading, self._rules, self._now_ns):
                self._end(worker, reason)
        if self._shares and not self._level:
            if late_ns > LATE_NS:
                for _, state in self._shares:
                    state.heard_ns += late_ns
            self._listen(readings)

    def _go_on_ending(self, worker: WorkerState, reading: SlotReading) -> None:
        step = worker.due_end_step(self._now_ns)
        if step is None:
            return
        worker.ended_for = worker.ended_for or deaths.CLOSED_PIPE
        self._commands.append(step(worker.number))
        if step is events.Abandon:
            self._died(worker.number, worker.ended_for, reading, 0)

    def _stop(self, level: StopLevel) -> None:
        if level <= self._level:
            return
        self._level = level
        self._interrupt(self._pending)
        self._interrupt(self._suspects)
        self._interrupt(self._shares.clear())
        self._pending.clear()
        self._suspects.clear()
        self._starved.clear()
        for worker in self._workers.values():
            if level is StopLevel.KILL:
                self._interrupt(worker.open.values())
                self._open -= len(worker.open)
                worker.open.clear()
                self._commands.append(events.Kill(worker.number))
            elif worker.phase is not Phase.DYING:
                worker.phase = Phase.LEAVING
                if worker.open:
                    self._commands.append(events.Drain(worker.number))
                self._part(worker)

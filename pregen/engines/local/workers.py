"""The worker processes of a run: what happens to them becomes events, and commands are carried out.

It waits on all pipes and sentinels at once with one selector that lives as long as the pool
(`multiprocessing.connection.wait` builds a new one each time). It decides nothing.
"""

from __future__ import annotations

import os
import selectors
import traceback
from contextlib import suppress
from time import monotonic, monotonic_ns
from typing import TYPE_CHECKING, Final, assert_never

from pregen.engines.local import deaths, events, protocol, resources
from pregen.engines.local.protocol import END_SIGNAL, ProtocolError, SlotReading, Tag
from pregen.errors import TOO_MANY_OPEN
from pregen.model import WorkerView

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from pregen.engines.local.events import Event, WorkerCommand
    from pregen.engines.local.launch import Launcher, WorkerProcess

#: How long workers may take to leave when told to, and again when killed.
_LEAVE_S: Final = 5.0
#: ... and one of which a thread waits for a share that does not answer, when killed.
_STUCK_S: Final = 0.1
#: Some libraries start one for each processor, or a few.
_MOST_THREADS: Final = 64 + 2 * (os.cpu_count() or 1)
_READ: Final = selectors.EVENT_READ
_WRITE: Final = selectors.EVENT_WRITE


class WorkerPool:
    """Workers by number. Commands to one that is gone are ignored: its death is still to come."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._selector = selectors.DefaultSelector()
        self._processes: dict[int, WorkerProcess] = {}
        self._shown: tuple[WorkerProcess, ...] = ()
        """What `views` reads, from another thread: replaced whole, never changed."""

    def start(self, number: int) -> list[Event]:
        """Start worker `number`; return what went wrong, if anything.

        Raises:
            OSError: there are too few descriptors for a single worker.
        """
        try:
            process = self._launcher.start(number)
        except (OSError, EOFError) as error:  # the fork server is gone, or no process is left
            if getattr(error, "errno", None) in TOO_MANY_OPEN and not self._processes:
                raise
            return [
                events.WorkerFailed(number, traceback.format_exc()),
                events.WorkerDied(number, deaths.SERVER_LOST, SlotReading(None, 0, 0), 0),
            ]
        self._processes[number] = process
        self._shown = tuple(self._processes.values())
        self._selector.register(process.pipe, _READ, process)
        self._selector.register(process.sentinel, _READ, process)
        return []

    def carry_out(self, command: WorkerCommand) -> None:  # noqa: C901, PLR0912 - one case per command
        """Carry out `command`."""
        process = self._processes.get(command.worker)
        if process is None:
            return
        match command:
            case events.Send(_, jobs):
                self._write(process, protocol.jobs_frame(jobs))
            case events.GrantMemory():
                self._write(process, protocol.frame(Tag.GRANT))
            case events.OpenSource(_, path):
                if process.broker is not None:
                    process.broker.open_for_worker(path)
            case events.OrderReaders(_, readers, bytes_per_s):
                process.slot.order(readers, bytes_per_s)
            case events.Drain():
                process.slot.drain()
            case events.Recall():
                self._write(process, protocol.frame(Tag.RECALL))
            case events.Quit():
                process.pipe.end()
            case events.Terminate():
                with suppress(ProcessLookupError):
                    os.kill(process.pid, END_SIGNAL)
            case events.Kill():
                process.kill()
            case events.Abandon():
                self._remove(process)
                process.abandon()
            case _:
                assert_never(command)

    def _write(self, process: WorkerProcess, frame: bytes) -> None:
        if not process.pipe.closed:
            process.pipe.send(frame)
            if process.pipe.backed_up:
                self._selector.modify(process.pipe, _READ | _WRITE, process)

    def wait(self, timeout_s: float) -> list[Event]:
        """Wait until something happens, `timeout_s` at most; return what did."""
        happened: list[Event] = []
        for key, ready in self._selector.select(timeout_s):
            process: WorkerProcess = key.data
            if process.number not in self._processes:
                continue  # it was removed by an event of this same turn
            if key.fd == process.sentinel:
                happened.extend(self._remove_dead(process))
                continue
            if ready & _WRITE:
                process.pipe.flush()
                if not process.pipe.backed_up:
                    self._selector.modify(process.pipe, _READ, process)
            if ready & _READ:
                happened.extend(self._receive(process))
        return happened

    def readings(self) -> dict[int, SlotReading]:
        """Return what every worker is doing now."""
        return {number: process.slot.read() for number, process in self._processes.items()}

    def crowded(self) -> list[Event]:
        """Return which workers have more threads than any decoder starts.

        Their memory is that of the worker, and so counted; their number has no limit of its own
        (RLIMIT_NPROC is one for all processes of the user).
        """
        counts = {each.number: resources.thread_count(each.pid) for each in self._shown}
        return [
            events.RuleBroken(number, f"running {threads} threads")
            for number, threads in counts.items()
            if threads > _MOST_THREADS
        ]

    def views(self, paths: Mapping[int, bytes]) -> list[WorkerView]:
        """Return the same for the display, from any thread; `paths` by job id."""
        now_ns = monotonic_ns()
        views = []
        for process in self._shown:
            job_id, started_ns, done, *_ = process.slot.read()
            path = None if job_id is None else paths.get(job_id)
            busy_s = 0.0 if path is None else max(0, now_ns - started_ns) / 1e9
            views.append(WorkerView(process.pid, path, busy_s, done))
        return views

    def _receive(self, process: WorkerProcess) -> Iterator[Event]:
        pipe = process.pipe
        yield from _decoded(process, pipe.receive())
        if pipe.closed:
            self._selector.unregister(pipe)
        if pipe.closed or pipe.garbled:
            yield events.PipeClosed(process.number)

    def _remove_dead(self, process: WorkerProcess) -> Iterator[Event]:
        """Report a worker whose process has ended, once all that it sent has been read."""
        yield from _decoded(process, process.pipe.receive_rest())
        last = process.slot.read()
        death = deaths.cause_of(process.exitcode(), process.pipe.last_words)
        self._remove(process)
        process.close()
        yield events.WorkerDied(process.number, death, last, process.pid)

    def _remove(self, process: WorkerProcess) -> None:
        del self._processes[process.number]
        self._shown = tuple(self._processes.values())
        self._selector.unregister(process.sentinel)
        if process.pipe in self._selector.get_map():
            self._selector.unregister(process.pipe)

    def close(self, *, polite: bool, stuck: Collection[int] = ()) -> None:
        """Leave no process behind: let the workers leave (`polite`), or kill them.

        Those that are `stuck`, by number, are not waited for: to close a file of a dead share takes
        as long as to read it, and such a process cannot be killed.
        """
        processes = list(self._processes.values())
        able = [process for process in processes if process.number not in stuck]
        if polite:
            for process in able:
                process.pipe.end()
        remaining = _join(able, _LEAVE_S) if polite else able
        doomed = [*remaining, *(each for each in processes if each.number in stuck)]
        for process in doomed:
            process.kill()
        unkillable = _join(remaining, _LEAVE_S)
        unkillable += _join((each for each in doomed if each.number in stuck), _STUCK_S)
        for process in processes:
            self._remove(process)
            if process in unkillable:
                process.abandon()
            else:
                process.close()
        self._selector.close()
        self._launcher.close()


def _join(those: Iterable[WorkerProcess], patience_s: float) -> list[WorkerProcess]:
    """Wait for processes to end, so long altogether; return those that have not."""
    processes = list(those)
    until_s = monotonic() + patience_s
    for process in processes:
        process.join(max(0.0, until_s - monotonic()))
    return [process for process in processes if process.is_alive]


def _decoded(process: WorkerProcess, frames: Iterable[tuple[Tag, bytes]]) -> Iterator[Event]:
    """Turn messages into events; one that makes no sense marks its pipe as garbled."""
    number = process.number
    try:
        for tag, body in frames:
            match tag:
                case Tag.OUTCOMES:
                    report = protocol.read_report(body)
                    yield events.OutcomesReceived(
                        number,
                        report.outcomes,
                        report.busy_ns,
                        report.rss_bytes,
                        process.pid,
                    )
                case Tag.READY:
                    yield events.WorkerReady(number, *protocol.read_numbers(tag, body))
                case Tag.ASK:
                    yield events.MemoryRequested(number, *protocol.read_numbers(tag, body))
                case Tag.OPEN:
                    yield events.SourceRequested(number, *protocol.read_numbers(tag, body))
                case Tag.RETURNED:
                    yield events.JobsReturned(number, protocol.read_returned(body))
                case Tag.FAILED:
                    text = body[-protocol.MOST_REST_BYTES :].decode(errors="replace")
                    yield events.WorkerFailed(number, text)
                case Tag.JOBS | Tag.GRANT | Tag.RECALL:
                    process.pipe.garbled = True
                case _:
                    assert_never(tag)
    except ProtocolError:
        process.pipe.garbled = True

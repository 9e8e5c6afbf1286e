"""The worker processes of a run: everything that happens to them becomes a fact, and orders happen.

It waits on all pipes and sentinels at once with one selector that lives as long as the crew
(`multiprocessing.connection.wait` builds a new one each time). It decides nothing.
"""

from __future__ import annotations

import os
import selectors
import traceback
from contextlib import suppress
from time import monotonic, monotonic_ns
from typing import TYPE_CHECKING, Final, assert_never

from pregen.engines.local import deaths, protocol, worker
from pregen.engines.local import events as facts
from pregen.engines.local.events import CrewOrder, Fact, SlotReading
from pregen.engines.local.protocol import Tag, WireError
from pregen.model import WorkerView

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pregen.engines.local.launch import Launcher, Member

#: How long workers may take to leave when told to, and again when killed.
_LEAVE_S: Final = 5.0
_READ: Final = selectors.EVENT_READ
_WRITE: Final = selectors.EVENT_WRITE


class Crew:
    """Workers by number. Orders for one that is gone are ignored: its death is a fact to come."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._selector = selectors.DefaultSelector()
        self._members: dict[int, Member] = {}
        self._shown: tuple[Member, ...] = ()
        """What `views` reads, from another thread: replaced whole, never changed."""

    # --- orders -------------------------------------------------------------------------------

    def start(self, number: int) -> list[Fact]:
        """Start worker `number`; what went wrong, if it did."""
        try:
            member = self._launcher.start(number)
        except (OSError, EOFError):  # the fork server is gone, or there are no more processes
            return [
                facts.GaveUp(number, traceback.format_exc()),
                facts.WorkerDied(number, deaths.SERVER_LOST, SlotReading(None, 0, 0), 0),
            ]
        self._members[number] = member
        self._shown = tuple(self._members.values())
        self._selector.register(member.pipe, _READ, member)
        self._selector.register(member.sentinel, _READ, member)
        return []

    def obey(self, order: CrewOrder) -> None:  # noqa: C901 - one case per order, nothing else
        """Carry out `order`."""
        member = self._members.get(order.worker)
        if member is None:
            return
        match order:
            case facts.Send(_, jobs):
                self._write(member, protocol.jobs_frame(jobs))
            case facts.Grant():
                self._write(member, protocol.frame(Tag.GRANT))
            case facts.HandOver(_, path):
                if member.door is not None:
                    member.door.hand_over(path)
            case facts.Drain():
                member.slot.drain()
            case facts.Quit():
                member.pipe.end()
            case facts.Terminate():
                with suppress(ProcessLookupError):
                    os.kill(member.pid, worker.END_SIGNAL)
            case facts.Kill():
                member.process.kill()
            case facts.Abandon():
                self._remove(member)
                member.abandon()
            case _:
                assert_never(order)

    def _write(self, member: Member, frame: bytes) -> None:
        if not member.pipe.closed:
            member.pipe.send(frame)
            if member.pipe.backed_up:
                self._selector.modify(member.pipe, _READ | _WRITE, member)

    # --- facts --------------------------------------------------------------------------------

    def wait(self, timeout_s: float) -> list[Fact]:
        """Wait until something happens, `timeout_s` at most; return what did."""
        happened: list[Fact] = []
        for key, events in self._selector.select(timeout_s):
            member: Member = key.data
            if member.number not in self._members:
                continue  # it was buried by an event of this same turn
            if key.fd == member.sentinel:
                happened.extend(self._bury(member))
                continue
            if events & _WRITE:
                member.pipe.flush()
                if not member.pipe.backed_up:
                    self._selector.modify(member.pipe, _READ, member)
            if events & _READ:
                happened.extend(self._hear(member))
        return happened

    def glances(self) -> dict[int, SlotReading]:
        """Return what every worker is doing now."""
        return {number: member.slot.glance() for number, member in self._members.items()}

    def views(self, paths: Mapping[int, bytes]) -> list[WorkerView]:
        """Return the same for the display, from any thread; `paths` by job id."""
        now_ns = monotonic_ns()
        views = []
        for member in self._shown:
            job_id, started_ns, done = member.slot.glance()
            path = None if job_id is None else paths.get(job_id)
            busy_s = 0.0 if path is None else max(0, now_ns - started_ns) / 1e9
            views.append(WorkerView(member.pid, path, busy_s, done))
        return views

    def _hear(self, member: Member) -> Iterator[Fact]:
        pipe = member.pipe
        yield from _understood(member, pipe.receive())
        if pipe.closed:
            self._selector.unregister(pipe)
        if pipe.closed or pipe.senseless:
            yield facts.PipeClosed(member.number)

    def _bury(self, member: Member) -> Iterator[Fact]:
        """Take leave of a worker whose process has ended, once it has been heard to the end."""
        yield from _understood(member, member.pipe.receive_rest())
        last = member.slot.glance()
        death = member.cause_of_death()
        self._remove(member)
        member.close()
        yield facts.WorkerDied(member.number, death, last, member.pid)

    def _remove(self, member: Member) -> None:
        del self._members[member.number]
        self._shown = tuple(self._members.values())
        self._selector.unregister(member.sentinel)
        if member.pipe in self._selector.get_map():
            self._selector.unregister(member.pipe)

    # --- the end ------------------------------------------------------------------------------

    def disband(self, *, polite: bool) -> None:
        """Leave no process behind: let the workers leave (`polite`), or kill them."""
        members = list(self._members.values())
        for member in members:
            if polite:
                member.pipe.end()
            else:
                member.process.kill()
        stragglers = _join(members) if polite else members
        for member in stragglers:
            member.process.kill()
        undead = _join(stragglers)
        for member in members:
            self._remove(member)
            if member in undead:
                member.abandon()
            else:
                member.close()
        self._selector.close()


def _join(members: Iterable[Member]) -> list[Member]:
    """Wait for `members` to end, for `_LEAVE_S` altogether; return those that have not."""
    until_s = monotonic() + _LEAVE_S
    for member in members:
        member.process.join(max(0.0, until_s - monotonic()))
    return [member for member in members if member.process.exitcode is None]


def _understood(member: Member, frames: Iterable[tuple[Tag, bytes]]) -> Iterator[Fact]:
    """Turn messages into facts; one that makes no sense makes its worker senseless."""
    number = member.number
    try:
        for tag, body in frames:
            match tag:
                case Tag.OUTCOMES:
                    report = protocol.read_report(body)
                    yield facts.OutcomesReceived(
                        number, report.outcomes, report.busy_ns, report.rss_bytes
                    )
                case Tag.READY:
                    yield facts.WorkerReady(number, *protocol.read_numbers(tag, body))
                case Tag.ASK:
                    yield facts.MemoryAsked(number, *protocol.read_numbers(tag, body))
                case Tag.OPEN:
                    yield facts.SourceAsked(number, *protocol.read_numbers(tag, body))
                case Tag.RETURNED:
                    yield facts.JobsReturned(number, protocol.read_returned(body))
                case Tag.FAILED:
                    yield facts.GaveUp(number, body.decode(errors="replace"))
                case Tag.JOBS | Tag.GRANT:
                    member.pipe.senseless = True
                case _:
                    assert_never(tag)
    except WireError:
        member.pipe.senseless = True

"""Calls to shares, each made by a thread, so that who waits for one can stop waiting.

A call to a share that has stopped answering may never return, and a thread in it cannot be ended.
So a call is waited for as long as something comes, and a share that has given nothing to any call
for as long as it may be silent is asked nothing more until a call that is still there returns.

One lock for all shares of a process: there are few threads, and none holds it for long.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import suppress
from time import monotonic_ns
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from pregen.filesystems.shares import ShareSilentError
from pregen.readers.pace import MOST_READERS, SLOWEST_BYTES_PER_S, SMALL_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from pregen.readers.pace import ReaderOrders

T = TypeVar("T")

#: Abandoned calls to one share: each holds a thread.
MOST_STUCK: Final = 8
#: A thread that found nothing to do for so long ends.
_IDLE_S: Final = 10.0
#: Besides system calls they follow the structure of files, a few calls deep.
_STACK_BYTES: Final = 512 * 1024


class Call(Generic[T]):
    """One call to a share, and what came of it."""

    def __init__(
        self,
        do: Callable[[Call[T]], T],
        drop: Callable[[T], None] | None = None,
        size_bytes: int = 0,
    ) -> None:
        """Take what is to be done, given this call; raises what `outcome` is to raise.

        Args:
            do: the call.
            drop: frees a result that is not wanted any more.
            size_bytes: what its result keeps in memory, about.
        """
        self._do = do
        self._drop = drop
        self.size_bytes = size_bytes
        self._result: T | None = None
        self._error: BaseException | None = None
        self.begun = False
        self.place = 0
        """How many had begun before it."""
        self.parked = False
        """It waits for its turn to read more than its beginning."""
        self.more_bytes = 0
        """What it reads beyond that, once it has its turn."""
        self.no_answer = False
        """That it ends does not say that its share gave something: the rest of it is not wanted, or
        nothing is asked (sshfs closes a file without its server)."""
        self.done = False
        self.left = False
        """It was abandoned: its result will not be taken."""
        self.begun_ns = 0
        self.heard_ns = 0
        """When it began, got its turn, or the share last gave something to it."""

    def make(self) -> None:
        """Do it."""
        try:
            self._result = self._do(self)
        except BaseException as error:  # noqa: BLE001 - raised again where the result is taken
            self._error = error

    def outcome(self) -> T:
        """Return the result of a call that is done, or raise what it raised."""
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # a T, as it is done

    def drop(self) -> None:
        """Free a result that is not taken."""
        if self._drop is not None and self._result is not None:
            self._drop(self._result)


class _Share:
    """The calls to one share."""

    def __init__(self, lock: threading.Lock) -> None:
        self.waiting: deque[Call[object]] = deque()
        self.errands: deque[Call[object]] = deque()
        self.reading: set[Call[object]] = set()
        self.running: set[Call[object]] = set()
        """Errands that are being made."""
        self.readers = self.idle_readers = self.messengers = 0
        """Threads."""
        self.begun = 0
        """Calls so far."""
        self.work = threading.Condition(lock)
        self.turn = threading.Condition(lock)
        self.errand = threading.Condition(lock)
        self.heard_ns = monotonic_ns()

    def stuck(self) -> int:
        return sum(call.left for call in self.reading)

    def has_room(self, readers: int) -> bool:
        """Tell whether the first call that waits may begin: beginnings are small."""
        wanted = sum(not call.left for call in self.reading)
        return wanted < max(readers, MOST_READERS)

    def may_go_on(self, call: Call[object], readers: int) -> bool:
        """Tell whether it is the turn of a parked call, with so many at a time."""
        if any(each.parked and each.place < call.place for each in self.reading):
            return False
        there = [c.more_bytes for c in self.reading if c.more_bytes and not (c.parked or c.left)]
        if len(there) < readers:
            return True
        return sum(there) + call.more_bytes <= SMALL_BYTES and len(there) < MOST_READERS


class ShareThreads:
    """The threads of this process that talk to shares.

    Args:
        silence_s: how long a share may give nothing.
        orders: say how many calls may be in one share at a time, errands aside, and are told what
            comes.
        most_bytes: what results may keep in memory together; one alone may keep more.
    """

    def __init__(
        self,
        silence_s: float,
        orders: ReaderOrders,
        most_bytes: int,
    ) -> None:
        self._silence_ns = int(silence_s * 1e9)
        self._orders = orders
        self._heard = 0
        self._most_bytes = most_bytes
        self._kept_bytes = 0
        self._lock = threading.Lock()
        self._done = threading.Condition(self._lock)
        self._shares: dict[int, _Share] = {}
        self._awoken, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.waited_ns = 0
        """How long errands have been waited for."""

    def fileno(self) -> int:
        """Return a descriptor that is readable when a call has ended (`settle`)."""
        return self._awoken

    def settle(self) -> None:
        """Take note that calls have ended."""
        with suppress(BlockingIOError):
            os.read(self._awoken, 4096)

    def hear(self, share: int, call: Call[T], size_bytes: int) -> None:
        """Note that a share gave something, in a thread that makes a call to it."""
        now_ns = call.heard_ns = monotonic_ns()
        with self._lock:
            there = self._share(share)
            if now_ns - there.heard_ns > self._silence_ns:
                there.turn.notify_all()  # it answers again
            there.heard_ns = now_ns
            self._count(size_bytes)

    def wait_for_turn(self, share: int, call: Call[T], more_bytes: int) -> bool:
        """Wait, in a thread that makes a call, until it may read more than its beginning.

        In the order in which calls began, and as many at a time as the run says: beginnings take
        round trips, and what follows takes the link. Return whether it is still wanted.
        """
        with self._lock:
            there = self._share(share)
            call.more_bytes, call.parked = more_bytes, True
            while not (call.left or self._may_go_on(there, call)):
                there.turn.wait(_IDLE_S)
            call.parked = False
            call.heard_ns = monotonic_ns()
            call.no_answer = call.left
            there.turn.notify_all()
            return not call.left

    def start(self, share: int, call: Call[T]) -> None:
        """Make a call when its turn comes; returns at once."""
        with self._lock:
            there = self._share(share)
            there.waiting.append(call)  # type: ignore[arg-type]  # its result is not looked at here
            self._man(there)

    def adjust(self) -> None:
        """Take note that another number of calls may be made at a time."""
        with self._lock:
            for there in self._shares.values():
                there.turn.notify_all()
                self._man(there)

    def release(self, share: int, call: Call[T]) -> bool:
        """Take back the memory that the result of a call keeps, or leave one that is not done.

        Return whether it is done.
        """
        with self._lock:
            there = self._share(share)
            if call.left:
                return call.done
            call.left = True
            there.turn.notify_all()
            if call.begun:
                self._kept_bytes -= call.size_bytes
            else:
                there.waiting.remove(call)  # type: ignore[arg-type]  # as above
            self._man(there)
            return call.done

    def run(
        self, share: int, do: Callable[[Call[T]], T], drop: Callable[[T], None] | None = None
    ) -> T:
        """Make a call at once and wait for it.

        Args:
            share: to which.
            do: the call.
            drop: frees a result that comes too late.

        Raises:
            ShareSilentError: the share does not answer.
        """
        call = Call(do, drop)
        begun_ns = monotonic_ns()
        with self._lock:
            there = self._share(share)
            if self._is_silent(there):
                raise ShareSilentError
            self._send(there, call)
            self._orders.wait(waits=True)
            while not self._done.wait_for(lambda: call.done, min(1.0, self._silence_ns / 4e9)):
                if self._is_lost(call, there):
                    call.left = True
                    break
        self._orders.wait(waits=False)
        self.waited_ns += monotonic_ns() - begun_ns
        if call.left:
            raise ShareSilentError
        return call.outcome()

    def leave(self, share: int, do: Callable[[Call[None]], None]) -> None:
        """Make a call some time, without waiting for its end; it says nothing of its share."""
        call = Call(do)
        call.left = call.no_answer = True
        with self._lock:
            self._send(self._share(share), call)

    def is_in_vain(self, share: int, call: Call[T]) -> bool:
        """Tell whether a call that is not done is no longer worth waiting for.

        One that has not begun is made all the same then, by itself: its end says that the share
        is there again.
        """
        with self._lock:
            there = self._share(share)
            if call.begun and not call.parked:
                return not call.done and self._is_lost(call, there)
            if not self._is_silent(there):
                return False
            asked = [each for each in there.reading if not each.parked]
            if not call.begun and there.stuck() < MOST_STUCK and all(each.left for each in asked):
                there.waiting.remove(call)  # type: ignore[arg-type]  # as above
                call.left = True
                there.waiting.appendleft(call)  # type: ignore[arg-type]  # as above
                self._man(there)
            return True

    def _is_lost(self, call: Call[T], there: _Share) -> bool:
        """Tell whether a call is not worth waiting for: for itself, or for its share.

        One that began, or got its turn, when the share had fallen silent already is not given a
        time-out of its own.
        """
        if self._is_over(call, there):
            return True
        return call.heard_ns > there.heard_ns and self._is_silent(there)

    def _is_over(self, call: Call[T], there: _Share) -> bool:
        """Tell whether a call has got nothing for too long; one not begun: its share has not."""
        now_ns = monotonic_ns()
        since_ns = call.heard_ns if call.begun else there.heard_ns
        if now_ns - since_ns > self._silence_ns:
            return True
        most_ns = self._silence_ns + call.size_bytes * 1_000_000_000 // SLOWEST_BYTES_PER_S
        return bool(call.begun and call.size_bytes) and now_ns - call.begun_ns > most_ns

    def _is_silent(self, there: _Share) -> bool:
        """Tell whether a share was asked, and has given nothing to any call for too long.

        What says so are the calls that waited when it last gave something, and have waited since:
        none to which nothing came while others were answered for long, and no single one.
        """
        now_ns = monotonic_ns()
        if now_ns - there.heard_ns <= self._silence_ns:
            return False
        signs = [
            call
            for call in (*there.reading, *there.running)
            if not call.parked
            and self._is_over(call, there)
            and there.heard_ns - call.heard_ns <= self._silence_ns
        ]
        return len(signs) > 1 or any(call.begun_ns > there.heard_ns for call in signs)

    def _share(self, share: int) -> _Share:
        there = self._shares.get(share)
        if there is None:
            there = self._shares[share] = _Share(self._lock)
        return there

    def _count(self, heard: int) -> None:
        self._heard += heard
        self._orders.hear(self._heard)

    def _man(self, there: _Share) -> None:
        """Have enough threads for the calls that may begin now."""
        if not there.waiting:
            return
        most = max(self._orders.readers, MOST_READERS) + there.stuck()
        if not there.idle_readers and there.readers < most and self._may_begin(there):
            there.readers += 1
            there.idle_readers += 1
            _begin_thread(self._read, there)
        there.work.notify()

    def _send(self, there: _Share, call: Call[T]) -> None:
        there.errands.append(call)  # type: ignore[arg-type]  # as above
        if there.messengers == len(there.running) <= MOST_STUCK:
            there.messengers += 1
            _begin_thread(self._run_errands, there)
        there.errand.notify()

    def _read(self, there: _Share) -> None:
        while True:
            with self._lock:
                while not self._may_begin(there):
                    if not there.work.wait(_IDLE_S) and not there.waiting:
                        there.readers -= 1
                        there.idle_readers -= 1
                        return
                there.idle_readers -= 1
                call = there.waiting.popleft()
                if not call.left:
                    self._kept_bytes += call.size_bytes
                there.begun += 1
                call.place = there.begun
                self._begin(call, there.reading)
                self._man(there)
            call.make()
            self._end(there, call, there.reading)
            with suppress(BlockingIOError):  # there is enough in it to be read
                os.write(self._wake, b"\0")

    def _may_begin(self, there: _Share) -> bool:
        if not there.waiting:
            return False
        call = there.waiting[0]
        if call.left:
            return True
        fits = self._kept_bytes + call.size_bytes <= self._most_bytes or self._kept_bytes <= 0
        return fits and there.has_room(self._orders.readers) and not self._is_silent(there)

    def _may_go_on(self, there: _Share, call: Call[T]) -> bool:
        may = there.may_go_on(call, self._orders.readers)  # type: ignore[arg-type]  # as above
        return may and not self._is_silent(there)

    def _run_errands(self, there: _Share) -> None:
        while True:
            with self._lock:
                while not there.errands:
                    there.errand.wait()
                call = there.errands.popleft()
                self._begin(call, there.running)
            call.make()
            self._end(there, call, there.running)

    @staticmethod
    def _begin(call: Call[object], among: set[Call[object]]) -> None:
        call.begun = True
        call.begun_ns = call.heard_ns = monotonic_ns()
        among.add(call)

    def _end(self, there: _Share, call: Call[object], among: set[Call[object]]) -> None:
        with self._lock:
            among.discard(call)
            if not call.no_answer:
                there.heard_ns = monotonic_ns()
                self._count(1)
            call.done = True
            if among is there.reading:
                there.idle_readers += 1
                there.work.notify()
                there.turn.notify_all()
            else:
                self._done.notify_all()
            left = call.left
        if left:
            call.drop()


def _begin_thread(run: Callable[[_Share], None], there: _Share) -> None:
    before = threading.stack_size(_STACK_BYTES)
    try:
        threading.Thread(target=run, args=(there,), name="pregen-share", daemon=True).start()
    finally:
        threading.stack_size(before)

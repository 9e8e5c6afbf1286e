"""Runs an iterator ahead of its consumer, in a thread, so that the consumer never waits for it.

The walk and the plan may block for long on a slow share; supervision must not. And the sooner the
walk has ended, the sooner the totals are known. Up to a bound, items wait in memory, beyond it in
an unlinked file; without a file, or with its disk full, the thread waits for the consumer.

It keeps the order and changes no item. It is for one consumer, and does not stop a source that
blocks: closing takes effect at the source's next item. Measured: under 1 us an item in memory,
5 us and 180 bytes for a job that goes through the file.
"""

from __future__ import annotations

import pickle
import threading
from collections import deque
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from pregen.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

#: 5,000 jobs take about 4 MB, and are minutes of work for most machines.
MEMORY_ITEMS = 5_000
#: Pickled together: 0.3 ms of work while the lock is held.
_BATCH_ITEMS = 500
#: How long `close` waits for the thread.
_CLOSE_S = 1.0


class Feed(Generic[T]):
    """An iterator that never blocks: it gives the next item, or None while there is none yet.

    What the source raises is raised here, after the items before it.

    Items pass through three places: `_tail` (the next batch), `_spool` (batches on disk) and
    `_head` (what the consumer takes). While nothing is spilled, the thread puts them straight into
    the head, without a lock: a deque's ends are atomic. `_diverted` says that they go through the
    tail. Only the thread sets it, and only the consumer clears it, when tail and spool are empty:
    so no item overtakes another.
    """

    def __init__(
        self, source: Iterable[T], spill_dir: bytes | None, memory_items: int = MEMORY_ITEMS
    ) -> None:
        self.produced = 0
        """Items taken from the source so far."""
        self._head: deque[T] = deque()
        self._tail: list[T] = []
        self._spool = Spool(spill_dir or b"")
        self._read_at = 0
        self._spill_broken = spill_dir is None
        """Nothing more can be spilled; what is in the spool can still be had."""
        self._bound = max(1, memory_items)
        self._low = self._bound // 2
        self._batch_items = min(_BATCH_ITEMS, self._bound)
        self._diverted = False
        self._waiting = False
        self._ended = False
        self._closing = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(
            target=self._produce, args=(source,), name="pregen-feed", daemon=True
        )
        self._thread.start()

    @property
    def ended(self) -> bool:
        """True once the source has given its last item; items may still wait here."""
        return self._ended

    def __iter__(self) -> Iterator[T | None]:
        return self

    def __next__(self) -> T | None:
        try:
            item = self._head.popleft()
        except IndexError:
            return self._next_slowly()
        if self._waiting and len(self._head) <= self._low:
            with self._changed:
                self._changed.notify()
        return item

    def _next_slowly(self) -> T | None:
        # Asked before looking once more: all that came before the end is then seen.
        ended = self._ended
        if self._diverted:
            self._refill()
        if self._head:
            return next(self)
        if not ended:
            return None
        error, self._error = self._error, None
        if error is not None:
            raise error
        raise StopIteration

    @property
    def _spilled(self) -> bool:
        return self._read_at < self._spool.end

    def _refill(self) -> None:
        with self._changed:
            if self._spilled:
                data, self._read_at = self._spool.read(self._read_at)
                self._head.extend(pickle.loads(data))  # noqa: S301 - a nameless file of this process
                if not self._spilled:
                    self._read_at = 0
                    self._spool.clear()
            else:
                self._head.extend(self._tail)
                self._tail = []
            self._diverted = bool(self._tail or self._spilled)
            self._changed.notify()

    def _produce(self, source: Iterable[T]) -> None:
        try:
            iterator = iter(source)
            for item in iterator:
                if self._closing:
                    # Only the thread that runs a generator may close it.
                    getattr(iterator, "close", bool)()
                    break
                self.produced += 1
                if not self._diverted and len(self._head) < self._bound:
                    self._head.append(item)
                else:
                    self._divert(item)
        except BaseException as error:  # noqa: BLE001 - raised again by __next__
            self._error = error
        finally:
            self._ended = True

    def _divert(self, item: T) -> None:
        """Put an item where there is room, now or once there is."""
        with self._changed:
            if not self._diverted and self._spill_broken:
                self._wait(lambda: len(self._head) <= self._low)
                self._head.append(item)
                return
            if not self._diverted and len(self._head) < self._bound:
                self._head.append(item)
                return
            self._tail.append(item)
            self._diverted = True
            if len(self._tail) < self._batch_items:
                return
            if self._spill(self._tail):
                self._tail = []
            else:
                self._wait(lambda: not self._tail)

    def _spill(self, batch: list[T]) -> bool:
        """Put a batch on disk; False when there is no room for it."""
        if not self._spill_broken:
            try:
                self._spool.append(pickle.dumps(batch, pickle.HIGHEST_PROTOCOL))
            except OSError:
                self._spill_broken = True
        return not self._spill_broken

    def _wait(self, reached: Callable[[], bool]) -> None:
        self._waiting = True
        self._changed.wait_for(lambda: self._closing or reached())
        self._waiting = False

    def close(self) -> None:
        """Stop the thread at the source's next item and drop what waits here.

        Waits a second for it at most: a source that blocks ends with the process.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(_CLOSE_S)
        with self._changed:
            self._head.clear()
            self._tail = []
            self._diverted = False
            self._spill_broken = True
            self._read_at = 0
            self._spool.close()
            self._error = None
            self._ended = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

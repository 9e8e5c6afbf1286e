"""The sources of coming jobs on shares: opened and read before their turn, in their order.

In a worker. How many are read at a time, and how fast, the run says; how much may be in memory is
said once, at the start.
"""

from __future__ import annotations

from time import monotonic_ns, sleep
from typing import TYPE_CHECKING, Final

from pregen.filesystems.shares import ShareSilentError
from pregen.imaging.source_bytes import WHOLE_FILE_BYTES
from pregen.model import Action
from pregen.readers.pace import TokenBucket
from pregen.readers.share_source import ShareSource
from pregen.readers.threads import Call, ShareThreads
from pregen.source_file import access_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from pregen.model import Job
    from pregen.readers.pace import ReaderOrders
    from pregen.source_file import SourceFile

#: Of waiting for leave to read; a share is not silent meanwhile.
_NAP_S: Final = 0.2


class ReadAhead:
    """What is read, or will be, of the sources of jobs that are not done.

    Args:
        open_source: opens the source of a job, in any thread. Raises SourceAccessError.
        is_wanted: tells whether the content of an open source will be read for a job.
        orders: what the run says.
        silence_s: how long a share may give nothing.
        most_bytes: to be kept in memory, by about.
        previews: a JPEG's own preview will do.
    """

    def __init__(
        self,
        open_source: Callable[[Job], SourceFile],
        is_wanted: Callable[[Job, SourceFile], bool],
        orders: ReaderOrders,
        silence_s: float,
        most_bytes: int,
        *,
        previews: bool,
    ) -> None:
        self._open_source = open_source
        self._is_wanted = is_wanted
        self._orders = orders
        self._previews = previews
        self._threads = ShareThreads(silence_s, orders, most_bytes)
        self._readers = orders.readers
        self._bucket = TokenBucket()
        self._calls: dict[int, Call[ShareSource]] = {}

    def fileno(self) -> int:
        """Return a descriptor that is readable when a source is there (`settle`)."""
        return self._threads.fileno()

    def settle(self) -> None:
        """Take note of what is there and of what the run says now."""
        self._threads.settle()
        self.adjust()

    def adjust(self) -> None:
        """Heed what the run says now."""
        if self._orders.readers != self._readers:
            self._readers = self._orders.readers
            self._threads.adjust()

    @property
    def waited_ns(self) -> int:
        """How long decoders have waited in the middle of their work."""
        return self._threads.waited_ns

    def begin(self, job: Job) -> None:
        """Have the source of a job read when its turn comes; returns at once."""
        call = Call(self._looking(job), ShareSource.close, _kept_bytes(job))
        self._calls[job.job_id] = call
        self._threads.start(job.share, call)

    def is_settled(self, job: Job) -> bool:
        """Tell whether `take` would return at once."""
        call = self._calls.get(job.job_id)
        return call is None or call.done or self._threads.is_in_vain(job.share, call)

    def take(self, job: Job) -> SourceFile:
        """Return the source of a job, to be closed by the caller; a second time it is read anew.

        Raises:
            SourceAccessError: it cannot be opened, or its share does not answer.
        """
        call = self._calls.pop(job.job_id, None)
        try:
            if call is None:
                return self._threads.run(job.share, self._looking(job), ShareSource.close)
            if call.done:
                return self._taken(job, call)
            self._threads.release(job.share, call)
            raise ShareSilentError
        except OSError as error:
            raise access_error(error) from error

    def _taken(self, job: Job, call: Call[ShareSource]) -> ShareSource:
        try:
            return call.outcome()
        except BaseException:
            self._threads.release(job.share, call)
            raise

    def drop(self, job: Job) -> None:
        """Forget a job that will not be done here."""
        call = self._calls.pop(job.job_id, None)
        if call is not None and self._threads.release(job.share, call):
            call.drop()

    def _looking(self, job: Job) -> Callable[[Call[ShareSource]], ShareSource]:
        """Return a call that opens a source and reads what a decode will want."""

        def look(call: Call[ShareSource]) -> ShareSource:
            source = self._open_source(job)

            def release() -> None:
                self._threads.release(job.share, call)

            def spend(size_bytes: int) -> None:
                self._spend(job, call, size_bytes)

            found = ShareSource(source, self._threads, job.share, release)
            try:
                self._threads.hear(job.share, call, 0)
                if self._is_wanted(job, found):
                    found.fetch(call, spend, _box_px(job), previews=self._previews)
            except BaseException:
                found.close()
                raise
            return found

        return look

    def _spend(self, job: Job, call: Call[ShareSource], size_bytes: int) -> None:
        """Wait until so many bytes may be asked for."""
        rate = self._orders.bytes_per_s
        due_ns = self._bucket.take(size_bytes, rate, monotonic_ns()) if rate else 0
        while (left_ns := due_ns - monotonic_ns()) > 0:
            sleep(min(_NAP_S, left_ns / 1e9))
            self._threads.hear(job.share, call, 0)


def _box_px(job: Job) -> int:
    """Return the largest box for which it is decoded."""
    return max(step.flavor.box_px for step in job.steps if step.action is Action.MAKE)


def _kept_bytes(job: Job) -> int:
    return max(0, job.size_bytes) if job.size_bytes <= WHOLE_FILE_BYTES else 0

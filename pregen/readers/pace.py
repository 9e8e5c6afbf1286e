"""How many readers a share is given and how fast they may read: pure."""

from __future__ import annotations

from typing import Final, Protocol

_S: Final = 1_000_000_000


class ReaderOrders(Protocol):
    """What the run says to readers of sources, and hears of them."""

    @property
    def readers(self) -> int:
        """How many sources may be read at a time on each share."""
        ...

    @property
    def bytes_per_s(self) -> int:
        """How fast; 0: as fast as it goes."""
        ...

    def hear(self, heard: int) -> None:
        """Say how much has come from shares altogether: bytes, and one for each answer."""
        ...

    def wait(self, *, waits: bool) -> None:
        """Say that a decoder waits for a share in the middle of its work, or goes on."""
        ...


class TokenBucket:
    """Says when bytes may be asked for, so that they come at no more than a rate in the long run.

    What is asked for at once comes at once: a file is not cut for this. The next one waits.
    """

    def __init__(self) -> None:
        self._due_ns = 0
        """When all that was asked for so far has been paid for."""

    def take(self, size_bytes: int, bytes_per_s: float, now_ns: int) -> int:
        """Return when `size_bytes` may be asked for (monotonic, ns), and count them.

        Args:
            size_bytes: that are wanted.
            bytes_per_s: the rate, above 0.
            now_ns: the time.
        """
        start_ns = max(now_ns, self._due_ns)
        self._due_ns = start_ns + int(size_bytes * _S / bytes_per_s)
        return start_ns


#: So many at a time reach what links of 1 to 40 ms and up to 110 MB/s give to files of megabytes.
FIRST_READERS: Final = 4
#: More than this only stands in a queue elsewhere; other users of a server are in that queue, too.
MOST_READERS: Final = 16
_LEAST_READERS: Final = 2
#: Bytes that are on their way all the same, however few readers there are: what is small costs
#: round trips, and takes nothing from other files.
SMALL_BYTES: Final = 1 << 20
#: A file that comes more slowly than this has stopped coming: a call of 10 MB may take 17 minutes.
SLOWEST_BYTES_PER_S: Final = 10_000
#: A change takes so long to show, ...
_SETTLING_NS: Final = _S // 2
#: ... and what comes in less time than this says more of the sizes of files than of the link.
_ROUND_NS: Final = _S
#: Part of the time that decoders have to wait before more is tried.
_HUNGRY: Final = 0.1
#: Twice the readers are kept for this much more, ...
_LEAP_GAIN: Final = 1.3
#: ... one more for this, ...
_STEP_GAIN: Final = 1.08
#: ... and one fewer for no less than this.
_STEP_LOSS: Final = 0.98
#: So many rounds pass after a try that brought nothing, more after each.
_FIRST_PAUSE: Final = 2
_LONGEST_PAUSE: Final = 64


class ReaderPace:
    """How many readers one share is given: as many as bring more, and no more than that.

    While decoders wait, twice as many are tried until that brings little, then one more or one
    fewer, less and less often. With more readers in the same queue each of them waits the longer,
    the less more comes: so what brings nothing is taken back, and other users of a server are left
    their part.
    """

    def __init__(self, fixed: int | None = None) -> None:
        self._fixed = fixed
        self.readers = fixed or FIRST_READERS
        self._before = self.readers
        """Before the try that is going on; the same: there is none."""
        self._rate_before = 0.0
        self._leaps = True
        self._up = True
        """Which way the next step goes."""
        self._pause = 0
        self._next_pause = _FIRST_PAUSE
        self._since_ns: int | None = None
        """When this round begins, or began; None: when something comes."""
        self._heard_before: int | None = None
        self._looks = self._hungry = 0

    def look(self, now_ns: int, heard: int, *, waits: bool) -> None:
        """Take note of how it is now, some 20 times a second.

        Args:
            now_ns: the time.
            heard: what has come from the share altogether.
            waits: a decoder has nothing to do but to wait for it.
        """
        if self._fixed is not None or not heard:
            return
        if self._since_ns is None:
            self._since_ns = now_ns + _SETTLING_NS
        if now_ns < self._since_ns:
            return
        if self._heard_before is None:
            self._since_ns, self._heard_before = now_ns, heard
            self._looks = self._hungry = 0
        self._looks += 1
        self._hungry += waits
        took_ns = now_ns - self._since_ns
        if took_ns >= _ROUND_NS:
            rate = (heard - self._heard_before) * _S / took_ns
            self._since_ns, self._heard_before = now_ns, None
            self._judge(rate, hungry=self._hungry >= self._looks * _HUNGRY)

    def rest(self) -> None:
        """Take note that nothing is read at the moment: this round says nothing."""
        self._since_ns = self._heard_before = None

    def _judge(self, rate: float, *, hungry: bool) -> None:
        readers = self.readers
        if readers != self._before:
            self._end_try(rate)
        elif self._pause:
            self._pause -= 1
        elif hungry and rate > 0:
            self._try(rate)
        if self.readers != readers:
            self.rest()

    def _try(self, rate: float) -> None:
        self._rate_before = rate
        if self._leaps:
            self.readers = min(MOST_READERS, self.readers * 2)
            return
        step = 1 if self._up else -1
        self._up = not self._up
        self.readers = max(_LEAST_READERS, min(MOST_READERS, self.readers + step))

    def _end_try(self, rate: float) -> None:
        """Keep or take back what was tried."""
        if self._leaps:
            least = _LEAP_GAIN
        else:
            least = _STEP_GAIN if self.readers > self._before else _STEP_LOSS
        if rate >= self._rate_before * least:
            self._up = self.readers > self._before
            self._before = self.readers
            self._next_pause = _FIRST_PAUSE
            self._leaps = self._leaps and self.readers < MOST_READERS
            return
        self.readers = self._before
        self._leaps = False
        self._pause = self._next_pause
        self._next_pause = min(_LONGEST_PAUSE, self._next_pause * 2)

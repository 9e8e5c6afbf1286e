"""How fast it goes now, and how long it will take. Pure: the caller brings the time.

A mean since the start lies for hours after a slow folder; a mean over a second jumps. So: a
window of the last seconds.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

#: Long enough to even out one slow 100 Mpx file among 64 fast ones, short enough to show within
#: half a minute that the walk came to a slower folder or a colder cache.
WINDOW_S = 20.0
#: A network share serves in bursts of about a second; a rate over less is noise.
MIN_SPAN_S = 1.0
#: Samples closer than this add nothing to a window of 20 s, only memory.
_SPACING_S = 0.5
#: An estimate from fewer finished jobs is a guess.
_MIN_DONE = 3


class Sample(NamedTuple):
    """Totals since the start of the run."""

    done: int
    images: int
    bytes_read: int
    pixels: int


class Rates(NamedTuple):
    """What happens in one second, by the window."""

    done_per_s: float = 0.0
    """Jobs that ended, whatever became of them: what the ETA needs."""
    images_per_s: float = 0.0
    """Sources that got their entries."""
    bytes_per_s: float = 0.0
    pixels_per_s: float = 0.0


class RateWindow:
    """Rates over the last `WINDOW_S` seconds."""

    def __init__(self, start_s: float) -> None:
        self._samples: deque[tuple[float, Sample]] = deque([(start_s, Sample(0, 0, 0, 0))])
        self._last: tuple[float, Sample] = self._samples[0]

    def add(self, now_s: float, sample: Sample) -> None:
        """Note the totals as they are at `now_s`."""
        self._last = (now_s, sample)
        if not sample.done:
            # workers are starting: counted in, that would halve the first minute's rates
            self._samples = deque([self._last])
            return
        if now_s - self._samples[-1][0] >= _SPACING_S:
            self._samples.append(self._last)
        # one sample older than the window stays, so that the window is always full
        while len(self._samples) > 1 and self._samples[1][0] <= now_s - WINDOW_S:
            self._samples.popleft()

    def rates(self) -> Rates:
        """Return the rates between the oldest sample of the window and the latest one."""
        oldest_s, oldest = self._samples[0]
        latest_s, latest = self._last
        span_s = latest_s - oldest_s
        if span_s < MIN_SPAN_S:
            return Rates()
        return Rates(*((new - old) / span_s for new, old in zip(latest, oldest, strict=True)))

    def eta_s(self, jobs: int) -> float | None:
        """Return the seconds until `jobs` jobs are done; None when that cannot be said yet."""
        done = self._last[1].done
        per_s = self.rates().done_per_s
        if done < _MIN_DONE or per_s <= 0:
            return None
        return max(jobs - done, 0) / per_s

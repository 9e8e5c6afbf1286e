"""Which nodes have gone silent. Pure.

Dask's scheduler waits for five minutes (`distributed.scheduler.worker-ttl`) before it gives up a
worker whose connection stands but who says nothing: a stopped process, a frozen machine. A run
waits less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Pulse:
    """Watches the times at which the scheduler last heard of each node.

    The scheduler's clock is not ours: what counts is for how long, by our clock, its time has
    stood still.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._beats: dict[str, tuple[float, float]] = {}

    def silent(self, last_seen: Mapping[str, float], now_s: float) -> list[str]:
        """Return the nodes to give up.

        Args:
            last_seen: for each node, the scheduler's time of its last sign of life.
            now_s: our clock, monotonic.
        """
        beats = {}
        for node, seen in last_seen.items():
            before = self._beats.get(node)
            beats[node] = before if before is not None and before[0] == seen else (seen, now_s)
        self._beats = beats
        return [node for node, (_, since) in beats.items() if now_s - since > self._timeout_s]

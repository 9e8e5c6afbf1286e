"""Who may use how much memory for a big picture. Pure; it measures and allocates nothing.

Only work that expects a big picture asks. Requests are answered in the order in which they came,
so that a big one is not overtaken forever. A job may ask again for more. When nobody who holds
memory is running, the first in line is let in whatever it asks for: a request bigger than the
whole budget is served when it is alone, and two that wait for each other cannot lock up.
"""

from __future__ import annotations

from collections import deque


class Budget:
    """Bytes promised to workers, and the workers that wait for a promise."""

    def __init__(self, total_bytes: int) -> None:
        self._total_bytes = total_bytes
        self._held: dict[int, int] = {}
        self._line: deque[tuple[int, int]] = deque()

    def ask(self, worker: int, size_bytes: int) -> None:
        """Put `worker` in line for `size_bytes` more than it holds."""
        self._line.append((worker, max(0, size_bytes)))

    def release(self, worker: int) -> None:
        """Take back all that `worker` holds or waits for."""
        self._held.pop(worker, None)
        if self._line:
            self._line = deque(entry for entry in self._line if entry[0] != worker)

    def holds(self, worker: int) -> bool:
        """Say whether `worker` has been granted anything."""
        return worker in self._held

    def grant(self) -> list[int]:
        """Move from the line to the holders those whose turn has come; return them."""
        granted: list[int] = []
        while self._line:
            worker, size_bytes = self._line[0]
            waiting = {entry[0] for entry in self._line}
            fits = sum(self._held.values()) + size_bytes <= self._total_bytes
            if not fits and not self._held.keys() <= waiting:
                break
            self._line.popleft()
            self._held[worker] = self._held.get(worker, 0) + size_bytes
            granted.append(worker)
        return granted

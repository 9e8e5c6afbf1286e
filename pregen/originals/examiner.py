"""Looks at many originals on many mounts at once; a mount that hangs costs its time-out, once.

Each mount has a helper process of its own. What lies on a mount that does not answer in time is
TIMED_OUT, now and for as long as the examiner lives.
"""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Self

from pregen.originals import child
from pregen.originals.helper import Helper
from pregen.originals.sight import Look, Sight
from pregen.thumbspec.naming import clean_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pregen.originals.mounts import Mount, Mounts

#: How long a mount may take for an answer: a sleeping disk of a server needs up to 10 s to turn.
DEFAULT_TIMEOUT_S: Final = 15.0
_MAX_THREADS: Final = 64


class Examiner:
    """Looks at paths without hanging. To be closed; from one thread at a time.

    Args:
        mounts: The mount points as they are now; exchange them with `renew` when they are not.
        timeout_s: How long a mount may take for an answer.
    """

    def __init__(self, mounts: Mounts, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        self.mounts = mounts
        self.hung: dict[bytes, Mount] = {}
        """Mounts that did not answer, by their point."""
        self._timeout_s = timeout_s
        self._helpers: dict[bytes, Helper] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all helpers."""
        while self._helpers:
            self._helpers.popitem()[1].abandon()

    def renew(self, mounts: Mounts) -> None:
        """Go by the mount points as they are now. What hung before is not asked again."""
        if mounts != self.mounts:
            self.close()
            self.mounts = mounts

    def look(self, paths: Sequence[bytes]) -> dict[bytes, Sight]:
        """Look at paths, absolute and clean; return what each gave."""
        found: dict[bytes, Sight] = {}
        asked = {path: path for path in paths}
        for _ in range(child.MAX_LINKS):
            if not asked:
                return found
            asked = self._round(asked, found)
        loop = Sight(Look.FAILED, b"/", errno=errno.ELOOP)
        return found | dict.fromkeys(asked, loop)

    def _round(self, asked: Mapping[bytes, bytes], found: dict[bytes, Sight]) -> dict[bytes, bytes]:
        """Ask each mount once: fill `found`, return where the others go on, by original path."""
        groups: dict[bytes, list[tuple[bytes, bytes]]] = {}
        for path, real in asked.items():
            mount = self.mounts.of(real)
            if mount.automatic:
                found[path] = Sight(Look.UNTOUCHED, real)
            elif mount.point in self.hung:
                found[path] = Sight(Look.TIMED_OUT, real)
            else:
                groups.setdefault(mount.point, []).append((path, real))
        elsewhere: dict[bytes, bytes] = {}
        for point, answers in self._ask(groups).items():
            pairs = groups[point]
            for (path, real), answer in zip(pairs, answers, strict=False):
                if answer.kind == child.ELSEWHERE:
                    elsewhere[path] = answer.path
                else:
                    found[path] = _sight(real, answer)
            if len(answers) < len(pairs):
                self.hung[point] = self.mounts.of(point)
                self._helpers.pop(point).abandon()
                found.update(
                    (path, Sight(Look.TIMED_OUT, real)) for path, real in pairs[len(answers) :]
                )
        return elsewhere

    def _ask(
        self, groups: Mapping[bytes, Sequence[tuple[bytes, bytes]]]
    ) -> dict[bytes, list[child.Answer]]:
        for point in groups:
            if point not in self._helpers:
                self._helpers[point] = Helper(point, self.mounts.points, self._timeout_s)

        def look(point: bytes) -> list[child.Answer]:
            return self._helpers[point].look([real for _, real in groups[point]])

        if len(groups) == 1:
            return {point: look(point) for point in groups}
        with ThreadPoolExecutor(min(_MAX_THREADS, len(groups) or 1)) as pool:
            try:
                return dict(zip(groups, pool.map(look, groups), strict=True))
            except BaseException:
                self.close()  # Ctrl-C: wakes the threads, for which the pool waits
                raise


def _sight(real: bytes, answer: child.Answer) -> Sight:
    if answer.kind == child.FOUND:
        return Sight(Look.FOUND, real, int(answer.first), int(answer.second))
    if answer.kind == child.FAILED:
        return Sight(Look.FAILED, real, errno=int(answer.first))
    return Sight(
        Look.MISSING,
        clean_path(answer.path, b"/"),
        folder=answer.folder,
        folder_changed_ns=int(answer.first),
        folder_empty=answer.second == b"1",
    )

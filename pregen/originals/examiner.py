"""Looks at many originals on many mounts at once; a mount that hangs costs its time-out, once.

Each mount has a helper process of its own. What lies on a mount that does not answer in time is
TIMED_OUT, now and for as long as the examiner lives.
"""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Self

from pregen.filesystems.helper_process import HelperProcess
from pregen.originals import helper
from pregen.originals.helper import Answer
from pregen.originals.mounts import DEFAULT_TIMEOUT_S
from pregen.originals.status import (
    UNKNOWN,
    LookOutcome,
    Original,
    PathStatus,
    judge,
    of_other_scheme,
)
from pregen.thumbspec.naming import clean_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pregen.filesystems.identity import FileSystem
    from pregen.originals.mounts import Mount, Mounts

_MAX_THREADS: Final = 64
#: Paths asked about at once: few enough that a question is read as fast as it is written.
_BATCH: Final = 512
_READ_BYTES: Final = 1 << 16


class Helper:
    """A process that looks at the files of one mount (`pregen.originals.helper`)."""

    def __init__(self, own: bytes, points: frozenset[bytes], timeout_s: float) -> None:
        self._process = HelperProcess(helper.__file__)
        self._process.socket.settimeout(timeout_s)
        self._greeting = b"\0".join((own, *points, b"", b""))

    def look(self, paths: Sequence[bytes]) -> list[Answer]:
        """Return the answers so far as they came; fewer than paths when it hangs or ended.

        A helper that gave fewer is of no more use: abandon it.
        """
        answers: list[Answer] = []
        for start in range(0, len(paths), _BATCH):
            batch = paths[start : start + _BATCH]
            answers += self._ask(batch)
            if len(answers) < start + len(batch):
                break
        return answers

    def _ask(self, paths: Sequence[bytes]) -> list[Answer]:
        question = self._greeting + b"\0".join((*paths, b"", b""))
        self._greeting = b""
        texts: list[bytes] = []
        cut = b""
        wanted = len(paths) * len(Answer._fields)
        with suppress(OSError):  # a time-out is one
            self._process.socket.sendall(question)
            while len(texts) < wanted and (data := self._process.socket.recv(_READ_BYTES)):
                *whole, cut = (cut + data).split(b"\0")
                texts += whole
        width = len(Answer._fields)
        return [
            Answer(*texts[at : at + width]) for at in range(0, len(texts) // width * width, width)
        ]

    def abandon(self) -> None:
        """Let go of the process, which may hang. Wakes a thread that waits in `look`."""
        self._process.abandon()


class Examiner:
    """Looks at paths without hanging. To be closed; from one thread at a time.

    Args:
        mounts: The mount points as they are now; exchange them with `renew` when they are not.
        timeout_s: How long a mount may take for an answer.
        remembered: Tells on which file system the originals in a folder lay; None: not known.
    """

    def __init__(
        self,
        mounts: Mounts,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        remembered: Callable[[bytes], FileSystem | None] = lambda _folder: None,
    ) -> None:
        self.mounts = mounts
        self._remembered = lru_cache(maxsize=4096)(remembered)
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

    def look(self, paths: Sequence[bytes]) -> dict[bytes, PathStatus]:
        """Look at paths, absolute and clean; return what each gave."""
        found: dict[bytes, PathStatus] = {}
        asked = {path: path for path in paths}
        for _ in range(helper.MAX_LINKS):
            if not asked:
                return found
            asked = self._round(asked, found)
        loop = PathStatus(LookOutcome.FAILED, b"/", errno=errno.ELOOP)
        return found | dict.fromkeys(asked, loop)

    def originals(self, asked: Sequence[tuple[bytes | None, str, int]]) -> list[Original]:
        """Look at the originals of entries, and judge each.

        Args:
            asked: For each entry the clean path of its original (None: not a file of this
                machine), its URI (empty: it does not say), and when it was written (ns).
        """
        paths = {path for path, *_ in asked if path is not None}
        found = self.look(list(paths))
        return [
            judge(path, found[path], self.mounts, written_ns, self._remembered)
            if path is not None
            else (of_other_scheme(uri) if uri else UNKNOWN)
            for path, uri, written_ns in asked
        ]

    def _round(
        self, asked: Mapping[bytes, bytes], found: dict[bytes, PathStatus]
    ) -> dict[bytes, bytes]:
        """Ask each mount once: fill `found`, return where the others go on, by original path."""
        groups: dict[bytes, list[tuple[bytes, bytes]]] = {}
        for path, real in asked.items():
            mount = self.mounts.of(real)
            if mount.automatic:
                found[path] = PathStatus(LookOutcome.UNTOUCHED, real)
            elif mount.point in self.hung:
                found[path] = PathStatus(LookOutcome.TIMED_OUT, real)
            else:
                groups.setdefault(mount.point, []).append((path, real))
        elsewhere: dict[bytes, bytes] = {}
        for point, answers in self._ask(groups).items():
            pairs = groups[point]
            for (path, real), answer in zip(pairs, answers, strict=False):
                if answer.kind == helper.ELSEWHERE:
                    elsewhere[path] = answer.path
                else:
                    found[path] = _status(real, answer)
            if len(answers) < len(pairs):
                self.hung[point] = self.mounts.of(point)
                self._helpers.pop(point).abandon()
                found.update(
                    (path, PathStatus(LookOutcome.TIMED_OUT, real))
                    for path, real in pairs[len(answers) :]
                )
        return elsewhere

    def _ask(
        self, groups: Mapping[bytes, Sequence[tuple[bytes, bytes]]]
    ) -> dict[bytes, list[helper.Answer]]:
        for point in groups:
            if point not in self._helpers:
                self._helpers[point] = Helper(point, self.mounts.points, self._timeout_s)

        def look(point: bytes) -> list[helper.Answer]:
            return self._helpers[point].look([real for _, real in groups[point]])

        if len(groups) == 1:
            return {point: look(point) for point in groups}
        with ThreadPoolExecutor(min(_MAX_THREADS, len(groups) or 1)) as pool:
            try:
                return dict(zip(groups, pool.map(look, groups), strict=True))
            except BaseException:
                self.close()  # Ctrl-C: wakes the threads, for which the pool waits
                raise


def _status(real: bytes, answer: helper.Answer) -> PathStatus:
    if answer.kind == helper.FOUND:
        return PathStatus(LookOutcome.FOUND, real, int(answer.first), int(answer.second))
    if answer.kind == helper.FAILED:
        return PathStatus(LookOutcome.FAILED, real, errno=int(answer.first))
    return PathStatus(
        LookOutcome.MISSING,
        clean_path(answer.path, b"/"),
        folder=answer.folder,
        folder_changed_ns=int(answer.first),
        folder_empty=answer.second == b"1",
        folder_fsid=int(answer.fsid),
        folder_device=int(answer.device),
    )

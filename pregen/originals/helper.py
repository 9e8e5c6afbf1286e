"""The process that looks at the files of one mount, so that only it hangs when the mount hangs.

Run as a script by `pregen.originals.examiner`; imports the standard library only, to start quickly.

Standard input: the own mount point, all mount points, an empty text; then batches of paths, each
ended by an empty text. Standard output: seven texts for each path. Texts end with a zero byte. It
looks at its own mount only (and at those its own lies on): where a link leads to another, it says
so instead.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

#: As many as the kernel follows (path_resolution(7)).
MAX_LINKS = 40
#: Answers wait this long for company: many slow files must not look like a mount that hangs.
FLUSH_S = 0.1
_READ_BYTES = 1 << 16


class Answer(NamedTuple):
    """What is said about one path; numbers are decimal."""

    kind: bytes
    first: bytes = b""
    second: bytes = b""
    folder: bytes = b""
    path: bytes = b""
    fsid: bytes = b""
    device: bytes = b""


#: size in bytes, mtime in ns
FOUND = b"F"
#: ctime in ns of the folder that is there, whether it is empty, that folder, what is missing, and
#: the folder's f_fsid and st_dev
MISSING = b"M"
#: errno
FAILED = b"E"
#: where the path goes on, on another mount
ELSEWHERE = b"C"


class _PathEnded(Exception):  # noqa: N818 - an answer, not an error
    """A path leads nowhere, or to another mount; holds the answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.answer = answer


class Looker:
    """Looks at paths of one mount. Folders are remembered until `forget`."""

    def __init__(self, own: bytes, points: frozenset[bytes]) -> None:
        self._own = own
        self._other = frozenset(
            point for point in points if point != own and not own.startswith(_slashed(point))
        )
        self._folders: dict[bytes, bytes | Answer] = {}

    def forget(self) -> None:
        """Forget all folders: they may have changed."""
        self._folders.clear()

    def look(self, path: bytes) -> Answer:
        """Return the answer for one path, which is absolute."""
        try:
            found = self._stat(path)
        except _PathEnded as ended:
            return ended.answer
        except OSError as error:
            return Answer(FAILED, b"%d" % (error.errno or 0))
        return Answer(FOUND, b"%d" % found.st_size, b"%d" % found.st_mtime_ns)

    def _stat(self, path: bytes) -> os.stat_result:
        if path == self._own:
            return os.lstat(path)
        above, _, name = path.rpartition(b"/")
        folder = self._folder(above or b"/")
        if isinstance(folder, Answer):
            if folder.path:
                folder = folder._replace(path=os.path.join(folder.path, name))
            raise _PathEnded(folder)
        real = os.path.join(folder, name)
        found = self._step(real, [])
        return os.lstat(self._resolve(real)) if stat.S_ISLNK(found.st_mode) else found

    def _folder(self, path: bytes) -> bytes | Answer:
        """Return the real path of a folder, or what there is to say instead."""
        known = self._folders.get(path)
        if known is None:
            try:
                known = self._resolve(path)
            except _PathEnded as ended:
                known = ended.answer
            except OSError as error:
                known = Answer(FAILED, b"%d" % (error.errno or 0))
            self._folders[path] = known
        return known

    def _resolve(self, path: bytes) -> bytes:
        """Follow every link on a path, as realpath does, without leaving the mount."""
        real, tail = b"/", path
        if path == self._own or path.startswith(_slashed(self._own)):
            # the kernel's own name for it: there are no links on it
            real, tail = self._own, path[len(self._own) :]
        rest = tail.split(b"/")[::-1]
        links = 0
        while rest:
            part = rest.pop()
            if part in {b"", b"."}:
                continue
            if part == b"..":
                real = os.path.dirname(real)
                continue
            here = os.path.join(real, part)
            if not stat.S_ISLNK(self._step(here, rest).st_mode):
                real = here
                continue
            links += 1
            if links > MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            target = os.readlink(here)
            real = b"/" if target.startswith(b"/") else real
            rest += target.split(b"/")[::-1]
        return real

    def _step(self, path: bytes, rest: list[bytes]) -> os.stat_result:
        """Look at the next part of a path, unless something else is mounted there."""
        if path in self._other:
            raise _PathEnded(Answer(ELSEWHERE, path=os.path.join(path, *rest[::-1])))
        try:
            return os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            whole = os.path.join(path, *rest[::-1])
            raise _PathEnded(_missing(whole, os.path.dirname(path))) from None


def _missing(path: bytes, folder: bytes) -> Answer:
    changed_ns, empty, fsid, device = 0, False, 0, 0
    try:
        with os.scandir(folder) as found:
            empty = next(found, None) is None
        fsid = os.statvfs(folder).f_fsid
        there = os.stat(folder)
        changed_ns, device = there.st_ctime_ns, there.st_dev
    except OSError:
        empty = False
    return Answer(
        MISSING, b"%d" % changed_ns, b"%d" % empty, folder, path, b"%d" % fsid, b"%d" % device
    )


def _slashed(path: bytes) -> bytes:
    return path if path.endswith(b"/") else path + b"/"


def main() -> None:
    """Answer until the pipe ends."""
    requests = _texts()
    own = next(requests, b"")
    looker = Looker(own, frozenset(iter(lambda: next(requests, b""), b"")))
    answers: list[bytes] = []
    flushed_s = time.monotonic()
    for path in requests:
        if path:
            answers += looker.look(path)
        if not path or time.monotonic() - flushed_s > FLUSH_S:
            _write(b"".join(text + b"\0" for text in answers))
            answers.clear()
            flushed_s = time.monotonic()
        if not path:
            looker.forget()


def _texts() -> Iterator[bytes]:
    cut = b""
    while data := os.read(0, _READ_BYTES):
        *whole, cut = (cut + data).split(b"\0")
        yield from whole


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    main()

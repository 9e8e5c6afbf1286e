"""An open source on a share, of which some is in memory; the rest is asked for by threads.

What was read ahead was read between the look at opening and the one after the decode, like all
else: a source that changed in between is not believed.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final, TypeVar

from pregen.imaging import needs, sniff
from pregen.imaging.source_bytes import SourceBytes
from pregen.source_file import SourceFile, access_error, facts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pregen.readers.threads import Call, ShareThreads

T = TypeVar("T")

#: FUSE and many NFS clients read no more than 128 KiB at a piece of advice, if asked for more, too,
#: and twice as much of a file that is read in order. sshfs serves ten requests at a time, so what
#: each of them asks for decides how much is on its way.
_ADVICE_BYTES: Final = 256 * 1024
#: Read at once, after all of it was asked for: between two of these it shows that something comes.
_STEP_BYTES: Final = 1024 * 1024
_SHORT_WORDS: Final = "the share sent fewer bytes than the file has"


class ShareSource(SourceFile):
    """An open regular file on a share. Closing it asks the share nothing that is waited for."""

    def __init__(
        self,
        source: SourceFile,
        threads: ShareThreads,
        share: int,
        release: Callable[[], None],
    ) -> None:
        """Take over an open source; the caller forgets it.

        Args:
            source: it.
            threads: that talk to shares.
            share: on which it lies.
            release: called once, when nothing of it is kept in memory any more.
        """
        super().__init__(source.fd, source.facts)
        self._threads = threads
        self._share = share
        self._release = release
        self.read = self.pread
        self._begin = b""
        """The first bytes, as many as were read ahead."""
        self._pieces: dict[int, bytes] = {}
        """What else was read ahead, by offset."""
        self._ends = False
        """`_begin` is all there is."""
        self._is_short = False
        """It ended before its size."""
        self._error: OSError | None = None
        """Why no more could be read."""
        self._was_resident = False

    def fetch(
        self,
        call: Call[ShareSource],
        spend: Callable[[int], None],
        box_px: int,
        *,
        previews: bool,
    ) -> None:
        """Read what a decode will surely want, in a thread of this share.

        Args:
            call: in which this is done.
            spend: called before so many bytes are asked for; returns when they may be.
            box_px: the largest one that is wanted.
            previews: a JPEG's own preview will do.
        """
        self._was_resident = super().resident()
        spend(min(self.size_bytes, sniff.HEAD_BYTES))
        self._take(call, sniff.HEAD_BYTES)
        if self._ends or self._error is not None:
            return

        def read(offset: int, count: int) -> bytes:
            large = count > sniff.HEAD_BYTES
            more = count if offset else count - len(self._begin)
            if large and not self._threads.wait_for_turn(self._share, call, more):
                return b""
            spend(more)
            if not offset:
                self._take(call, count)
                return self._begin
            piece = b"".join(self._parts(call, offset, count))
            self._pieces[offset] = piece
            return piece

        try:
            known = SourceBytes(-1, self.size_bytes, self._begin, read)
            needs.read(known, box_px, previews=previews)
        except OSError as error:
            self._error = error

    def _take(self, call: Call[ShareSource], end: int) -> None:
        """Read on up to `end`, and keep it."""
        parts = [self._begin]
        begin = len(self._begin)
        try:
            parts += self._parts(call, begin, min(end, self.size_bytes) - begin)
        except OSError as error:
            self._error = error
        self._begin = b"".join(parts) if begin else b"".join(parts[1:])
        at_end = len(self._begin) == self.size_bytes
        self._ends = self._error is None and (at_end or self._is_short)

    def _parts(self, call: Call[T], offset: int, count: int) -> Iterator[bytes]:
        """Yield bytes from anywhere in steps, in a thread; fewer only at the end of the file."""
        end = min(offset + count, self.size_bytes)
        if end - offset > _ADVICE_BYTES // 2:
            os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        for place in range(offset, end, _ADVICE_BYTES):
            os.posix_fadvise(self.fd, place, _ADVICE_BYTES, os.POSIX_FADV_WILLNEED)
        while offset < end:
            part = os.pread(self.fd, min(_STEP_BYTES, end - offset), offset)
            if not part:
                self._is_short = True
                return
            yield part
            offset += len(part)
            self._threads.hear(self._share, call, len(part))

    def pread(self, offset: int, count: int) -> bytes:
        """Return as many bytes from anywhere, fewer only at the end of the file.

        Raises:
            OSError: they cannot be read.
        """
        begin = self._begin
        if offset + count <= len(begin) or self._ends:
            return begin if not offset and count >= len(begin) else begin[offset : offset + count]
        piece = self._pieces.get(offset, b"")
        if count <= len(piece):
            return piece[:count]
        if self._error is not None:
            raise self._error

        def read(call: Call[bytes]) -> bytes:
            return b"".join(self._parts(call, offset, count))

        return self._ask(read)

    def changed(self) -> bool:
        """See `SourceFile`."""
        fd = self.fd
        try:
            now = self._ask(lambda _: facts_of(fd))
        except OSError as error:
            raise access_error(error) from error
        if now == self.facts and self._is_short:
            raise access_error(OSError(errno.EIO, _SHORT_WORDS))
        return now != self.facts

    def probe(self) -> None:
        """See `SourceFile`."""
        super_probe = super().probe
        self._ask(lambda _: super_probe())

    def portions(self, offset: int, count: int) -> Iterator[memoryview]:
        """See `SourceFile`."""
        while count > 0:
            data = self.pread(offset, min(count, _STEP_BYTES))
            if not data:
                return
            yield memoryview(data)
            offset += len(data)
            count -= len(data)

    def resident(self) -> bool:
        """Tell whether the kernel held the file before it was read ahead."""
        return self._was_resident

    def forget(self) -> None:
        """See `SourceFile`."""
        fd = self.fd
        self._ask(lambda _: os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED))

    def close(self) -> None:
        """Close the file some time soon; a second time does nothing."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            self._begin = b""
            self._pieces.clear()
            self._release()
            closing = SourceFile(fd, self.facts)
            self._threads.leave(self._share, lambda _: closing.close())

    def _ask(self, do: Callable[[Call[T]], T]) -> T:
        return self._threads.run(self._share, do)

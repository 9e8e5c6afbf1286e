"""Archives of entries: plain tar, because PNGs do not get smaller and a stream has no bombs."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, BinaryIO

from pregen.storage.folder import ENTRY_LIMIT_BYTES
from pregen.transfer.rules import RefusedError, member_of, place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pregen.transfer.rules import Place

_ORDINARY = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE})


class ArchiveError(Exception):
    """The archive cannot be read on; the message says why. What came before it is good."""


class Writer:
    """Writes entries as members of a tar, one after the other; belongs to nobody there."""

    def __init__(self, stream: BinaryIO) -> None:
        # A TarFile would go on writing when it is thrown away after an error.
        self._stream = stream

    def add(self, place: Place, data: bytes, mtime_s: int) -> None:
        """Add one entry. Raises OSError where the stream takes no more."""
        member = tarfile.TarInfo(member_of(place))
        member.size = len(data)
        member.mode = 0o600
        member.mtime = max(0, mtime_s)
        self._stream.write(member.tobuf(tarfile.USTAR_FORMAT))
        self._stream.write(data)
        self._stream.write(bytes(-len(data) % tarfile.BLOCKSIZE))

    def finish(self) -> None:
        """Write the end, without which the archive counts as cut off. Raises OSError."""
        self._stream.write(bytes(2 * tarfile.BLOCKSIZE))
        self._stream.flush()


def members(
    stream: BinaryIO, refused: Callable[[str, str], None]
) -> Iterator[tuple[str, Place, bytes]]:
    """Yield name, place and content of the entries in a tar; nothing is ever unpacked to a name.

    Args:
        stream: Read from front to back.
        refused: Told name and reason of every member that is no entry; folders are passed over.

    Raises:
        ArchiveError: It is no tar, or is damaged or cut off.
        OSError: It cannot be read.
    """
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                # It would remember every member: 1 GB for a million.
                tar.members = []  # type: ignore[attr-defined]  # typeshed does not know it
                if member.isdir():
                    continue
                try:
                    place = _place(member)
                except RefusedError as why:
                    refused(member.name, str(why))
                    continue
                file = tar.extractfile(member)
                yield member.name, place, file.read() if file else b""
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise ArchiveError(str(error) or type(error).__name__) from error


def _place(member: tarfile.TarInfo) -> Place:
    if member.type not in _ORDINARY or member.issparse():
        raise RefusedError("it is no ordinary file")
    place = place_of(member.name)
    if place is None:
        raise RefusedError("its name is none of an entry")
    if member.size > ENTRY_LIMIT_BYTES:
        raise RefusedError("it is too large for an entry")
    return place

"""Entries on their way out of one cache and into another, directly or as a tar file.

An archive may come from anywhere: of a member's name nothing is used but a flavor and a key, and
of its content nothing is believed but what the content itself proves.
"""

from __future__ import annotations

import os
import re
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from pregen.cache.folder import ENTRY_LIMIT_BYTES
from pregen.cache.inventory import Inventory
from pregen.model import Flavor
from pregen.thumbspec.naming import key
from pregen.thumbspec.pngchunks import PngError, walk
from pregen.thumbspec.pngtext import MTIME, URI, PngHead, read_head

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from pregen.cache.store import Cache
    from pregen.thumbspec.pngtext import PngHead


# --- What may come into a cache, and which of two entries stays. Pure


#: `large/<key>.png`, with what stands before it in an archive of a whole cache.
_MEMBER: Final = re.compile(
    r"(?:\./)?(?:thumbnails/)?(normal|large|x-large|xx-large)/([0-9a-f]{32})\.png", re.ASCII
)
#: Seconds since 1970 have eleven digits until the year 5138.
_MTIME: Final = re.compile(r"-?[0-9]{1,18}", re.ASCII)


class EntryPlace(NamedTuple):
    """Where an entry belongs in any cache."""

    flavor: Flavor
    key: str


class RefusedError(Exception):
    """This is no entry for a cache; the message says why."""


def place_of(member: str) -> EntryPlace | None:
    """Return what the name of an archive's member says; None where it names no entry."""
    match = _MEMBER.fullmatch(member)
    return EntryPlace(Flavor.from_name(match[1]), match[2]) if match else None


def member_of(place: EntryPlace) -> str:
    """Return the name of an entry in an archive."""
    return f"thumbnails/{place.flavor.directory}/{place.key}.png"


def checked(data: bytes, place: EntryPlace) -> PngHead:
    """Return the texts of an entry that is whole and in its place.

    Raises:
        RefusedError: It is damaged, does not say whose it is, or belongs elsewhere.
    """
    try:
        head = read_head(data, past_image=True)
        if not head.ended:
            raise RefusedError("it is cut off")
        *_, (_, _, picture_end) = walk(data, head.color_type)
    except PngError as error:
        raise RefusedError(f"it {error}") from error
    if picture_end != len(data):
        raise RefusedError("something follows its picture")
    uri = head.first(URI)
    if not uri:
        raise RefusedError("it does not say whose it is")
    if _key(uri) != place.key:
        raise RefusedError("its name is not that of the file it says it is of")
    if max(head.width_px, head.height_px) > place.flavor.box_px:
        raise RefusedError("it is too large for its folder")
    return head


def wins(new: PngHead, old: bytes | None, place: EntryPlace) -> bool:
    """Tell whether an entry is to take the place of what is there.

    The one of the later state of the file stays; of the same state, the one that is there.
    """
    if not old:
        return True
    try:
        there = checked(old, place)
    except RefusedError:
        return True
    new_s, old_s = _mtime_s(new), _mtime_s(there)
    return new_s is not None and (old_s is None or new_s > old_s)


def _mtime_s(head: PngHead) -> int | None:
    whole = head.first(MTIME).partition(".")[0]
    return int(whole) if _MTIME.fullmatch(whole) else None


def _key(uri: str) -> str:
    try:
        return key(uri)
    except UnicodeEncodeError:
        return ""


# --- The archive: plain tar, because PNGs do not get smaller and a stream has no bombs


_ORDINARY = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE})


class ArchiveError(Exception):
    """The archive cannot be read on; the message says why. What came before it is good."""


class Writer:
    """Writes entries as members of a tar, one after the other; belongs to nobody there."""

    def __init__(self, stream: BinaryIO) -> None:
        # A TarFile would go on writing when it is thrown away after an error.
        self._stream = stream

    def add(self, place: EntryPlace, data: bytes, mtime_s: int) -> None:
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
) -> Iterator[tuple[str, EntryPlace, bytes]]:
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


def _place(member: tarfile.TarInfo) -> EntryPlace:
    if member.type not in _ORDINARY or member.issparse():
        raise RefusedError("it is no ordinary file")
    place = place_of(member.name)
    if place is None:
        raise RefusedError("its name is none of an entry")
    if member.size > ENTRY_LIMIT_BYTES:
        raise RefusedError("it is too large for an entry")
    return place


# --- Entries into a cache, each whole or not at all; and out of one


@dataclass(slots=True)
class TransferTally:
    """What became of entries."""

    taken: int = 0
    taken_bytes: int = 0
    kept: int = 0
    """What was there already is as fresh, or fresher."""
    refused: int = 0


class Merger:
    """Puts entries into a cache. The caller holds its lock.

    Args:
        cache: Where they go.
        refused: Told name and reason of what is no entry.
    """

    def __init__(self, cache: Cache, refused: Callable[[str, str], None]) -> None:
        self._cache = cache
        self._refused = refused
        self.tally = TransferTally()

    def refuse(self, name: str, why: str) -> None:
        """Count and tell what is no entry."""
        self.tally.refused += 1
        self._refused(name, why)

    def put(self, name: str, place: EntryPlace, data: bytes) -> None:
        """Take an entry, unless what is there is as good.

        Raises:
            CacheError: The cache takes no more.
        """
        try:
            head = checked(data, place)
        except RefusedError as why:
            self.refuse(name, str(why))
            return
        folder = self._cache.folder(place.flavor)
        file = f"{place.key}.png"
        if not wins(head, folder.read(file), place):
            self.tally.kept += 1
            return
        folder.write(file, data, place.key)
        self.tally.taken += 1
        self.tally.taken_bytes += len(data)


def entries(
    root: bytes,
    flavors: Collection[Flavor],
    wanted: Callable[[PngHead], bool],
    refused: Callable[[str, str], None],
) -> Iterator[tuple[str, EntryPlace, bytes, int]]:
    """Yield name, place, content and mtime in seconds of the entries in a cache.

    Args:
        root: The thumbnails directory. It may be written to meanwhile.
        flavors: Which ones.
        wanted: Whether an entry is of the part that is asked for.
        refused: Told name and reason of what looks like an entry and is none.

    Raises:
        CacheError: A folder cannot be listed.
    """
    with Inventory(root, follow_folders=True) as inventory:
        for folder in inventory.folders():
            if folder.flavor is None or folder.flavor not in flavors:
                continue
            for item in folder.items():
                place = EntryPlace(folder.flavor, item.key)
                name = os.fsdecode(item.path)
                try:
                    data = item.read()
                    if wanted(checked(data, place)):
                        yield name, place, data, int(item.stat.st_mtime)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    refused(name, f"it cannot be read: {error.strerror}")
                except RefusedError as why:
                    refused(name, str(why))

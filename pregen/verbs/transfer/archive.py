"""Entries on their way out of one cache and into another, directly or as a tar file.

The archive is a plain tar: PNGs do not get smaller, and a stream has no bombs. It may come from
anywhere: of a member's name nothing is used but a flavor and a key, and of its content nothing is
believed but what the content itself proves.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from pregen.cache.folder import entry_limit_bytes
from pregen.cache.opening import OpenPolicy
from pregen.cache.store import Cache
from pregen.model import Flavor
from pregen.thumbspec.naming import key
from pregen.thumbspec.pngchunks import PngError
from pregen.thumbspec.pngtext import MTIME, URI, PngHead, read_head
from pregen.thumbspec.wholeness import damage
from pregen.verbs.transfer import ustar

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator


#: `large/<key>.png`, with what stands before it in an archive of a whole cache.
_MEMBER: Final = re.compile(
    r"(?:\./)?(?:thumbnails/)?(normal|large|x-large|xx-large)/([0-9a-f]{32})\.png", re.ASCII
)
_FLAVORS: Final = {flavor.directory: flavor for flavor in Flavor}
#: Seconds since 1970 have eleven digits until the year 5138.
_MTIME: Final = re.compile(r"-?[0-9]{1,18}", re.ASCII)

Refused = Callable[[str, str], None]
"""Is told name and reason of what is not an entry."""


class EntryPlace(NamedTuple):
    """Where an entry belongs in any cache."""

    flavor: Flavor
    key: str


class FoundEntry(NamedTuple):
    """An entry that may go into a cache."""

    name: str
    """In its archive, or its path."""
    place: EntryPlace
    data: bytes
    mtime_s: int = 0
    """Of an entry in a cache."""


class RefusedError(Exception):
    """This is no entry for a cache; the message says why."""


class ArchiveError(Exception):
    """The archive cannot be read on; the message says why. What came before it is good."""


def checked(data: bytes, place: EntryPlace) -> PngHead:
    """Return the texts of an entry that is whole and in its place.

    Raises:
        RefusedError: It is damaged, does not say whose it is, or belongs elsewhere.
    """
    try:
        head = read_head(data, past_image=True)
    except PngError as error:
        raise RefusedError(f"it {error}") from error
    if max(head.width_px, head.height_px) > place.flavor.box_px:
        raise RefusedError("it is too large for its folder")
    if flaw := damage(data):
        raise RefusedError(f"it {flaw}")
    uri = head.first(URI)
    if not uri:
        raise RefusedError("it has no URI")
    if _key(uri) != place.key:
        raise RefusedError("its name does not match its URI")
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


@dataclass(slots=True)
class TransferTally:
    """What became of entries."""

    taken: int = 0
    taken_bytes: int = 0
    kept: int = 0
    """What was there already is as fresh, or fresher."""
    private: int = 0
    """Left out: where they go, they would show what lies in an encrypted vault."""

    @property
    def total(self) -> int:
        """Return how many entries were seen."""
        return self.taken + self.kept + self.private

    def take(self, entry: FoundEntry) -> None:
        """Count an entry that has arrived."""
        self.taken += 1
        self.taken_bytes += len(entry.data)


def write_archive(found: Iterable[FoundEntry], stream: BinaryIO) -> TransferTally:
    """Write entries as members of a tar that no user of the other machine owns.

    Raises:
        OSError: The stream takes no more.
    """
    tally = TransferTally()
    for entry in found:
        flavor, entry_key = entry.place
        name = f"thumbnails/{flavor.directory}/{entry_key}.png"
        stream.write(ustar.header(name, len(entry.data), entry.mtime_s))
        stream.write(entry.data)
        stream.write(bytes(-len(entry.data) % ustar.BLOCK_BYTES))
        tally.take(entry)
    stream.write(ustar.END)  # without this end it counts as cut off
    stream.flush()
    return tally


def members(stream: BinaryIO, refused: Refused) -> Iterator[FoundEntry]:
    """Yield the entries in a tar; nothing is ever unpacked to a name.

    Args:
        stream: Read from front to back.
        refused: Told name and reason of every member that is not an entry; folders are passed over.

    Raises:
        ArchiveError: It is no tar, or is damaged, cut off, or beyond what one of thumbnails is.
        OSError: It cannot be read.
    """
    tar = ustar.TarReader(stream)
    try:
        for member in tar:
            if member.folder:
                continue
            try:
                place = _place(member)
            except RefusedError as why:
                refused(member.name, str(why))
                continue
            yield FoundEntry(member.name, place, tar.read())
    except ustar.TarError as error:
        raise ArchiveError(str(error)) from error


def _place(member: ustar.TarMember) -> EntryPlace:
    if not member.ordinary:
        raise RefusedError("it is not an ordinary file")
    name = _MEMBER.fullmatch(member.name)
    if name is None:
        raise RefusedError("its name is not that of a thumbnail")
    place = EntryPlace(_FLAVORS[name[1]], name[2])
    if member.size_bytes > entry_limit_bytes(place.flavor):
        raise RefusedError("it is too large for a thumbnail")
    return place


def merge(
    found: Iterable[FoundEntry],
    cache: Cache,
    tally: TransferTally,
    refused: Refused,
    hidden: Callable[[PngHead], bool] = lambda _head: False,
) -> None:
    """Put entries into a cache, each whole or not at all, unless what is there is as good.

    Args:
        found: What comes.
        cache: Where it goes. The caller holds its lock.
        tally: Counts what became of each.
        refused: Told name and reason of what is no entry.
        hidden: Whether an entry shows what may not be seen there.

    Raises:
        CacheError: The cache takes no more.
    """
    for entry in found:
        try:
            head = checked(entry.data, entry.place)
        except RefusedError as why:
            refused(entry.name, str(why))
            continue
        if hidden(head):
            tally.private += 1
            continue
        folder = cache.folder(entry.place.flavor)
        file = f"{entry.place.key}.png"
        if wins(head, folder.read(file), entry.place):
            folder.write(file, entry.data)
            tally.take(entry)
        else:
            tally.kept += 1


def entries(
    root: bytes,
    flavors: Collection[Flavor],
    wanted: Callable[[PngHead], bool],
    refused: Refused,
) -> Iterator[FoundEntry]:
    """Yield the entries in a cache.

    Args:
        root: The thumbnails directory. It may be written to meanwhile.
        flavors: Which ones.
        wanted: Whether an entry is of the part that is asked for.
        refused: Told name and reason of what looks like an entry and is none.

    Raises:
        CacheError: A folder cannot be listed.
    """
    with Cache(root, policy=OpenPolicy.AS_FOUND) as cache:
        for folder in cache.folders():
            if folder.flavor is None or folder.flavor not in flavors:
                continue
            for item in folder.entries():
                place = EntryPlace(folder.flavor, item.key)
                name = os.fsdecode(item.path)
                try:
                    data = item.read()
                    if wanted(checked(data, place)):
                        yield FoundEntry(name, place, data, int(item.stat.st_mtime))
                except FileNotFoundError:
                    continue
                except OSError as error:
                    refused(name, f"it cannot be read: {error.strerror}")
                except RefusedError as why:
                    refused(name, str(why))

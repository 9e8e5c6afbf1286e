"""What may come into a cache, and which of two entries stays. Pure.

An archive may come from anywhere: of a member's name nothing is used but a flavor and a key, and
of its content nothing is believed but what the content itself proves.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from pregen.model import Flavor
from pregen.thumbspec.naming import key
from pregen.thumbspec.pngchunks import PngError, walk
from pregen.thumbspec.pngtext import MTIME, URI, PngHead, read_head

#: `large/<key>.png`, with what stands before it in an archive of a whole cache.
_MEMBER: Final = re.compile(
    r"(?:\./)?(?:thumbnails/)?(normal|large|x-large|xx-large)/([0-9a-f]{32})\.png", re.ASCII
)
#: Seconds since 1970 have eleven digits until the year 5138.
_MTIME: Final = re.compile(r"-?[0-9]{1,18}", re.ASCII)


class Place(NamedTuple):
    """Where an entry belongs in any cache."""

    flavor: Flavor
    key: str


class RefusedError(Exception):
    """This is no entry for a cache; the message says why."""


def place_of(member: str) -> Place | None:
    """Return what the name of an archive's member says; None where it names no entry."""
    match = _MEMBER.fullmatch(member)
    return Place(Flavor.from_name(match[1]), match[2]) if match else None


def member_of(place: Place) -> str:
    """Return the name of an entry in an archive."""
    return f"thumbnails/{place.flavor.directory}/{place.key}.png"


def checked(data: bytes, place: Place) -> PngHead:
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


def wins(new: PngHead, old: bytes | None, place: Place) -> bool:
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

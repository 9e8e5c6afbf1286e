"""What is wrong with an entry, from what is known of it. Pure: facts in, findings out.

What the standard asks counts for every program's entries; what pregen promises beyond it, for its
own. So a thumbnail without alpha (GNOME), with compressed texts (Qt) or with 384 px in `x-large`
(gThumb) is as it should be when its maker is not pregen.
"""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.cache.atomic import FILE_MODE
from pregen.cache.opening import DIR_MODE
from pregen.originals.status import UNKNOWN, Original, OriginalState
from pregen.thumbspec.naming import OWN_PROGRAMS, key
from pregen.thumbspec.pngbuild import REFITTED_FROM, number
from pregen.thumbspec.pngtext import (
    IMAGE_HEIGHT,
    IMAGE_WIDTH,
    MTIME,
    SIZE,
    SOFTWARE,
    URI,
    PngHead,
    TextKind,
)
from pregen.thumbspec.refusals import Wanted, shown
from pregen.thumbspec.uri import path_from_uri
from pregen.thumbspec.validity import avoidable_refusals, contradiction
from pregen.verbs.verify.anatomy import EntryFlaw, Flaw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.model import Flavor
    from pregen.verbs.verify.anatomy import Anatomy

_RGBA: Final = 6
_BITS: Final = 8
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:.", re.DOTALL)
#: A time or a size as any program writes it: tumbler's has a fraction, some pad with blanks.
_NUMBER: Final = re.compile(r"\s*[+-]?[0-9]+(?:\.[0-9]+)?\s*", re.ASCII)
#: KIO and libfm-qt write 0644. The folder, which is 0700, keeps others from reading that.
_FOREIGN_BITS: Final = 0o022


class FileStat(NamedTuple):
    """Where a file lies, and what stat says of it."""

    flavor: Flavor | None
    """None: among fail records."""
    program: str
    """Whose fail records these are; empty for an entry."""
    key: str
    """The 32 hex digits of its name."""
    mode: int
    uid: int
    cache_uid: int
    """Who owns the cache."""


def judge(place: FileStat, anatomy: Anatomy, original: Original = UNKNOWN) -> tuple[EntryFlaw, ...]:
    """Return all that is wrong with an entry or a fail record.

    Where it is not a sound PNG, that alone is told of its content: the rest would follow from it.

    Args:
        place: Where it lies.
        anatomy: What it is.
        original: What is known of the file it is about; only one that is there is compared.
    """
    found = list(anatomy.findings)
    if not found and anatomy.head:
        found += _content(place, anatomy.head, original)
    if not place.mode & stat.S_IRUSR:  # root reads it all the same; no other user can
        found = [finding for finding in found if finding.flaw is not Flaw.UNREADABLE]
    return (*found, *_rights(place, anatomy.head))


def judge_folder(mode: int) -> tuple[EntryFlaw, ...]:
    """Return what is wrong with a folder of the cache (standard, Thumbnail Saving: 0700)."""
    return () if stat.S_IMODE(mode) == DIR_MODE else (_mode(mode, DIR_MODE),)


def _content(place: FileStat, head: PngHead, original: Original) -> Iterator[EntryFlaw]:
    ours = _is_ours(place, head)
    said = list(_sayings(place, head, ours=ours))
    yield from said
    if head.interlaced:
        yield EntryFlaw(Flaw.INTERLACED, "it is interlaced")
    if place.flavor is not None:
        if head.bit_depth != _BITS:
            yield EntryFlaw(Flaw.BIT_DEPTH, f"it has {head.bit_depth} bits, not 8")
        elif ours and head.color_type != _RGBA and not head.first(REFITTED_FROM):
            yield EntryFlaw(
                Flaw.NOT_RGBA, "thumbnails of pregen are RGBA: another program rewrote this one"
            )
        if fault := _edges(place.flavor, head, ours=ours):
            yield EntryFlaw(Flaw.EDGES, fault)
    if not said:
        yield from _against(place, head, original, ours=ours)


def _sayings(place: FileStat, head: PngHead, *, ours: bool) -> Iterator[EntryFlaw]:
    """Judge the texts by themselves."""
    uris = head.values(URI)
    if not uris:
        yield EntryFlaw(Flaw.NO_URI, f"it has no URI ({URI})")
        return
    uri = head.uri(place.key)
    if not _SCHEME.match(uri):
        yield EntryFlaw(Flaw.TEXT, f"{URI} is {shown(uri)}, which is not a URI")
    elif key(uri) != place.key:
        yield EntryFlaw(Flaw.KEY, f"its URI is {shown(uri)}, so its name should be {key(uri)}.png")
    times = head.values(MTIME)
    if not times and (place.flavor or ours) and path_from_uri(uri) is not None:
        yield EntryFlaw(Flaw.NO_MTIME, f"it has no modification time ({MTIME})")
    for name in (MTIME, SIZE):
        if wrong := [text for text in head.values(name) if not _NUMBER.fullmatch(text)]:
            yield EntryFlaw(Flaw.TEXT, f"{name} is {shown(wrong[0])}, which is not a number")


def _against(
    place: FileStat, head: PngHead, original: Original, *, ours: bool
) -> Iterator[EntryFlaw]:
    """Judge the texts by the original. A fail record of another state is merely out of date."""
    if place.flavor is None:
        return
    wanted = Wanted(head.uri(place.key), original.mtime_ns, original.size_bytes)
    there = original.state is OriginalState.THERE
    if there and (words := contradiction(head, wanted)):
        yield EntryFlaw(Flaw.STALE, words)
    elif ours and there and (refused := avoidable_refusals(head, wanted)):
        yield EntryFlaw(Flaw.REFUSED, refused)
    elif ours and not there and any(text.kind is TextKind.ZTXT for text in head.texts):
        yield EntryFlaw(Flaw.REFUSED, "GLib does not read compressed texts (zTXt)")


def _edges(flavor: Flavor, head: PngHead, *, ours: bool) -> str:
    edges = f"{head.width_px}x{head.height_px}"
    long_px = max(head.width_px, head.height_px)
    if long_px > flavor.box_px:
        return f"{edges} is too large for {flavor.directory}"
    original = number(head.first(IMAGE_WIDTH)), number(head.first(IMAGE_HEIGHT))
    right_px = min(flavor.box_px, max(original))
    # Others may make theirs smaller: the standard gives a largest size only. Of what has no size in
    # pixels (documents, sound), ours is as large as the picture that is stored in it.
    if ours and all(original) and not head.first(REFITTED_FROM) and long_px != right_px:
        return f"{edges}, but the long edge should be {right_px} px for {flavor.directory}"
    return ""


def _is_ours(place: FileStat, head: PngHead | None) -> bool:
    if place.program:
        return place.program.startswith(OWN_PROGRAMS)
    return head is not None and any(text.startswith("pregen ") for text in head.values(SOFTWARE))


def _rights(place: FileStat, head: PngHead | None) -> Iterator[EntryFlaw]:
    mode = stat.S_IMODE(place.mode)
    if mode != FILE_MODE and (
        _is_ours(place, head) or mode & _FOREIGN_BITS or not mode & stat.S_IRUSR
    ):
        yield _mode(mode, FILE_MODE)
    if place.uid != place.cache_uid:
        yield EntryFlaw(
            Flaw.OWNER, f"it belongs to user {place.uid}, the cache to user {place.cache_uid}"
        )


def _mode(mode: int, right: int) -> EntryFlaw:
    return EntryFlaw(Flaw.MODE, f"its mode is {stat.S_IMODE(mode):04o}, but should be {right:04o}")

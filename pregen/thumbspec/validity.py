"""Is an entry fresh against its source? The one place where that is decided.

Looks at bytes it is given and opens nothing. Judges header, texts and where the file ends; that the
picture itself decodes is `wholeness`'s question. Fast for entries of our own: a full re-run judges
every one of them.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.model import UNKNOWN_MAKER, Maker
from pregen.thumbspec import mtime
from pregen.thumbspec.clients import refused_by
from pregen.thumbspec.pngbuild import OwnEntry, identity_texts, maker_of, number, recognised
from pregen.thumbspec.pngchunks import END, HEADER_BYTES, START, PngError, read_header
from pregen.thumbspec.pngtext import IMAGE_HEIGHT, IMAGE_WIDTH, MTIME, SIZE, URI, PngHead, read_head
from pregen.thumbspec.refusals import Wanted, shown
from pregen.thumbspec.wholeness import check_chunks

if TYPE_CHECKING:
    from pregen.model import Flavor

#: How much of an entry to read first: the texts of nearly every entry fit, ours with any URI of
#: up to about 3500 characters. One page, so it costs no more than fewer.
HEAD_BYTES: Final = 4096
#: How much to read of its end.
END_BYTES: Final = len(END)


class Ending(NamedTuple):
    """How a file ends."""

    file_bytes: int
    """Its size."""
    data: bytes
    """Its last `END_BYTES`."""


class Freshness(Enum):
    """What an entry is worth."""

    FRESH = "fresh"
    """Of this source as it is now, and accepted by every desktop that can be satisfied."""
    REFIT = "refit"
    """Fresh by the standard, but some desktop refuses its texts: `pngbuild.retext` mends it."""
    STALE = "stale"
    """Of another file, of another state of the file, or of the wrong size: make it anew."""
    CORRUPT = "corrupt"
    """No PNG that a desktop could show: make it anew."""
    MISSING = "missing"
    """There is no entry."""
    OUTDATED = "outdated"
    """Fresh, but made before its decoder was mended: the source knows whether it is concerned.
    Never returned by `judge`, which knows no decoders."""
    NEED_MORE = "need-more"
    """Cannot be told from the beginning alone: ask again with the whole file. Never returned for
    a whole file."""


_FRESH: Final = Freshness.FRESH


class Judgement(NamedTuple):
    """A verdict and how it came about."""

    verdict: Freshness
    reason: str = ""
    """For people; empty when fresh."""
    head: PngHead | None = None
    """What was read of the entry. None: it is missing or corrupt, or was recognised as our own
    by its bytes, without being taken apart."""
    maker: Maker = UNKNOWN_MAKER
    """Told of entries that are of this source as it is now."""


# The entries of a cache are of few makers, and one of these is given for each.
@lru_cache(maxsize=64)
def _fresh(maker: Maker) -> Judgement:
    return Judgement(_FRESH, maker=maker)


def judge(
    data: bytes | None,
    flavor: Flavor,
    uri: str,
    mtime_ns: int,
    size_bytes: int,
    *,
    whole: bool = False,
    ending: Ending | None = None,
) -> Judgement:
    """Judge one entry. Good ones have their end in place (IEND), and ours the size they tell.

    Text behind the picture is looked for only where URI or MTime do not stand before it, so the
    verdict does not depend on how much of the file was passed (NEED_MORE aside).

    Args:
        data: The first bytes of the file, `HEAD_BYTES` do nearly always; None: it is missing.
        flavor: Where the entry is kept.
        uri: Under whose key it is kept.
        mtime_ns: Of the source.
        size_bytes: Of the source.
        whole: `data` is the whole file, whose chunks are all checked. Without it, what is cut off
            in `data` is NEED_MORE, never CORRUPT.
        ending: How the file ends, where `data` is not all of it; None: it is not asked.
    """
    if data is None:
        return Judgement(Freshness.MISSING, "there is no thumbnail")
    own = own_entry(data, flavor, uri, mtime_ns, size_bytes)
    if own is not None:
        known = ending is None or ending == (own.file_bytes, END)
        if own.is_whole(data) if whole else known:
            return _fresh(own.maker)
        if not whole:
            return Judgement(Freshness.NEED_MORE, "it has another size than its picture")
    wanted = Wanted(uri, mtime_ns, size_bytes)
    return examine(data, flavor, wanted, whole=whole, ending=ending)


def own_entry(
    data: bytes, flavor: Flavor, uri: str, mtime_ns: int, size_bytes: int
) -> OwnEntry | None:
    """Return what an entry of ours is that was recognised by how it begins, and is fresh if whole.

    None says nothing about it.

    Args:
        data: As for `judge`.
        flavor: Likewise.
        uri: Likewise.
        mtime_ns: Of the source.
        size_bytes: Of the source.
    """
    own = recognised(data, uri, mtime_ns, size_bytes)
    if own is None or _wrong_dimensions(own.edges_px, own.original_px, flavor):
        return None
    return own


def judge_fail_record(
    data: bytes | None, uri: str, mtime_ns: int, size_bytes: int, *, whole: bool = False
) -> Judgement:
    """Judge a fail record of ours, or of any program: the texts as for an entry, any dimensions.

    FRESH means that the source has not changed since the failure; never REFIT, as no program but
    its writer reads it.
    """
    if data is None:
        return Judgement(Freshness.MISSING, "there is no fail record")
    return examine(data, None, Wanted(uri, mtime_ns, size_bytes), whole=whole)


def examine(
    data: bytes,
    flavor: Flavor | None,
    wanted: Wanted,
    *,
    whole: bool,
    ending: Ending | None = None,
) -> Judgement:
    """Judge by taking the PNG apart, of any writer; `judge` without its short cut.

    Args:
        data: As for `judge`.
        flavor: Where the entry is kept; None: a fail record, whose picture does not matter.
        wanted: What the entry must say.
        whole: As for `judge`.
        ending: As for `judge`.
    """
    if not whole and len(data) < HEADER_BYTES and data and START.startswith(data[: len(START)]):
        return Judgement(Freshness.NEED_MORE, "the header is incomplete")
    try:
        head = _read(data, whole=whole)
        if whole and flavor is not None:
            check_chunks(data, read_header(data))
    except PngError as error:
        return Judgement(Freshness.CORRUPT, f"the thumbnail {error}")
    lacks = _missing_key(head)
    if disagreement := contradiction(head, wanted):
        return Judgement(Freshness.STALE, disagreement, head)
    cut = flavor is not None and ending is not None and ending.data != END
    if not whole and (lacks or not head.complete or cut):
        return Judgement(Freshness.NEED_MORE, "the texts or the end are incomplete", head)
    if lacks:
        return Judgement(Freshness.STALE, f"there is no {lacks}", head)
    judged = Judgement(_FRESH, head=head) if flavor is None else _fit(head, flavor, wanted)
    return judged._replace(maker=maker_of(head))


def _read(data: bytes, *, whole: bool) -> PngHead:
    """Read the texts before the picture, and those behind it where a required one is missing.

    Raises:
        PngError: No PNG, a damaged one, or a whole file that ends too early.
    """
    head = read_head(data)
    if not whole:
        return head
    if not head.complete:
        raise PngError("is cut off before its picture")
    if _missing_key(head):
        head = read_head(data, past_image=True)
        if not head.ended:
            raise PngError("is cut off within its picture")
    return head


def _fit(head: PngHead, flavor: Flavor, wanted: Wanted) -> Judgement:
    """Judge an entry whose texts agree with the source: its dimensions, and every desktop."""
    original = number(head.first(IMAGE_WIDTH)), number(head.first(IMAGE_HEIGHT))
    if fault := _wrong_dimensions((head.width_px, head.height_px), original, flavor):
        return Judgement(Freshness.STALE, fault, head)
    if refused := avoidable_refusals(head, wanted):
        return Judgement(Freshness.REFIT, refused, head)
    return Judgement(_FRESH, head=head)


def avoidable_refusals(head: PngHead, wanted: Wanted) -> str:
    """Return which desktops refuse what the best texts would have them accept; empty: none.

    What these cannot mend is no reason to rewrite an entry, now and at every run: a source of
    1970 or before, or a picture too small for Geeqie.
    """
    refused = refused_by(head, wanted)
    best = refused_by(head._replace(texts=identity_texts(*wanted)), wanted) if refused else {}
    return "; ".join(f"{name}: {why}" for name, why in refused.items() if name not in best)


def _missing_key(head: PngHead) -> str:
    """Return the required key that is not there (standard, table 1), or an empty string."""
    keys = {text.key for text in head.texts}
    return next((key for key in (URI, MTIME) if key not in keys), "")


def contradiction(head: PngHead, wanted: Wanted) -> str:
    """Return how the texts disagree with the source: any one of them does, of any type."""
    for text in head.texts:
        if text.key == URI and text.value != wanted.uri:
            return f"{URI} is {shown(text.value)}, the file's is {shown(wanted.uri)}"
        if text.key == MTIME and not mtime.agrees(text.value, wanted.mtime_ns):
            seconds = f"{mtime.whole_s(wanted.mtime_ns)}.{mtime.usec(wanted.mtime_ns):06}"
            return f"{MTIME} is {shown(text.value)}, the file's is {seconds}"
        if text.key == SIZE and not _is_size(text.value, wanted.size_bytes):
            return f"{SIZE} is {shown(text.value)}, the file's is {wanted.size_bytes}"
    return ""


def _is_size(text: str, size_bytes: int) -> bool:
    digits = text.strip().lstrip("0") or "0"
    return digits == str(size_bytes) and text.strip() != ""


def _wrong_dimensions(
    entry_px: tuple[int, int], original_px: tuple[int, int], flavor: Flavor
) -> str:
    """Return what is wrong with the long edge, or an empty string.

    It is the flavor's, or the original's where that is smaller; an original of unknown size
    (zero) counts as large.
    """
    long_px = max(entry_px)
    right_px = min(flavor.box_px, max(original_px)) if all(original_px) else flavor.box_px
    if long_px == right_px:
        return ""
    return f"its long edge is {long_px} px, but should be {right_px} px for {flavor.directory}"

"""What each desktop makes of an entry: one function per client, with the source of its rule.

Rules only: no client is started, no file is read. Each function names the client's version and
the source file its rule was read in.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.model import Flavor
from pregen.thumbspec import mtime
from pregen.thumbspec.pngchunks import PngError
from pregen.thumbspec.pngtext import (
    MIMETYPE,
    MTIME,
    SIZE,
    SOFTWARE,
    URI,
    PngHead,
    TextKind,
    read_head,
)
from pregen.thumbspec.uri import is_utf8, path_from_uri
from pregen.thumbspec.wholeness import damage

if TYPE_CHECKING:
    from collections.abc import Callable

# Numbers as the clients' own libraries read them from text: C, Qt and Vala differ.

_LONG_MAX: Final = 2**63 - 1
_LONG_MIN: Final = -(2**63)
_UNSIGNED_MAX: Final = 2**64 - 1
_INTEGER: Final = re.compile(r"\s*([+-]?)([0-9]+)", re.ASCII)
_DOUBLE: Final = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
#: A 64-bit number has no more; leading zeros do not count.
_MAX_DIGITS: Final = 20


def strtol(text: str) -> int:
    """Read as C's strtol and atol: the number that leads the text, 0 for none, held in a long."""
    found = _INTEGER.match(text)
    return 0 if found is None else max(_LONG_MIN, min(_value(found), _LONG_MAX))


def strtod(text: str) -> float:
    """Read as g_ascii_strtod: the decimal number that leads the text, 0 for none."""
    found = _DOUBLE.match(text)
    return 0.0 if found is None else float(found[0])


def qt_signed(text: str) -> int:
    """Read as QString::toLongLong: all of the text, blanks aside, or 0."""
    return _qt_number(text, _LONG_MIN, _LONG_MAX)


def qt_unsigned(text: str) -> int:
    """Read as QString::toULongLong: all of the text, blanks aside, or 0."""
    return _qt_number(text, 0, _UNSIGNED_MAX)


def vala_int64(text: str) -> int | None:
    """Read as Vala's int64.try_parse: all of the text, or None."""
    return strtol(text) if _INTEGER.fullmatch(text) else None


def _qt_number(text: str, smallest: int, largest: int) -> int:
    found = _INTEGER.fullmatch(text.strip())
    value = 0 if found is None else _value(found)
    return value if smallest <= value <= largest else 0


def _value(found: re.Match[str]) -> int:
    """Convert; a number of too many digits becomes one that is just as far out of range."""
    sign, digits = found[1], found[2].lstrip("0")
    return int(f"{sign}{digits or 0}") if len(digits) <= _MAX_DIGITS else int(f"{sign}1{'0' * 20}")


# Entries.

#: Longer values are cut in messages.
_SHOWN_CHARS: Final = 80
#: How `Software` begins in KDE's own entries, and what its plugin for JPEG asks for.
_KDE: Final = "KDE Thumbnail Generator"
_KDE_VERSION: Final = re.compile(r"\(v([0-9]{1,9})\)", re.ASCII)
_KDE_JPEG: Final = 2
_JPEG: Final = "image/jpeg"
#: Edges that Geeqie takes for a thumbnail's.
_GEEQIE_EDGES_PX: Final = (128, 256)


class Wanted(NamedTuple):
    """What an entry must say: the URI it is kept under, and the source's mtime and size."""

    uri: str
    mtime_ns: int
    size_bytes: int


class EntryTexts(NamedTuple):
    """What an entry says, as the different readers pick it from duplicates of a key."""

    head: PngHead
    first: dict[str, str]
    last: dict[str, str]

    @classmethod
    def by(cls, head: PngHead) -> EntryTexts:
        """Pick from an entry's texts."""
        texts = head.texts
        return cls(
            head,
            {text.key: text.value for text in reversed(texts)},
            {text.key: text.value for text in texts},
        )


class ClientVerdict(NamedTuple):
    """What one desktop says about one entry."""

    client: str
    accepts: bool
    reason: str = ""
    """Why not, for people; empty when it accepts."""
    looks_here: bool = True
    """False: it never reads this flavor, or asks for the file by another URI."""


class Client(NamedTuple):
    """A program, or a library of many programs, that reads the cache."""

    name: str
    refusal: Callable[[EntryTexts, Wanted], str]
    """Why it refuses an entry; empty when it accepts."""
    flavors: tuple[Flavor, ...] = tuple(Flavor)
    qt_uris: bool = False
    shared: bool = False
    """It reads shared repositories too."""
    decodes: bool = True
    """It needs the picture to say yes; the others look at texts only."""


def shown(value: str) -> str:
    """Return a value quoted for a message, cut when it is very long."""
    return repr(value if len(value) <= _SHOWN_CHARS else value[:_SHOWN_CHARS] + "...")


def _glib(said: EntryTexts, wanted: Wanted) -> str:
    """GLib 2.89 gio/thumbnail-verify.c: tEXt only, exact bytes, every duplicate must match.

    The scan ends at the first other chunk once URI and MTime matched. We see text chunks and the
    picture only: a wrong tEXt behind another chunk is counted against the entry, while GLib
    would not get there. Its numbers are unsigned, its decimals without sign or leading zero.
    """
    expected = {
        URI: wanted.uri,
        MTIME: mtime.integer_text(wanted.mtime_ns),
        SIZE: str(wanted.size_bytes),
    }
    found: set[str] = set()
    before_image = True
    for text in said.head.texts:
        passed_image = before_image and not text.before_image
        if (text.kind is not TextKind.TEXT or passed_image) and found >= {URI, MTIME}:
            break
        before_image = text.before_image
        if text.kind is TextKind.TEXT and text.key in expected:
            if text.value != expected[text.key]:
                return f"{text.key} in tEXt is {shown(text.value)}, not {expected[text.key]!r}"
            found.add(text.key)
    absent = [key for key in (URI, MTIME) if key not in found]
    return f"it reads only tEXt chunks, which hold no {' and no '.join(absent)}" if absent else ""


def _gnome_desktop(said: EntryTexts, wanted: Wanted) -> str:
    """gnome-desktop lookup(): gdk-pixbuf keeps the first of any type; URI equal, atol() equal."""
    return _first_uri(said, wanted) or _first_integer(said, wanted)


def _geeqie(said: EntryTexts, wanted: Wanted) -> str:
    """Geeqie thumb-standard.cc: as gdk-pixbuf; strtol() equal; an edge of just 128 or 256 px."""
    width_px, height_px = said.head.width_px, said.head.height_px
    if width_px not in _GEEQIE_EDGES_PX and height_px not in _GEEQIE_EDGES_PX:
        return f"{width_px}x{height_px} has no edge of 128 or 256 px"
    return _first_uri(said, wanted) or _first_integer(said, wanted)


def _kio(said: EntryTexts, wanted: Wanted) -> str:
    """KIO 5.103 to 2025, previewjob.cpp: Qt keeps the last; a missing MTime reads as 0.

    Entries that KDE made itself have to be of the version that its plugin asks for: the one for
    JPEG asks for 2 (ThumbnailerVersion of jpegthumbnail, kio-extras).

    Not told here: the user's PreviewSettings (largest size, plugins, remote folders).
    """
    texts = said.last
    if texts.get(URI) != wanted.uri:
        return f"the last {URI} is {shown(texts.get(URI, ''))}"
    if qt_signed(texts.get(MTIME, "")) != mtime.whole_s(wanted.mtime_ns):
        return f"the last {MTIME}, {shown(texts.get(MTIME, ''))}, is not the source's integer"
    maker = texts.get(SOFTWARE, "")
    if (
        maker.startswith(_KDE)
        and texts.get(MIMETYPE, _JPEG) == _JPEG
        and _kde_version(maker) < _KDE_JPEG
    ):
        return f"{shown(maker)} is of an older version than it asks for"
    size = texts.get(SIZE)
    if size and qt_unsigned(size) != wanted.size_bytes:
        return f"the last {SIZE} is {shown(size)}"
    return ""


def _kde_version(maker: str) -> int:
    """Return the number in `... (v2)`; 0: there is none."""
    found = _KDE_VERSION.search(maker)
    return int(found[1]) if found else 0


def _tumbler(said: EntryTexts, wanted: Wanted) -> str:
    """Tumbler 4.17 and later, xdg-cache-cache.c: png_read_info, so text before IDAT only.

    The first MTime of any type must be the double of GIO's seconds and microseconds; 0 never
    is valid. Thumb::URI must be there and is not compared.
    """
    texts = {text.key: text.value for text in reversed(said.head.texts) if text.before_image}
    if URI not in texts or MTIME not in texts:
        return "it reads only texts before the picture, which hold no " + (
            MTIME if URI in texts else URI
        )
    if strtod(texts[MTIME]) != mtime.tumbler_s(wanted.mtime_ns):
        return f"the first {MTIME}, {shown(texts[MTIME])}, is not the time to the microsecond"
    return (
        ""
        if mtime.tumbler_s(wanted.mtime_ns)
        else "it treats a time of 1970-01-01 00:00 as missing"
    )


def _libfm_qt(said: EntryTexts, wanted: Wanted) -> str:
    """libfm-qt thumbnailjob.cpp: the last MTime, toULongLong() equal and not empty; no URI."""
    text = said.last.get(MTIME, "")
    if text and qt_unsigned(text) == mtime.unsigned_s(wanted.mtime_ns):
        return ""
    return f"the last {MTIME}, {shown(text)}, is not the source's integer"


def _gthumb(said: EntryTexts, wanted: Wanted) -> str:
    """Follow gThumb 4: the last of each key; URI equal, int64.try_parse equal."""
    texts = said.last
    if texts.get(URI) != wanted.uri:
        return f"the last {URI} is {shown(texts.get(URI, ''))}"
    text = texts.get(MTIME, "")
    if vala_int64(text) == mtime.whole_s(wanted.mtime_ns):
        return ""
    return f"the last {MTIME}, {shown(text)}, is not the source's integer"


CLIENTS: Final = (
    Client("GLib/GIO (Nautilus, Nemo, Caja)", _glib, decodes=False),
    Client("gnome-desktop", _gnome_desktop),
    Client("KIO (Dolphin)", _kio, qt_uris=True),
    Client("tumbler (Thunar)", _tumbler, shared=True, decodes=False),
    Client("libfm-qt (PCManFM-Qt)", _libfm_qt, (Flavor.NORMAL, Flavor.LARGE, Flavor.X_LARGE)),
    Client("Geeqie", _geeqie, (Flavor.NORMAL, Flavor.LARGE)),
    Client("gThumb 4", _gthumb),
)


def refusals(head: PngHead, wanted: Wanted) -> dict[str, str]:
    """Return why each client that refuses does so, by name. Flavors and keys are left aside."""
    said = EntryTexts.by(head)
    reasons = {client.name: client.refusal(said, wanted) for client in CLIENTS}
    return {name: reason for name, reason in reasons.items() if reason}


def desktop_verdicts(
    data: bytes | None,
    flavor: Flavor,
    uri: str,
    mtime_ns: int,
    size_bytes: int,
    *,
    shared: bool = False,
) -> list[ClientVerdict]:
    """Return what each desktop would say about one entry, in a fixed order.

    Args:
        data: The whole entry: text behind the picture counts, and so does its end. None: missing.
        flavor: Where it is kept.
        uri: Under whose key it is kept: one of `uri.all_uris`, or of `uri.shared_uris`.
        mtime_ns: Of the source.
        size_bytes: Of the source.
        shared: It is kept in a shared repository.
    """
    wanted = Wanted(uri, mtime_ns, size_bytes)
    said: EntryTexts | None = None
    broken = "there is no entry"
    undecodable = ""
    if data is not None:
        undecodable = damage(data, strict=False)
        try:
            said = EntryTexts.by(read_head(data, past_image=True))
        except PngError as error:
            broken = f"the entry {error}"
    found = []
    for client in CLIENTS:
        reason = away = _looks_elsewhere(client, flavor, uri, shared=shared)
        if not away and said is None:
            reason = broken
        elif not away and said is not None:
            useless = client.decodes and undecodable
            reason = f"the entry {useless}" if useless else client.refusal(said, wanted)
        found.append(ClientVerdict(client.name, not reason, reason, looks_here=not away))
    return found


def _looks_elsewhere(client: Client, flavor: Flavor, uri: str, *, shared: bool) -> str:
    """Return why a client never sees an entry kept here; empty when it does."""
    if shared:
        looks = client.shared and flavor in client.flavors
        return "" if looks else "it reads no shared thumbnails"
    if flavor not in client.flavors:
        return f"it never reads {flavor.directory}"
    return "" if _asks_by(client, uri) else "it asks for this file by another URI"


def _asks_by(client: Client, uri: str) -> bool:
    """Tell whether the client builds URIs of this form: GLib's, or a Qt's (`uri.qt_uris`)."""
    if not client.qt_uris:
        return not any(literal in uri for literal in ";[]")
    if "%3B" in uri:
        return False
    path = path_from_uri(uri)
    return path is not None and is_utf8(path)


def _first_uri(said: EntryTexts, wanted: Wanted) -> str:
    uri = said.first.get(URI, "")
    return "" if uri == wanted.uri else f"the first {URI} is {shown(uri)}"


def _first_integer(said: EntryTexts, wanted: Wanted) -> str:
    text = said.first.get(MTIME)
    if text is None:
        return f"there is no {MTIME}"
    if strtol(text) == mtime.whole_s(wanted.mtime_ns):
        return ""
    return f"the first {MTIME}, {shown(text)}, does not begin with the source's seconds"

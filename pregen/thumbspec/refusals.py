"""What each client wants an entry to say: one function per rule, with its source.

Rules only: no client is started, no file is read. Each function names the client's version and
the source file its rule was read in. Who the clients are, and by what they ask, is in `clients`.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.thumbspec import mtime
from pregen.thumbspec.pngchunks import PngError
from pregen.thumbspec.pngtext import (
    MIMETYPE,
    MTIME,
    SIZE,
    SOFTWARE,
    URI,
    PngHead,
    Text,
    TextKind,
    read_head,
    unchecked_texts,
)
from pregen.thumbspec.wholeness import Strictness, damage

if TYPE_CHECKING:
    from collections.abc import Iterable

# Numbers as the clients' own libraries read them from text: C, Qt and Vala differ.

_LONG_MAX: Final = 2**63 - 1
_LONG_MIN: Final = -(2**63)
_UNSIGNED_MAX: Final = 2**64 - 1
_INT_MAX: Final = 2**31 - 1
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


def qt_int(text: str) -> int:
    """Read as QString::toInt: all of the text, blanks aside, or 0; 0 from the year 2038 on."""
    return _qt_number(text, -_INT_MAX - 1, _INT_MAX)


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


class Reads(Enum):
    """How much of an entry a client looks at before it says yes."""

    TEXTS = "texts"
    """Its texts, and checks nothing else of the PNG."""
    HEAD = "head"
    """By libpng, up to the picture."""
    PICTURE = "picture"
    """The whole picture, by libpng."""
    PICTURE_BUT_END = "picture but end"
    """Likewise, but the last chunk need only have begun (Qt)."""


class EntryTexts:
    """What an entry says, as the different readers pick it from duplicates of a key.

    Args:
        head: as libpng reads it.
        unchecked: as GLib reads it; None: as `head` has it.
    """

    def __init__(self, head: PngHead, unchecked: tuple[Text, ...] | None = None) -> None:
        self.head = head
        self.first = _picked(reversed(head.texts))
        self.last = _picked(head.texts)
        self.unchecked = head.texts if unchecked is None else unchecked

    @cached_property
    def before(self) -> tuple[Text, ...]:
        """Those before the picture."""
        return tuple(text for text in self.head.texts if text.before_image)


def _picked(texts: Iterable[Text]) -> dict[str, str]:
    return {text.key: text.value for text in texts}


#: What libpng knows of a file that does not even begin as a PNG.
_NOTHING: Final = PngHead(0, 0, 0, 0, interlaced=False, texts=(), complete=False)


class EntryAsRead:
    """A whole entry, as clients get to see it."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        try:
            head = read_head(data, past_image=True, as_libpng=True)
        except PngError as error:
            head = _NOTHING._replace(fault=str(error))
        self.texts = EntryTexts(head, unchecked_texts(data))

    def unreadable(self, reads: Reads) -> str:
        """Return why a client cannot read as much as it looks at; empty: it can."""
        if reads is Reads.TEXTS:
            return ""
        if reads is Reads.HEAD:
            head = self.texts.head
            return "" if head.complete else head.fault or "is cut off before its picture"
        return self._undecodable if reads is Reads.PICTURE else self._undecodable_by_qt

    @cached_property
    def _undecodable(self) -> str:
        return damage(self._data, Strictness.PICTURE)

    @cached_property
    def _undecodable_by_qt(self) -> str:
        return self._undecodable and damage(self._data, Strictness.BEGUN_END)


def shown(value: str) -> str:
    """Return a value quoted for a message, cut when it is very long."""
    return repr(value if len(value) <= _SHOWN_CHARS else value[:_SHOWN_CHARS] + "...")


def glib(said: EntryTexts, wanted: Wanted) -> str:
    """GLib 2.89 gio/thumbnail-verify.c: tEXt only, exact bytes, every duplicate must match.

    The scan ends at the first other chunk once URI and MTime matched. No CRC counts. Its numbers
    are unsigned, its decimals without sign or leading zero.
    """
    expected = {
        URI: wanted.uri,
        MTIME: mtime.integer_text(wanted.mtime_ns),
        SIZE: str(wanted.size_bytes),
    }
    found: set[str] = set()
    for text in said.unchecked:
        if (text.kind is not TextKind.TEXT or text.apart) and found >= {URI, MTIME}:
            break
        if text.kind is TextKind.TEXT and text.key in expected:
            if text.value != expected[text.key]:
                return f"{text.key} in tEXt is {shown(text.value)}, not {expected[text.key]!r}"
            found.add(text.key)
    absent = [key for key in (URI, MTIME) if key not in found]
    return f"it reads only tEXt chunks, which hold no {' and no '.join(absent)}" if absent else ""


def gnome_desktop(said: EntryTexts, wanted: Wanted) -> str:
    """gnome-desktop lookup(): gdk-pixbuf keeps the first of any type; URI equal, atol() equal."""
    return _first_uri(said, wanted) or _first_integer(said, wanted)


def geeqie(said: EntryTexts, wanted: Wanted) -> str:
    """Geeqie thumb-standard.cc: as gdk-pixbuf; strtol() equal; an edge of just 128 or 256 px."""
    width_px, height_px = said.head.width_px, said.head.height_px
    if width_px not in _GEEQIE_EDGES_PX and height_px not in _GEEQIE_EDGES_PX:
        return f"{width_px}x{height_px} has no edge of 128 or 256 px"
    return _first_uri(said, wanted) or _first_integer(said, wanted)


def kio(said: EntryTexts, wanted: Wanted) -> str:
    """KIO 5.103 to 2025, previewjob.cpp: Qt keeps the last; a missing MTime reads as 0.

    Entries that KDE made itself have to be of the version that its plugin asks for: the one for
    JPEG asks for 2 (ThumbnailerVersion of jpegthumbnail, kio-extras).

    Not told here: the user's PreviewSettings (largest size, plugins, remote folders).
    """
    texts = said.last
    if texts.get(URI) != wanted.uri:
        return f"the last {URI} is {shown(texts.get(URI, ''))}"
    if qt_signed(texts.get(MTIME, "")) != mtime.whole_s(wanted.mtime_ns):
        return f"the last {MTIME}, {shown(texts.get(MTIME, ''))}, is not the file's integer"
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


def tumbler(said: EntryTexts, wanted: Wanted) -> str:
    """Tumbler 4.17 and later, xdg-cache-cache.c: png_read_info, so text before IDAT only.

    It reads until it has seen both keys: the last MTime before the first URI, or else the first
    behind it, must be the double of GIO's seconds and microseconds; 0 never is valid. Thumb::URI
    must be there and is not compared.
    """
    found: dict[str, str] = {}
    for text in said.before:
        if text.key in {URI, MTIME}:
            found[text.key] = text.value
        if len(found) > 1:
            break
    if len(found) < 2:  # noqa: PLR2004 - both
        return "it reads only texts before the picture, which hold no " + (
            MTIME if URI in found else URI
        )
    if strtod(found[MTIME]) != mtime.tumbler_s(wanted.mtime_ns):
        return f"the {MTIME} it reads, {shown(found[MTIME])}, is not the time to the microsecond"
    return (
        ""
        if mtime.tumbler_s(wanted.mtime_ns)
        else "it treats a time of 1970-01-01 00:00 as missing"
    )


def libfm_qt(said: EntryTexts, wanted: Wanted) -> str:
    """libfm-qt thumbnailjob.cpp: the last MTime, toULongLong() equal and not empty; no URI."""
    text = said.last.get(MTIME, "")
    if text and qt_unsigned(text) == mtime.unsigned_s(wanted.mtime_ns):
        return ""
    return f"the last {MTIME}, {shown(text)}, is not the file's integer"


def gthumb(said: EntryTexts, wanted: Wanted) -> str:
    """Follow gThumb 4: the last of each key; URI equal, int64.try_parse equal."""
    texts = said.last
    if texts.get(URI) != wanted.uri:
        return f"the last {URI} is {shown(texts.get(URI, ''))}"
    text = texts.get(MTIME, "")
    if vala_int64(text) == mtime.whole_s(wanted.mtime_ns):
        return ""
    return f"the last {MTIME}, {shown(text)}, is not the file's integer"


def gimp(said: EntryTexts, wanted: Wanted) -> str:
    """GIMP 2.10 and 3, libgimpthumb/gimpthumbnail.c: as gdk-pixbuf; URI, MTime, Size if there.

    What it refuses for its time or size it shows all the same, marked as old.
    """
    if refusal := _first_uri(said, wanted) or _first_integer(said, wanted):
        return refusal
    size = said.first.get(SIZE)
    if size is not None and strtol(size) != wanted.size_bytes:
        return f"the first {SIZE} is {shown(size)}"
    return ""


def libfm(said: EntryTexts, wanted: Wanted) -> str:
    """Libfm 1.3, fm-thumbnail-loader.c: the first MTime, atol() equal; no URI.

    Without an MTime the file of the entry must be as new as the source, which is not told here:
    one that is stored later always is.
    """
    return _first_integer(said, wanted) if MTIME in said.first else ""


def gwenview(said: EntryTexts, wanted: Wanted) -> str:
    """Gwenview 22.12 to 26, thumbnailprovider.cpp: Qt keeps the last; URI and toInt() equal."""
    texts = said.last
    if texts.get(URI) != wanted.uri:
        return f"the last {URI} is {shown(texts.get(URI, ''))}"
    if refusal := _last_int(said, wanted):
        return refusal
    size_bytes = qt_unsigned(texts.get(SIZE, ""))
    return "" if size_bytes in {0, wanted.size_bytes} else f"the last {SIZE} is {size_bytes}"


def photoqt(said: EntryTexts, wanted: Wanted) -> str:
    """PhotoQt 5, pqc_providerthumb.cpp: the last MTime, toInt() equal; no URI."""
    return _last_int(said, wanted)


def deepin(said: EntryTexts, wanted: Wanted) -> str:
    """dde-file-manager 6, thumbnailhelper.cpp: as PhotoQt."""
    return _last_int(said, wanted)


def nomacs(said: EntryTexts, wanted: Wanted) -> str:
    """Nomacs 3.22, DkCachedThumb.cpp: Qt keeps the last; URI, MTime up to its point, Size."""
    texts = said.last
    if texts.get(URI) != wanted.uri:
        return f"the last {URI} is {shown(texts.get(URI, ''))}"
    text = texts.get(MTIME, "")
    if qt_signed(text.partition(".")[0]) != mtime.whole_s(wanted.mtime_ns):
        return f"the last {MTIME}, {shown(text)}, is not the file's"
    size = texts.get(SIZE)
    return f"the last {SIZE} is {size}" if size and qt_signed(size) != wanted.size_bytes else ""


def cosmic(said: EntryTexts, wanted: Wanted) -> str:
    """COSMIC Files 1.0, thumbnail_cacher.rs: the first tEXt of each key, before the picture.

    A time before 1970 counts as 0.
    """
    texts = _picked(reversed([each for each in said.before if each.kind is TextKind.TEXT]))
    if texts.get(URI) != wanted.uri:
        return f"the first {URI} in tEXt is {shown(texts.get(URI, ''))}"
    if texts.get(MTIME) != str(max(0, mtime.whole_s(wanted.mtime_ns))):
        return f"the first {MTIME} in tEXt is {shown(texts.get(MTIME, ''))}"
    if texts.get(SIZE, str(wanted.size_bytes)) != str(wanted.size_bytes):
        return f"the first {SIZE} in tEXt is {shown(texts[SIZE])}"
    return ""


def blender(said: EntryTexts, wanted: Wanted) -> str:
    """Blender 4 and 5, thumbs.cc: the last MTime before the picture, atol() equal; no URI."""
    text = _picked(said.before).get(MTIME)
    if text is not None and strtol(text) == mtime.whole_s(wanted.mtime_ns):
        return ""
    return f"the last {MTIME}, {shown(text or '')}, does not begin with the file's seconds"


def feh(said: EntryTexts, wanted: Wanted) -> str:
    """Feh 3, thumbnail.c: the last MTime before the picture, strtol() equal; no URI."""
    text = _picked(said.before).get(MTIME, "")
    if strtol(text) == mtime.whole_s(wanted.mtime_ns):
        return ""
    return f"the last {MTIME}, {shown(text)}, does not begin with the file's seconds"


def rofi(_said: EntryTexts, _wanted: Wanted) -> str:
    """Rofi 1.7, rofi-icon-fetcher.c: all that is there, and decodes."""
    return ""


def _last_int(said: EntryTexts, wanted: Wanted) -> str:
    text = said.last.get(MTIME, "")
    if qt_int(text) == mtime.whole_s(wanted.mtime_ns):
        return ""
    return f"the last {MTIME}, {shown(text)}, is not the source's time in 32 bits"


def _first_uri(said: EntryTexts, wanted: Wanted) -> str:
    uri = said.first.get(URI, "")
    return "" if uri == wanted.uri else f"the first {URI} is {shown(uri)}"


def _first_integer(said: EntryTexts, wanted: Wanted) -> str:
    text = said.first.get(MTIME)
    if text is None:
        return f"there is no {MTIME}"
    if strtol(text) == mtime.whole_s(wanted.mtime_ns):
        return ""
    return f"the first {MTIME}, {shown(text)}, does not begin with the file's seconds"

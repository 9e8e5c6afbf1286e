"""Writes entries: their text chunks, whole PNGs, texts anew, fail records; and recognises its own.

Compresses and decodes no pixels: they come and go as a zlib stream. Reading what any program may
have written is `pngtext`'s.

The order is what makes one file valid for GIO, gnome-desktop, KIO, libfm-qt and tumbler at once:
the first Thumb::MTime of any type counts for tumbler and gdk-pixbuf, only `tEXt` for GLib, the
last one for Qt; and GLib wants all `tEXt` side by side.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple

from pregen import __version__
from pregen.model import UNKNOWN_MAKER, Maker
from pregen.thumbspec import fingerprint, mtime, pngtext
from pregen.thumbspec.pngchunks import (
    END,
    HEADER_BYTES,
    IDAT,
    MAX_LENGTH,
    SIGNATURE,
    START,
    PngError,
    chunk,
    chunk_parts,
    header_chunk,
    walk,
)
from pregen.thumbspec.pngtext import PngHead, Text, TextKind, read_head

#: Never to start with "KDE Thumbnail Generator": KIO would compare versions (previewjob.cpp).
SOFTWARE: Final = f"pregen {__version__}"
#: Holds the Software that made the pixels of an entry whose texts we rewrote.
REFITTED_FROM: Final = "X-Pregen::Refitted-From"
#: Number of pictures in an animation. The standard counts pages and seconds, but no frames.
FRAMES: Final = "X-Pregen::Frames"
#: Holds the revision of what decodes this type of file; absent in entries that are older than that.
REVISION: Final = "X-Pregen::Revision"

#: Keys that an entry of ours holds at most once, from `Facts` alone.
STANDARD_KEYS: Final = frozenset(
    {
        pngtext.URI,
        pngtext.MTIME,
        pngtext.SIZE,
        pngtext.MIMETYPE,
        pngtext.IMAGE_WIDTH,
        pngtext.IMAGE_HEIGHT,
        pngtext.DOCUMENT_PAGES,
        pngtext.MOVIE_LENGTH,
        pngtext.SOFTWARE,
    }
)
_TEXT_KINDS: Final = frozenset(kind.value for kind in TextKind)
#: One row of one transparent RGBA pixel, behind its filter byte.
_TRANSPARENT_PIXEL: Final = zlib.compress(bytes(5))

_CHUNK_START: Final = Struct(">I4s")
#: What stands around the content of the picture's chunk, and the end.
_BEHIND_BYTES: Final = 12 + len(END)
_EDGES: Final = Struct(">II")
_EDGES_AT: Final = 16
_FORMAT_AT: Final = _EDGES_AT + _EDGES.size
#: Bit depth, colour type and the rest of IHDR.
_OUR_FORMAT: Final = (SIGNATURE + header_chunk(1, 1))[_FORMAT_AT : HEADER_BYTES - 4]
_JUDGED: Final = frozenset(
    b"tEXt" + key.encode() for key in (pngtext.URI, pngtext.MTIME, pngtext.SIZE)
)
_WIDTH, _HEIGHT, _MIMETYPE, _SOFTWARE, _REVISION, _REFITTED_FROM = (
    b"tEXt" + key.encode()
    for key in (
        pngtext.IMAGE_WIDTH,
        pngtext.IMAGE_HEIGHT,
        pngtext.MIMETYPE,
        pngtext.SOFTWARE,
        REVISION,
        REFITTED_FROM,
    )
)
_SAID: Final = frozenset({_WIDTH, _HEIGHT, _MIMETYPE, _SOFTWARE, _REVISION, _REFITTED_FROM})
_URI: Final = b"tEXt" + pngtext.URI.encode() + b"\0"
#: Only a short text stands before it, and the beginning of its own chunk.
_URI_WITHIN_BYTES: Final = 128
_FINGERPRINT: Final = b"tEXt" + fingerprint.KEY.encode() + b"\0"
#: How our Software begins.
_OURS: Final = "pregen "

#: No original has more digits in an edge, a page count or a length in seconds.
_MAX_DIGITS: Final = 10


#: One text to be written: a plain tuple, as some are made for every entry that is judged.
_Said = tuple[TextKind, str, str]


class SourceFacts(NamedTuple):
    """What an entry says about its source. Zero and empty mean unknown: nothing is written."""

    uri: str
    mtime_ns: int
    size_bytes: int
    mime: str = ""
    width_px: int = 0
    """Of the original, after orientation."""
    height_px: int = 0
    pages: int = 0
    movie_length_s: int = 0
    extra: tuple[tuple[str, str], ...] = ()
    """Keys and values beyond the standard's table, written behind it; the standard's own keys
    are passed over here. Keys are Latin-1, 1 to 79 characters."""
    software: str = SOFTWARE


def maker_of(head: PngHead) -> Maker:
    """Return what made the picture of an entry whose texts were read."""
    if not head.first(pngtext.SOFTWARE).startswith(_OURS) or head.first(REFITTED_FROM):
        return UNKNOWN_MAKER
    return Maker(head.first(pngtext.MIMETYPE), number(head.first(REVISION)))


def identity_texts(uri: str, mtime_ns: int, size_bytes: int) -> tuple[Text, ...]:
    """Return the texts by which an entry of ours is judged, in the order of the file."""
    said = (
        *_before_uri(mtime_ns),
        _uri_text(uri),
        *_behind_uri(mtime_ns, size_bytes),
        *_trailing(mtime_ns),
    )
    return tuple(Text(*one) for one in said)


# The flavors of one source are judged one after the other, with the same arguments; some sources at
# a time where they are taken over.
@lru_cache(maxsize=16)
def leading_chunks(uri: str, mtime_ns: int, size_bytes: int) -> bytes:
    """Return the chunks that stand right behind IHDR in every entry of ours."""
    before, behind = _around_uri(mtime_ns, size_bytes)
    return b"".join((before, _encode([_uri_text(uri)]), behind))


# A source that is taken over has two URIs.
@lru_cache(maxsize=16)
def _around_uri(mtime_ns: int, size_bytes: int) -> tuple[bytes, bytes]:
    return _encode(_before_uri(mtime_ns)), _encode(_behind_uri(mtime_ns, size_bytes))


def entry_chunks(facts: SourceFacts) -> bytes:
    """Return every text chunk of an entry, in the order that suits all desktops (see the module).

    `facts.extra` follows as `tEXt`, or as `iTXt` behind all of them where Latin-1 does not do.

    Raises:
        UnicodeEncodeError: The URI or the type is no plain text: a bug of the caller.
    """
    known = (
        (pngtext.MIMETYPE, facts.mime),
        (pngtext.IMAGE_WIDTH, facts.width_px),
        (pngtext.IMAGE_HEIGHT, facts.height_px),
        (pngtext.DOCUMENT_PAGES, facts.pages),
        (pngtext.MOVIE_LENGTH, facts.movie_length_s),
        (pngtext.SOFTWARE, facts.software),
    )
    texts = [(TextKind.TEXT, key, str(value)) for key, value in known if value]
    extra = [
        (_kind_for(value), key, value.replace("\0", ""))
        for key, value in facts.extra
        if key not in STANDARD_KEYS
    ]
    texts += [one for one in extra if one[0] is TextKind.TEXT]
    texts += [one for one in extra if one[0] is TextKind.ITXT]
    leading = leading_chunks(facts.uri, facts.mtime_ns, facts.size_bytes)
    return leading + _encode(texts + _trailing(facts.mtime_ns))


def assemble(width_px: int, height_px: int, text_chunks: bytes, idat: bytes) -> bytes:
    """Return a whole 8-bit RGBA PNG, not interlaced.

    Args:
        width_px: Of the picture in `idat`.
        height_px: Likewise.
        text_chunks: As `entry_chunks` makes them.
        idat: The filtered rows as one zlib stream.
    """
    head = header_chunk(width_px, height_px)
    return b"".join((SIGNATURE, head, text_chunks, *chunk_parts(IDAT, idat), END))


def fail_record(facts: SourceFacts) -> bytes:
    """Return a fail record: one transparent pixel with the texts of an entry.

    As gnome-desktop writes them; of those that look, none looks at the picture.
    """
    return assemble(1, 1, entry_chunks(facts), _TRANSPARENT_PIXEL)


def is_same(png: bytes, other: bytes) -> bool:
    """Tell whether two entries, whole and sound, differ in nothing but what made them and how."""
    one, two = (read_head(data) for data in (png, other))
    made = {pngtext.SOFTWARE, REVISION, fingerprint.KEY}
    texts = [[text for text in head.texts if text.key not in made] for head in (one, two)]
    pictures = [
        [data[start:end] for kind, start, end in walk(data, 6) if kind not in _TEXT_KINDS]
        for data in (png, other)
    ]
    return one.width_px == two.width_px and texts[0] == texts[1] and pictures[0] == pictures[1]


class OwnEntry(NamedTuple):
    """What `recognised` sees of an entry of ours."""

    edges_px: tuple[int, int]
    """Of the picture."""
    original_px: tuple[int, int]
    """Of the original; 0 where the entry does not say."""
    maker: Maker
    fingerprint: str
    """Of what the picture was made of; empty where the entry does not say."""
    picture_at: int
    """Where the chunk of the picture begins."""
    file_bytes: int
    """Of the whole entry, as its beginning says."""

    def is_whole(self, data: bytes) -> bool:
        """Tell whether this is all of it: the check of its picture is right, and it ends there."""
        at = len(data) - len(END) - 4
        return (
            len(data) == self.file_bytes
            and data.endswith(END)
            and zlib.crc32(memoryview(data)[self.picture_at + 4 : at])
            == int.from_bytes(data[at : at + 4], "big")
        )


def recognised(data: bytes, uri: str, mtime_ns: int, size_bytes: int) -> OwnEntry | None:
    """Recognise by its bytes an entry of ours that is of this source as it is now.

    Fast, because a full check asks it of every entry. It knows the order in which `assemble` and
    `entry_chunks` write, and accepts only what reading the PNG would find whole as well: behind
    the literal texts of the source, `tEXt` chunks with right CRCs and keys that are not judged,
    then the picture.

    Args:
        data: The beginning of a file, or all of it.
        uri: Of the source.
        mtime_ns: Likewise.
        size_bytes: Likewise.

    Returns:
        None says nothing about the entry: read it then.
    """
    identity = leading_chunks(uri, mtime_ns, size_bytes)
    edges = _edges_in(data[:HEADER_BYTES])
    if edges is None or not data.startswith(identity, HEADER_BYTES):
        return None
    at = HEADER_BYTES + len(identity)
    picture = data.find(IDAT, at) - 4
    length = int.from_bytes(data[picture : picture + 4], "big")
    if picture < at or length > MAX_LENGTH:
        return None
    said = _all_said_in(data[at:picture])
    if said is None:
        return None
    return OwnEntry(edges, *said, picture, picture + length + _BEHIND_BYTES)


# Of the photos of a camera, two for each flavor.
@lru_cache(maxsize=64)
def _edges_in(header: bytes) -> tuple[int, int] | None:
    """Return the edges of the picture where all that stands before the texts is as we write it."""
    if (
        not header.startswith(START)
        or not header.startswith(_OUR_FORMAT, _FORMAT_AT)
        or zlib.crc32(header[12:29]) != int.from_bytes(header[29:], "big")
    ):
        return None
    edges: tuple[int, int] = _EDGES.unpack_from(header, _EDGES_AT)
    return edges if min(edges) else None


# The flavors of a source say the same.
@lru_cache(maxsize=16)
def _all_said_in(texts: bytes) -> tuple[tuple[int, int], Maker, str] | None:
    """Read the texts behind the identity, of which the last may be a fingerprint."""
    # That is another one for every source, and `_said_in` can remember the rest.
    end = texts.rfind(_FINGERPRINT) - 4
    if end < 0:
        said, fingerprint_said = _said_in(texts), ""
    else:
        check = len(texts) - 4
        if (
            int.from_bytes(texts[end : end + 4], "big") != check - end - 8
            or zlib.crc32(texts[end + 4 : check]).to_bytes(4, "big") != texts[check:]
        ):
            return None
        said = _said_in(texts[:end])
        fingerprint_said = texts[end + 4 + len(_FINGERPRINT) : check].decode("latin-1")
    return None if said is None else (*said, fingerprint_said)


# The photos of a camera all have one type and one size, and so their entries the same texts.
@lru_cache(maxsize=256)
def _said_in(texts: bytes) -> tuple[tuple[int, int], Maker] | None:
    """Read the texts behind the identity, which must be whole chunks to their end."""
    said: dict[bytes, str] = {}
    at = 0
    while at < len(texts):
        if at + _CHUNK_START.size > len(texts):
            return None
        length, kind = _CHUNK_START.unpack_from(texts, at)
        end = at + 8 + length
        content = texts[at + 4 : end]
        if kind != b"tEXt" or zlib.crc32(content).to_bytes(4, "big") != texts[end : end + 4]:
            return None
        key, _, value = content.partition(b"\0")
        if key in _JUDGED or key in said:
            return None
        if key in _SAID:
            said[key] = value.decode("latin-1")
        at = end + 4
    edges = number(said.get(_WIDTH, "")), number(said.get(_HEIGHT, ""))
    if not said.get(_SOFTWARE, "").startswith(_OURS) or _REFITTED_FROM in said:
        return edges, UNKNOWN_MAKER
    return edges, Maker(said.get(_MIMETYPE, ""), number(said.get(_REVISION, "")))


def uri_of(png: bytes) -> str:
    """Return the URI in an entry of ours, by where we write it; empty: it is not there."""
    at = png.find(_URI, HEADER_BYTES, HEADER_BYTES + _URI_WITHIN_BYTES)
    end = at + int.from_bytes(png[at - 4 : at], "big") + 4
    return png[at + len(_URI) : end].decode("latin-1") if at > 0 else ""


def fingerprint_of(png: bytes) -> str:
    """Return the fingerprint in a whole entry of ours; empty where there is none."""
    at = png.find(_FINGERPRINT, HEADER_BYTES, max(0, png.find(IDAT, HEADER_BYTES)))
    end = at + int.from_bytes(png[at - 4 : at], "big") + 4
    return png[at + len(_FINGERPRINT) : end].decode("latin-1") if at > 0 else ""


def readdressed(
    png: bytes, uri: str, new_uri: str, mtime_ns: int, size_bytes: int
) -> tuple[bytes, int] | None:
    """Return how an entry of ours begins for the same source under another URI.

    Nothing else of it is changed, nor looked at: that is for who judges one of the two, whole.

    Args:
        png: a whole file.
        uri: under which it says to be, as `uri_of` found it.
        new_uri: under which the source is known now.
        mtime_ns: of the source.
        size_bytes: likewise.

    Returns:
        The new beginning, and from which byte on `png` follows it; None where it is not ours.
    """
    identity = leading_chunks(uri, mtime_ns, size_bytes)
    if not png.startswith(identity, HEADER_BYTES):
        return None
    new = leading_chunks(new_uri, mtime_ns, size_bytes)
    return png[:HEADER_BYTES] + new, HEADER_BYTES + len(identity)


def retext(png: bytes, facts: SourceFacts) -> bytes:
    """Return the same picture with the texts of `facts`; every other chunk stays byte for byte.

    What `facts` does not know (size of the original, type, pages, length) is taken over from the
    old texts, and so is every key the standard does not name. The program that made the pixels
    is remembered under `REFITTED_FROM`. Anything behind IEND is dropped.

    Raises:
        PngError: `png` is not a whole PNG with right CRCs.
    """
    old = read_head(png, past_image=True)
    if not old.ended:
        raise PngError("is cut off within its picture")
    kept = [
        png[start:end] for kind, start, end in walk(png, old.color_type) if kind not in _TEXT_KINDS
    ]
    return b"".join((png[:HEADER_BYTES], entry_chunks(_completed(facts, old)), *kept))


def _completed(facts: SourceFacts, old: PngHead) -> SourceFacts:
    """Fill what `facts` leaves open from the texts that were there."""
    mime = old.first(pngtext.MIMETYPE)
    return facts._replace(
        mime=facts.mime or (mime if mime.isascii() and mime.isprintable() else ""),
        width_px=facts.width_px or number(old.first(pngtext.IMAGE_WIDTH)),
        height_px=facts.height_px or number(old.first(pngtext.IMAGE_HEIGHT)),
        pages=facts.pages or number(old.first(pngtext.DOCUMENT_PAGES)),
        movie_length_s=facts.movie_length_s or number(old.first(pngtext.MOVIE_LENGTH)),
        extra=_kept_extra(facts, old),
    )


def _kept_extra(facts: SourceFacts, old: PngHead) -> tuple[tuple[str, str], ...]:
    """Return the extra of `facts`, then what the old entry says under other keys."""
    given = {key for key, _ in facts.extra}
    kept = [(text.key, text.value) for text in old.texts if text.key not in given]
    maker = old.first(pngtext.SOFTWARE)
    if maker and not maker.startswith(_OURS) and REFITTED_FROM not in given:
        kept = [(key, value) for key, value in kept if key != REFITTED_FROM]
        kept.append((REFITTED_FROM, maker))
    return (*facts.extra, *dict.fromkeys(kept))


def number(text: str) -> int:
    """Return the positive number a text is, or 0 when it is none."""
    return int(text) if len(text) <= _MAX_DIGITS and text.isascii() and text.isdigit() else 0


def _before_uri(mtime_ns: int) -> list[_Said]:
    leading = mtime.leading_text(mtime_ns)
    return [(TextKind.ITXT, pngtext.MTIME, leading)] if leading else []


def _uri_text(uri: str) -> _Said:
    # some programs' own URIs have letters that no tEXt holds
    return (TextKind.TEXT if uri.isascii() else TextKind.ITXT, pngtext.URI, uri)


def _behind_uri(mtime_ns: int, size_bytes: int) -> list[_Said]:
    return [
        (TextKind.TEXT, pngtext.MTIME, mtime.integer_text(mtime_ns)),
        (TextKind.TEXT, pngtext.SIZE, str(size_bytes)),
    ]


def _trailing(mtime_ns: int) -> list[_Said]:
    trailing = mtime.trailing_text(mtime_ns)
    return [(TextKind.ITXT, pngtext.MTIME, trailing)] if trailing else []


def _kind_for(value: str) -> TextKind:
    """Choose tEXt where it can hold the value; never zTXt, which GLib does not read."""
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        return TextKind.ITXT
    return TextKind.TEXT


def _encode(said: list[_Said]) -> bytes:
    return b"".join(
        [
            chunk(b"tEXt", f"{key}\0{value}".encode("latin-1"))
            if kind is TextKind.TEXT
            # Not compressed; neither a language nor a translated key (PNG, 11.3.3.4).
            else chunk(b"iTXt", key.encode("latin-1") + b"\0\0\0\0\0" + value.encode())
            for kind, key, value in said
        ]
    )

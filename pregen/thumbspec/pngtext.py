"""What a thumbnail PNG says of itself: its header and its text chunks, of all three types.

Reads only, from any bytes at all; building is `pngbuild`'s, deciding `validity`'s. A text chunk
that cannot be read (no key, broken compression) is passed over, as libpng does.
"""

from __future__ import annotations

import zlib
from enum import Enum
from typing import Final, NamedTuple

from pregen.thumbspec.naming import key as key_of
from pregen.thumbspec.pngchunks import (
    IDAT,
    IEND,
    PngError,
    body,
    is_intact,
    loose_chunks,
    may_be_skipped,
    read_header,
    walk,
)

URI: Final = "Thumb::URI"
MTIME: Final = "Thumb::MTime"
SIZE: Final = "Thumb::Size"
MIMETYPE: Final = "Thumb::Mimetype"
IMAGE_WIDTH: Final = "Thumb::Image::Width"
IMAGE_HEIGHT: Final = "Thumb::Image::Height"
DOCUMENT_PAGES: Final = "Thumb::Document::Pages"
MOVIE_LENGTH: Final = "Thumb::Movie::Length"
SOFTWARE: Final = "Software"

#: Text inflated from one chunk. The longest value in use is the URI of a path of PATH_MAX bytes
#: (4096 of them, three characters each): five times that is plenty.
MAX_TEXT_BYTES: Final = 64 * 1024
#: ... and from all chunks of one file: some kilobytes of zTXt could fill the memory otherwise. One
#: that cannot be read counts as it if had been as long as it may be.
MAX_INFLATED_BYTES: Final = 1024 * 1024
#: A key has 1 to 79 characters (PNG, 11.3.3.2); libpng ignores chunks with others.
_MAX_KEY_BYTES: Final = 79


class TextKind(Enum):
    """The three types of text chunk (PNG, 11.3.3)."""

    TEXT = b"tEXt"
    ZTXT = b"zTXt"
    ITXT = b"iTXt"

    def __str__(self) -> str:
        return self.value.decode()


_KINDS: Final = {kind.value: kind for kind in TextKind}


class Text(NamedTuple):
    """One text chunk."""

    kind: TextKind
    key: str
    value: str
    before_image: bool = True
    """It stood before IDAT: the only place where tumbler looks."""
    apart: bool = False
    """Between it and the text before it stands a chunk of another kind, where GLib stops."""


class PngHead(NamedTuple):
    """The header and the texts of a PNG, as far as they were read."""

    width_px: int
    height_px: int
    bit_depth: int
    color_type: int
    interlaced: bool
    texts: tuple[Text, ...]
    """In file order."""
    complete: bool
    """IDAT was reached: every text before the picture is in `texts`."""
    ended: bool = False
    """IEND was reached as well: there are no other texts."""
    fault: str = ""
    """Why a reader that passes over damaged texts got no further."""

    def first(self, key: str) -> str:
        """Return the first value of `key` in any type of chunk, or an empty string."""
        return next((text.value for text in self.texts if text.key == key), "")

    def values(self, key: str) -> list[str]:
        """Return every value of `key`, in file order."""
        return [text.value for text in self.texts if text.key == key]

    def uri(self, wanted_key: str) -> str:
        """Return the URI of which the entry's name is the key, or the first; empty: there is none.

        Args:
            wanted_key: The name of the entry's file, 32 hex digits.
        """
        uris = self.values(URI)
        return next((uri for uri in uris if key_of(uri) == wanted_key), uris[0]) if uris else ""


def read_head(data: bytes, *, past_image: bool = False, as_libpng: bool = False) -> PngHead:
    """Return the header and the texts of a PNG that begins with `data`.

    Being cut off is no error from byte `HEADER_BYTES` on: `complete` tells what is known.

    Args:
        data: The file or its beginning, at least `pngchunks.HEADER_BYTES` of it.
        past_image: Go on behind the first IDAT, for programs that write their text there. Needs
            the whole file.
        as_libpng: Pass over texts with a wrong CRC, and end without an error where nothing more
            can be read (`PngHead.fault`).

    Raises:
        PngError: Not a PNG, or damaged before its picture (before its end with `past_image`).
    """
    header = read_header(data)
    texts: list[Text] = []
    complete = ended = apart = False
    fault = ""
    room = MAX_INFLATED_BYTES
    available = len(data)
    try:
        for name, start, end in walk(data, header.color_type):
            if name == IDAT:
                complete = True
                if not past_image:
                    break
            if end > available:
                break
            content = _content(data, start, end, as_libpng=as_libpng)
            ended = name == IEND
            kind = _KINDS.get(name)
            if content is None or kind is None:
                apart = True
                continue
            limit_bytes = min(room, MAX_TEXT_BYTES)
            said = _parse(kind, content, limit_bytes)
            if said:
                texts.append(Text(kind, *said, not complete, apart))
                apart = False
            if kind is not TextKind.TEXT:
                room -= len(said[1]) if said else limit_bytes
    except PngError as error:
        if not as_libpng:
            raise
        fault = str(error)
    return PngHead(*header, tuple(texts), complete, ended, fault)


def _content(data: bytes, start: int, end: int, *, as_libpng: bool) -> bytes | None:
    """Return a chunk's content; None: it is damaged, and libpng passes over it.

    Raises:
        PngError: It is damaged, and cannot be passed over.
    """
    if as_libpng and may_be_skipped(data[start + 4 : start + 8]):
        return body(data, start, end) if is_intact(data, start, end) else None
    return body(data, start, end)


def unchecked_texts(data: bytes) -> tuple[Text, ...]:
    """Return the `tEXt` of a PNG as GLib reads them (gio/thumbnail-verify.c): nothing is checked.

    Neither CRCs nor the header count, and of the signature only its eight bytes.
    """
    texts: list[Text] = []
    apart = False
    for name, start, end in loose_chunks(data):
        said = _parse(TextKind.TEXT, data[start + 8 : end - 4], 0) if name == b"tEXt" else None
        if said:
            texts.append(Text(TextKind.TEXT, *said, apart=apart))
        apart = said is None
    return tuple(texts)


def _parse(kind: TextKind, content: bytes, limit_bytes: int) -> tuple[str, str] | None:
    """Return key and value, or None when they cannot be read."""
    key, separator, rest = content.partition(b"\0")
    if not separator or not 0 < len(key) <= _MAX_KEY_BYTES:
        return None
    if kind is TextKind.TEXT:
        value: str | None = rest.decode("latin-1")
    elif kind is TextKind.ZTXT:
        inflated = _inflate(rest[1:], limit_bytes) if rest[:1] == b"\0" else None
        value = None if inflated is None else inflated.decode("latin-1")
    else:
        value = _international(rest, limit_bytes)
    return None if value is None else (key.decode("latin-1"), value)


def _international(rest: bytes, limit_bytes: int) -> str | None:
    """Read an iTXt behind its key: flag, method, language, translated key, text (11.3.3.4)."""
    flag, fields = rest[:2], rest[2:].split(b"\0", 2)
    if len(fields) != 3:  # noqa: PLR2004 - language, translated key, text
        return None
    value: bytes | None = fields[2]
    if flag == b"\x01\0":
        value = _inflate(fields[2], limit_bytes)
    elif flag[:1] != b"\0":
        return None
    return None if value is None else value.decode(errors="replace")


def _inflate(stream: bytes, limit_bytes: int) -> bytes | None:
    """Return what a zlib stream holds; None when it is broken, cut off or too long."""
    inflater = zlib.decompressobj()
    try:
        # One byte more than allowed, so that a stream of just the limit gets to its end.
        value = inflater.decompress(stream, limit_bytes + 1)
    except zlib.error:
        return None
    return value if inflater.eof and len(value) <= limit_bytes else None

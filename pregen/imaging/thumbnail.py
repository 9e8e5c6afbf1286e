"""An open source -> what its entries show. The only door of `imaging` for the rest of pregen."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from pregen.config import Decoder
from pregen.imaging import at_once, sniff
from pregen.imaging.decoders.base import Request, import_decoder
from pregen.imaging.faults import Fault, NeedsExtra, NotPicture, TooLarge, Unsupported
from pregen.imaging.pixels.sizes import QUARTER_TURNS
from pregen.imaging.source_bytes import SourceBytes
from pregen.model import SMALL_BOX_PX, Flavor

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import ModuleType

    from pregen.imaging.decoders.base import Opened
    from pregen.imaging.formats import Format
    from pregen.imaging.source_bytes import ReadAt


class Picture(NamedTuple):
    """One flavor, ready to be wrapped in PNG chunks."""

    width_px: int
    height_px: int
    idat: bytes
    """The zlib stream."""


class Thumbnails(NamedTuple):
    """All that was made of one source."""

    pictures: dict[Flavor, Picture]
    """Empty when the source fits in 128 x 128 and needs none."""
    mime: str
    loader: str
    width_px: int
    """Of the original, after orientation; 0 for one that has no pixels of its own."""
    height_px: int
    pages: int
    frames: int
    movie_length_s: int
    bytes_read: int
    fingerprint: str
    """Of what was looked at; empty where that is not known."""
    read_ns: int
    decode_ns: int
    resize_ns: int
    encode_ns: int

    @property
    def small(self) -> bool:
        """True when the original needs no entry (standard, Thumbnail Size)."""
        return not self.pictures


def identify(head: bytes) -> Format:
    """Return the format of a file that begins with `head`.

    Raises:
        NotPicture, NeedsExtra, Unsupported: nothing here can decode it.
    """
    found = sniff.sniff(head)
    if found is None:
        raise NotPicture("its content is not a picture")
    if found.decoder:
        return found
    if found.extra:
        raise NeedsExtra(found.extra, found.mime)
    raise Unsupported(f"no decoder for {found.mime}", found.mime)


def decoder_of(found: Format) -> ModuleType:
    """Import the module that reads a format. Raises NeedsExtra (`import_decoder`)."""
    return import_decoder(found.decoder, found.extra, found.mime)


def make(  # noqa: PLR0913 - keywords, of which most callers need none
    fd: int,
    size_bytes: int,
    flavors: Collection[Flavor],
    max_pixels: int,
    ask: Callable[[int], None],
    decoder: Decoder = Decoder.AUTO,
    *,
    previews: bool = False,
    read: ReadAt | None = None,
) -> Thumbnails:
    """Decode a source once and make the picture of every flavor.

    Args:
        fd: the source, opened for reading; its position does not matter.
        size_bytes: of the source.
        flavors: the wanted ones, at least one.
        max_pixels: a larger picture is TooLarge, told from its header.
        ask: called before a large decode, with its size in bytes; returns when there is room.
        decoder: for JPEGs.
        previews: a JPEG's own preview will do where it shows the same.
        read: reads the source, where some of it is in memory already.

    Raises:
        Fault: the source cannot become a picture.
        MemoryError: there was not enough memory.
    """
    opening = _opening(fd, size_bytes, ask, decoder, previews=previews, read=read)
    return _make(opening, flavors, max_pixels)


def make_by_another(
    fd: int,
    size_bytes: int,
    flavors: Collection[Flavor],
    max_pixels: int,
    ask: Callable[[int], None],
    read: ReadAt | None = None,
) -> Thumbnails:
    """Make the pictures as another decoder shows the source, where one can (`second_opinion`).

    The loader's name says which (`witness_names`). Arguments and errors are those of `make`; a
    source that the usual decoder refuses is not refused if another one shows all of it.
    """
    opening = _opening(fd, size_bytes, ask, read=read)
    return _make(opening._replace(another=True), flavors, max_pixels)


class _Opening(NamedTuple):
    """A source that is about to be read."""

    request: Request
    begun_ns: int
    another: bool = False
    """By another decoder than the usual one."""


def _opening(
    fd: int,
    size_bytes: int,
    ask: Callable[[int], None],
    decoder: Decoder = Decoder.AUTO,
    *,
    previews: bool = False,
    read: ReadAt | None = None,
) -> _Opening:
    begun_ns = time.perf_counter_ns()
    head = read(0, sniff.HEAD_BYTES) if read else os.pread(fd, sniff.HEAD_BYTES, 0)
    source = SourceBytes(fd, size_bytes, head, read)
    request = Request(source, identify(head), ask, decoder, previews)
    return _Opening(request, begun_ns)


def _make(opening: _Opening, flavors: Collection[Flavor], max_pixels: int) -> Thumbnails:
    try:
        return _thumbnails(opening, flavors, max_pixels)
    except Fault as fault:
        from pregen.imaging import last_look  # noqa: PLC0415 - of sources that are refused only

        said = last_look.judged(fault, opening.request, max_pixels)
        said.mime = fault.mime or opening.request.format.mime
        raise said from fault.__cause__


def _thumbnails(opening: _Opening, flavors: Collection[Flavor], max_pixels: int) -> Thumbnails:
    request = opening.request
    found = None if opening.another else at_once.pictures(request, flavors, max_pixels)
    if found is None:
        return _by_stages(opening, flavors, max_pixels)
    whole_ns = time.perf_counter_ns() - opening.begun_ns
    return Thumbnails(
        pictures={flavor: Picture(*found.sizes[flavor], found.idats[flavor]) for flavor in flavors},
        mime=request.format.mime,
        loader=found.loader,
        width_px=found.width_px,
        height_px=found.height_px,
        pages=0,
        frames=0,
        movie_length_s=0,
        bytes_read=request.source.bytes_read,
        fingerprint=request.source.fingerprint,
        read_ns=whole_ns - found.decode_ns - found.resize_ns - found.encode_ns,
        decode_ns=found.decode_ns,
        resize_ns=found.resize_ns,
        encode_ns=found.encode_ns,
    )


def _by_stages(opening: _Opening, flavors: Collection[Flavor], max_pixels: int) -> Thumbnails:
    from pregen.imaging import stages  # noqa: PLC0415 - most photos need none of its libraries

    request, begun_ns = opening.request, opening.begun_ns
    opened: Opened = decoder_of(request.format).open_picture(request)
    if opening.another:
        opened = stages.Another(opened, request, max_pixels)
    if opened.width_px * opened.height_px > max_pixels and not opened.scalable:
        raise TooLarge(opened.width_px, opened.height_px, max_pixels)
    read_ns = time.perf_counter_ns()
    done = stages.Staged({}, 0, 0, 0)
    if opened.always or max(opened.width_px, opened.height_px) > SMALL_BOX_PX:
        done = stages.pictures(opened, request, flavors, max_pixels)
    # What a decoder found wrong in the header it has set right.
    width_px, height_px = opened.width_px, opened.height_px
    if opened.orientation in QUARTER_TURNS:
        width_px, height_px = height_px, width_px
    if opened.unsized:
        width_px = height_px = 0
    return Thumbnails(
        pictures={flavor: Picture(*found) for flavor, found in done.pictures.items()},
        mime=opened.mime or request.format.mime,
        loader=opened.loader,
        width_px=width_px,
        height_px=height_px,
        pages=opened.pages,
        frames=opened.frames,
        movie_length_s=opened.movie_length_s,
        bytes_read=request.source.bytes_read,
        fingerprint=request.source.fingerprint if done.pictures else "",
        read_ns=read_ns - begun_ns,
        decode_ns=done.decode_ns,
        resize_ns=done.resize_ns,
        encode_ns=done.encode_ns,
    )

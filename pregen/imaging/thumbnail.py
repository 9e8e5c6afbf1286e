"""An open source -> what its entries show. The only door of `imaging` for the rest of pregen."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from pregen.config import Decoder
from pregen.imaging import last_look, sniff, witness_names
from pregen.imaging.decoders.base import Opened, Request, import_decoder
from pregen.imaging.faults import Fault, NeedsExtra, NotPicture, TooLarge, Unsupported
from pregen.imaging.pixels import render
from pregen.imaging.pixels.resample import Pixels, image_of
from pregen.imaging.runtime import quiet
from pregen.imaging.second_opinion import second_opinion
from pregen.imaging.source_bytes import SourceBytes
from pregen.model import SMALL_BOX_PX, Flavor

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import ModuleType

    from pregen.imaging.formats import Format
    from pregen.imaging.pixels.resample import Plain
    from pregen.imaging.source_bytes import ReadAt

quiet()


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

    def another(request: Request) -> Opened:
        return _Another(opening.open_picture(request), request, max_pixels)

    return _make(opening._replace(open_picture=another), flavors, max_pixels)


class _Opening(NamedTuple):
    """A source that is about to be read."""

    request: Request
    open_picture: Callable[[Request], Opened]
    begun_ns: int


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
    return _Opening(request, _open_picture, begun_ns)


def _open_picture(request: Request) -> Opened:
    opened: Opened = decoder_of(request.format).open_picture(request)
    return opened


def _make(opening: _Opening, flavors: Collection[Flavor], max_pixels: int) -> Thumbnails:
    try:
        return _thumbnails(opening, flavors, max_pixels)
    except Fault as fault:
        said = last_look.judged(fault, opening.request, max_pixels)
        said.mime = fault.mime or opening.request.format.mime
        raise said from fault.__cause__


def _thumbnails(opening: _Opening, flavors: Collection[Flavor], max_pixels: int) -> Thumbnails:
    request, begun_ns = opening.request, opening.begun_ns
    opened = opening.open_picture(request)
    if opened.width_px * opened.height_px > max_pixels and not opened.scalable:
        raise TooLarge(opened.width_px, opened.height_px, max_pixels)
    read_ns = time.perf_counter_ns()
    width_px, height_px = opened.width_px, opened.height_px
    decoded_ns = resized_ns = encoded_ns = read_ns
    pictures: dict[Flavor, Picture] = {}
    if opened.always or max(width_px, height_px) > SMALL_BOX_PX:
        pixels = opened.decode(max(flavor.box_px for flavor in flavors))
        decoded_ns = time.perf_counter_ns()
        # What a decoder found wrong in the header it has set right.
        width_px, height_px = opened.width_px, opened.height_px
        made = render.render(pixels, width_px, height_px, opened.orientation, flavors)
        last_look.check(made, opened, request, max_pixels)
        resized_ns = time.perf_counter_ns()
        pictures = {
            flavor: Picture(rgba.shape[1], rgba.shape[0], render.compress(rgba))
            for flavor, rgba in made.items()
        }
        encoded_ns = time.perf_counter_ns()
    turned = opened.orientation in render.QUARTER_TURNS
    if opened.unsized:
        width_px = height_px = 0
    return Thumbnails(
        pictures=pictures,
        mime=opened.mime or request.format.mime,
        loader=opened.loader,
        width_px=height_px if turned else width_px,
        height_px=width_px if turned else height_px,
        pages=opened.pages,
        frames=opened.frames,
        movie_length_s=opened.movie_length_s,
        bytes_read=request.source.bytes_read,
        fingerprint=request.source.fingerprint if pictures else "",
        read_ns=read_ns - begun_ns,
        decode_ns=decoded_ns - read_ns,
        resize_ns=resized_ns - decoded_ns,
        encode_ns=encoded_ns - resized_ns,
    )


class _Another(Opened):
    """A picture as another decoder shows it, or as it is where nobody else can decode it."""

    def __init__(self, opened: Opened, request: Request, max_pixels: int) -> None:
        self._opened = opened
        self._request = request
        self._max_pixels = max_pixels
        self.width_px, self.height_px = opened.width_px, opened.height_px
        self.pages, self.frames = opened.pages, opened.frames
        self.movie_length_s = opened.movie_length_s
        self.unsized, self.always = opened.unsized, opened.always
        self.scalable = opened.scalable

    def decode(self, box_px: int) -> Pixels | Plain:
        """See `base.Opened`. Which decoder is not the usual one, the usual one's decode says."""
        usual: Pixels | Plain | Fault
        try:
            usual = self._opened.decode(box_px)
        except Fault as fault:
            usual = fault
        opened = self._opened
        self.loader, self.orientation = opened.loader, opened.orientation
        found = second_opinion(
            self._request, opened.loader, box_px, self._max_pixels, opened.orientation
        )
        if found is None or (isinstance(usual, Fault) and not found.whole):
            if isinstance(usual, Fault):
                raise usual
            return usual
        self.loader = witness_names.loader_of(found.by, whole=found.whole)
        self.orientation = 1
        self.height_px, self.width_px = found.rgba.shape[:2]
        return Pixels(image_of(found.rgba, "srgb"))

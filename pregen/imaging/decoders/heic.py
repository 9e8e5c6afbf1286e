"""HEIC: an embedded thumbnail where it will do, else the picture.

Our own walk over the boxes finds size, orientation and thumbnails without reading the file. Where
it makes no sense of them, libheif (pillow-heif) reads the whole file and decides. Where FFmpeg is
installed it decodes what the boxes describe to the last, in two thirds of the time; libheif, which
knows more kinds of pictures, decodes the others.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pillow_heif

from pregen.imaging.containers import coded_picture, heif, tiff
from pregen.imaging.decoders import base, hevc_damage
from pregen.imaging.decoders.base import Opened, Request
from pregen.imaging.faults import (
    ENOUGH_ROWS,
    Fault,
    InvalidPicture,
    TruncatedPicture,
    Unsupported,
    fault_of_error,
)
from pregen.imaging.pixels import colour
from pregen.imaging.pixels.resample import Pixels, averaged, image_of
from pregen.imaging.previews import heif_thumbnails
from pregen.imaging.source_bytes import WHOLE_FILE_BYTES, DamagedError, EndsEarlyError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pregen.imaging.containers.coded_picture import CodedPicture
    from pregen.imaging.containers.heif import Colour, HeifItem, Meta
    from pregen.imaging.source_bytes import SourceStream

# Decoding happens in the worker's own thread: workers are the parallelism.
pillow_heif.options.DECODE_THREADS = 0
# Of all that libheif could bring up, only pictures are wanted.
pillow_heif.options.DEPTH_IMAGES = False
pillow_heif.options.AUX_IMAGES = False

#: Item types that libheif reads, HEVC and what puts pictures together (ISO/IEC 23008-12, 6.6).
_KNOWN_KINDS: Final = frozenset({b"hvc1", b"av01", b"jpeg", b"grid", b"iovl", b"iden", b"tmap"})
#: Planes as decoded and as RGB: 85 MB were measured for 12 Mpx of 8 bits.
_BYTES_PER_PIXEL: Final = 8
_DEEP_BYTES_PER_PIXEL: Final = 16
#: The decoder that gives planes, where its library is installed.
_BY_FFMPEG: Final = "coded_planes"
#: pillow-heif's modes -> (numpy type, libvips' interpretation, bands).
_MODES: Final = {
    "L": (np.uint8, "b-w", 1), "LA": (np.uint8, "b-w", 2),
    "RGB": (np.uint8, "srgb", 3), "RGBA": (np.uint8, "srgb", 4),
    "RGBa": (np.uint8, "srgb", 4), "I;16": (np.uint16, "grey16", 1),
    "RGB;16": (np.uint16, "rgb16", 3), "RGBA;16": (np.uint16, "rgb16", 4),
    "RGBa;16": (np.uint16, "rgb16", 4),
}  # fmt: skip


class HeicPicture(Opened):
    """A picture whose boxes have been read, by us or by libheif."""

    loader = "heif"

    def __init__(self, request: Request, meta: Meta | None, file: SourceStream) -> None:
        self._request = request
        self._file = file
        self._library: Any = None
        self._meta = meta
        self._thumbnails: list[HeifItem] = []
        self._coded: CodedPicture | None = None
        main = meta.items.get(meta.primary) if meta else None
        size = heif.shown_size(main) if main else None
        self._understood = size is not None
        """Our own walk makes sense of it."""
        if meta is None or main is None or size is None:
            self._open_library()
            return
        self.width_px, self.height_px = size
        turned = heif.orientation(main)
        self._turn = turned or self._exif_orientation(meta)
        # libheif applies HEIF's own.
        self.orientation = 1 if turned else self._turn
        self._thumbnails = heif_thumbnails.usable(meta, main, size)
        if heif.share_present(meta, main.number, request.source.size_bytes) < ENOUGH_ROWS:
            raise TruncatedPicture
        self._coded = self._described(main)
        if not self._thumbnails and self._coded is None:
            self._open_library()

    def decode(self, box_px: int) -> Pixels:
        """See `base.Opened`."""
        for item in self._thumbnails:
            if heif_thumbnails.covers(item, box_px):
                # A thumbnail that is damaged costs no picture.
                with contextlib.suppress(Fault):
                    pixels = self._by_ffmpeg(self._described(item), box_px)
                    return pixels or self._thumbnail(item, box_px)
        if (pixels := self._by_ffmpeg(self._coded, box_px)) is not None:
            return pixels
        self._open_library()
        deep = self._library.mode.endswith(";16")
        each_bytes = _DEEP_BYTES_PER_PIXEL if deep else _BYTES_PER_PIXEL
        self._request.reserve(self.width_px * self.height_px * each_bytes)
        pixels = _pixels(self._library, box_px)
        if self._meta is not None:
            hevc_damage.check(self._meta, self._meta.primary, self._read)
        return pixels

    def _described(self, item: HeifItem) -> CodedPicture | None:
        """Return what the boxes say of a picture that FFmpeg may decode."""
        if self._meta is None or base.optional_module(_BY_FFMPEG) is None:
            return None
        size_bytes = self._request.source.size_bytes
        return coded_picture.described(self._meta, item, self._read, size_bytes)

    def _by_ffmpeg(self, coded: CodedPicture | None, box_px: int) -> Pixels | None:
        """Decode a picture by its planes; None where it is libheif's."""
        module = base.optional_module(_BY_FFMPEG) if coded else None
        if coded is None or module is None or self._meta is None:
            return None
        source = self._request.source
        main = self._meta.items[self._meta.primary]
        thumbnail = coded.parts[0].refers_to(b"thmb") != ()
        if thumbnail and coded.told == heif.Colour():
            coded = coded._replace(told=heif.colour(main))
        if not thumbnail and source.size_bytes <= WHOLE_FILE_BYTES:
            # The fewest reads on a network share.
            source.whole()
            coded = coded._replace(read_at=source.read_at)
        pixels: Pixels | None = module.pixels(coded, self._request, box_px, padded=thumbnail)
        if pixels is not None:
            self.loader = "ffmpeg"
            self.width_px, self.height_px = heif.size(main) or (self.width_px, self.height_px)
            self.orientation = self._turn
        return pixels

    def _thumbnail(self, item: HeifItem, box_px: int) -> Pixels:
        data = b"".join(self._read(extent.offset, extent.size_bytes) for extent in item.extents)
        one = read(heif.as_file(item, data, b"heic"))
        told = None
        if self._meta is not None and heif.colour(item) == heif.Colour():
            told = heif.colour(self._meta.items[self._meta.primary])
        pixels = _pixels(one, box_px, told)
        if self._meta is not None:
            hevc_damage.check(self._meta, item.number, self._read)
        return pixels

    def _read(self, offset: int, count: int) -> bytes:
        data = self._file.read_at(offset, count)
        if self._file.error is not None:
            raise self._file.error
        return data

    def _open_library(self) -> None:
        """Have libheif read the file; what it says of size and turning then counts."""
        if self._library is not None:
            return
        self._request.check_size("a HEIC")
        one = self._library = read(self._request.source.whole())
        self.width_px, self.height_px = one.size
        if min(one.size) < 1:
            raise InvalidPicture("the header says it has no pixels")
        if not self._understood:
            # A private field, for files only that our own walk cannot read. libheif has turned
            # the pixels and leaves EXIF as it was.
            turned = getattr(one._c_image, "transformations", ((),)) != ()  # noqa: SLF001 - said above
            self.orientation = 1 if turned else _orientation(one.info.get("exif") or b"")

    def _exif_orientation(self, meta: Meta) -> int:
        """EXIF's orientation, which counts where HEIF's own is absent (photos from old iPhones)."""
        exif = meta.exif()
        if exif is None:
            return 1
        data = self._read(exif.offset, exif.size_bytes)
        # ISO/IEC 23008-12, A.2.1: how far the TIFF header is away.
        return _orientation(data[4 + int.from_bytes(data[:4], "big") :])


def open_picture(request: Request) -> Opened:
    """Read the boxes. Raises Fault when neither they nor libheif give a picture."""
    file = request.source.as_file()
    meta: Meta | None = None
    ends_early = False
    try:
        meta = heif.read(file.read_at, request.source.size_bytes)
    except DamagedError as error:
        ends_early = isinstance(error, EndsEarlyError)
    if file.error is not None:
        raise file.error
    if meta is not None and not meta.primary and meta.film:
        # An image sequence without a still, which libheif does not read, is the film it is.
        film: Opened = base.import_decoder("video", "video", request.format.mime).open_picture(
            request
        )
        return film
    try:
        return HeicPicture(request, meta, file)
    except (InvalidPicture, TruncatedPicture) as fault:
        if meta is not None and (codecs := _foreign(meta)):
            raise Unsupported(f"its pictures are coded as {codecs}") from fault
        if ends_early:
            raise TruncatedPicture("the file ends before the list of its pictures does") from fault
        raise


def _foreign(meta: Meta) -> str:
    """Name the codecs of the main picture that are neither HEVC nor a way to put parts together."""
    kinds = {item.kind for item in meta.parts(meta.primary)} - _KNOWN_KINDS
    return ", ".join(sorted(repr(kind.decode("latin-1")) for kind in kinds))


def read(data: bytes) -> Any:
    """Return the main picture of a file as pillow-heif has it, not yet decoded. Raises Fault."""
    try:
        # Asked for 8 bits of more, libheif rounds its colour differences down: half a level of
        # blue and red, and several in a dark part under a wide profile.
        opened = pillow_heif.open_heif(data, convert_hdr_to_8bit=False)
        return opened[opened.primary_index]
    except MemoryError:
        raise
    except Exception as error:  # libheif's errors come as ValueError, RuntimeError, EOFError, ...
        raise fault_of_error(error) from error


def samples_of(one: Any) -> tuple[NDArray[Any], str]:
    """Decode; return rows x columns x bands of 8 or 16 bits, and libvips' name of what they mean.

    Raises:
        Fault: libheif refuses it.
        MemoryError: there was not enough memory.
    """
    try:
        one.load()
        kind, interpretation, bands = _MODES[one.mode]
        width_px, height_px = one.size
        rows = np.frombuffer(one.data, np.uint8)[: one.stride * height_px]
        samples = rows.reshape(height_px, -1).view(kind)[:, : width_px * bands]
        if kind is np.uint16:
            # They stand in the upper bits; full is where the lower ones are set as well.
            samples = samples | samples >> np.uint16(one.info.get("bit_depth", 16))
    except MemoryError:
        raise
    except Exception as error:  # as above
        raise fault_of_error(error) from error
    return samples.reshape(height_px, width_px, bands), interpretation


def _pixels(one: Any, box_px: int, told: Colour | None = None) -> Pixels:
    """Decode; `told` is for a picture that does not say how its colours are meant."""
    image = image_of(*samples_of(one))
    if one.mode.startswith("RGBa"):
        image = image.unpremultiply().rint().cast(image.format)
    pixels = averaged(image, box_px)
    if pixels.image is image:
        pixels = Pixels(image.copy_memory())
    return colour.managed(pixels, told or colour_of(one.info))


def colour_of(info: dict[str, Any]) -> Colour:
    """Return how the colours of a picture are meant, as pillow-heif tells it."""
    numbers = info.get("nclx_profile")
    return heif.Colour(
        info.get("icc_profile") or b"",
        heif.Cicp(int(numbers["color_primaries"]), int(numbers["transfer_characteristics"]))
        if numbers
        else None,
    )


def _orientation(exif: bytes) -> int:
    return tiff.orientation(exif.removeprefix(b"Exif\0\0"))

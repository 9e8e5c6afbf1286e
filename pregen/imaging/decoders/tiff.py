"""TIFF: plain ones in C (`boxed`), by libvips what it understands, else by their sizes alone.

libtiff unpacks every compression, and libvips hands samples over that it knows nothing of: CIELab,
YCbCr, signed ones, whole numbers of 32 bits, tiles of separate planes, depths between bytes. Of
those a plain TIFF is made of the same strips (`tiff_layout`), and what comes out is given its
meaning here. What is left (JPEG of before 1995, compressions that libvips' build lacks) goes to
Pillow, which has a libtiff of its own.

A picture is stored if three quarters of its data are sound (`tiff_damage`).
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import _imaging

from pregen.imaging.containers import tiff, tiff_layout
from pregen.imaging.decoders import boxed, jpeg, pillow, tiff_damage, tiff_jpeg2000
from pregen.imaging.decoders.vips import VipsPicture, fault_of
from pregen.imaging.faults import (
    ENOUGH_ROWS,
    Fault,
    InvalidPicture,
    TruncatedPicture,
    Unsupported,
)
from pregen.imaging.pixels import colour, resample, srgb_profiles
from pregen.imaging.runtime import pyvips
from pregen.imaging.source_bytes import WHOLE_FILE_BYTES, DamagedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pregen.imaging.containers.tiff_layout import TiffLayout
    from pregen.imaging.decoders.base import Opened, Request
    from pregen.imaging.pixels.resample import Pixels, Plain
    from pregen.imaging.source_bytes import SourceBytes

_ICC: Final = 34675
_REFERENCE: Final = 532
_MAX_PROFILE_BYTES: Final = 16 * 1024 * 1024
_MAX_PAGES: Final = 1024
#: Compressions that do not care what the samples are.
_PLAIN: Final = frozenset(
    {tiff_layout.NONE, tiff_layout.LZW, tiff_layout.PACKBITS, *tiff_layout.DEFLATE}
)
_OWN: Final = frozenset({tiff_layout.YCBCR, tiff_layout.CIELAB, tiff_layout.ICCLAB})
#: Compressions that no library here unpacks, by their registered numbers.
_CODECS: Final = {
    33003: "JPEG 2000", 33005: "JPEG 2000", 34712: "JPEG 2000", 34887: "LERC", 34892: "lossy JPEG",
    34933: "PNG", 34934: "JPEG XR", 22610: "JPEG XR", 50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip
#: Samples that are unpacked together: so many bits, a byte of memory each.
_UNPACKED_BITS: Final = 1 << 24
#: What libvips calls floating point that is not RGB.
_NO_LIGHT: Final = frozenset({"b-w", "grey16", "cmyk", "multiband"})
_FULL: Final = {"uchar": 255, "ushort": 65535}


class TiffPicture(VipsPicture):
    """A TIFF whose first directory has been read."""

    def __init__(self, request: Request, layout: TiffLayout | None) -> None:
        """Read the header. Raises Fault when libvips refuses what it should know."""
        self._first = layout
        self._data: list[bytes] = []
        """Rebuilt files, which libvips reads as long as it decodes."""
        if layout is None or not _is_odd(layout):
            super().__init__(request)
            return
        self._request = request
        self.width_px, self.height_px = layout.width_px, layout.height_px
        self.orientation = layout.ifd.orientation or 1
        pages = _pages(layout)
        self.pages = pages if pages > 1 else 0
        self._levels = []
        self._main = {}

    def decode(self, box_px: int) -> Pixels | Plain:  # type: ignore[override]  # as `Opened` has it
        """See `base.Opened`. What libvips refuses, Pillow is asked for."""
        options = self._scale(box_px)
        layout = self._layout(options)
        try:
            return self._sound(layout, options, box_px)
        except (Unsupported, InvalidPicture) as fault:
            if isinstance(fault, _Damage):
                raise
            return self._by_pillow(fault, layout, box_px)

    def _sound(
        self, layout: TiffLayout | None, options: dict[str, Any], box_px: int
    ) -> Pixels | Plain:
        """Decode what has lost nothing, or not too much. Raises Fault."""
        source = self._request.source
        measured = layout is not None and tiff_damage.is_measured(layout, source)
        if layout is not None:
            _check_inside(layout, source)
            share = tiff_damage.share_before_cut(layout, source)
            _check_share(share, "bytes are missing in the middle")
            if (pixels := self._boxed(layout, box_px)) is not None:
                return pixels
        try:
            pixels = resample.into_memory(self._image(layout, options, "error"), box_px)
        except pyvips.Error as error:
            fault = fault_of(error)
            if layout is None or not measured or isinstance(fault, MemoryError):
                raise fault from error
            share = tiff_damage.share_after_error(layout, source)
            if share == 1.0:
                raise fault from error
            _check_share(share, str(fault))
            return self._rest(layout, options, box_px)
        if layout is not None and measured:
            _check_share(tiff_damage.share_of_unpacked(layout, source), "")
        return pixels

    def _boxed(self, layout: TiffLayout, box_px: int) -> Pixels | Plain | None:
        """Decode plain samples in C; None where they are left to libtiff. Raises Fault."""
        source = self._request.source
        profile = _profile(layout, source)
        if profile and layout.photometric != tiff_layout.RGB:
            return None
        averaged = boxed.tiff_picture(self._request, layout, box_px)
        if averaged is None:
            return None
        if layout.compression == tiff_layout.NONE:
            # What is packed had to be as it was written.
            _check_share(tiff_damage.share_of_unpacked(layout, source), "")
        self.loader = boxed.TIFF_LOADER
        return resample.of_averaged(averaged, b"" if srgb_profiles.is_srgb(profile) else profile)

    def _rest(self, layout: TiffLayout, options: dict[str, Any], box_px: int) -> Pixels:
        """Decode what is there. Raises Fault."""
        try:
            return resample.into_memory(self._image(layout, options, "none"), box_px)
        except pyvips.Error as error:
            raise _Damage(str(fault_of(error))) from error

    def _by_pillow(self, fault: Fault, layout: TiffLayout | None, box_px: int) -> Pixels | Plain:
        second = _ByOthers(self._request, fault, layout)
        pixels = second.decode(box_px)
        self.loader = second.loader
        self.width_px, self.height_px = second.width_px, second.height_px
        self.orientation = second.orientation
        return pixels

    def _layout(self, options: dict[str, Any]) -> TiffLayout | None:
        """Return how the picture that these options choose lies in the file, if that is told."""
        if not options or self._first is None:
            return self._first
        source = self._request.source
        try:
            ifd = tiff_layout.directory(source, options.get("page", 0), options.get("subifd", -1))
            return tiff_layout.read(source, ifd)
        except DamagedError:
            return None

    def _image(
        self, layout: TiffLayout | None, options: dict[str, Any], fail_on: str
    ) -> pyvips.Image:
        if layout is None or not _is_odd(layout):
            return _known(_inked(self._load(fail_on=fail_on, **options), layout))
        source = self._request.source
        size = sum(layout.counts[: layout.pieces])
        if layout.pieces > len(layout.offsets):
            raise _Damage("strips are missing")
        if size > source.size_bytes:
            raise _Damage("its strips lie upon one another")
        self._request.check_size("a TIFF of this kind")
        self._request.reserve(size + layout.width_px * layout.height_px * layout.samples * 2)
        self._data = []
        planes = [
            _unpacked(layout, self._plane(layout, number, fail_on))
            for number in range(layout.planes)
        ]
        return _meant(layout, planes[0].bandjoin(planes[1:]) if planes[1:] else planes[0], source)

    def _plane(self, layout: TiffLayout, number: int, fail_on: str) -> pyvips.Image:
        count = layout.across * layout.down
        pieces = range(number * count, (number + 1) * count)
        datas = [layout.stored(self._request.source, piece) for piece in pieces]
        data = layout.rebuilt(datas, layout.height_px, layout.width_px)
        self._data.append(data)
        return pyvips.Image.tiffload_buffer(data, fail_on=fail_on, access="sequential")


class _ByOthers(pillow.PillowPicture):
    """A TIFF that libvips refuses, by Pillow, or by the whole JPEG that lies in it."""

    def __init__(self, request: Request, fault: Fault, layout: TiffLayout | None) -> None:
        """Read the header. Raises what libvips said where Pillow refuses it, too."""
        self._fault = _told(fault, layout)
        self._layout = layout
        _quieten_libtiff()
        try:
            super().__init__(request)
        except Fault:
            raise self._fault from fault

    def decode(self, box_px: int) -> Pixels | Plain:  # type: ignore[override]  # as `Opened` has it
        """See `base.Opened`."""
        try:
            pixels = super().decode(box_px)
            return _in_full_range(pixels, self._layout)
        except Fault:
            if (stream := self._stream()) is None:
                raise self._fault from None
        self.loader = "turbo"
        return stream.decode(box_px)

    def _stream(self) -> Opened | None:
        """Return the JPEG that an early TIFF points to, where it is the whole picture."""
        if self._layout is None:
            return None
        at = self._layout.ifd.number(tiff.JPEG_OFFSET)
        size = min(self._layout.ifd.number(tiff.JPEG_BYTES), WHOLE_FILE_BYTES)
        data = self._request.source.read_at(at, size)
        if not data.startswith(b"\xff\xd8"):
            return None
        try:
            found = jpeg.open_embedded(self._request, data)
        except Fault:
            return None
        same = (found.width_px, found.height_px) == (self.width_px, self.height_px)
        return found if same else None


def _in_full_range(pixels: Pixels, layout: TiffLayout | None) -> Pixels:
    """Stretch greys of 9 to 15 bits (JPEG has 12), which Pillow leaves at the lower end of 16."""
    image = pixels.image
    if layout is None or not 8 < layout.bits < 16 or image.interpretation != "grey16":  # noqa: PLR2004 - bits
        return pixels
    wide = (image * (65535 / ((1 << layout.bits) - 1))).rint().cast("ushort")
    return pixels._replace(image=wide.copy(interpretation="grey16"))


class _Damage(InvalidPicture):
    """Our own count shows the loss: no other decoder is asked."""


def open_picture(request: Request) -> Opened:
    """Read the first directory. Raises Fault when no decoder can."""
    source = request.source
    if source.size_bytes <= WHOLE_FILE_BYTES:
        source.whole()
    layout = None
    try:
        layout = tiff_layout.read(source, tiff_layout.directory(source))
    except DamagedError as error:
        if tiff.ends_early(source):
            raise TruncatedPicture from error
    if layout is not None and layout.compression == tiff_layout.OLD_JPEG:
        _check_inside(layout, source)
        refusal = Unsupported("old-style JPEG (before 1995)")
        return _ByOthers(request, refusal, layout)
    if layout is not None and layout.compression in tiff_jpeg2000.COMPRESSIONS:
        _check_inside(layout, source)
        return tiff_jpeg2000.Jpeg2000Tiff(request, layout, _profile(layout, source))
    try:
        picture = TiffPicture(request, layout)
    except (InvalidPicture, Unsupported, TruncatedPicture) as fault:
        if layout is not None:
            _check_inside(layout, source)
        return _ByOthers(request, fault, layout)
    if picture.width_px < 1 or picture.height_px < 1:
        raise InvalidPicture("the header says it has no pixels")
    return picture


def _told(fault: Fault, layout: TiffLayout | None) -> Fault:
    """What to say of a file that two libraries refuse: damaged is what misses something."""
    if layout is not None and layout.compression in _CODECS:
        return Unsupported(f"TIFF with {_CODECS[layout.compression]} inside is not supported")
    if layout is None or isinstance(fault, Unsupported | TruncatedPicture):
        return fault
    return Unsupported(f"no decoder for a TIFF of this kind ({fault})")


def _check_inside(layout: TiffLayout, source: SourceBytes) -> None:
    """Raise TruncatedPicture where too much lies past the end of the file."""
    share = layout.share_inside(source.size_bytes)
    if layout.offsets and share < ENOUGH_ROWS:
        raise TruncatedPicture(f"{share:.0%} of its data are present, {ENOUGH_ROWS:.0%} needed")


def _check_share(share: float, why: str) -> None:
    """Raise InvalidPicture where too little is sound."""
    if share < ENOUGH_ROWS:
        because = f" ({why})" if why else ""
        raise _Damage(f"{share:.0%} of its data are sound, {ENOUGH_ROWS:.0%} needed{because}")


def _pages(layout: TiffLayout) -> int:
    """Count the directories that follow one another."""
    ifd, seen = layout.ifd, 1
    try:
        while ifd.next and seen < _MAX_PAGES:
            ifd = ifd.at(ifd.next)
            seen += 1
    except DamagedError:
        pass
    return seen


@functools.cache
def _quieten_libtiff() -> None:
    """Keep Pillow's libtiff from writing to the terminal, which Pillow leaves it free to do."""
    with contextlib.suppress(AttributeError, OSError):
        library = ctypes.CDLL(_imaging.__file__)
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler(None)


# Samples that libvips does not understand -----------------------------------------------------


def _is_odd(layout: TiffLayout) -> bool:
    """Tell whether the samples are given their meaning here."""
    if not layout.bits or layout.photometric not in tiff_layout.COLOURS:
        return False
    if layout.samples < tiff_layout.COLOURS[layout.photometric]:
        return False
    planes = layout.planar and bool(layout.tile_px[0])
    if layout.photometric == tiff_layout.PALETTE or layout.kind == tiff_layout.FLOAT:
        return False
    if layout.compression == tiff_layout.JPEG:
        return planes and layout.photometric in {tiff_layout.BLACK_IS_ZERO, tiff_layout.RGB}
    if layout.compression not in _PLAIN or layout.bits > 32:  # noqa: PLR2004 - bits
        return False
    whole = layout.bits in {8, 16} or (layout.samples == 1 and layout.bits in {1, 2, 4})
    return (
        planes
        or not whole
        or layout.kind == tiff_layout.SIGNED
        or layout.photometric in _OWN
        or tiff.PHOTOMETRIC not in layout.ifd
    )


def _unpacked(layout: TiffLayout, plane: pyvips.Image) -> pyvips.Image:
    """Return samples of 8 or 16 bits, in full range."""
    if layout.subsampled:
        return resample.image_of(_units(layout, plane), "multiband")
    if layout.whole_bytes:
        # A shift keeps the sign apart: whole numbers of 32 bits are read as if they had none.
        return (plane >> 16).cast("ushort") if layout.bits == 32 else plane  # noqa: PLR2004 - bits
    return resample.image_of(_depths(layout, plane.numpy()), "multiband")


def _depths(layout: TiffLayout, rows: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return samples that are no whole bytes as 16 bits, rows x columns x samples."""
    bits, samples = layout.bits, 1 if layout.planar else layout.samples
    columns = layout.tile_px[0] or layout.width_px
    rows = rows.reshape(len(rows), layout.across, layout.row_bytes)
    found = np.empty((len(rows), layout.width_px, samples), np.uint16)
    weights = 1 << np.arange(bits - 1, -1, -1, dtype=np.int64)
    scale = 65535 / ((1 << bits) - 1)
    step = max(1, _UNPACKED_BITS // (layout.across * layout.row_bytes * 8))
    for at in range(0, len(rows), step):
        part = np.unpackbits(rows[at : at + step], axis=2, count=columns * samples * bits)
        part = part.reshape(*part.shape[:2], columns * samples, bits)
        if bits > 8 and bits % 8 == 0 and layout.order == "little":  # noqa: PLR2004 - bytes
            part = part.reshape(*part.shape[:3], -1, 8)[..., ::-1, :].reshape(part.shape)
        values = (part @ weights) * scale + 0.5
        values = values.reshape(len(values), layout.across * columns, samples)
        found[at : at + step] = values[:, : layout.width_px]
    return found


def _units(layout: TiffLayout, plane: pyvips.Image) -> NDArray[np.uint8]:
    """Return YCbCr of 8 bits whose colours are shared as three samples for each pixel."""
    if layout.bits != 8:  # noqa: PLR2004 - bits
        raise Unsupported(f"YCbCr of {layout.bits} bits whose colours are shared by pixels")
    wide, high = layout.subsampling
    rows = plane.numpy()
    units = rows.reshape(len(rows), -1, wide * high + 2)
    luma = units[..., :-2].reshape(*units.shape[:2], high, wide).swapaxes(1, 2)
    shared = units[..., -2:].repeat(wide, axis=1).repeat(high, axis=0)
    whole = luma.reshape(len(rows) * high, -1, 1)
    return np.concatenate([whole, shared], axis=-1)[: layout.height_px, : layout.width_px]


def _meant(layout: TiffLayout, raw: pyvips.Image, source: SourceBytes) -> pyvips.Image:
    """Return the samples with the meaning that the directory gives them."""
    colours = tiff_layout.COLOURS[layout.photometric]
    if layout.kind == tiff_layout.SIGNED and layout.photometric not in _OWN:
        raw = raw ^ (128 if raw.format == "uchar" else 32768)
    full = _FULL[raw.format]
    alpha = None
    if layout.samples > colours and layout.extra[:1] in {
        (tiff_layout.PREMULTIPLIED,), (tiff_layout.ALPHA,)
    }:  # fmt: skip
        alpha = raw[colours]
    image = raw.extract_band(0, n=colours)
    match layout.photometric:
        case tiff_layout.YCBCR:
            image = _from_ycbcr(image, layout)
        case tiff_layout.CIELAB | tiff_layout.ICCLAB:
            image = _from_lab(image, layout)
        case tiff_layout.WHITE_IS_ZERO:
            image = (full - image).cast(raw.format)
        case _:
            pass
    deep = image.format == "ushort"
    names = {1: ("b-w", "grey16"), 3: ("srgb", "rgb16"), 4: ("cmyk", "cmyk")}
    name = names[image.bands][deep]
    if alpha is not None:
        if alpha.format != image.format:
            alpha = (alpha >> 8).cast("uchar")
        image = image.bandjoin(alpha).copy(interpretation=name)
        if layout.extra[0] == tiff_layout.PREMULTIPLIED:
            image = image.unpremultiply().rint().cast(image.format)
    image = image.copy(interpretation=name)
    if layout.photometric not in _OWN and (profile := _profile(layout, source)):
        colour.attach(image, profile)
    return _known(image)


def _from_ycbcr(image: pyvips.Image, layout: TiffLayout) -> pyvips.Image:
    """ITU-R BT.601, which TIFF takes unless told otherwise (TIFF 6.0, section 21)."""
    unit = _FULL[image.format] / 255
    low = (layout.ifd.numbers(_REFERENCE) or (0, 255, 128, 255, 128, 255))[:6:2]
    high = (layout.ifd.numbers(_REFERENCE) or (0, 255, 128, 255, 128, 255))[1:6:2]
    if len(low) < 3 or len(high) < 3 or any(a >= b for a, b in zip(low, high, strict=True)):  # noqa: PLR2004 - Y, Cb, Cr
        low, high = (0, 128, 128), (255, 255, 255)
    scales = [span / (b - a) / unit for span, a, b in zip((255, 127, 127), low, high, strict=True)]
    shifts = [-a * span / (b - a) for span, a, b in zip((255, 127, 127), low, high, strict=True)]
    signal = image.linear(scales, shifts)
    matrix = [[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]]
    return signal.recomb(pyvips.Image.new_from_array(matrix)).rint().cast("uchar")


def _from_lab(image: pyvips.Image, layout: TiffLayout) -> pyvips.Image:
    """CIELab under D50, as ICC has it, to sRGB; `a` and `b` are signed, but in ICCLab."""
    deep = image.format == "ushort"
    icc = layout.photometric == tiff_layout.ICCLAB
    unit = 256.0 if deep else 1.0
    # ICC's 16 bits have their white at 0xFF00 (ICC.1:2001, annex A); TIFF's run over all of them.
    white = 65280.0 if deep and icc else 255.0 * (257 if deep else 1)
    signed = image.extract_band(1, n=2)
    if not icc:
        signed = signed ^ (32768 if deep else 128)
    lab = (image[0] * (100 / white)).bandjoin(signed / unit - 128).cast("float")
    return lab.copy(interpretation="lab").icc_export(
        output_profile="srgb", pcs="lab", intent="relative", depth=8
    )


def _inked(image: pyvips.Image, layout: TiffLayout | None) -> pyvips.Image:
    """Take four inks for CMYK, even if a file calls them otherwise (TIFF 6.0, section 16, InkSet).

    Raises:
        Unsupported: it has others, of which no library knows the colours.
    """
    if layout is None or layout.photometric != tiff_layout.INKS:
        return image
    if layout.ifd.number(tiff.INK_SET, tiff.CMYK) == tiff.CMYK:
        return image
    if layout.samples - len(layout.extra) != tiff_layout.COLOURS[tiff_layout.INKS]:
        raise Unsupported("inks that are not CMYK")
    return image.copy(interpretation="cmyk")


def _known(image: pyvips.Image) -> pyvips.Image:
    """Bring what libvips reads and would then misunderstand into a form that it knows."""
    if image.format == "double":
        image = image.cast("float")
    bands = image.bands - bool(image.hasalpha())
    if image.format == "float" and image.interpretation in _NO_LIGHT:
        profile = image.get_typeof("icc-profile-data")
        if bands == 1 and not profile:
            # Without a profile floating point is linear light, of grey as of RGB.
            beside = [image[1]] if image.hasalpha() else []
            return image[0].bandjoin([image[0], image[0], *beside]).copy(interpretation="scrgb")
        # Its range of 0 to 1 is black, or no ink, for a program that expects 0 to 255.
        name = "grey16" if bands == 1 else "cmyk"
        image = (image * 65535).rint().cast("ushort").copy(interpretation=name)
    if image.interpretation == "cmyk" and image.format == "ushort" and image.hasalpha():
        # An alpha of inks is taken for one of 8 bits, also where they have more.
        return (image / 257).rint().cast("uchar").copy(interpretation="cmyk")
    return image


def _profile(layout: TiffLayout, source: SourceBytes) -> bytes:
    at, size = layout.ifd.place(_ICC)
    return source.read_at(at, size) if size <= _MAX_PROFILE_BYTES else b""

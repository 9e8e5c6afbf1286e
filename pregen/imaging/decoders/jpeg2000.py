"""JPEG 2000: components by OpenJPEG, at the smallest stored resolution that covers the box.

What they mean stands in the boxes around them (`containers.jp2`), and is applied here: palettes,
the order and the kinds of channels, colour spaces by number, depths, and components that have fewer
samples than the picture. Profiles go the way of every other format.

A picture is stored if three quarters of it are sound (`jpeg2000_damage`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pregen.imaging.containers import jp2
from pregen.imaging.decoders import jpeg2000_damage, openjpeg
from pregen.imaging.decoders.base import Opened, Request
from pregen.imaging.faults import InvalidPicture, TruncatedPicture, Unsupported
from pregen.imaging.pixels import colour
from pregen.imaging.pixels.resample import image_of, into_memory
from pregen.imaging.runtime import pyvips
from pregen.imaging.source_bytes import WHOLE_FILE_BYTES, DamagedError, EndsEarlyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pregen.imaging.containers.jp2 import Depth, Meaning
    from pregen.imaging.pixels.resample import Pixels

#: Satellites have a dozen; each takes as much memory as a grey picture.
_MOST_COMPONENTS: Final = 64
#: OpenJPEG holds the picture and its tile in numbers of 32 bits; what is made of them has 16.
_SAMPLE_BYTES: Final = 10
#: Colour is calculated in as many samples at once.
_SAMPLES_AT_ONCE: Final = 1 << 20
#: How many times larger than the box the resolution is that is decoded. The low-pass of JPEG 2000
#: lets pass what Lanczos does not: at once the size of the box it is 3 levels (mean) from a picture
#: that was decoded whole, at twice of it half a level.
_OVERSAMPLED: Final = 2
_YCC: Final = frozenset({jp2.SYCC, jp2.YCC_601_FULL, jp2.YCC_601, jp2.YCC_709, jp2.YCCK})
#: Red by Cr, green by Cb and Cr, blue by Cb (IEC 61966-2-1 annex F, BT.601-7, BT.709-6).
_601: Final = (1.402, -0.344136, -0.714136, 1.772)
_709: Final = (1.5748, -0.187324, -0.468124, 1.8556)
_NAMES: Final = {
    (1, False): "b-w", (1, True): "grey16", (3, False): "srgb", (3, True): "rgb16",
}  # fmt: skip
_FULL_16: Final = 65535


class Jpeg2000Picture(Opened):
    """A picture whose boxes and first markers have been read."""

    loader = "openjpeg"

    def __init__(self, request: Request, meaning: Meaning | None = None) -> None:
        """Read the header. Raises Fault when it makes no sense.

        Args:
            request: the source.
            meaning: of the samples of a codestream that lies in another container.
        """
        self._request = request
        source = request.source
        if source.size_bytes <= WHOLE_FILE_BYTES:
            source.whole()
        try:
            self._file = jp2.read(source.read_at, source.size_bytes)
        except EndsEarlyError as error:
            raise TruncatedPicture from error
        except DamagedError as error:
            raise InvalidPicture(f"its JPEG 2000 header is damaged: {error}") from error
        if meaning is not None:
            self._file = self._file._replace(meaning=meaning)
        codestream = self._file.codestream
        if len(codestream.components) > _MOST_COMPONENTS:
            raise Unsupported(f"JPEG 2000 of {len(codestream.components)} components")
        self._finest = min(
            range(len(codestream.components)), key=lambda n: codestream.components[n].step
        )
        left, top, right, bottom = codestream.extent(self._finest)
        self.width_px, self.height_px = right - left, bottom - top
        if min(self.width_px, self.height_px) < 1:
            raise InvalidPicture("the header says it has no pixels")

    def decode(self, box_px: int) -> Pixels:
        """See `base.Opened`."""
        codestream, meaning = self._file.codestream, self._file.meaning
        halvings = 0
        # Between colours of a palette there is nothing.
        while meaning.palette is None and halvings < codestream.halvings:
            left, top, right, bottom = codestream.extent(self._finest, halvings + 1)
            if max(right - left, bottom - top) < _OVERSAMPLED * box_px:
                break
            halvings += 1
        try:
            image = self._decoded(halvings)
        except openjpeg.FewerResolutions:
            # A tile may have fewer than the header says.
            halvings, image = 0, self._decoded(0)
        extent = codestream.extent(self._finest)
        return into_memory(in_place(image, halvings, extent), box_px)

    def decode_whole(self) -> pyvips.Image:
        """Return all pixels. Raises as `decode`."""
        return self._decoded(0)

    def _decoded(self, halvings: int) -> pyvips.Image:
        codestream, meaning = self._file.codestream, self._file.meaning
        pixels = (self.width_px >> halvings) * (self.height_px >> halvings)
        columns = len(meaning.palette.depths) if meaning.palette else 0
        size_bytes = pixels * (len(codestream.components) + columns) * _SAMPLE_BYTES
        self._request.reserve(size_bytes + self._request.source.size_bytes)
        planes = jpeg2000_damage.decode(self._file, self._request.source, halvings)
        return self._shown(
            [self._aligned(planes, number, halvings) for number in range(len(planes))]
        )

    def _aligned(
        self, planes: list[NDArray[np.int32]], number: int, halvings: int
    ) -> NDArray[np.int32]:
        """Give a component as many samples as the finest has, each where it is on the grid."""
        plane, codestream = planes[number], self._file.codestream
        shape = planes[self._finest].shape
        ours, finest = codestream.components[number].step, codestream.components[self._finest].step
        if ours == finest:
            return plane if plane.shape == shape else _fitted(plane, shape)
        left, top, *_ = codestream.extent(self._finest, halvings)
        own_left, own_top, *_ = codestream.extent(number, halvings)
        columns = (left + np.arange(shape[1])) * finest[0] // ours[0] - own_left
        rows = (top + np.arange(shape[0])) * finest[1] // ours[1] - own_top
        return plane[
            np.clip(rows, 0, plane.shape[0] - 1)[:, None], np.clip(columns, 0, plane.shape[1] - 1)
        ]

    def _shown(self, planes: list[NDArray[np.int32]]) -> pyvips.Image:
        meaning = self._file.meaning
        depths = [component.depth for component in self._file.codestream.components]
        channels, depths = _channels(planes, depths, meaning)
        space = self._space(len(channels))
        colours = jp2.COLOURS[space]
        order, alpha, premultiplied = _roles(meaning, len(channels), colours)
        deep = any(depths[number].bits > 8 for number in order)  # noqa: PLR2004 - bits
        make = _MAKERS.get(space, _plain)
        samples = _in_parts(
            lambda rows: make(space, meaning, [channels[n][rows] for n in order],
                              [depths[n] for n in order], deep),
            len(channels[0]), len(channels[0][0]) * colours,
        )  # fmt: skip
        deep = samples.itemsize > 1
        name = "cmyk" if space in {jp2.CMYK, jp2.YCCK} else _NAMES[samples.shape[2], deep]
        if alpha >= 0:
            most = _FULL_16 if deep else 255
            cover = _in_parts(
                lambda rows: _scaled(channels[alpha][rows], depths[alpha], most)[..., None],
                len(samples), len(samples[0]),
            )  # fmt: skip
            samples = np.concatenate([samples, cover], axis=-1)
        image = image_of(samples, name)
        if premultiplied:
            image = image.unpremultiply().cast(image.format)
        if meaning.profile:
            image = image.copy()
            colour.attach(image, meaning.profile)
        return image

    def _space(self, channels: int) -> int:
        """Return the colour space, by a guess where none is told, or one that needs more."""
        meaning = self._file.meaning
        if meaning.space >= 0 and jp2.COLOURS[meaning.space] <= channels:
            return meaning.space
        if meaning.profile:
            by_profile = {b"GRAY": jp2.GREY, b"RGB ": jp2.SRGB, b"CMYK": jp2.CMYK}
            space = by_profile.get(meaning.profile[16:20], -1)
            if space >= 0 and jp2.COLOURS[space] <= channels:
                return space
        if channels < 3:  # noqa: PLR2004 - R, G, B
            return jp2.GREY
        luma, *others = (each.step for each in self._file.codestream.components[:3])
        return jp2.SYCC if others and luma not in others else jp2.SRGB


def open_picture(request: Request) -> Jpeg2000Picture:
    """Read what stands before the coefficients. Raises Fault when it makes no sense."""
    return Jpeg2000Picture(request)


def in_place(image: pyvips.Image, halvings: int, extent: jp2.GridArea) -> pyvips.Image:
    """Shift a reduced picture to where the picture is, and have it end with its last pixel.

    Halving keeps what is at even places of the grid (15444-1, F.3), so a sample shows the left and
    upper of the pixels that it stands for; and the first and last may stand for less.

    Args:
        image: what is left of the picture after so many halvings.
        halvings: none changes nothing.
        extent: where the whole picture lies among all samples of the grid.
    """
    if not halvings:
        return image
    whole = 1 << halvings
    scales, shifts = [], []
    for begin, end, size in (
        (extent.left, extent.right, image.width), (extent.top, extent.bottom, image.height)
    ):  # fmt: skip
        scales.append(size * whole / (end - begin))
        shifts.append(0.5 - 0.5 / whole + begin / whole - -(-begin // whole))
    before, alpha = image.format, image.hasalpha()
    if alpha:
        image = image.premultiply()
    image = image.affine(
        [scales[0], 0, 0, scales[1]], interpolate=pyvips.Interpolate.new("bicubic"),
        oarea=[0, 0, image.width, image.height], extend="copy",
        idx=0.5 - shifts[0], idy=0.5 - shifts[1], odx=-0.5, ody=-0.5,
    )  # fmt: skip
    return image.unpremultiply().cast(before) if alpha else image


def _fitted(plane: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Cut a component, or repeat its last row and column."""
    rows = np.minimum(np.arange(shape[0]), plane.shape[0] - 1)
    columns = np.minimum(np.arange(shape[1]), plane.shape[1] - 1)
    found: NDArray[Any] = plane[rows[:, None], columns]
    return found


def _channels(
    planes: list[NDArray[np.int32]], depths: list[Depth], meaning: Meaning
) -> tuple[list[NDArray[np.int32]], list[Depth]]:
    """Make channels of components, by the palette where there is one (15444-1, I.5.3.5)."""
    if meaning.palette is None:
        return planes, depths
    table = np.array(meaning.palette.rows, np.int64)
    for column, depth in enumerate(meaning.palette.depths):
        if depth.signed:
            table[:, column] -= (table[:, column] >> (depth.bits - 1)) << depth.bits
    wanted = meaning.channels or tuple(
        jp2.Channel(0, column) for column in range(len(meaning.palette.depths))
    )
    found: list[NDArray[np.int32]] = []
    told: list[Depth] = []
    for component, column in wanted:
        if component >= len(planes) or column >= len(meaning.palette.depths):
            raise InvalidPicture("its palette is damaged")
        plane = planes[component]
        if column < 0:
            found.append(plane)
            told.append(depths[component])
            continue
        indices = np.clip(plane, 0, len(table) - 1)
        found.append(table[:, column].astype(np.int32)[indices])
        told.append(meaning.palette.depths[column])
    if not found:
        raise InvalidPicture("its palette is damaged")
    return found, told


def _roles(meaning: Meaning, channels: int, colours: int) -> tuple[list[int], int, bool]:
    """Return what channels are for (15444-1, I.5.3.6).

    The first are those of the colours in their order, the second is the alpha (-1: none), and the
    last whether the colours are multiplied by it.
    """
    order = list(range(colours))
    if not meaning.definitions:
        # The file does not say what one more channel is, and all programs take it for an alpha.
        return order, colours if channels == colours + 1 else -1, False
    alpha, premultiplied = -1, False
    for channel, kind, which in meaning.definitions:
        if channel >= channels:
            continue
        if kind == jp2.COLOUR and 1 <= which <= colours:
            order[which - 1] = channel
        elif kind in {jp2.OPACITY, jp2.PREMULTIPLIED} and (which == 0 or colours == 1):
            alpha, premultiplied = channel, kind == jp2.PREMULTIPLIED
    return order, alpha, premultiplied


def _in_parts(make: Callable[[slice], NDArray[Any]], rows: int, row_samples: int) -> NDArray[Any]:
    """Make samples some rows at a time: what is calculated takes many times what is stored."""
    step = max(1, _SAMPLES_AT_ONCE // row_samples)
    found = None
    for top in range(0, rows, step):
        part = make(slice(top, top + step))
        if found is None:
            found = np.empty((rows, *part.shape[1:]), part.dtype)
        found[top : top + step] = part
    assert found is not None  # noqa: S101 - there is a row
    return found


def _light(plane: NDArray[np.int32], depth: Depth) -> NDArray[np.float32]:
    """Return samples as 0 to 1."""
    least = -(1 << (depth.bits - 1)) if depth.signed else 0
    most = (1 << depth.bits) - 1
    return np.asarray(np.clip((plane - float(least)) / most, 0, 1), np.float32)


def _scaled(plane: NDArray[np.int32], depth: Depth, most: int) -> NDArray[Any]:
    """Return samples in the full range of 8 or 16 bits."""
    kind = np.uint8 if most == 255 else np.uint16  # noqa: PLR2004 - 8 bits
    if not depth.signed and most == (1 << depth.bits) - 1:
        return np.clip(plane, 0, most).astype(kind)
    least = -(1 << (depth.bits - 1)) if depth.signed else 0
    found = (plane.astype(np.float64) - least) * (most / ((1 << depth.bits) - 1))
    return np.clip(found + 0.5, 0, most).astype(kind)


def _plain(
    space: int,
    meaning: Meaning,
    planes: list[NDArray[np.int32]],
    depths: list[Depth],
    deep: bool,  # noqa: FBT001 - as all makers have it
) -> NDArray[Any]:
    """Grey, RGB and inks, as they are."""
    del meaning
    most = _FULL_16 if deep and space != jp2.CMYK else 255
    found = np.stack(
        [_scaled(plane, depth, most) for plane, depth in zip(planes, depths, strict=True)], axis=-1
    )
    inverse = space in {jp2.WHITE_IS_ZERO, jp2.CMY}
    return most - found if inverse else found


def _from_ycc(
    space: int,
    meaning: Meaning,
    planes: list[NDArray[np.int32]],
    depths: list[Depth],
    deep: bool,  # noqa: FBT001 - as all makers have it
) -> NDArray[Any]:
    """Brightness and two differences of colours to RGB; of YCCK to inks."""
    del meaning
    y, cb, cr = (_light(plane, depth) for plane, depth in zip(planes[:3], depths, strict=False))
    # In the middle of its range a difference is none: 128 of 255.
    blue, red = (
        part - (1 << (depth.bits - 1)) / ((1 << depth.bits) - 1)
        for part, depth in zip((cb, cr), depths[1:3], strict=True)
    )
    if space in {jp2.YCC_709, jp2.YCC_601}:
        y = np.asarray((y * 255 - 16) / 219, np.float32)
        blue, red = blue * np.float32(255 / 224), red * np.float32(255 / 224)
    to_red, green_blue, green_red, to_blue = _709 if space == jp2.YCC_709 else _601
    rgb = np.stack(
        [y + to_red * red, y + green_blue * blue + green_red * red, y + to_blue * blue], axis=-1
    )
    if space == jp2.YCCK:
        black = _light(planes[3], depths[3])[..., None]
        return _codes(np.concatenate([1 - np.clip(rgb, 0, 1), black], axis=-1), deep=False)
    return _codes(rgb, deep=deep)


def _from_lab(
    space: int,
    meaning: Meaning,
    planes: list[NDArray[np.int32]],
    depths: list[Depth],
    deep: bool,  # noqa: FBT001 - as all makers have it
) -> NDArray[Any]:
    """CIELab by its ranges and offsets (15444-2, M.11.7.4.1) to sRGB."""
    del space, deep
    usual = []
    for number, (span, depth) in enumerate(zip((100, 170, 200), depths, strict=True)):
        half = 1 << depth.bits >> 1
        usual += [span, (0, half, (half >> 1) + (half >> 2))[number]]
    told = meaning.lab or tuple(usual)
    lab = [
        (plane.astype(np.float64) - offset) * (span / ((1 << depth.bits) - 1))
        for plane, depth, span, offset in zip(planes, depths, told[::2], told[1::2], strict=True)
    ]
    return colour.lab_to_srgb(np.stack(lab, axis=-1))


def _codes(light: NDArray[np.float32], *, deep: bool) -> NDArray[Any]:
    most = _FULL_16 if deep else 255
    return np.asarray(np.clip(light * most + 0.5, 0, most), np.uint16 if deep else np.uint8)


_MAKERS: Final[dict[int, Any]] = {jp2.LAB: _from_lab, **dict.fromkeys(_YCC, _from_ycc)}

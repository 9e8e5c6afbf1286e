"""TIFFs whose strips or tiles are JPEG 2000: slides of microscopes, scans of archives.

libtiff knows no such compression. Each strip or tile is a codestream of its own, and is decoded
whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pregen.imaging.containers import jp2, tiff_layout
from pregen.imaging.decoders import jpeg2000
from pregen.imaging.decoders.base import Opened
from pregen.imaging.faults import ENOUGH_ROWS, Fault, InvalidPicture, Unsupported
from pregen.imaging.pixels import colour
from pregen.imaging.pixels.resample import image_of, into_memory
from pregen.imaging.source_bytes import SourceBytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pregen.imaging.containers.tiff_layout import TiffLayout
    from pregen.imaging.decoders.base import Request
    from pregen.imaging.pixels.resample import Pixels
    from pregen.imaging.runtime import pyvips

#: Of Aperio's slides (YCbCr, RGB), and the one that is registered.
_APERIO_YCC: Final = 33003
COMPRESSIONS: Final = frozenset({_APERIO_YCC, 33005, 34712})
_SPACES: Final = {
    tiff_layout.WHITE_IS_ZERO: jp2.WHITE_IS_ZERO, tiff_layout.BLACK_IS_ZERO: jp2.GREY,
    tiff_layout.RGB: jp2.SRGB, tiff_layout.INKS: jp2.CMYK, tiff_layout.YCBCR: jp2.SYCC,
}  # fmt: skip
#: Of the picture and of what is made of it.
_SAMPLE_BYTES: Final = 4


class Jpeg2000Tiff(Opened):
    """A TIFF whose first directory has been read."""

    loader = "openjpeg"

    def __init__(self, request: Request, layout: TiffLayout, profile: bytes) -> None:
        """Take what the directory tells. Raises Unsupported for samples that are not written so."""
        self._request = request
        self._layout = layout
        ycc = layout.compression == _APERIO_YCC
        space = jp2.SYCC if ycc else _SPACES.get(layout.photometric, -1)
        if layout.planar or space < 0 or jp2.COLOURS[space] > layout.samples:
            raise Unsupported("JPEG 2000 of this kind in a TIFF")
        self._profile = b"" if space == jp2.SYCC else profile
        colours = jp2.COLOURS[space]
        roles = [jp2.Definition(number, jp2.COLOUR, number + 1) for number in range(colours)]
        kinds = {tiff_layout.PREMULTIPLIED: jp2.PREMULTIPLIED, tiff_layout.ALPHA: jp2.OPACITY}
        if layout.samples > colours and layout.extra and layout.extra[0] in kinds:
            roles.append(jp2.Definition(colours, kinds[layout.extra[0]], 0))
        self._meaning = jp2.Meaning(space=space, definitions=tuple(roles))
        self.width_px, self.height_px = layout.width_px, layout.height_px
        self.orientation = layout.ifd.orientation or 1

    def decode(self, box_px: int) -> Pixels:
        """See `base.Opened`."""
        layout = self._layout
        self._request.reserve(self.width_px * self.height_px * layout.samples * _SAMPLE_BYTES)
        canvas: NDArray[Any] | None = None
        name, sound, first = "", 0, None
        for piece in range(layout.pieces):
            try:
                part = self._part(piece)
            except Fault as fault:
                first = first or fault
                continue
            samples = part.numpy().reshape(part.height, part.width, part.bands)
            if canvas is None:
                name = part.interpretation
                shape = (self.height_px, self.width_px, samples.shape[2])
                canvas = np.zeros(shape, samples.dtype)
            sound += self._lay(canvas, samples, piece)
        share = sound / (self.width_px * self.height_px)
        if canvas is None or share < ENOUGH_ROWS:
            because = f" ({first})" if first else ""
            raise InvalidPicture(
                f"{share:.0%} of its data are sound, {ENOUGH_ROWS:.0%} needed{because}"
            )
        image = image_of(canvas, name)
        if self._profile:
            colour.attach(image, self._profile)
        return into_memory(image, box_px)

    def _part(self, piece: int) -> pyvips.Image:
        """Decode a strip or tile. Raises Fault."""
        source = SourceBytes.of(self._layout.stored(self._request.source, piece))
        found = jpeg2000.Jpeg2000Picture(self._request._replace(source=source), self._meaning)
        columns = self._layout.tile_px[0] or self.width_px
        if found.width_px > columns or found.height_px > self._layout.piece_rows:
            raise InvalidPicture("a tile of it is larger than it should be")
        return found.decode_whole()

    def _lay(self, canvas: NDArray[Any], samples: NDArray[Any], piece: int) -> int:
        """Lay a strip or tile where it belongs; return how many pixels it covers."""
        row, column = divmod(piece, self._layout.across)
        top, left = row * self._layout.piece_rows, column * self._layout.tile_px[0]
        place = canvas[top : top + samples.shape[0], left : left + samples.shape[1]]
        if (place.shape[2], place.dtype) != (samples.shape[2], samples.dtype):
            return 0
        place[...] = samples[: place.shape[0], : place.shape[1]]
        return int(place.shape[0] * place.shape[1])

"""JPEGs by the preview that the camera stored in them (`--previews auto`).

Never a failure of its own: whatever is wrong with a preview, the main picture is decoded. What is
wrong with the main picture goes unnoticed where the preview will do: nobody read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pregen.imaging import colour, jpeghead, sniff
from pregen.imaging.decoders import embedded
from pregen.imaging.decoders.base import Request
from pregen.imaging.decoders.jpeg import TurboPicture, is_plain
from pregen.imaging.faults import Fault, InvalidPicture
from pregen.imaging.previews import choice, doubt, jpeg
from pregen.imaging.previews.layout import DamagedError, Source
from pregen.imaging.runtime import pyvips

if TYPE_CHECKING:
    from pregen.imaging.decoders.base import Pixels, Plain
    from pregen.imaging.jpeghead import JpegHead
    from pregen.imaging.previews.layout import Layout, Preview

#: More than this and the main picture is as cheap: a full-size "preview" of a screen-sized photo.
_WORTH: Final = 0.5


class WholePicture(TurboPicture):
    """A preview that has to be whole: there is a better picture than a salvaged one."""

    strict = True

    def _by_vips(self, data: bytes, box_px: int) -> Pixels:
        del data, box_px
        raise InvalidPicture("the preview is damaged")


class PreviewedPicture(TurboPicture):
    """A plain JPEG with at least one preview."""

    def __init__(self, request: Request, head: JpegHead, layout: Layout) -> None:
        super().__init__(request, head)
        self._layout = layout

    def decode(self, box_px: int) -> Pixels | Plain:
        """See `base.Opened`."""
        preview = choice.choose(self._layout, box_px)
        if preview is not None and preview.size_bytes < self._request.size_bytes * _WORTH:
            pixels = self._preview(preview, box_px)
            if pixels is not None:
                self.loader = "preview"
                return pixels
        if not self._head.progressive:
            self._request.whole()
        return super().decode(box_px)

    def _preview(self, preview: Preview, box_px: int) -> Pixels | Plain | None:
        """Decode a preview; None when it does not show a picture."""
        try:
            pixels = self._whole(preview).decode(box_px)
            if doubt.is_doubtful(embedded.samples_of(pixels)):
                return None
        except (Fault, ValueError, MemoryError, pyvips.Error):
            return None
        return pixels

    def _whole(self, preview: Preview) -> WholePicture:
        """Read a preview. Raises Fault when it is not ordinary, or larger than the picture."""
        if preview.long_px > max(self._head.width_px, self._head.height_px):
            raise InvalidPicture("the preview says that it is larger than the picture")
        data = embedded.read_at(self._request, preview.offset, preview.size_bytes)
        head = jpeghead.read(data)
        if head is None or not is_plain(head):
            raise InvalidPicture("the preview is no ordinary JPEG")
        request = self._request
        return WholePicture(
            Request(-1, len(data), data, sniff.JPEG, request.reserve, request.decoder), head
        )


def open_preview(request: Request, head: JpegHead) -> PreviewedPicture | None:
    """Look for previews; None where there is none that could do.

    A picture with a colour profile of its own is decoded itself: previews seldom say what their
    numbers mean, and the same numbers with another profile are other colours.
    """
    if head.profile and not (head.components == 3 and colour.is_srgb(head.profile)):  # noqa: PLR2004 - RGB
        return None
    source = Source(request.read_at, request.size_bytes, request.head)
    try:
        layout = jpeg.layout(source, request.head, head)
    except DamagedError:
        return None
    return PreviewedPicture(request, head, layout) if layout.previews else None

"""TIFF through libvips: the first page, at the smallest stored level that covers what is wanted.

Scans of slides and maps hold smaller copies of themselves, in SubIFDs (TIFF supplement 1) or as
further pages, each half as large as the one before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pregen.imaging.decoders.vips import VipsPicture, field
from pregen.imaging.faults import Fault, InvalidPicture

if TYPE_CHECKING:
    from pregen.imaging.decoders.base import Request

#: A picture of 2^31 pixels halves that often.
_MAX_LEVELS = 31
#: A pyramid has three levels at least: a page and a page of half its size may be just that.
_LEAST_LEVELS = 3


class TiffPicture(VipsPicture):
    """A TIFF whose header libvips has read."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        header = self._load(fail_on="none")
        self._levels: list[tuple[int, dict[str, int]]] = []
        """Long edge of each smaller copy in pixels, and what makes libvips open it."""
        for level in range(min(field(header, "n-subifds", 0), _MAX_LEVELS)):
            self._keep({"subifd": level})
        if not self._levels and self.pages >= _LEAST_LEVELS:
            self._look_at_pages()

    def _look_at_pages(self) -> None:
        pages = self.pages
        for page in range(1, min(pages, _MAX_LEVELS)):
            if not self._keep({"page": page}, self.width_px >> page, self.height_px >> page):
                break
        if len(self._levels) + 1 < _LEAST_LEVELS:
            self._levels.clear()
        elif len(self._levels) + 1 == pages:
            self.pages = 0

    def _keep(self, options: dict[str, int], width_px: int = 0, height_px: int = 0) -> bool:
        """Note a smaller copy, if it is one; of this size, within a pixel, if one is given."""
        try:
            header = self._load(fail_on="none", **options)
        except (Fault, MemoryError):
            return False
        if width_px and max(abs(header.width - width_px), abs(header.height - height_px)) > 1:
            return False
        # Of another shape it is another picture: a mask, a label, an overview of the slide.
        shape = header.width * self.height_px - header.height * self.width_px
        if abs(shape) > 2 * max(self.width_px, self.height_px):
            return False
        self._levels.append((max(header.width, header.height), options))
        return True

    def _scale(self, box_px: int) -> dict[str, Any]:
        covering = [level for level in self._levels if level[0] >= box_px]
        return dict(min(covering, key=lambda level: level[0])[1]) if covering else {}


def open_picture(request: Request) -> TiffPicture:
    """Read the header. Raises Fault when libvips refuses it."""
    picture = TiffPicture(request)
    if picture.width_px < 1 or picture.height_px < 1:
        raise InvalidPicture("the header says it has no pixels")
    return picture

"""PDF through PDFium: the first page on white, drawn at the size that is wanted.

A page has no pixels: it fills the box of every flavor exactly and its entries tell no
Thumb::Image::Width, as those of evince, KIO and tumbler do not.
"""

from __future__ import annotations

import math

import numpy as np
import pypdfium2
from pypdfium2 import raw

from pregen.imaging.decoders.base import Opened, Request
from pregen.imaging.faults import Fault, InvalidPicture, TruncatedPicture, Unsupported
from pregen.imaging.pixels.resample import Plain

#: Drawn at twice the box and reduced: hair lines and small type get the grey they deserve.
_OVERSAMPLING = 2
#: Proportions are told in pixels; with so many the rounding does not show at any flavor.
_LONG_PX = 16_384
#: Where a whole PDF says `startxref` (ISO 32000-1, 7.5.5): Acrobat wants it in the last kilobyte,
#: and mail gateways append some more.
_TAIL_BYTES = 4096
_NO_PAGES = "it has no drawable page"


class PdfPicture(Opened):
    """A document whose first page is open."""

    loader = "pdfium"
    scalable = True
    unsized = True
    always = True

    def __init__(self, request: Request) -> None:
        self._source = request.source
        self._file = request.source.as_file()
        try:
            self._document = pypdfium2.PdfDocument(self._file)
            self._document.init_forms()
            self.pages = len(self._document)
            self._page = self._document[0]
            width, height = self._page.get_size()
        except pypdfium2.PdfiumError as error:
            raise self._fault_of(error) from error
        self._check()
        if not (math.isfinite(width) and math.isfinite(height) and width > 0 and height > 0):
            raise InvalidPicture(_NO_PAGES)
        self._long = max(width, height)
        self.width_px = max(1, round(width / self._long * _LONG_PX))
        self.height_px = max(1, round(height / self._long * _LONG_PX))

    def decode(self, box_px: int) -> Plain:
        """See `base.Opened`."""
        try:
            bitmap = self._page.render(
                scale=_OVERSAMPLING * box_px / self._long,
                rev_byteorder=True,
                prefer_bgrx=True,
                limit_image_cache=True,
            )
        except (pypdfium2.PdfiumError, ValueError) as error:
            raise self._fault_of(error) from error
        self._check()
        samples = np.array(bitmap.to_numpy()[..., :4])
        bitmap.close()
        self._page.close()
        self._document.close()
        return Plain(samples, (samples.shape[1], samples.shape[0]))

    def _check(self) -> None:
        """Raise what PDFium would not tell: a failing disk, or a file cut off and guessed at."""
        if self._file.error is not None:
            raise self._file.error
        tail_at = max(0, self._source.size_bytes - _TAIL_BYTES)
        if b"startxref" not in self._file.read_at(tail_at, _TAIL_BYTES):
            raise TruncatedPicture("the file ends before the document does")

    def _fault_of(self, error: Exception) -> Fault:
        """What an error of PDFium's stands for."""
        code = getattr(error, "err_code", None)
        if code == raw.FPDF_ERR_PASSWORD:
            return Unsupported("encrypted: it needs a password")
        if code == raw.FPDF_ERR_SECURITY:
            return Unsupported("encrypted with a method that PDFium does not support")
        self._check()
        return InvalidPicture(
            _NO_PAGES if code == raw.FPDF_ERR_PAGE else f"PDFium cannot read it ({error})"
        )


def open_picture(request: Request) -> PdfPicture:
    """Open the document and its first page. Raises Fault when PDFium refuses it."""
    return PdfPicture(request)

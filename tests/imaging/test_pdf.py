"""PDF: the first page on white, upright, exactly as large as the flavor; refusals by their name."""

from __future__ import annotations

import pytest

from pregen.imaging import faults
from pregen.model import Flavor
from tests.support.files import broken
from tests.support.files.pdfs import pdf
from tests.support.judges.decoding import large, make

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 153, 0), (0, 0, 255), (255, 255, 255)


def test_a_page_fills_the_box_of_every_flavor_and_claims_no_pixels() -> None:
    made = make(pdf(pages=3), tuple(Flavor))
    assert (made.mime, made.loader, made.pages) == ("application/pdf", "pdfium", 3)
    assert (made.width_px, made.height_px) == (0, 0)
    for flavor, picture in made.pictures.items():
        assert picture.width_px == flavor.box_px
        assert picture.height_px == round(flavor.box_px * 2 / 3)


@pytest.mark.parametrize("box", ["0 0 60 40", "0 0 6 4", "-1000 -1000 -400 -600"])
def test_a_tiny_page_is_not_small_and_one_elsewhere_is_there(box: str) -> None:
    made = make(pdf(box=box))
    assert made.pictures[Flavor.LARGE].width_px == 256
    assert made.pictures[Flavor.LARGE].height_px == 171


def test_colours_and_corners_are_right() -> None:
    pixels = large(pdf())
    assert pixels.shape == (171, 256, 4)
    for (row, column), colour in {
        (20, 20): RED,
        (140, 20): GREEN,
        (20, 110): GREEN,
        (85, 200): BLUE,
    }.items():
        assert tuple(pixels[row, column]) == (*colour, 255)


def test_a_page_is_turned_as_it_says() -> None:
    pixels = large(pdf(extra="/Rotate 90"))
    assert pixels.shape == (256, 171, 4)
    assert tuple(pixels[20, 150, :3]) == RED
    assert tuple(pixels[200, 80, :3]) == BLUE


def test_what_a_page_crops_is_not_shown_and_the_rest_is_paper() -> None:
    pixels = large(pdf(box="0 0 1200 400", extra="/CropBox[300 0 900 400]"))
    assert pixels.shape == (171, 256, 4)
    assert tuple(pixels[85, 60, :3]) == BLUE
    assert tuple(pixels[85, 200]) == (*WHITE, 255)


@pytest.mark.parametrize("box", ["0 0 14400 1", "0 0 1 14400", "0 0 1000000 1000000"])
def test_odd_pages_take_no_more_memory_than_others(box: str) -> None:
    picture = make(pdf(box=box), (Flavor.NORMAL,)).pictures[Flavor.NORMAL]
    assert max(picture.width_px, picture.height_px) == 128
    assert min(picture.width_px, picture.height_px) >= 1


def test_a_pdf_with_a_password_is_unsupported_and_says_so() -> None:
    with pytest.raises(faults.Unsupported, match="password") as caught:
        make(pdf(encrypted=True))
    assert caught.value.mime == "application/pdf"


@pytest.mark.parametrize("share", [0.2, 0.6, 0.9])
def test_a_pdf_without_its_end_is_truncated(share: float) -> None:
    with pytest.raises(faults.TruncatedPicture, match="ends before"):
        make(broken.truncated(pdf(pages=200), share))


def test_a_pdf_of_nothing_is_invalid() -> None:
    with pytest.raises(faults.InvalidPicture):
        make(b"%PDF-1.7\n" + bytes(4000) + b"startxref\n0\n%%EOF\n")
    with pytest.raises(faults.InvalidPicture):
        make(pdf(pages=0))


def test_only_the_parts_a_page_needs_are_read() -> None:
    padded = pdf().replace(b"endobj\n", b"endobj\n%" + b"x" * 3_000_000 + b"\n", 1)
    at = padded.index(b"xref\n0")
    moved = padded[:at].replace(b"\n2 0 obj", b"\n2 0 obj")
    places = [moved.index(b"%d 0 obj" % number) for number in range(1, 5)]
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = padded[padded.index(b"trailer") : padded.index(b"startxref")]
    data = moved + b"xref\n0 5\n0000000000 65535 f \n" + table + end
    data += b"startxref\n%d\n%%%%EOF\n" % at
    made = make(data)
    assert made.pictures
    assert made.bytes_read < 400_000 < len(data)

"""Progressive JPEGs reduced to their first scans: as good as the whole, and safe with any bytes."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st

from pregen.imaging.containers import jpeg, jpeg_scans
from tests.support.files import pictures
from tests.support.files.photo import Pixels, psnr_db


def progressive(width_px: int = 1600, height_px: int = 1200, **options: object) -> bytes:
    return pictures.jpeg(width_px, height_px, seed=9, progressive=True, **options)


def eighth(data: bytes, head: jpeg.JpegHead) -> Pixels:
    pixels: Pixels = simplejpeg.decode_jpeg(
        data, "RGB", min_height=-(-head.height_px // 8), min_width=-(-head.width_px // 8)
    )
    return pixels


def read(data: bytes) -> jpeg.JpegHead:
    head = jpeg.read(data)
    assert head is not None
    return head


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("quality", [50, 85, 95])
def test_the_first_scans_decode_to_the_pixels_of_the_whole(subsampling: str, quality: int) -> None:
    data = progressive(subsampling=subsampling, quality=quality)
    head = read(data)
    assert head.progressive
    cut = jpeg_scans.reduced(data, head)
    assert len(cut) < len(data) / 2
    assert psnr_db(eighth(cut, head), eighth(data, head)) > 45


def test_without_the_unused_quantiser_the_decoder_would_smooth() -> None:
    # The reason for the zero quantiser: if this fails, the trick is not needed any more.
    data = progressive(quality=60)
    head = read(data)
    cut = bytearray(jpeg_scans.reduced(data, head))
    for marker, begin, end in jpeg.segments(bytes(cut)):
        if marker == 0xDB:
            for at in range(begin, end, 65):
                assert cut[at + 1 + 3] == 0
                cut[at + 1 + 3] = 10
    smoothed = eighth(bytes(cut), head)
    assert psnr_db(smoothed, eighth(data, head)) < psnr_db(
        eighth(jpeg_scans.reduced(data, head), head), eighth(data, head)
    )


def test_a_beginning_that_holds_the_scans_gives_the_same_as_the_whole() -> None:
    data = progressive(quality=70, subsampling="4:4:4")
    head = read(data)
    whole = jpeg_scans.reduced(data, head)
    least = next(n for n in range(head.scan_at, len(data), 97) if not _incomplete(data[:n], head))
    assert least < len(data)
    assert jpeg_scans.reduced(data[:least], head) == whole


def _incomplete(data: bytes, head: jpeg.JpegHead) -> bool:
    try:
        jpeg_scans.reduced(data, head)
    except jpeg_scans.Incomplete:
        return True
    return False


def test_a_baseline_jpeg_is_refused() -> None:
    data = pictures.jpeg(640, 480)
    with pytest.raises(ValueError, match="progressive"):
        jpeg_scans.reduced(data, read(data))


def test_a_file_cut_after_its_dc_shows_all_rows_and_one_cut_within_does_not() -> None:
    data = progressive()
    head = read(data)
    assert jpeg_scans.shows_all_rows(data[: len(data) * 9 // 10], head)
    assert not jpeg_scans.shows_all_rows(data[: head.scan_at + 300], head)


DATA = progressive(200, 150)
HEAD = jpeg.read(DATA)


@given(
    st.lists(st.tuples(st.integers(0, len(DATA) - 1), st.integers(0, 255)), max_size=12),
    st.integers(0, len(DATA)),
)
def test_damaged_files_raise_their_own_errors_only(
    changes: list[tuple[int, int]], end: int
) -> None:
    data = bytearray(DATA)
    for at, value in changes:
        data[at] = value
    damaged = bytes(data[:end])
    head = jpeg.read(damaged)
    if head is None or head.scan_at < 0:
        return
    with contextlib.suppress(jpeg_scans.Incomplete, ValueError):
        assert jpeg_scans.reduced(damaged, head).endswith(b"\xff\xd9")
    assert jpeg_scans.shows_all_rows(damaged, head) in {True, False}


@given(st.binary(max_size=300))
def test_the_head_of_arbitrary_bytes_is_read_without_an_error(tail: bytes) -> None:
    head = jpeg.read(b"\xff\xd8\xff" + tail)
    assert head is None or 1 <= head.orientation <= 8


def test_the_head_says_what_pillow_says() -> None:
    profile = b"p" * 100_000
    data = pictures.jpeg(321, 123, exif=pictures.exif(6), icc_profile=profile)
    head = read(data)
    assert (head.width_px, head.height_px, head.components) == (321, 123, 3)
    assert (head.orientation, head.profile, head.progressive) == (6, profile, False)
    assert np.array_equal(eighth(data, head).shape, (16, 41, 3))


def test_a_profile_segment_that_ends_at_its_name_is_passed_over() -> None:
    data = pictures.jpeg(64, 48)
    stub = b"\xff\xe2\x00\x0eICC_PROFILE\0"
    assert jpeg.read(b"\xff\xd8" + stub) is None
    assert read(data[:2] + stub + data[2:]).profile == b""


def test_a_scan_of_a_component_that_is_not_in_the_frame_is_refused() -> None:
    data = bytearray(progressive(200, 150))
    head = read(bytes(data))
    data[head.scan_at + 5] = 9
    with pytest.raises(ValueError, match="component"):
        jpeg_scans.reduced(bytes(data), head)

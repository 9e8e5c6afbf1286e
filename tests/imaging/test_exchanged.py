"""Formats for exchange between programs, beside what the judge's table has of them."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from pregen.imaging import faults
from tests.support.files import broken, exchanged
from tests.support.files.pictures import encode, image
from tests.support.judges.decoding import large, make

PICTURE = image(300, 200, seed=3)
GREY = PICTURE.convert("L")


def _distance(data: bytes, wanted: bytes) -> float:
    ours, theirs = large(data)[..., :3].astype(int), large(wanted)[..., :3].astype(int)
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).mean())


#: Reduced in the same way: PNG is averaged by other code.
PPM = encode(PICTURE, "PPM")
FEW_PPM = encode(PICTURE.quantize(200).convert("RGB"), "PPM")
MORE_PPM = encode(PICTURE.quantize(256).convert("RGB"), "PPM")
GREY_PPM = encode(GREY, "PPM")
FILES = {
    "image/x-dds": (encode(PICTURE, "DDS"), PPM, 0.1),
    "image/x-sgi": (encode(PICTURE, "SGI"), PPM, 0.1),
    "image/x-sun-raster": (exchanged.sun(PICTURE), PPM, 0.1),
    # Pillow writes light where a bit is ink.
    "image/x-xbitmap": (
        encode(PICTURE.convert("1"), "XBM"),
        encode(ImageOps.invert(PICTURE.convert("1").convert("L")), "PPM"),
        0.1,
    ),
    "image/x-xpixmap": (exchanged.xpm(PICTURE), FEW_PPM, 0.1),
    "image/fits": (exchanged.fits(PICTURE), GREY_PPM, 0.1),
    "image/vnd.radiance": (exchanged.radiance(PICTURE), PPM, 4),
    "image/x-portable-anymap": (exchanged.pam(PICTURE), PPM, 0.6),
    "image/x-pfm": (exchanged.pfm(PICTURE), PPM, 4),
    "video/x-flic": (exchanged.fli(PICTURE), MORE_PPM, 1),
}  # fmt: skip


@pytest.mark.parametrize("mime", FILES)
def test_the_picture_comes_out_and_tells_its_size(mime: str) -> None:
    data, wanted, levels = FILES[mime]
    made = make(data)
    assert (made.mime, made.width_px, made.height_px) == (mime, 300, 200)
    assert _distance(data, wanted) < levels
    assert make(data, max_pixels=300 * 200)
    with pytest.raises(faults.TooLarge):
        make(data, max_pixels=300 * 200 - 1)


@pytest.mark.parametrize("mime", FILES)
@pytest.mark.parametrize("share", [0.95, 0.4])
def test_three_quarters_of_the_rows_or_nothing(mime: str, share: float) -> None:
    data, wanted, levels = FILES[mime]
    cut = broken.truncated(data, share)
    if share < 0.5:
        with pytest.raises((faults.TruncatedPicture, faults.InvalidPicture)):
            make(cut)
    elif mime not in {"image/x-xbitmap", "video/x-flic"}:
        # Those two are packed in one piece.
        assert _distance(cut, wanted) < 40 + levels


def test_a_flic_has_frames_and_run_lengths_of_suns_are_read() -> None:
    assert make(exchanged.fli(PICTURE, 7)).frames == 7
    assert _distance(exchanged.sun(PICTURE, run_lengths=True), PPM) < 0.1


@pytest.mark.parametrize("order", "<>")
def test_light_of_either_byte_order(order: str) -> None:
    assert _distance(exchanged.pfm(PICTURE, order), PPM) < 4
    wild = exchanged.pfm(PICTURE, order)
    at = wild.index(b".0\n") + 3
    for value in (float("nan"), float("inf"), -5.0, 1e30):
        assert make(wild[:at] + struct.pack(f"{order}f", value) * 900 + wild[at + 3600 :]).pictures


# XPM --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "rgb"),
    [
        ("#f80", (255, 136, 0)), ("#ff8800", (255, 136, 0)), ("#FFFF88880000", (255, 136, 0)),
        ("green", (0, 255, 0)), ("Gray", (190, 190, 190)), ("grey50", (127, 127, 127)),
        ("light steel blue", (176, 196, 222)), ("firebrick", (178, 34, 34)),
        ("red3", (205, 0, 0)), ("None", (0, 0, 0)),
    ],
)  # fmt: skip
def test_colours_are_told_by_numbers_and_by_the_names_of_x11(
    told: str, rgb: tuple[int, int, int]
) -> None:
    lines = ",\n".join(
        ['"200 200 1 1"', f'"x s sky c {told} m white"', *['"' + "x" * 200 + '"'] * 200]
    )
    pixel = large(f"/* XPM */\nstatic char *a[] = {{\n{lines}}};".encode())[50, 50]
    assert tuple(pixel[:3]) == rgb
    assert pixel[3] == (0 if told == "None" else 255)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('"200 200 999999999 1"', faults.TruncatedPicture),
        ('"200 200 1 99999"', faults.InvalidPicture),
        ('"200 200 1 9"', faults.Unsupported),
        ('"200 200 1 0"', faults.Unsupported),
        ('"0 200 1 1"', faults.InvalidPicture),
        ('"999999999 999999999 1 1"', faults.TooLarge),
        ('"200 200 1 1"\n"x c nosuchcolour"', faults.Unsupported),
        ('"200 200 1 1"\n"x c #12"', faults.Unsupported),
        ('"200 200 1 1"\n"x c #ggg"', faults.InvalidPicture),
        ('"200 200 1 1"\n"x c #-1-1-1"\n' + ('"' + "x" * 200 + '"\n') * 200, faults.InvalidPicture),
        ('"200 200 1 1"\n"x"', faults.InvalidPicture),
        ('"200 200 1 1"\n"x c red"\n' + ('"' + "x" * 200 + '"\n') * 100, faults.TruncatedPicture),
        ('"200 200 1 1"\n"x c red"\n' + ('"' + "y" * 200 + '"\n') * 200, faults.InvalidPicture),
        ('"200 200 0 1"\n' + ('"' + "y" * 200 + '"\n') * 200, faults.InvalidPicture),
        ("", faults.InvalidPicture),
    ],
)
def test_lies_in_a_pixmap_end_as_the_files_fault(text: str, fault: type[faults.Fault]) -> None:
    with pytest.raises(fault):
        make(b"/* XPM */\n" + text.encode())


# FITS -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["i2", "i4", "i8", "f4", "f8"])
@pytest.mark.parametrize("empty_first", [False, True])
def test_numbers_of_any_kind_are_stretched(kind: str, empty_first: bool) -> None:  # noqa: FBT001 - a parameter
    samples = (np.asarray(GREY, np.float64) * 37 - 4000).astype(kind)
    assert _distance(exchanged.fits(samples, empty_first=empty_first), GREY_PPM) < 12


def test_three_planes_are_colours_and_stars_do_not_darken_the_rest() -> None:
    planes = np.moveaxis(np.asarray(PICTURE, np.float32), -1, 0)
    assert _distance(exchanged.fits(planes), PPM) < 12
    samples = np.asarray(GREY, np.float32)
    samples[5, 5:12] = 1e9
    samples[9, 5:12] = np.nan
    assert _distance(exchanged.fits(samples), GREY_PPM) < 14
    # Damaged ones may be NaNs that signal: numpy warns when these are converted.
    signalling = bytearray(exchanged.fits(samples))
    at = signalling.index(b"\x7f\xc0\x00\x00", 2880)
    signalling[at : at + 4] = b"\x7f\x80\x00\x01"
    assert _distance(bytes(signalling), GREY_PPM) < 14


def _card(old: str, new: str) -> bytes:
    data = exchanged.fits(GREY)
    assert old.encode() in data
    return data.replace(old.encode().ljust(80), new.encode().ljust(80), 1)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("NAXIS   =                    2", "NAXIS   =                    1", faults.NotPicture),
        ("NAXIS   =                    2", "NAXIS   =                   -2", faults.NotPicture),
        (
            "NAXIS2  =                  200",
            "NAXIS2  =            999999999",
            faults.TruncatedPicture,
        ),
        ("NAXIS2  =                  200", "NAXIS2  =                    0", faults.NotPicture),
        ("NAXIS2  =                  200", f"NAXIS2  = {'9' * 60}", faults.NotPicture),
        ("BITPIX  =                    8", "BITPIX  =                    7", faults.InvalidPicture),
        ("END", "COMMENT", faults.InvalidPicture),
    ],
)
def test_lies_in_a_fits_end_as_the_files_fault(
    old: str, new: str, fault: type[faults.Fault]
) -> None:
    with pytest.raises(fault):
        make(_card(old, new), max_pixels=1 << 60)


# Others -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "fault"),
    [
        (b"PF\n999999999 999999999\n-1.0\n", faults.TooLarge),
        (b"PF\n0 9\n-1.0\n", faults.InvalidPicture),
        (b"P7\nWIDTH 999999999\nHEIGHT 999999999\nDEPTH 3\nMAXVAL 255\nENDHDR\n", faults.TooLarge),
        (b"P7\nWIDTH 300\nHEIGHT 200\nDEPTH 9\nMAXVAL 255\nENDHDR\n", faults.Unsupported),
        (b"P7\nWIDTH 300\nHEIGHT 200\nDEPTH 3\nMAXVAL 0\nENDHDR\n", faults.InvalidPicture),
        (b"P7\nWIDTH 300\nHEIGHT 200\nENDHDR\n", faults.InvalidPicture),
        (b"P7\nWIDTH 300\nHEIGHT 200\nDEPTH 3\nMAXVAL 255\nENDHDR\nxx", faults.TruncatedPicture),
        (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 99999999 +X 99999999\n", faults.TooLarge),
        (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 0 +X 9\n", faults.InvalidPicture),
        (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n+X 200 -Y 200\n", faults.Unsupported),
        (b"#?RADIANCE\nFORMAT=32-bit_rle_xyze\n\n-Y 200 +X 200\n", faults.Unsupported),
        (b"#?RADIANCE\n\n-Y 200 +X 200\n\2\2\0\xc8\0\0\0", faults.TruncatedPicture),
        (b"DDS " + bytes(200), faults.InvalidPicture),
        (exchanged.sun(PICTURE)[:4] + b"\x00\x0f\xff\xff" * 2 + bytes(100), faults.InvalidPicture),
        (b"\x01\xda\0\1\0\3" + b"\xff\xff" * 2 + b"\0\3" + bytes(600), faults.TooLarge),
    ],
)  # fmt: skip
def test_lies_in_headers_end_as_the_files_fault(head: bytes, fault: type[faults.Fault]) -> None:
    with pytest.raises(fault):
        make(head)


@pytest.mark.parametrize(("first", "second"), ["-+", "--", "+-", "++"])
def test_rows_of_a_radiance_picture_may_run_any_way(first: str, second: str) -> None:
    pixels = np.asarray(PICTURE)
    pixels = pixels[::-1] if first == "+" else pixels
    pixels = pixels[:, ::-1] if second == "-" else pixels
    data = exchanged.radiance(Image.fromarray(np.ascontiguousarray(pixels)))
    turned = data.replace(b"-Y 200 +X 300", f"{first}Y 200 {second}X 300".encode())
    assert _distance(turned, PPM) < 4


@pytest.mark.parametrize(("bits", "masks"), [
    (24, (0xFF0000, 0xFF00, 0xFF)), (32, (0xFF, 0xFF00, 0xFF0000)), (16, (0xF800, 0x7E0, 0x1F)),
])  # fmt: skip
def test_textures_under_masks_of_any_kind(bits: int, masks: tuple[int, ...]) -> None:
    rgb = np.asarray(PICTURE, np.uint32)
    values = np.zeros(rgb.shape[:2], np.uint32)
    for band, mask in enumerate(masks):
        low = (mask & -mask).bit_length() - 1
        values |= (rgb[..., band] * (mask >> low) // 255) << low
    rows = values.astype("<u4").view(np.uint8).reshape(200, 300, 4)[..., : bits // 8]
    head = b"DDS " + struct.pack("<7I44x", 124, 0x1007, 200, 300, 300 * bits // 8, 0, 0)
    head += struct.pack("<2I4x5I", 32, 0x40, bits, *masks, 0) + struct.pack(
        "<5I", 0x1000, 0, 0, 0, 0
    )
    assert _distance(head + rows.tobytes(), PPM) < (5 if bits == 16 else 0.1)


def test_a_texture_with_a_palette_keeps_its_transparency() -> None:
    colours = np.arange(1024, dtype=np.uint8).reshape(256, 4)
    indices = np.tile(np.arange(256, dtype=np.uint8), (200, 1))
    head = b"DDS " + struct.pack("<7I44x", 124, 0x1007, 200, 256, 256, 0, 0)
    head += struct.pack("<2I4x5I", 32, 0x20, 8, 0, 0, 0, 0) + struct.pack("<5I", 0x1000, 0, 0, 0, 0)
    found = large(head + colours.tobytes() + indices.tobytes())
    assert np.array_equal(found, np.broadcast_to(colours, (200, 256, 4)))

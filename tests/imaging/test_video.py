"""Video: the right frame, upright, in its shape and colours; little is read; true refusals."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pregen.imaging import faults
from pregen.imaging.decoders.video import Film
from pregen.model import Flavor
from tests.support.files import broken, films
from tests.support.files.films import Look, film, flat
from tests.support.files.photo import photo, psnr_db
from tests.support.judges.decoding import large, make

PICTURES = [photo(480, 270, seed) for seed in range(12)]
#: A corner that shows which way up a picture is.
CORNER = flat((20, 60, 200), 480, 270)
CORNER[:90, :120] = (220, 30, 30)
CORNER[200:, 400:] = (240, 240, 240)


@pytest.mark.parametrize(
    ("container", "codec", "mime", "pix_fmt"),
    [
        ("mp4", "libx264", "video/mp4", "yuv420p"),
        ("mov", "mjpeg", "video/quicktime", "yuvj420p"),
        ("matroska", "libx265", "video/x-matroska", "yuv420p10le"),
        ("webm", "libvpx", "video/webm", "yuv420p"),
        ("avi", "mpeg4", "video/vnd.avi", "yuv420p"),
        ("mpegts", "libx264", "video/mp2t", "yuv420p"),
        ("flv", "flv1", "video/x-flv", "yuv420p"),
        ("3gp", "mpeg4", "video/3gpp", "yuv420p"),
        ("mov", "qtrle", "video/quicktime", "rgb24"),
    ],
)
def test_every_container_gives_a_keyframe_and_its_facts(
    container: str, codec: str, mime: str, pix_fmt: str
) -> None:
    made = make(film(PICTURES, container, codec, Look(pix_fmt)))
    assert (made.mime, made.loader) == (mime, "ffmpeg")
    assert (made.width_px, made.height_px) == (480, 270)
    assert made.movie_length_s == 1
    picture = made.pictures[Flavor.LARGE]
    assert (picture.width_px, picture.height_px) == (256, 144)


def test_a_film_that_begins_in_black_shows_what_comes_after() -> None:
    dark = [flat((0, 0, 0), 480, 270)] * 10
    pixels = large(film([*dark, *PICTURES * 3]))
    assert pixels[..., :3].std() > 20


@pytest.mark.parametrize("gop", [5, 1000])
def test_a_clip_that_fades_in_from_white_shows_what_is_to_be_seen(gop: int) -> None:
    shares = np.clip(np.linspace(-0.5, 1.5, 60), 0, 1)
    fading = [
        (255 - (255 - PICTURES[0].astype(float)) * share).astype(np.uint8) for share in shares
    ]
    assert large(film(fading, gop=gop))[..., :3].std() > 20


def test_a_film_with_nothing_to_see_is_a_picture_all_the_same() -> None:
    pixels = large(film([flat((200, 200, 200))] * 8))
    assert np.abs(pixels[..., :3].astype(int) - 200).max() <= 3


@pytest.mark.parametrize(
    ("turn", "corner"),
    [
        (lambda stream: stream.set_display_rotation(-90), (0, -1)),
        (lambda stream: stream.set_display_rotation(90), (-1, 0)),
        (lambda stream: stream.set_display_rotation(180), (-1, -1)),
        (lambda stream: stream.set_display_rotation(0, hflip=True), (0, -1)),
        (lambda stream: stream.set_display_rotation(0, vflip=True), (-1, 0)),
    ],
)
def test_a_film_is_turned_as_its_matrix_says(turn: Any, corner: tuple[int, int]) -> None:
    data = film([CORNER] * 6, turn=turn)
    made = make(data)
    pixels = large(data)
    quarter = made.width_px < made.height_px
    assert (made.width_px, made.height_px) == ((270, 480) if quarter else (480, 270))
    row, column = (each * 20 + (10 if each == 0 else 0) for each in corner)
    assert np.abs(pixels[row, column, :3].astype(int) - (220, 30, 30)).max() < 40


@pytest.mark.parametrize(
    ("aspect", "size"),
    [(Fraction(4, 3), (640, 270)), (Fraction(1, 2), (480, 540)), (Fraction(500), (480, 270))],
)
def test_pixels_that_are_not_square_are_made_so(aspect: Fraction, size: tuple[int, int]) -> None:
    made = make(film(PICTURES[:6], look=Look(aspect=aspect)))
    assert (made.width_px, made.height_px) == size


COLOURS = [(200, 40, 40), (40, 180, 60), (30, 60, 200), (235, 235, 235), (16, 16, 16)]


@pytest.mark.parametrize(
    "look",
    [
        Look(matrix=1),
        Look(matrix=6),
        Look(matrix=9),
        Look(matrix=1, full_range=True),
        Look("yuv420p10le", matrix=9),
        Look("yuv422p", matrix=6),
        Look(matrix=6, told_matrix=2),
    ],
    ids=str,
)
def test_colours_survive_every_matrix_and_range(look: Look) -> None:
    bars = np.hstack([flat(colour, 80, 240) for colour in COLOURS])
    pixels = large(film([bars] * 6, look=look))[..., :3].astype(int)
    for number, colour in enumerate(COLOURS):
        middle = pixels[pixels.shape[0] // 2, int((number + 0.5) * pixels.shape[1] / 5)]
        assert np.abs(middle - colour).max() <= 9, colour


def test_unlabelled_hd_is_taken_for_bt_709() -> None:
    look = Look(matrix=1, told_matrix=2)
    pixels = large(film([flat((200, 40, 40), 1280, 720)] * 2, look=look))[..., :3].astype(int)
    assert np.abs(pixels[70, 100] - (200, 40, 40)).max() <= 9


@pytest.mark.parametrize(("transfer", "signal"), [(16, 0.58), (18, 0.75)])
def test_diffuse_white_of_hdr_is_bright_and_grey_stays_grey(transfer: int, signal: float) -> None:
    look = Look("yuv420p10le", matrix=9, transfer=transfer)
    level = round(signal * 255)
    pixels = large(film([flat((level, level, level))] * 4, "mp4", "libx265", look))[..., :3]
    assert pixels.min() > 215
    assert np.ptp(pixels.reshape(-1, 3), axis=1).max() <= 4


def test_little_of_a_long_film_is_read() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (200, 270, 480, 3), np.uint8)
    data = film(noise, gop=10)
    made = make(data)
    assert made.movie_length_s == 20
    assert len(data) > 8_000_000
    assert made.bytes_read < 600_000


def test_sound_alone_is_no_picture() -> None:
    for container in ("mp4", "matroska"):
        with pytest.raises(faults.NotPicture, match="sound"):
            make(films.sound_only(container))


def test_a_film_with_sound_is_a_film() -> None:
    assert make(film(PICTURES, sound=True)).pictures


@pytest.mark.parametrize("container", ["mp4", "matroska", "avi"])
def test_the_beginning_of_a_film_without_any_picture_is_truncated(container: str) -> None:
    codec = "mpeg4" if container == "avi" else "libx264"
    data = film([np.tile(picture, (2, 2, 1)) for picture in PICTURES], container, codec)
    keyframe = 8000 if container != "mp4" else len(data) // 2
    with pytest.raises(faults.TruncatedPicture, match="ends before"):
        make(data[:keyframe])


def test_most_of_a_film_shows_its_picture() -> None:
    whole = film(PICTURES * 4, "matroska")
    cut = make(broken.truncated(whole, 0.7))
    assert cut.pictures


def test_a_film_of_junk_is_invalid() -> None:
    with pytest.raises(faults.InvalidPicture):
        make(broken.magic_only()["clip.mp4"])
    data = bytearray(film(PICTURES, "mpegts"))
    for at in range(0, len(data), 188):
        data[at + 4 : at + 188] = bytes(184)
    with pytest.raises(faults.InvalidPicture):
        make(bytes(data))


def test_a_small_film_gets_its_entry_as_it_is() -> None:
    made = make(film([photo(96, 64, seed) for seed in range(6)]))
    picture = made.pictures[Flavor.NORMAL]
    assert (picture.width_px, picture.height_px) == (96, 64)


def test_a_film_of_too_many_pixels_is_never_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Film, "_telling_frame", lambda _: pytest.fail("decoded"))
    with pytest.raises(faults.TooLarge):
        make(film(PICTURES[:3]), max_pixels=480 * 270 - 1)


def test_a_keyframe_is_as_faithful_as_its_codec() -> None:
    pixels = large(film([PICTURES[0]] * 6, look=Look("yuv444p")))[..., :3]
    wanted = Image.fromarray(PICTURES[0]).resize((256, 144), Image.Resampling.LANCZOS)
    assert psnr_db(pixels, wanted) > 30


def test_a_frame_has_the_same_pixels_each_time() -> None:
    # What makes colours of a row of this width writes beyond its end. Threads that share the rows
    # spoil the first pixels of each other's, once in eight times.
    data = film([photo(568, 320, 1)] * 6)
    made = [make(data, (Flavor.XX_LARGE,)).pictures[Flavor.XX_LARGE].idat for _ in range(60)]
    assert len(set(made)) == 1

"""Names that spare a look at the content, and the many that must not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.walk.filters import NOT_PICTURES, PRUNED, cannot_be_picture, in_named_cache

#: Every ending under which the formats pregen or one of its extras decodes are found.
PICTURES = (
    "jpg jpeg jpe jfif jif mpo thm png apng webp tif tiff gif svg svgz avif jp2 j2k jpf jpx jpm"
    " bmp dib ico cur tga icb vda vst pcx ppm pgm pbm pnm pfm psd heic heif hif heics jxl pdf ai"
    " dng nef nrw cr2 cr3 crw arw srf sr2 orf raf rw2 rwl raw pef ptx srw x3f 3fr fff iiq mef mos"
    " dds icns sgi rgb bw ras sun xbm xpm fits fit pam fli flc hdr odt ods odp odg ott kra ora epub"
    " cbz docx docm xlsx pptx 3mf gcode blend mp3 flac ogg oga opus m4a m4b wma mka"
    " erf kdc dcr mrw gpr mp4 m4v mov avi mkv webm 3gp mts m2ts ts mpg mpeg wmv flv lrv insv"
)


@pytest.mark.parametrize("name", [b"a.txt", b"IMG_1.JPG.XMP", b".py", b"a b.Wav", b"x.tar.gz"])
def test_what_cannot_be_a_picture_is_passed_over(name: bytes) -> None:
    assert cannot_be_picture(name)


@pytest.mark.parametrize(
    "name", [b"txt", b"a", b"a.", b".", b"zip", b"a.txt~", b"a.jpg", b"IMG_1.THM", b"x.txt.orig"]
)
def test_everything_else_is_looked_into(name: bytes) -> None:
    assert not cannot_be_picture(name)


@pytest.mark.parametrize("ending", PICTURES.split())
def test_no_picture_clip_or_document_with_a_preview_is_passed_over(ending: str) -> None:
    assert not cannot_be_picture(f"a.{ending}".encode())
    assert not cannot_be_picture(f"a.{ending.upper()}".encode())


def test_the_endings_are_written_as_they_are_looked_up() -> None:
    assert all(word.startswith(b".") and word == word.lower() for word in NOT_PICTURES)
    assert all(word.count(b".") == 1 for word in NOT_PICTURES)


@given(st.binary(max_size=20))
def test_any_name_has_an_answer(name: bytes) -> None:
    assert cannot_be_picture(name) == any(name.lower().endswith(ending) for ending in NOT_PICTURES)


@pytest.mark.parametrize(
    "path",
    [
        b"/home/me/.thumbnails",
        b"/home/me/.thumbnails/normal/x.png",
        b"/srv/photos/.sh_thumbnails/large",
        b"/srv/.thumblocal/a",
        b"/home/me/.cache/thumbnails",
        b"/home/me/.cache/thumbnails/large/x.png",
        b"/home/me/.var/app/org.gnome.Loupe/cache/thumbnails/large",
    ],
)
def test_caches_are_known_by_their_names(path: bytes) -> None:
    assert in_named_cache(path)


@pytest.mark.parametrize(
    "path",
    [
        b"/home/me/thumbnails",
        b"/srv/web/cache/thumbnails/large",
        b"/home/me/.cache/thumbnails2",
        b"/home/me/x.thumbnails/a",
        b"/home/me/.cache/x/thumbnails",
        b"/",
    ],
)
def test_other_folders_are_not_taken_for_caches(path: bytes) -> None:
    assert not in_named_cache(path)


def test_the_folders_never_entered_cannot_look_like_photo_folders() -> None:
    assert all(name.startswith((b".", b"@")) for name in PRUNED)

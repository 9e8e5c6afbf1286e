"""What becomes of documents and films: four ways to come to nothing, each with its own words."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from pregen.imaging import sniff
from tests.support.faults.missing_extras import without
from tests.support.files import broken, films, foreign_entries, pdfs, sound_files, stored
from tests.support.files.photo import photo
from tests.support.files.pictures import animation, encode, image, jpeg, put
from tests.support.judges import png_walk
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    paper = pdfs.pdf(pages=50)
    put(folder / "whole.pdf", paper)
    put(folder / "cut.pdf", broken.truncated(paper, 0.5))
    put(folder / "locked.pdf", pdfs.pdf(encrypted=True))
    put(folder / "junk.pdf", b"%PDF-1.7\n" + bytes(3000) + b"startxref\n0\n%%EOF\n")
    put(folder / "clip.mkv", films.film([photo(320, 180, n) for n in range(4)], "matroska"))
    put(folder / "voice.mkv", films.sound_only("matroska"))
    return folder


def test_the_four_ways_to_come_to_nothing_have_words_of_their_own(
    folder: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    bare = without(tmp_path, ["video"])
    done = run_pregen("run", "--json", folder, cache=cache, env=bare)
    assert done.code == 3
    assert done.kinds() == {
        "whole.pdf": "made",
        "cut.pdf": "truncated",
        "locked.pdf": "unsupported",
        "junk.pdf": "invalid",
        "clip.mkv": "needs-extra",
        "voice.mkv": "needs-extra",
    }
    said = {os.path.basename(path): record["message"] for path, record in done.outcomes.items()}
    assert "ends before the document" in said[b"cut.pdf"]
    assert "password" in said[b"locked.pdf"]
    assert "PDFium cannot read it" in said[b"junk.pdf"]
    assert said[b"clip.mkv"] == "needs pregen[video]"
    assert re.search(r"--with video|\[video\]", done.summary["install"])
    assert len(list((cache / "thumbnails").glob("fail/*/*.png"))) == 2  # cut and junk
    told = run_pregen("run", folder, cache=tmp_path / "other", env=bare)
    assert "Needs an extra: 2 video\n  install with: " in told.out
    assert "Unsupported: 1 application/pdf\n" in told.out
    assert "Truncated (1)" in told.out
    assert "Invalid (1)" in told.out


def test_once_the_extra_is_there_only_what_waited_is_looked_at(
    folder: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    run_pregen("run", folder, cache=cache, env=without(tmp_path, ["video"]))
    before = foreign_entries.identities(cache)
    done = run_pregen("run", "--json", "-v", folder, cache=cache)
    kinds = done.kinds()
    assert kinds["clip.mkv"] == "made"
    assert kinds["voice.mkv"] == "not-a-picture"
    assert kinds["whole.pdf"] == "fresh"
    assert kinds["cut.pdf"] == kinds["junk.pdf"] == "failed-before"
    assert done.summary["install"] is None
    after = foreign_entries.identities(cache)
    assert {path: after[path] for path in before} == before
    again = run_pregen("run", "--json", "-v", folder, cache=cache)
    assert again.summary["jobs"] == 1  # the locked one: another version may read it
    assert again.kinds()["voice.mkv"] == "not-a-picture"


def test_entries_tell_pages_and_length(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    moving = put(folder / "a.gif", animation("GIF"))
    run_pregen("run", folder, cache=cache)
    paper = foreign_entries.read(cache, "large", folder / "whole.pdf")
    assert paper.text("Thumb::Document::Pages") == "50"
    assert paper.text("Thumb::Mimetype") == sniff.PDF.mime
    assert paper.image.size == (256, 171)
    keys = [text.key for text in png_walk.texts(paper.data)]
    assert "Thumb::Image::Width" not in keys
    film = foreign_entries.read(cache, "large", folder / "clip.mkv")
    assert film.text("Thumb::Movie::Length") == "1"
    assert film.original_size == (320, 180)
    assert foreign_entries.read(cache, "large", moving).text("X-Pregen::Frames") == "3"


def test_documents_and_songs_without_a_picture_are_no_failures_and_asked_once(
    tmp_path: Path,
) -> None:
    cover, thumbnail = jpeg(300, 200), encode(image(200, 256), "PNG")
    home = tmp_path / "home"
    files = {
        "letter.odt": stored.document(("Thumbnails/thumbnail.png", thumbnail)),
        "song.mp3": stored.song("mp3", "libmp3lame", cover),
        "book.epub": stored.book(cover),
        "scene.blend": stored.blend(image(128, 128), packed="zstd"),
        "plain.odt": stored.document(),
        "plain.docx": stored.package(None),
        "plain.mp3": stored.song("mp3", "libmp3lame"),
        "plain.blend": stored.blend(None, packed="gzip"),
    }
    for name, data in files.items():
        put(home / name, data)
    cache = tmp_path / "cache"
    done = run_pregen("run", "--json", "-v", home, cache=cache)
    assert done.code == 0
    plain = {name for name in files if name.startswith("plain.")}
    assert done.kinds() == {name: "not-a-picture" if name in plain else "made" for name in files}
    entry = foreign_entries.read(cache, "large", home / "letter.odt")
    assert entry.image.size == (200, 256)
    assert entry.text("Thumb::Mimetype") == "application/vnd.oasis.opendocument.text"
    assert "Thumb::Image::Width" not in [text.key for text in png_walk.texts(entry.data)]
    assert not list((cache / "thumbnails").glob("fail/*/*.png"))
    again = run_pregen("run", "--json", "-v", home, cache=cache)
    assert (again.code, again.summary["jobs"]) == (0, 0)


def test_every_format_is_read_through_a_link_that_leads_out_of_the_folders(tmp_path: Path) -> None:
    """A worker may not open what lies outside: it is handed the open file."""
    folder, outside = tmp_path / "photos", tmp_path / "elsewhere"
    folder.mkdir()
    for name, files in sound_files.by_format(with_corpus=False).items():
        for number, data in enumerate(files):
            put(outside / f"{name}-{number}.{name}", data)
            (folder / f"{name}-{number}.{name}").symlink_to(outside / f"{name}-{number}.{name}")
    direct, linked = (
        run_pregen("run", "--json", "-v", "--no-reuse", each, cache=tmp_path / f"{each.name}-cache")
        for each in (outside, folder)
    )
    assert len(linked.kinds()) > 100
    assert linked.kinds() == direct.kinds()

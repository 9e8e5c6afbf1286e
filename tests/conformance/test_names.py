"""File names of every kind get the key and the URI the desktops look for."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.files import foreign_entries
from tests.support.files.pictures import jpeg, put
from tests.support.judges import cosmic_rules, desktops
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from tests.support.running.program import Finished

#: What each name becomes in GLib's URI, written out by hand.
NAMES: dict[bytes, str] = {
    b"with space.jpg": "with%20space.jpg",
    b"semi;colon.jpg": "semi%3Bcolon.jpg",
    b"copy [1].jpg": "copy%20%5B1%5D.jpg",
    b"scan.jpg[1]": "scan.jpg%5B1%5D",
    b"no #1.jpg": "no%20%231.jpg",
    b"already%41.jpg": "already%2541.jpg",
    b"really?.jpg": "really%3F.jpg",
    b"two\nlines.jpg": "two%0Alines.jpg",
    b"-rf.jpg": "-rf.jpg",
    b"--help": "--help",
    b"n" * 251 + b".jpg": "n" * 251 + ".jpg",
    b"caf\xe9.jpg": "caf%E9.jpg",
    "café.jpg".encode(): "caf%C3%A9.jpg",
    "cafe\u0301.jpg".encode(): "cafe%CC%81.jpg",
    "😀.jpg".encode(): "%F0%9F%98%80.jpg",
    b"a!b$c&d'e(f)g*h+i,j:k=l@m~.jpg": "a!b$c&d'e(f)g*h+i,j:k=l@m~.jpg",
    b'quote"back\\slash^tick`{pipe|}<.jpg': "quote%22back%5Cslash%5Etick%60%7Bpipe%7C%7D%3C.jpg",
    b"tab\tbell\x07del\x7f.jpg": "tab%09bell%07del%7F.jpg",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("names") / "album"
    folder.mkdir()
    data = jpeg(400, 300)
    for name in NAMES:
        Path(os.fsdecode(bytes(folder) + b"/" + name)).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def cache(folder: Path) -> Path:
    cache = folder.parent / "cache"
    run = run_pregen("run", "--json", folder, cache=cache)
    assert run.code == 0, run
    assert run.summary["kinds"] == {"made": len(NAMES)}
    assert set(run.outcomes) == {path_of(folder, name) for name in NAMES}
    return cache


def path_of(folder: Path, name: bytes) -> bytes:
    return bytes(folder) + b"/" + name


@pytest.mark.parametrize("name", NAMES)
def test_a_name_gets_the_uri_and_the_key_of_glib(folder: Path, cache: Path, name: bytes) -> None:
    uri = f"file://{folder}/{NAMES[name]}"
    key = hashlib.md5(uri.encode(), usedforsecurity=False).hexdigest()
    for flavor in ("normal", "large"):
        path = cache / "thumbnails" / flavor / f"{key}.png"
        assert foreign_entries.Entry(path, path.read_bytes()).text("Thumb::URI") == uri


@needs(Capability.GIO)
@pytest.mark.desktop
def test_gio_accepts_every_name(folder: Path, cache: Path) -> None:
    answers = desktops.gio(cache, [path_of(folder, name) for name in NAMES])
    for name, answer in zip(NAMES, answers, strict=True):
        assert answer.valid, name
        assert answer.uri == f"file://{folder}/{NAMES[name]}"


@needs(Capability.TUMBLER)
@pytest.mark.desktop
@pytest.mark.xdist_group("tumbler")
def test_tumbler_accepts_every_name(folder: Path, cache: Path) -> None:
    answers = desktops.tumbler(cache, "normal", [path_of(folder, name) for name in NAMES])
    assert all(answer.untouched for answer in answers)


@pytest.mark.parametrize(
    ("name", "qt_name"),
    [
        (b"semi;colon.jpg", "semi;colon.jpg"),
        (b"copy [1].jpg", "copy%20[1].jpg"),
        (b"scan.jpg[1]", "scan.jpg[1]"),
    ],
)
def test_a_name_that_qt_spells_otherwise_gets_a_second_entry(
    folder: Path, cache: Path, name: bytes, qt_name: str
) -> None:
    uri = f"file://{folder}/{qt_name}"
    for flavor in ("normal", "large"):
        other = desktops.entry_path(cache, flavor, uri)
        second = foreign_entries.Entry(other, other.read_bytes())
        assert second.text("Thumb::URI") == uri
        first = foreign_entries.read(cache, flavor, path_of(folder, name))
        assert second.text("Thumb::MTime") == first.text("Thumb::MTime")
        assert second.image.tobytes() == first.image.tobytes()


def test_no_name_got_more_entries_than_it_has_spellings(cache: Path) -> None:
    names = list((cache / "thumbnails" / "normal").iterdir())
    assert len(names) == len(NAMES) + 3


def test_a_second_run_finds_every_entry_of_every_spelling(folder: Path, cache: Path) -> None:
    before = foreign_entries.identities(cache)
    again = run_pregen("run", "--json", folder, cache=cache)
    assert again.summary["kinds"] == {"fresh": len(NAMES)}
    assert foreign_entries.identities(cache) == before


def made_uri(run: Finished, cache: Path) -> str:
    """Return the URI of the one entry a run made."""
    assert run.code == 0, run
    (path,) = (cache / "thumbnails" / "large").iterdir()
    return foreign_entries.Entry(path, path.read_bytes()).text("Thumb::URI")


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A folder with one picture, and a folder beside it."""
    for name in ("album", "beside"):
        (tmp_path / name).mkdir()
    (tmp_path / "album" / "a.jpg").write_bytes(jpeg(300, 200))
    return tmp_path / "album"


@pytest.mark.parametrize(
    "argument", ["../album", ".././/album/", "../beside/../album/./a.jpg", "./../album/"]
)
def test_dots_in_the_argument_are_cleaned_away(album: Path, argument: str) -> None:
    cache = album.parent / "cache"
    run = run_pregen("run", argument, cache=cache, cwd=album.parent / "beside")
    assert made_uri(run, cache) == f"file://{album}/a.jpg"


@needs(Capability.GIO)
@pytest.mark.desktop
def test_a_root_given_through_a_symlink_keeps_its_name(album: Path) -> None:
    link, cache = album.parent / "link", album.parent / "cache"
    link.symlink_to(album)
    assert made_uri(run_pregen("run", link, cache=cache), cache) == f"file://{link}/a.jpg"
    seen_through_link, seen_directly = desktops.gio(cache, [link / "a.jpg", album / "a.jpg"])
    assert seen_through_link.valid
    assert seen_directly.valid is None


@needs(Capability.GIO)
@pytest.mark.desktop
def test_on_request_the_real_path_gets_an_entry_too(album: Path) -> None:
    link, cache = album.parent / "link", album.parent / "cache"
    link.symlink_to(album)
    assert run_pregen("run", "--realpath-keys=always", link, cache=cache).code == 0
    assert all(answer.valid for answer in desktops.gio(cache, [link / "a.jpg", album / "a.jpg"]))


@pytest.mark.parametrize("named", [True, False])
def test_a_linked_root_serves_cosmic_where_it_is_named(tmp_path: Path, *, named: bool) -> None:
    """Each photo is decoded once, and its pictures are written under both paths."""
    link, cache = tmp_path / "My Pictures", tmp_path / "cache"
    names = ("a.jpg", "Köln é.jpg", "b c.jpg", "x^y|z.jpg", "100%.jpg", "[1];{2}#?.jpg")
    for number, name in enumerate(names):
        put(tmp_path / "mnt" / name, jpeg(300, 200, number))
    link.symlink_to(tmp_path / "mnt")
    clients = "cosmic" if named else "none"
    run = run_pregen("run", "--json", "--clients", clients, link, cache=cache)
    assert run.summary["kinds"] == {"made": 6}
    for flavor in ("normal", "large"):
        assert [cosmic_rules.accepts(cache, flavor, link / name) for name in names] == [named] * 6


@needs(Capability.GIO)
@pytest.mark.desktop
def test_a_symlinked_file_is_keyed_by_the_link_and_dated_by_its_target(album: Path) -> None:
    link, cache = album / "link.jpg", album.parent / "cache"
    os.utime(album / "a.jpg", ns=(10**18, 10**18))
    link.symlink_to("a.jpg")
    run = run_pregen("run", "--json", album, cache=cache)
    assert run.summary["kinds"] == {"made": 2}
    assert all(answer.valid for answer in desktops.gio(cache, [link, album / "a.jpg"]))

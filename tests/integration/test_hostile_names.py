"""Names, trees and caches that somebody made to mislead: shown escaped, never followed."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from pregen import __version__
from pregen.cache.store import Cache
from pregen.errors import CacheError
from pregen.model import Flavor
from pregen.private_folders import user_name
from tests.support.files import foreign_entries
from tests.support.files.pictures import encode, image, jpeg, put
from tests.support.files.source_trees import few
from tests.support.judges import desktops
from tests.support.running.program import PREGEN, environment, run_pregen

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_leaks")

#: Colours, a window title, a clipboard, a cleared line, a bell, C1 controls as bytes and as UTF-8,
#: text that runs backwards, lines that look like ours.
_EVIL = (
    b"\x1b[31mred\x1b[2J",
    b"\x1b]0;title\x07",
    b"\x1b]52;c;cm0gLXJm\x07",
    b"line\r\x1b[Kpregen: all is well",
    b"two\nlines\tand a tab",
    b"\x9b31m",
    "\u009b31m".encode(),
    "\u202egpj.exe".encode(),
    b"\xff\xfe\x00"[:2],
    b"[bold red]markup",
)
#: What a terminal obeys; of what is printed, only the display's own colours may have it.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
_SOMEBODY_UID = os.geteuid() + 1


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """A folder of folders with such names; in each a picture, and one that is damaged."""
    root = os.fsencode(tmp_path / "photos")
    for number, name in enumerate(_EVIL):
        folder = os.path.join(root, name)
        os.makedirs(folder)
        for file, data in (
            (b"%d.jpg", jpeg(200, 150, seed=number)),
            (b"bad%d.png", b"\x89PNG\x1b"),
        ):
            with open(os.path.join(folder, name + file % number), "wb") as out:
                out.write(data)
    bad = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><\x1b]0;t\x07/></svg>'
    put(tmp_path / "photos" / "words.svg", bad)
    return tmp_path / "photos"


@pytest.mark.parametrize("how", [(), ("-v",), ("-q",), ("--json", "-v"), ("--dry-run", "-v")])
def test_no_name_reaches_a_pipe_as_a_control_character(evil: Path, how: tuple[str, ...]) -> None:
    done = run_pregen("run", *how, evil, cache=evil.parent / "cache")
    assert done.code == (0 if "--dry-run" in how else 3), done
    assert not _CONTROL.findall(done.out)
    assert not _CONTROL.findall(done.err)


def test_other_verbs_and_errors_show_names_escaped_too(evil: Path) -> None:
    cache = evil.parent / "cache"
    assert run_pregen("run", evil, cache=cache).code == 3
    first = next(path for path in evil.rglob("*.jpg") if "\x1b" in path.name)
    for arguments in (
        ("show", first),
        ("status",),
        ("clean", "--missing", "--dry-run"),
        ("verify",),
        ("run", evil / "\x1b[31mnot there"),
        ("run", "--files-from", evil / "\x1b[31mnot there"),
        ("show", evil / "\x1b]0;t\x07"),
        ("run", "--exclude", "\x1b[31m["),
    ):
        done = run_pregen(*arguments, cache=cache)
        assert not _CONTROL.findall(done.out), arguments
        assert not _CONTROL.findall(done.err), arguments
        assert "Traceback" not in done.err
    unusable = put(evil.parent / "\x1b[31mfile", b"")
    done = run_pregen("run", evil, cache=unusable)
    assert done.code == 12
    assert not _CONTROL.findall(done.err)


def test_on_a_terminal_names_bring_no_escapes_of_their_own(evil: Path) -> None:
    ours, theirs = pty.openpty()
    shown = bytearray()

    def listen() -> None:
        try:
            while data := os.read(ours, 65536):
                shown.extend(data)
        except OSError:
            return  # the other side was closed

    listener = threading.Thread(target=listen)
    listener.start()
    env = environment(evil.parent / "cache", {"TERM": "xterm-256color"})
    process = subprocess.Popen(
        [*PREGEN, "run", "-v", evil], env=env, stdin=theirs, stdout=theirs, stderr=theirs
    )
    assert process.wait(60) == 3
    os.close(theirs)
    listener.join(10)
    os.close(ours)
    text = shown.decode("utf-8", "surrogateescape")
    # The display's own: colours, moves of the cursor, erasing, showing and hiding the cursor.
    plain = re.sub(r"\x1b\[[?\d;]*[mABCDGHJKhl]|\r", "", text)
    assert not _CONTROL.findall(plain)
    assert "\x1b[31mred" not in text
    assert r"\x1b[31mred" in text


def test_a_farm_of_hard_links_gives_each_name_its_own_entry(tmp_path: Path) -> None:
    photos, cache = tmp_path / "photos", tmp_path / "cache"
    first = put(photos / "000.jpg", jpeg(200, 150))
    for number in range(1, 200):
        (photos / f"{number:03}.jpg").hardlink_to(first)
    done = run_pregen("run", "--json", photos, cache=cache)
    assert done.summary["kinds"] == {"made": 200}
    for name in ("000.jpg", "123.jpg"):
        uri = desktops.glib_uri(photos / name)
        assert foreign_entries.read(cache, "large", photos / name).text("Thumb::URI") == uri
    assert run_pregen("run", "--json", photos, cache=cache).summary["kinds"] == {"fresh": 200}


def test_a_folder_of_very_many_names_is_walked_whole(tmp_path: Path) -> None:
    photos, cache = tmp_path / "photos", tmp_path / "cache"
    few(photos, 3)
    for number in range(10_000):
        os.close(os.open(photos / f"{number}.txt", os.O_CREAT | os.O_WRONLY))
    for number in range(300):
        os.close(os.open(photos / f"empty{number}.jpg", os.O_CREAT | os.O_WRONLY))
    done = run_pregen("run", "--json", photos, cache=cache)
    assert done.summary["kinds"] == {"made": 3, "invalid": 300}
    assert done.summary["passed_over"] == 10_000


def test_loops_of_links_through_several_folders_end(tmp_path: Path) -> None:
    photos, cache = tmp_path / "photos", tmp_path / "cache"
    few(photos / "a", 1)
    few(photos / "b", 1)
    (photos / "a" / "to-b").symlink_to(photos / "b")
    (photos / "b" / "to-a").symlink_to(photos / "a")
    (photos / "a" / "self").symlink_to(".")
    (photos / "chain0").symlink_to(photos / "a")
    for number in range(1, 60):  # the kernel follows forty
        (photos / f"chain{number}").symlink_to(photos / f"chain{number - 1}")
    done = run_pregen("run", "--json", "-v", "--follow-symlinks", photos, cache=cache)
    assert done.code in {0, 3}, done
    assert set(done.summary["kinds"]) <= {"made", "excluded", "vanished", "unreadable"}
    assert done.summary["kinds"]["made"] >= 2


# --- the cache ----------------------------------------------------------------------------------


def _give_away(path: Path) -> None:
    try:
        os.chown(path, _SOMEBODY_UID, -1, follow_symlinks=False)
    except PermissionError:
        pytest.skip("needs running as root: to give files to another user")


@pytest.mark.parametrize("place", ["thumbnails", "thumbnails/large", "thumbnails/fail"])
def test_a_cache_of_somebody_else_ends_the_run_before_anything_is_written(
    tmp_path: Path, place: str
) -> None:
    few(tmp_path / "photos", 2)
    put(tmp_path / "photos" / "broken.jpg", b"\xff\xd8\xff\xe0 broken")
    (tmp_path / "cache" / place).mkdir(parents=True)
    (tmp_path / "cache" / place).chmod(0o777)
    _give_away(tmp_path / "cache" / place)
    done = run_pregen("run", tmp_path / "photos", cache=tmp_path / "cache")
    assert done.code == 12
    assert f"belongs to user {user_name(_SOMEBODY_UID)}" in done.err
    assert not list((tmp_path / "cache").rglob("*.png"))


def test_a_cache_that_somebody_else_linked_elsewhere_is_refused(tmp_path: Path) -> None:
    few(tmp_path / "photos", 1)
    documents = tmp_path / "documents"
    documents.mkdir()
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "thumbnails").symlink_to(documents)
    _give_away(tmp_path / "cache" / "thumbnails")
    done = run_pregen("run", tmp_path / "photos", cache=tmp_path / "cache")
    assert done.code == 12
    assert "symbolic link" in done.err
    assert not list(documents.iterdir())


def test_a_cache_that_we_linked_to_another_disk_is_used(tmp_path: Path) -> None:
    few(tmp_path / "photos", 1)
    disk = tmp_path / "disk"
    disk.mkdir()
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "thumbnails").symlink_to(disk)
    assert run_pregen("run", tmp_path / "photos", cache=tmp_path / "cache").code == 0
    assert len(list(disk.glob("*/*.png"))) == 2


@pytest.mark.parametrize("more", [(), ("--force",), ("--check", "full")])
def test_planted_links_are_never_written_through(tmp_path: Path, more: tuple[str, ...]) -> None:
    photos, cache, bashrc = tmp_path / "photos", tmp_path / "cache", tmp_path / ".bashrc"
    (picture,) = few(photos, 1)
    broken = put(photos / "broken.jpg", b"\xff\xd8\xff\xe0 broken")
    put(bashrc, b"alias ls='ls --color'\n")
    # A link to an entry that is right by its texts: as bait it would be refitted in place.
    bait = foreign_entries.foreign(
        tmp_path / "other", "normal", picture,
        [("tEXt", "Thumb::URI", "{uri}"), ("tEXt", "Thumb::MTime", "{mtime}")],
        image(128, 90),
    )  # fmt: skip
    planted = {
        desktops.entry_path(cache, "large", desktops.glib_uri(picture)): bashrc,
        desktops.entry_path(cache, "normal", desktops.glib_uri(picture)): bait.path,
        desktops.entry_path(cache, "x-large", desktops.glib_uri(picture)): bashrc,
    }
    version = ".".join(__version__.split(".")[:2])
    record = desktops.entry_path(cache, "normal", desktops.glib_uri(broken)).name
    planted[cache / "thumbnails" / "fail" / f"pregen-{version}" / record] = bashrc
    for path, target in planted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
    assert run_pregen("run", *more, photos, cache=cache).code == 3
    assert bashrc.read_bytes() == b"alias ls='ls --color'\n"
    assert bait.path.read_bytes() == bait.data
    wanted = [path for path in planted if path.parent.name != "x-large"]
    assert not [path for path in wanted if path.is_symlink()]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in wanted)


@pytest.mark.parametrize("owner", ["somebody", "nobody"])
def test_a_folder_swapped_between_check_and_use_catches_nothing(tmp_path: Path, owner: str) -> None:
    root, documents = tmp_path / "cache" / "thumbnails", tmp_path / "documents"
    documents.mkdir()
    data = encode(image(30, 20), "PNG")
    with Cache(os.fsencode(root), __version__) as cache:
        cache.prepare([Flavor.LARGE])
        (root / "large").rename(root / "moved")
        (root / "large").symlink_to(documents)
        if owner == "somebody":
            _give_away(root / "large")
        # The folder that was checked is the one that is written to, whatever its name is now.
        cache.write(Flavor.LARGE, "file:///a", data)
        assert len(list((root / "moved").iterdir())) == 1
        assert not list(documents.iterdir())
        cache.delete(Flavor.LARGE, "file:///a")
        assert not list((root / "moved").iterdir())
        if owner == "somebody":
            # Once the descriptor is gone, the check is made anew.
            (root / "moved").rmdir()
            with pytest.raises(CacheError, match="symbolic link made by user"):
                cache.write(Flavor.LARGE, "file:///a", data)
            assert not list(documents.iterdir())

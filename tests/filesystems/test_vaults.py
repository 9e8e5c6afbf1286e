"""What lies in a vault leaves nothing outside, and is found when it is locked: real vaults."""

from __future__ import annotations

import os
import tarfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.files.pictures import jpeg, put
from tests.support.files.vaults import encrypted_disk, luks, vault
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import Finished, run_pregen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Opened = tuple[Path, Callable[[], None]]

NAME = "affidavit"
#: Ten runs of the program for each kind of vault.
pytestmark = pytest.mark.timeout(600)
KINDS = [
    pytest.param("gocryptfs", marks=needs(Capability.GOCRYPTFS)),
    pytest.param("encfs", marks=needs(Capability.ENCFS)),
    pytest.param("cryfs", marks=needs(Capability.CRYFS)),
    pytest.param("fscrypt", marks=needs(Capability.FSCRYPT)),
    pytest.param("dm-crypt", marks=needs(Capability.DM_CRYPT)),
]


@contextmanager
def opened(kind: str, folder: Path) -> Iterator[Opened]:
    """Have an open vault of a kind, with what locks it."""
    if kind == "fscrypt":
        with encrypted_disk(folder) as disk:
            yield disk.encrypt("vault"), disk.lock
    elif kind == "dm-crypt":
        with luks(folder) as found:
            yield found
    else:
        with vault(kind, folder) as made:
            yield made.point, made.lock


def filled(point: Path, number: int = 3) -> Path:
    """Put an album of pictures into a vault."""
    album = point / f"{NAME}-album"
    album.mkdir()
    for index in range(number):
        put(album / f"{NAME}-{index}.jpg", jpeg(300, 200))
    return album


def entries(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.png"))


def names_in(*places: Path) -> list[Path]:
    """Return the files at and below some places that hold a secret name."""
    files = [file for place in places for file in (place, *place.rglob("*")) if file.is_file()]
    return [file for file in files if NAME.encode() in file.read_bytes()]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_a_vault_is_left_outside(kind: str, tmp_path: Path) -> None:
    cache, state, log = tmp_path / "cache", tmp_path / "cache-state", tmp_path / "log"
    home = tmp_path / "home"
    outside = put(home / "outside.jpg", jpeg(300, 200))

    def pregen(*arguments: str | Path, cwd: Path | None = None) -> Finished:
        return run_pregen(*arguments, cache=cache, cwd=cwd)

    with opened(kind, tmp_path / "v") as (point, lock):
        album = filled(point)
        (home / "link.jpg").symlink_to(album / f"{NAME}-0.jpg")
        done = pregen("run", album, home, "--log", log, "-v", "--json", cwd=album)
        assert done.code == 0, done
        assert done.summary["kinds"]["private"] == 2, done
        assert done.summary["kinds"]["made"] == 1
        told = [each["message"] for each in done.records if each["type"] == "warning"]
        assert len(told) == 1
        assert f"--allow-encrypted {point} " in told[0]
        assert len(entries(cache)) == 2  # those of the file outside
        assert NAME not in done.out
        assert not names_in(cache, state, log)

        shown = pregen("show", album / f"{NAME}-0.jpg")
        assert f"private: encrypted at {point}" in shown.out, shown

        allowed = pregen("run", album, "--allow-encrypted", point, "--json")
        assert sum(allowed.summary["kinds"].values()) == 3, allowed
        assert len(entries(cache)) == 2 + 6
        lock()

        found = pregen("doctor", "--json")
        findings = {each["code"]: each for each in found.records if each["type"] == "finding"}
        assert "6 thumbnails" in findings["private"]["why"], found
        assert findings["private"]["mend"] == ["pregen clean --private"]
        archive = tmp_path / "out.tar"
        assert pregen("export", "--to", archive).code == 0
        with tarfile.open(archive) as tar:
            assert len(tar.getnames()) == 2

        assert pregen("clean", "--yes").code == 0
        assert len(entries(cache)) == 2 + 6  # locked is not gone
        cleaned = pregen("clean", "--private", "--yes", "--json")
        assert cleaned.summary["deleted"]["private"]["entries"] == 6, cleaned
        assert not names_in(cache, state)
        assert len(entries(cache)) == 2
        assert outside.exists()


@needs(Capability.GOCRYPTFS)
def test_a_cache_in_the_same_vault_shows_nothing_to_anybody_else(tmp_path: Path) -> None:
    with vault("gocryptfs", tmp_path) as made:
        album = filled(made.point)
        state = tmp_path / "state"
        done = run_pregen(
            "run", album, "--json", cache=made.point / "cache", env={"XDG_STATE_HOME": str(state)}
        )
        assert done.code == 0
        assert done.summary["kinds"] == {"made": 3}, done
        assert not names_in(state)
        own = {"XDG_STATE_HOME": str(state), "XDG_CACHE_HOME": f"{made.point}/{NAME}-cache"}
        shared = run_pregen("share", album, "--json", env=own)
        assert shared.summary["kinds"] == {"made": 3}, shared
        assert len(entries(album / ".sh_thumbnails")) == 12  # two names, two sizes
        assert not names_in(state)


@needs(Capability.GOCRYPTFS)
def test_lists_and_part_of_a_vault(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with vault("gocryptfs", tmp_path) as made:
        album = filled(made.point)
        put(made.point / "elsewhere" / "x.jpg", jpeg(300, 200))
        names = b"\n".join(os.fsencode(each) for each in sorted(album.iterdir()))
        listed = run_pregen("run", "--files-from", "-", "--json", cache=cache, stdin=names)
        assert listed.summary["kinds"] == {"private": 3}, listed
        assert listed.code == 0
        assert entries(cache) == []
        part = run_pregen("run", made.point, "--allow-encrypted", album, "--json", cache=cache)
        assert part.summary["kinds"]["made"] == 3, part
        assert len(entries(cache)) == 6
        dropped = run_pregen("clean", "--private", "--yes", made.point, cache=cache)
        assert dropped.code == 0
        assert entries(cache) == []


@needs(Capability.GOCRYPTFS)
def test_copies_of_a_cache_leave_out_what_is_private_where_they_go(tmp_path: Path) -> None:
    archive, others = tmp_path / "a.tar", tmp_path / "others"
    put(tmp_path / "outside.jpg", jpeg(300, 200))
    with vault("gocryptfs", tmp_path) as made:
        album, own = filled(made.point), made.point / "own"
        assert run_pregen("run", album, tmp_path / "outside.jpg", cache=own).code == 0
        out = run_pregen("export", "--json", "--to", archive, cache=own)
        assert (out.summary["exported"], out.summary["private"]) == (2, 6), out
        within = run_pregen("export", "--json", "--to", f"{made.point}/copy/thumbnails/", cache=own)
        assert (within.summary["exported"], within.summary["private"]) == (8, 0), within
        asked = ("export", "--json", "--to", archive, "--allow-encrypted", album)
        assert run_pregen(*asked, cache=own).summary["exported"] == 8

        run_pregen("run", album, cache=others)  # its journal knows the vault from now on
        came = run_pregen("import", "--json", archive, cache=others)
        assert (came.code, came.summary["imported"], came.summary["private"]) == (0, 2, 6), came
        back = run_pregen("import", "--json", archive, cache=made.point / "copy2")
        assert (back.summary["imported"], back.summary["private"]) == (8, 0), back
    locked = run_pregen("import", archive, cache=others)
    assert "2 kept" in locked.out, locked
    assert "6 left out: their files lie in encrypted vaults" in locked.out
    assert not names_in(others, tmp_path / "others-state")
    again = ("import", "--json", archive, "--allow-encrypted", made.point)
    assert run_pregen(*again, cache=others).summary["imported"] == 6

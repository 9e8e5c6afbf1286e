"""Folders for one user alone, and what root leaves in somebody else's home: nothing."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from pregen.private_folders import ForeignFolderError, make_folders
from tests.support.files.source_trees import few
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from pathlib import Path

_ANNA = 4321


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of somebody else, for whom root is to work with HOME as it was."""
    home = tmp_path / "anna"
    few(home / "pictures", 2)
    for path in (home, *home.rglob("*")):
        os.chown(path, _ANNA, _ANNA)
    return home


def owners(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in folder.rglob("*")}


def as_root(home: Path, *arguments: str | Path, **more: str) -> tuple[int, str]:
    env = {"HOME": str(home), "XDG_CACHE_HOME": "", "XDG_STATE_HOME": "", **more}
    done = run_pregen(*arguments, cache=home, env=env)
    return done.code, done.err


def test_what_is_missing_is_made_for_one_user_under_any_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_folders(bytes(tmp_path / "a" / "b"))
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b")]
    assert modes == [0o700, 0o700]
    make_folders(bytes(tmp_path / "a" / "b"))


@needs(Capability.DEVICE_NODES)  # root
def test_root_makes_nothing_in_somebody_elses_folder(home: Path) -> None:
    with pytest.raises(ForeignFolderError, match=f"belongs to user {_ANNA}"):
        make_folders(bytes(home / "new" / "below"))
    assert not (home / "new").exists()


@needs(Capability.DEVICE_NODES)  # root
@pytest.mark.parametrize("there", ["", ".cache", ".cache/thumbnails"])
def test_root_with_the_home_of_another_leaves_nothing_there(home: Path, there: str) -> None:
    if there:
        (home / there).mkdir(parents=True)
        for path in (home / ".cache", home / there):
            os.chown(path, _ANNA, _ANNA)
    code, said = as_root(home, "run", home / "pictures")
    assert code == 12, said
    assert f"belongs to user {_ANNA}" in said
    assert f"sudo -u '#{_ANNA}' pregen" in said
    assert owners(home) == {_ANNA}
    assert not list(home.rglob("*.png"))


@needs(Capability.DEVICE_NODES)  # root
def test_a_journal_is_not_made_there_either(home: Path, tmp_path: Path) -> None:
    code, said = as_root(home, "run", home / "pictures", XDG_CACHE_HOME=str(tmp_path / "roots"))
    assert code == 0, said
    assert f"belongs to user {_ANNA}" in said
    assert owners(home) == {_ANNA}


@needs(Capability.DEVICE_NODES)  # root
def test_the_doctor_gives_the_cache_back_to_the_owner_of_the_home(home: Path) -> None:
    large = home / ".cache" / "thumbnails" / "large"
    large.mkdir(parents=True)
    for path in (home / ".cache", large.parent):
        os.chown(path, _ANNA, _ANNA)
    done = run_pregen(
        "doctor", cache=home, env={"HOME": str(home), "XDG_CACHE_HOME": "", "XDG_STATE_HOME": ""}
    )
    assert f"chown -R {_ANNA} " in done.out + done.err

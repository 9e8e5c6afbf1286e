"""What `doctor --fix` does: files whole or not at all, nothing through links, and who may."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from pregen.verbs.doctor import mending
from pregen.verbs.doctor.fixes import Fix, GiveBack, Needs, RunProgram, SetModes, SetValues
from pregen.verbs.doctor.mending import FixError, Mender
from tests.support.files.pictures import put
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from pathlib import Path

GROUPS = {"PreviewSettings": {"MaximumSize": "9"}}


def mend(fix: Fix, home: Path, *, asked: bool = True) -> str:
    return Mender(os.environ, str(home)).do(fix, asked=asked)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# -- files ----------------------------------------------------------------------------------------


def test_a_file_keeps_its_lines_mode_and_place_and_the_old_one_stays(home: Path) -> None:
    real = put(home / "dotfiles" / "kdeglobals", b"[A]\nname=\xff\xfe\n[PreviewSettings]\nx=1\n")
    real.chmod(0o640)
    link = home / "config" / "kdeglobals"
    link.parent.mkdir()
    link.symlink_to(real)
    for _ in range(2):
        said = mend(SetValues(bytes(link), b"", GROUPS), home)
        assert said.startswith("the old file is ")
    assert link.is_symlink()
    assert real.read_bytes() == b"[A]\nname=\xff\xfe\n[PreviewSettings]\nx=1\nMaximumSize=9\n"
    assert mode(real) == 0o640
    backups = real.parent.glob("kdeglobals.before-pregen-*")
    first, second = sorted(backups, key=lambda each: len(each.name))
    assert b"MaximumSize" not in first.read_bytes()
    assert second.read_bytes() == real.read_bytes()
    assert {each.name for each in real.parent.iterdir()} == {real.name, first.name, second.name}


def test_a_new_file_begins_with_the_systems(home: Path, tmp_path: Path) -> None:
    system = put(tmp_path / "tumbler.rc", b"# c\n[X]\nMaximumSize=1\n")
    own = home / "config" / "tumbler" / "tumbler.rc"
    assert mend(SetValues(bytes(own), bytes(system), {"X": {"MaximumSize": "0"}}), home) == ""
    assert own.read_bytes() == b"# c\n[X]\nMaximumSize=0\n"
    assert system.read_bytes() == b"# c\n[X]\nMaximumSize=1\n"
    assert (mode(own), mode(own.parent)) == (0o600, 0o700)
    other = home / "config" / "kdeglobals"
    mend(SetValues(bytes(other), b"", GROUPS), home)
    assert other.read_bytes() == b"[PreviewSettings]\nMaximumSize=9\n"


def test_what_cannot_be_written_stays_as_it_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(home / "kdeglobals", b"[A]\nx=1\n")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FixError, match="No space left"):
        mend(SetValues(bytes(path), b"", GROUPS), home)
    assert path.read_bytes() == b"[A]\nx=1\n"
    (backup,) = {*home.iterdir()} - {path}
    assert backup.read_bytes() == path.read_bytes()


def test_a_file_too_large_for_settings_is_left_alone(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mending, "MOST_BYTES", 10)
    path = put(home / "kdeglobals", b"[A]\nx=12345\n")
    with pytest.raises(FixError, match="too large"):
        mend(SetValues(bytes(path), b"", GROUPS), home)
    assert path.read_bytes() == b"[A]\nx=12345\n"


@needs(Capability.DEVICE_NODES)  # root: only root gives files away
def test_root_changes_no_settings_of_other_users(home: Path) -> None:
    path = put(home / "kdeglobals", b"[A]\n")
    os.chown(home, 4321, -1)
    for fix in (
        SetValues(bytes(path), b"", GROUPS),
        RunProgram(("gsettings", "set", "a", "b", "c"), Needs.SESSION),
    ):
        with pytest.raises(FixError, match="settings of 4321: run"):
            mend(fix, home)
    assert path.read_bytes() == b"[A]\n"


# -- the cache ------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache with wrong modes, and links that lead out of it."""
    root = tmp_path / "cache" / "thumbnails"
    put(root / "large" / "a.png", b"a").chmod(0o044)
    put(root / "fail" / "x" / "b.png", b"b").chmod(0o666)
    outside = put(tmp_path / "outside" / "secret", b"s")
    outside.chmod(0o644)
    outside.parent.chmod(0o755)
    (root / "large" / "link.png").symlink_to(outside)
    (root / "normal").symlink_to(outside.parent)
    root.chmod(0o755)
    return root


def test_modes_are_mended_and_nothing_through_links(cache: Path, home: Path) -> None:
    (cache / "large").chmod(0o055)
    mend(SetModes(bytes(cache), for_others=False), home)
    assert mode(cache / "large") == 0o755
    assert mode(cache / "large" / "a.png") == 0o644
    mend(SetModes(bytes(cache), for_others=True), home)
    found = [mode(cache / name) for name in (".", "large", "large/a.png", "fail/x", "fail/x/b.png")]
    assert found == [0o700, 0o700, 0o600, 0o700, 0o600]
    outside = cache.parents[1] / "outside"
    assert (mode(outside), mode(outside / "secret")) == (0o755, 0o644)


@needs(Capability.DEVICE_NODES)
def test_a_cache_is_given_back_but_for_what_has_other_names(cache: Path, home: Path) -> None:
    outside = cache.parents[1] / "outside" / "secret"
    os.link(outside, cache / "large" / "c.png")
    said = mend(GiveBack(bytes(cache), 4321, "ann"), home)
    assert said == "1 file with other names was left as it is"
    given = cache, cache / "large", cache / "large" / "a.png"
    assert {path.stat().st_uid for path in given} == {4321}
    assert (cache / "large" / "link.png").lstat().st_uid == 4321
    assert (outside.stat().st_uid, outside.parent.stat().st_uid) == (os.geteuid(),) * 2


# -- programs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (("no-such-program-of-any-desktop",), "is not installed here"),
        (("sh", "-c", "echo broken >&2; exit 3"), "ended with 3 broken"),
        (("sleep", "60"), "did not end within"),
    ],
)
def test_a_program_that_fails_says_so(
    argv: tuple[str, ...], why: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mending, "_TIMEOUT_S", 0.5)
    monkeypatch.setenv("GSETTINGS_BACKEND", "memory")
    with pytest.raises(FixError, match=why):
        mend(RunProgram(argv, Needs.SESSION), home)


def test_packages_are_installed_by_root_alone_and_never_unasked(home: Path, tmp_path: Path) -> None:
    done = tmp_path / "done"
    fix = RunProgram(("touch", str(done)), Needs.ROOT)
    with pytest.raises(FixError, match="run the command yourself"):
        mend(fix, home, asked=False)
    assert not done.exists()
    if os.geteuid() == 0:
        assert mend(fix, home, asked=True) == ""
        assert done.exists()

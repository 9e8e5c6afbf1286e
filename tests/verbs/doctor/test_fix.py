"""`pregen doctor --fix` on planted faults: it asks, mends, and finds nothing the second time."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.files import foreign_entries, sessions
from tests.support.files.pictures import encode, image, jpeg, put
from tests.support.files.source_trees import few
from tests.support.judges.terminal import Terminal
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import PREGEN, Finished, environment, run_pregen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_GNOME = "org.gnome.desktop.thumbnail-cache"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def desktop(tmp_path: Path) -> dict[str, str]:
    """A session that starts GNOME's daemon, and settings of GNOME in a file."""
    return {**sessions.gnome(tmp_path), "GSETTINGS_BACKEND": "keyfile"}


def doctor(cache: Path, env: Mapping[str, str], *flags: str) -> Finished:
    return run_pregen("doctor", "--json", *flags, cache=cache, env=env)


def found(done: Finished) -> dict[str, dict[str, Any]]:
    return {each["code"]: each for each in done.records if each["type"] == "finding"}


def mended(cache: Path, env: Mapping[str, str], *codes: str) -> dict[str, dict[str, Any]]:
    """Find these, fix them, and find none of them again."""
    assert set(codes) <= found(doctor(cache, env)).keys()
    fixed = doctor(cache, env, "--fix", "--yes")
    answers = found(fixed)
    assert {code: answers[code]["fixed"] for code in codes} == dict.fromkeys(codes, True), fixed
    assert fixed.summary["fixed"] >= len(codes)
    again = doctor(cache, env)
    assert not set(codes) & found(again).keys()
    assert fixed.summary["exit_code"] == fixed.code
    return answers


@needs(Capability.GSETTINGS)
def test_gnomes_limits(cache: Path, desktop: dict[str, str]) -> None:
    mended(cache, desktop, "gnome-maximum-size", "gnome-maximum-age")
    for key in ("maximum-size", "maximum-age"):
        command = ["gsettings", "get", _GNOME, key]
        said = subprocess.run(
            command, env=environment(cache, desktop), capture_output=True, check=True
        )
        assert said.stdout.strip() == b"-1"


@needs(Capability.DCONF)
def test_gnomes_limits_in_dconf_without_a_session(cache: Path, desktop: dict[str, str]) -> None:
    del desktop["GSETTINGS_BACKEND"]
    mended(cache, desktop, "gnome-maximum-size", "gnome-maximum-age")


@needs(Capability.GSETTINGS)
def test_schemas_without_the_daemon_are_no_gnome(cache: Path, desktop: dict[str, str]) -> None:
    del desktop["XDG_CONFIG_DIRS"]
    codes = found(doctor(cache, {**desktop, "XDG_CONFIG_DIRS": "/nonexistent"}))
    assert not {"gnome-maximum-size", "gnome-maximum-age"} & codes.keys()


def test_modes_of_the_cache(cache: Path, tmp_path: Path) -> None:
    few(tmp_path / "photos", 2)
    run_pregen("run", tmp_path / "photos", cache=cache)
    entry = next(path for path in foreign_entries.files(cache) if path.parent.name == "large")
    entry.chmod(0o044)
    (cache / "thumbnails").chmod(0o755)
    mended(cache, {}, "closed", "open")
    assert entry.stat().st_mode & 0o777 == 0o600


@needs(Capability.DEVICE_NODES)  # root: only root gives files away
def test_the_owner_of_the_cache(cache: Path, tmp_path: Path) -> None:
    few(tmp_path / "photos", 2)
    run_pregen("run", tmp_path / "photos", cache=cache)
    large = next(path for path in foreign_entries.files(cache) if path.parent.name == "large")
    for path in (large, large.parent):
        os.chown(path, 4321, -1)
    mended(cache, {}, "owner")
    assert {large.stat().st_uid, large.parent.stat().st_uid} == {os.geteuid()}


@needs(Capability.MOUNT)
@pytest.mark.parametrize("name", ["kdeglobals", "dolphinrc"])
def test_kdes_remote_rule(name: str, cache: Path, tmp_path: Path, home: Path) -> None:
    before = b"[General]\nfont=Noto Sans\n\n[PreviewSettings]\nMaximumRemoteSize=0\n\n[WM]\nx=1\n"
    settings = put(home / "config" / name, before)
    nas = tmp_path / "nas"
    nas.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=9m", "nas:/photos", nas], check=True)
    try:
        put(nas / "a.jpg", jpeg(400, 300))
        run_pregen("run", nas, cache=cache)
        answers = mended(cache, {"XDG_CONFIG_DIRS": "/nonexistent"}, "kde-maximum-remote-size")
    finally:
        subprocess.run(["umount", "--lazy", nas], check=True)
    after = settings.read_bytes()
    assert after == before.replace(b"Size=0", b"Size=10737418240")
    backup = answers["kde-maximum-remote-size"]["message"].removeprefix("the old file is ")
    with open(backup, "rb") as file:
        assert file.read() == before


def test_tumblers_limits(cache: Path, tmp_path: Path, home: Path) -> None:
    photo = put(tmp_path / "photos" / "a.jpg", jpeg(400, 300))
    run_pregen("run", photo, cache=cache)
    names = "JPEGThumbnailer", "PixbufThumbnailer", "DesktopThumbnailer"
    sections = "".join(f"[{name}]\nDisabled=false\nMaxFileSize=9\n\n" for name in names)
    system = put(tmp_path / "xdg" / "tumbler" / "tumbler.rc", f"# site\n{sections}".encode())
    mended(cache, {"XDG_CONFIG_DIRS": str(tmp_path / "xdg")}, "tumbler-limits")
    own = (home / "config" / "tumbler" / "tumbler.rc").read_text()
    assert own.startswith("# site\n[JPEGThumbnailer]\nDisabled=false\nMaxFileSize=0\n")
    assert "[DesktopThumbnailer]\nDisabled=false\nMaxFileSize=9\n" in own
    assert "MaxFileSize=0" not in system.read_text()


@needs(Capability.TUMBLER)
def test_a_missing_plugin_is_named_with_its_package_and_not_installed_unasked(
    cache: Path, tmp_path: Path
) -> None:
    photo = put(tmp_path / "photos" / "a.webp", encode(image(400, 300), "WEBP"))
    run_pregen("run", photo, cache=cache)
    no_loaders = {
        "GDK_PIXBUF_MODULE_FILE": str(put(tmp_path / "loaders.cache", b"")),
        "XDG_DATA_DIRS": str(tmp_path / "share"),
    }
    put(tmp_path / "bin" / "apt-get", b"#!/bin/sh\necho installed >&2; exit 99\n").chmod(0o755)
    env = {**no_loaders, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    done = run_pregen("doctor", "--json", "--fix", "--yes", cache=cache, env=env)
    finding = found(done)["tumbler-no-plugin"]
    assert "image/webp" in finding["why"]
    assert finding["mend"] == ["sudo apt-get install webp-pixbuf-loader"]
    assert (finding["fixable"], finding["fixed"]) == (True, False)
    assert "run the command yourself" in finding["message"]
    assert "installed" not in done.err


@pytest.mark.parametrize("flags", [["--fix"], ["--fix", "--json"], ["--yes"]])
def test_without_a_terminal_nothing_is_changed_unless_told_so(
    flags: list[str], cache: Path, tmp_path: Path
) -> None:
    few(tmp_path / "photos", 1)
    run_pregen("run", tmp_path / "photos", cache=cache)
    entry = next(iter(foreign_entries.files(cache)))
    entry.chmod(0o044)
    done = run_pregen("doctor", *flags, cache=cache)
    assert done.code == 2
    assert "--yes" in done.err
    assert entry.stat().st_mode & 0o777 == 0o044


@needs(Capability.TMUX, Capability.GSETTINGS)
def test_a_person_is_asked_about_each(cache: Path, desktop: dict[str, str], home: Path) -> None:
    env = {**environment(cache, desktop), "TERM": "xterm"}
    with Terminal([*PREGEN, "doctor", "--fix"], env, columns=140, rows=60) as terminal:
        terminal.wait_for(f"Run `gsettings set {_GNOME} maximum-size -1`? [y/N]")
        terminal.press("y", "Enter")
        terminal.wait_for("maximum-age -1`? [y/N]")
        terminal.press("n", "Enter")
        terminal.wait_for(lambda screen: "exit code" in screen)
        screen = terminal.screen()
    assert "Fixed: 1." in screen
    assert "exit code 4" in screen
    keyfile = (home / "config" / "glib-2.0" / "settings" / "keyfile").read_text()
    assert "maximum-size=-1" in keyfile
    assert "maximum-age" not in keyfile

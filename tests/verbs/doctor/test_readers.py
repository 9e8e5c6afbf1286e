"""Settings as desktops keep them: files, databases, and tools that hang."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.desktop_settings import ConfigFolders, parse, read_gvdb
from pregen.verbs.doctor.facts import Kde, LxFileManager, Thunar, TumblerPlugin
from pregen.verbs.doctor.readers import desktops, gsettings, machine, tools
from tests.support.files.pictures import put
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from pathlib import Path

CACHE_SCHEMA = "org.gnome.desktop.thumbnail-cache"
SCHEMA_XML = b"""<?xml version="1.0" encoding="UTF-8"?>
<schemalist>
  <schema id="org.gnome.desktop.thumbnail-cache" path="/org/gnome/desktop/thumbnail-cache/">
    <key name="maximum-age" type="i"><default>180</default></key>
    <key name="maximum-size" type="i"><default>512</default></key>
    <key name="something" type="as"><default>['a']</default></key>
  </schema>
  <schema id="org.gnome.nautilus.preferences" path="/org/gnome/nautilus/preferences/">
    <key name="show-image-thumbnails" enum="x"><default>'local-only'</default></key>
    <key name="thumbnail-limit" type="t"><default>50</default></key>
  </schema>
  <schema id="org.example.other" path="/x/"><key name="disable-all" type="b"/></schema>
</schemalist>
"""


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any desktop's tools; the folder for those a test makes."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    monkeypatch.setenv("PATH", str(bin_folder))
    monkeypatch.setattr(tools, "_LIBRARIES", ())
    return bin_folder


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    put(tmp_path / "data" / "glib-2.0" / "schemas" / "x.gschema.xml", SCHEMA_XML)
    return {"XDG_DATA_DIRS": str(tmp_path / "data"), "XDG_CONFIG_HOME": str(tmp_path / "config")}


def program(folder: Path, name: str, script: str) -> None:
    path = put(folder / name, f"#!/bin/sh\n{script}\n".encode())
    path.chmod(0o755)


# -- GSettings ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("bare")
def test_without_the_tool_schemas_give_names_and_defaults(environ: dict[str, str]) -> None:
    assert gsettings.read_gsettings(ConfigFolders(environ, "/home/x")) == {
        CACHE_SCHEMA: {"maximum-age": 180, "maximum-size": 512},
        "org.gnome.nautilus.preferences": {
            "show-image-thumbnails": "local-only",
            "thumbnail-limit": 50,
        },
    }


@pytest.mark.usefixtures("bare")
def test_a_distributions_override_and_the_keyfile_go_before_them(
    environ: dict[str, str], tmp_path: Path
) -> None:
    schemas = tmp_path / "data" / "glib-2.0" / "schemas"
    put(schemas / "10_x.gschema.override", f"[{CACHE_SCHEMA}]\nmaximum-size=64\n".encode())
    assert (
        gsettings.read_gsettings(ConfigFolders(environ, "/x"))[CACHE_SCHEMA]["maximum-size"] == 64
    )
    put(
        tmp_path / "config" / "glib-2.0" / "settings" / "keyfile",
        b"[org/gnome/desktop/thumbnail-cache]\nmaximum-size=-1\n"
        b"[org/gnome/nautilus/preferences]\n"
        b"show-image-thumbnails='always'\nthumbnail-limit=uint64 9\n",
    )
    assert (
        gsettings.read_gsettings(ConfigFolders(environ, "/x"))[CACHE_SCHEMA]["maximum-size"] == 64
    )
    found = gsettings.read_gsettings(
        ConfigFolders(environ | {"GSETTINGS_BACKEND": "keyfile"}, "/x")
    )
    assert found[CACHE_SCHEMA] == {"maximum-age": 180, "maximum-size": -1}
    assert found["org.gnome.nautilus.preferences"] == {
        "show-image-thumbnails": "always",
        "thumbnail-limit": 9,
    }


@needs(Capability.DCONF)
def test_a_database_that_dconf_wrote_is_read_as_gsettings_reads_it(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thumbnailers = "org.gnome.desktop.thumbnailers"
    script = (
        f"gsettings set {CACHE_SCHEMA} maximum-size -1"
        f" && gsettings set {CACHE_SCHEMA} maximum-age 7"
        f" && gsettings set {thumbnailers} disable-all true"
        f" && gsettings set {thumbnailers} disable \"['a/b']\""
    )
    env = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config")}
    subprocess.run(["dbus-run-session", "--", "sh", "-c", script], env=env, check=True, timeout=60)
    data = (tmp_path / "config" / "dconf" / "user").read_bytes()
    assert read_gvdb(data, {"maximum-size", "maximum-age", "disable-all", "disable"}) == {
        "/org/gnome/desktop/thumbnail-cache/maximum-size": -1,
        "/org/gnome/desktop/thumbnail-cache/maximum-age": 7,
        "/org/gnome/desktop/thumbnailers/disable-all": True,
    }
    monkeypatch.setenv("PATH", "/nonexistent")
    assert gsettings.read_gsettings(ConfigFolders(environ, "/x"))[CACHE_SCHEMA] == {
        "maximum-age": 7,
        "maximum-size": -1,
    }


@given(st.binary(max_size=400))
def test_a_damaged_database_gives_nothing_and_raises_nothing(data: bytes) -> None:
    for head in (b"", b"GVariant", b"GVariant" + bytes(8) + b"\x18\0\0\0\xff\0\0\0"):
        read_gvdb(head + data, {"", "a", "scaling-factor"})


@pytest.mark.parametrize(
    ("text", "value"),
    [("512", 512), ("-1", -1), ("uint64 10485760", 10485760), ("true", True), ("false", False),
     ("'local-only'", "local-only"), ('"a"', "a"), ("['a', 'b']", None), ("@as []", None),
     ("", None), ("(1, 2)", None), ("__import__('os')", None), ("1.5", None)],
)  # fmt: skip
def test_values_in_the_text_format_of_gvariant(text: str, value: str | int | None) -> None:
    assert gsettings.parse_value(text) == value


# -- tools ----------------------------------------------------------------------------------------


def test_a_tool_that_hangs_or_fails_gives_way_to_the_files(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "_TIMEOUT_S", 0.2)
    put(tmp_path / "c" / "kdeglobals", b"[PreviewSettings]\nMaximumRemoteSize=77\n")
    config = ConfigFolders({"XDG_CONFIG_HOME": str(tmp_path / "c"), "XDG_CONFIG_DIRS": "/x"}, "/")
    for script in ("exec /bin/sleep 60", "exit 3"):
        program(bare, "kreadconfig5", script)
        begun = time.monotonic()
        found = desktops.read_kde(config)
        assert found is not None
        assert (found.writer, found.maximum_remote_size_bytes) == ("kwriteconfig5", 77)
        assert time.monotonic() - begun < 30


# -- KDE ------------------------------------------------------------------------------------------


def test_kdes_own_tool_is_asked_where_there_is_one(bare: Path, tmp_path: Path) -> None:
    answers = '*MaximumRemoteSize*) echo 5000;; *dolphinrc*Plugins*) echo a,b;; *) echo "$8";;'
    script = f'case "$*" in {answers} esac'
    program(bare, "kreadconfig6", script)
    config = ConfigFolders({"XDG_CONFIG_HOME": str(tmp_path / "c"), "XDG_CONFIG_DIRS": "/x"}, "/")
    kde = desktops.read_kde(config)
    assert kde is not None
    assert (kde.writer, kde.plugins) == ("kwriteconfig6", ("a", "b"))
    assert kde.maximum_remote_size_bytes == 5000
    assert kde.in_dolphinrc == {"MaximumRemoteSize", "Plugins"}


@pytest.mark.usefixtures("bare")
def test_kdes_files_the_users_before_the_systems(tmp_path: Path) -> None:
    system = b"[PreviewSettings]\nMaximumSize=10\nMaximumRemoteSize=1\n"
    put(tmp_path / "xdg" / "kdeglobals", system)
    put(
        tmp_path / "own" / "kdeglobals",
        b"[General]\nMaximumSize=3\n[PreviewSettings]\nMaximumSize=20\nEnableRemoteFolderThumbnail=true\n",
    )
    put(tmp_path / "own" / "dolphinrc", b"[PreviewSettings]\nPlugins=svgthumbnail,imagethumbnail\n")
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "own"), "XDG_CONFIG_DIRS": str(tmp_path / "xdg")}
    kde = desktops.read_kde(ConfigFolders(environ, "/"))
    assert kde is not None
    assert kde._replace(installed=(), version=()) == Kde(
        "kwriteconfig6",
        bytes(tmp_path / "own"),
        20,
        1,
        remote_folders=True,
        plugins=("svgthumbnail", "imagethumbnail"),
        in_dolphinrc=frozenset({"Plugins"}),
    )


@pytest.mark.usefixtures("bare")
def test_dolphins_own_file_goes_before_kdeglobals(tmp_path: Path) -> None:
    put(tmp_path / "kdeglobals", b"[PreviewSettings]\nMaximumRemoteSize=5\nMaximumSize=6\n")
    put(tmp_path / "dolphinrc", b"[PreviewSettings]\nMaximumRemoteSize[$i]=7\n")
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "XDG_CONFIG_DIRS": "/x"}
    kde = desktops.read_kde(ConfigFolders(environ, "/"))
    assert kde is not None
    assert (kde.maximum_remote_size_bytes, kde.maximum_size_bytes) == (7, 6)
    assert kde.in_dolphinrc == {"MaximumRemoteSize"}


@pytest.mark.usefixtures("bare")
def test_where_there_is_no_desktop_nothing_is_known(tmp_path: Path) -> None:
    config = ConfigFolders({"XDG_CONFIG_HOME": str(tmp_path), "XDG_CONFIG_DIRS": "/x"}, "/")
    found: tuple[Any, ...] = (
        desktops.read_kde(config),
        desktops.read_thunar(config),
        desktops.read_tumbler(config),
        desktops.read_lx(config),
    )
    assert found == (None, None, None, ())


# -- Xfce, LXDE, LXQt -----------------------------------------------------------------------------


@pytest.mark.usefixtures("bare")
def test_xfces_files(tmp_path: Path) -> None:
    put(
        tmp_path / "xfce4" / "xfconf" / "xfce-perchannel-xml" / "thunar.xml",
        b'<?xml version="1.0"?><channel name="thunar" version="1.0">'
        b'<property name="misc-thumbnail-mode" type="string" value="THUNAR_THUMBNAIL_MODE_NEVER"/>'
        b'<property name="misc-thumbnail-max-file-size" type="uint64" value="1000"/></channel>',
    )
    put(
        tmp_path / "tumbler" / "tumbler.rc",
        b"# c\n[JPEGThumbnailer]\nDisabled=true\nMaxFileSize=5\nExcludes=~/a;/b c/;\nLocations=\n",
    )
    config = ConfigFolders({"XDG_CONFIG_HOME": str(tmp_path), "XDG_CONFIG_DIRS": "/x"}, "/home/u")
    assert desktops.read_thunar(config) == Thunar("THUNAR_THUMBNAIL_MODE_NEVER", 1000)
    rc = desktops.read_tumbler(config)
    assert rc is not None
    assert rc.plugins == (
        TumblerPlugin("JPEGThumbnailer", True, 5, (b"/home/u/a", b"/b c/"), ()),  # noqa: FBT003 - a row
    )
    assert rc.path == rc.own_path == bytes(tmp_path / "tumbler" / "tumbler.rc")


def test_the_files_of_pcmanfm_and_pcmanfm_qt(tmp_path: Path) -> None:
    qt = put(
        tmp_path / "pcmanfm-qt" / "lxqt" / "settings.conf", b"[Thumbnail]\nShowThumbnails=false\n"
    )
    gtk = put(tmp_path / "libfm" / "libfm.conf", b"[ui]\nshow_thumbnail=1\n")
    config = ConfigFolders({"XDG_CONFIG_HOME": str(tmp_path), "XDG_CONFIG_DIRS": "/x"}, "/")
    assert desktops.read_lx(config) == (
        LxFileManager("PCManFM-Qt", bytes(qt), "Thumbnail", "ShowThumbnails=true", shows=False),
        LxFileManager("PCManFM", bytes(gtk), "ui", "show_thumbnail=1", shows=True),
    )


@given(st.text(max_size=300))
def test_any_text_is_a_settings_file(text: str) -> None:
    groups = parse(text)
    assert all(isinstance(value, str) for values in groups.values() for value in values.values())


# -- other caches ---------------------------------------------------------------------------------


def test_caches_of_sandboxes_are_found_unless_they_are_the_one_in_use(tmp_path: Path) -> None:
    root = tmp_path / ".cache" / "thumbnails"
    root.mkdir(parents=True)
    snap = tmp_path / "snap" / "gimp" / "common" / ".cache"
    flatpak = tmp_path / ".var" / "app" / "org.x.Y" / "cache"
    linked = tmp_path / ".var" / "app" / "org.x.Z" / "cache"
    for folder in (snap, flatpak):
        (folder / "thumbnails").mkdir(parents=True)
    linked.mkdir(parents=True)
    (linked / "thumbnails").symlink_to(root)
    (tmp_path / ".var" / "app" / "org.x.None" / "cache").mkdir(parents=True)
    assert machine.read_sandboxes(str(tmp_path), bytes(root)) == (
        ("snap", "gimp", bytes(snap)),
        ("flatpak", "org.x.Y", bytes(flatpak)),
    )


def test_a_desktop_program_with_another_cache_is_found(tmp_path: Path) -> None:
    """By its environment as the kernel shows it; and only that of desktop programs."""
    other = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "big")}
    code = "import ctypes;ctypes.CDLL(None).prctl(15,b'nautilus');print('up',flush=True);input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], env=other, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        found = machine.read_session(str(tmp_path), b"/elsewhere/thumbnails")
        assert ("nautilus", bytes(tmp_path / "big" / "thumbnails")) in found
        same = machine.read_session(str(tmp_path), bytes(tmp_path / "big" / "thumbnails"))
        assert ("nautilus", bytes(tmp_path / "big" / "thumbnails")) not in same
        process.communicate(b"\n")


@pytest.mark.parametrize(
    ("line", "cache_home"),
    [
        ("XDG_CACHE_HOME=/big/cache", "/big/cache"),
        ('export XDG_CACHE_HOME="$HOME/other"', "{home}/other"),
        ("XDG_CACHE_HOME DEFAULT=@{HOME}/pam", "{home}/pam"),
        ("XDG_CACHE_HOME='~/x y'", "{home}/x y"),
        ("export XDG_CACHE_HOME=$SCRATCH/c", None),
        ("# XDG_CACHE_HOME=/commented", None),
    ],
)  # fmt: skip
def test_files_that_set_the_environment_of_a_session(
    tmp_path: Path, line: str, cache_home: str | None
) -> None:
    path = put(tmp_path / ".config" / "environment.d" / "60-cache.conf", f"{line}\n".encode())
    found = [each for each in machine._declared(str(tmp_path)) if each.what == str(path)]
    wanted = cache_home and cache_home.format(home=tmp_path)
    assert [each.root for each in found] == ([f"{wanted}/thumbnails".encode()] if wanted else [])

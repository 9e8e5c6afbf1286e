"""`pregen doctor` on this machine: what it says, and that what it says mends it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.files import foreign_entries, screens, sessions
from tests.support.files.pictures import encode, image, jpeg, put
from tests.support.files.source_trees import few
from tests.support.judges import desktops
from tests.support.running.capabilities import Capability, modes_count, needs
from tests.support.running.program import environment, run_pregen

if TYPE_CHECKING:
    from pathlib import Path

_SCHEMA = "org.gnome.desktop.thumbnail-cache"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def gnome(tmp_path: Path) -> dict[str, str]:
    """What says that GNOME is here."""
    return sessions.gnome(tmp_path)


def findings(cache: Path, *arguments: Path, **more: Any) -> dict[str, dict[str, Any]]:
    done = run_pregen("doctor", "--json", *arguments, cache=cache, **more)
    *found, summary = done.records
    assert summary["type"] == "summary"
    assert summary["exit_code"] == done.code
    bad = [each for each in found if each["severity"] != "note"]
    assert done.code == (4 if bad else 0)
    assert summary["problems"] + summary["warnings"] == len(bad)
    assert all(each["v"] == 1 and each["type"] == "finding" for each in found)
    return {each["code"]: each for each in found}


def mend(finding: dict[str, Any], cache: Path, env: dict[str, str]) -> None:
    """Run what the finding says, as it says it."""
    for command in finding["mend"]:
        subprocess.run(["bash", "-ec", command], env=environment(cache, env), check=True)


@needs(Capability.GSETTINGS)
def test_a_run_that_passes_the_limit_of_gnome_says_so(
    tmp_path: Path, gnome: dict[str, str]
) -> None:
    home, photos, cache = tmp_path / "home", tmp_path / "photos", tmp_path / "cache"
    keyfile = home / "config" / "glib-2.0" / "settings" / "keyfile"
    env = {
        **gnome,
        "GSETTINGS_BACKEND": "keyfile",
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
    }
    put(keyfile, b"[org/gnome/desktop/thumbnail-cache]\nmaximum-size=1\n")
    for number in range(50):
        put(photos / f"{number}.jpg", jpeg(400, 300, seed=number))
    done = run_pregen("run", photos, cache=cache, env=env)
    told = (
        "GNOME deletes the oldest beyond 1 MB, at login and once a day. To keep them: gsettings set"
    )
    assert told in done.err + done.out
    # Once: the next run does not pass it.
    again = run_pregen("run", photos, "--force", "--flavors", "normal", cache=cache, env=env)
    assert again.code == 0
    assert "GNOME" not in again.err + again.out
    # Not where nothing deletes.
    env |= {"XDG_CONFIG_DIRS": str(tmp_path / "none")}
    alone = run_pregen("run", photos, cache=tmp_path / "other", env=env)
    assert "GNOME" not in alone.err + alone.out


@needs(Capability.GSETTINGS)
def test_gnomes_limits_are_named_until_the_commands_were_run(
    cache: Path, gnome: dict[str, str]
) -> None:
    env = {**gnome, "GSETTINGS_BACKEND": "keyfile"}
    found = findings(cache, env=env)
    size, age = found["gnome-maximum-size"], found["gnome-maximum-age"]
    assert "512 MB" in size["why"]
    assert size["mend"] == [f"gsettings set {_SCHEMA} maximum-size -1"]
    assert age["mend"] == [f"gsettings set {_SCHEMA} maximum-age -1"]
    mend(size, cache, env)
    assert "gnome-maximum-size" not in findings(cache, env=env)
    mend(age, cache, env)
    assert not {"gnome-maximum-size", "gnome-maximum-age"} & findings(cache, env=env).keys()


@needs(Capability.DCONF)
def test_the_same_with_dconf_as_on_a_real_desktop(cache: Path, gnome: dict[str, str]) -> None:
    found = findings(cache, env=gnome)
    commands = found["gnome-maximum-size"]["mend"] + found["gnome-maximum-age"]["mend"]
    session = ["dbus-run-session", "--", "sh", "-ec", "; ".join(commands)]
    subprocess.run(session, env=environment(cache, None), check=True, timeout=60)
    left = findings(cache, env=gnome).keys()
    assert not {"gnome-maximum-size", "gnome-maximum-age"} & left


@needs(Capability.GSETTINGS)
def test_pictures_that_will_not_fit_into_the_limit_make_it_a_problem(
    cache: Path, tmp_path: Path, gnome: dict[str, str]
) -> None:
    env = {**gnome, "GSETTINGS_BACKEND": "keyfile"}
    subprocess.run(
        ["gsettings", "set", _SCHEMA, "maximum-size", "1"], env=environment(cache, env), check=True
    )
    few(tmp_path / "photos", 12)
    found = findings(cache, tmp_path / "photos", env=env)
    assert found["gnome-maximum-size"]["severity"] == "problem"
    assert "1 MB" in found["gnome-maximum-size"]["why"]


def test_the_sizes_that_a_run_makes_here_are_told_with_their_reason(
    cache: Path, home: Path
) -> None:
    bare = run_pregen("doctor", "--json", cache=cache).summary
    assert bare["flavors"] == ["normal", "large"]
    assert bare["flavors_because"] == "no screens were found"
    put(home / "config" / "kwinoutputconfig.json", screens.kwinoutputconfig(1.5))
    done = run_pregen("doctor", cache=cache)
    assert "Sizes: normal, large; x-large for eDP-1 at 150% (kwinoutputconfig.json)." in done.out
    named = run_pregen("doctor", "--json", cache=cache, env={"PREGEN_FLAVORS": "large"})
    assert "flavors" not in named.summary


def test_sizes_that_screens_ask_for_or_nobody_does(cache: Path, tmp_path: Path, home: Path) -> None:
    few(tmp_path / "photos", 24)
    run_pregen("run", tmp_path / "photos", cache=cache)
    kwin = put(home / "config" / "kwinoutputconfig.json", screens.kwinoutputconfig(2))
    found = findings(cache)["sizes-wanted"]
    assert "0 of about 24 pictures" in found["why"]
    (command,) = found["mend"]
    assert command == "pregen run ~/Pictures"
    run_pregen("run", "--flavors", "x-large", tmp_path / "photos", cache=cache)
    assert not {"sizes-wanted", "sizes-unwanted"} & findings(cache).keys()
    kwin.write_bytes(screens.kwinoutputconfig(1))
    unwanted = findings(cache)["sizes-unwanted"]
    assert unwanted["severity"] == "note"
    (command,) = unwanted["mend"]
    program, *arguments = command.split()
    assert program == "pregen"
    assert run_pregen(*arguments, "--yes", cache=cache).code == 0
    assert "sizes-unwanted" not in findings(cache)
    assert len(list((cache / "thumbnails" / "large").iterdir())) == 24


def test_people_read_sentences_and_commands_or_that_there_is_nothing_to_do(cache: Path) -> None:
    env = dict.fromkeys(("PATH", "XDG_DATA_DIRS", "XDG_CONFIG_DIRS"), "/nonexistent")
    found = findings(cache, env=env)
    done = run_pregen("doctor", cache=cache, env=env)
    sick = [each for each in found.values() if each["severity"] != "note"]
    assert done.out.endswith("Nothing to do.\n") == (not sick)
    for each in found.values():
        assert each["why"] in done.out
        assert all(command in done.out for command in each["mend"])
    assert not cache.exists(), "it changes nothing"


@needs(Capability.DEVICE_NODES)  # root: only root gives files away
def test_a_cache_that_root_filled_is_given_back_by_the_command(cache: Path, tmp_path: Path) -> None:
    few(tmp_path / "photos", 2)
    run_pregen("run", tmp_path / "photos", cache=cache)
    large = next(path for path in foreign_entries.files(cache) if path.parent.name == "large")
    os.chown(large, 4321, -1)
    owner = findings(cache)["owner"]
    assert owner["severity"] == "problem"
    subprocess.run(["sh", "-ec", owner["mend"][0].removeprefix("sudo ")], check=True)
    assert large.stat().st_uid == os.geteuid()
    assert "owner" not in findings(cache)


def test_modes_that_are_wrong_are_mended_by_the_command(cache: Path, tmp_path: Path) -> None:
    few(tmp_path / "photos", 2)
    run_pregen("run", tmp_path / "photos", cache=cache)
    assert not {"closed", "open"} & findings(cache).keys()
    entry = next(path for path in foreign_entries.files(cache) if path.parent.name == "large")
    entry.chmod(0o044)
    (cache / "thumbnails").chmod(0o755)
    found = findings(cache)
    assert found["closed"]["severity"] == "problem"
    assert found["open"]["severity"] == "note"
    for code in ("closed", "open"):
        mend(found[code], cache, {})
    assert entry.stat().st_mode & 0o777 == 0o600
    assert not {"closed", "open"} & findings(cache).keys()


@needs(Capability.FILE_MODES)
def test_a_folder_closed_to_its_owner_ends_it_with_words(cache: Path, tmp_path: Path) -> None:
    few(tmp_path / "photos", 1)
    run_pregen("run", tmp_path / "photos", cache=cache)
    (cache / "thumbnails" / "large").chmod(0)
    done = run_pregen("doctor", cache=cache, prefix=modes_count())
    (cache / "thumbnails" / "large").chmod(0o700)
    assert done.code in {4, 12}, done
    assert "large" in done.out + done.err
    assert "Traceback" not in done.err


@needs(Capability.MOUNT)
def test_a_cache_in_memory_on_a_small_disk_is_told(cache: Path) -> None:
    cache.mkdir()
    options = "size=64k,nr_inodes=20"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "pregen-test", cache], check=True)
    try:
        found = findings(cache)
    finally:
        subprocess.run(["umount", "--lazy", cache], check=True)
    assert {"volatile", "full", "inodes"} <= found.keys()


def test_fail_records_of_gnome_for_pictures_with_thumbnails_go_by_the_command(
    cache: Path, tmp_path: Path
) -> None:
    first, second = few(tmp_path / "photos", 2)
    run_pregen("run", first, cache=cache)
    folder = cache / "thumbnails" / "fail" / "gnome-thumbnail-factory"
    for photo in (first, second):
        name = desktops.entry_path(cache, "normal", desktops.glib_uri(photo)).name
        put(folder / name, encode(image(1, 1), "PNG"))
    found = findings(cache)["fail-records"]
    assert "1 file that has" in found["why"]
    (command,) = found["mend"]
    program, *arguments = command.split()
    assert program == "pregen"
    assert run_pregen(*arguments, "--yes", cache=cache).code == 0
    assert "fail-records" not in findings(cache)


def test_commands_name_the_cache_that_was_looked_at(cache: Path, tmp_path: Path) -> None:
    (photo,) = few(tmp_path / "photos", 1)
    other = tmp_path / "the other"
    run_pregen("run", photo, "--cache", other, cache=cache)
    name = desktops.entry_path(tmp_path, "normal", desktops.glib_uri(photo)).name
    put(other / "fail" / "gnome-thumbnail-factory" / name, encode(image(1, 1), "PNG"))

    def commands() -> list[str]:
        records = run_pregen("doctor", "--json", "--cache", other, cache=cache).records
        return [each["mend"][0] for each in records if each.get("code") == "fail-records"]

    (command,) = commands()
    assert run_pregen(*shlex.split(command)[1:], "--yes", cache=cache).code == 0
    assert commands() == []


def test_a_path_that_is_not_there_is_refused(cache: Path, tmp_path: Path) -> None:
    done = run_pregen("doctor", tmp_path / "nowhere", cache=cache)
    assert done.code == 2
    assert "nowhere" in done.err


def test_records_are_json_also_for_odd_names(cache: Path, tmp_path: Path) -> None:
    odd = tmp_path / "home\n\x1b[31m"
    (odd / ".var" / "app" / "x\x1by" / "cache" / "thumbnails").mkdir(parents=True)
    done = run_pregen("doctor", "--json", cache=cache, env={"HOME": str(odd)})
    sandbox = next(r for r in map(json.loads, done.out.splitlines()) if r.get("code") == "sandbox")
    assert all(text.isprintable() for text in (sandbox["why"], *sandbox["mend"], sandbox["about"]))

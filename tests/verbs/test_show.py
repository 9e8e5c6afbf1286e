"""`pregen show`: all that the cache knows of a file."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.files.pictures import jpeg, put
from tests.support.judges import desktops
from tests.support.running.capabilities import Capability, modes_count, needs
from tests.support.running.program import Finished, run_pregen

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def photo(tmp_path: Path, cache: Path) -> Path:
    path = put(tmp_path / "photos" / "a;b.jpg", jpeg(400, 300))
    os.utime(path, ns=(1, 1_700_000_000_123_456_789))
    assert run_pregen("run", path, cache=cache).code == 0
    return path


def _shown(cache: Path, *files: Path) -> list[dict[str, Any]]:
    done = run_pregen("show", "--json", *files, cache=cache)
    assert done.code == 0, done
    return [json.loads(line) for line in done.out.splitlines()]


def test_every_form_of_the_uri_is_shown_with_its_entries(photo: Path, cache: Path) -> None:
    (facts,) = _shown(cache, photo)
    assert facts["source"] == {
        "size": photo.stat().st_size,
        "mtime_ns": 1_700_000_000_123_456_789,
    }
    glib, qt = facts["uris"]
    assert glib["uri"] == desktops.glib_uri(photo)
    assert (qt["uri"], qt["form"]) == (glib["uri"].replace("%3B", ";"), "Qt")
    for uri in (glib, qt):
        assert [entry["flavor"] for entry in uri["entries"]] == ["normal", "large"]
        for entry in uri["entries"]:
            assert entry["path"] == str(
                cache / "thumbnails" / entry["flavor"] / f"{uri['key']}.png"
            )
            assert entry["verdict"] == "fresh"
            assert entry["texts"][0]["kind"] == "iTXt"
            assert {text["key"] for text in entry["texts"]} >= {"Thumb::URI", "Thumb::MTime"}
            asked = [desktop for desktop in entry["desktops"] if desktop["looks_here"]]
            assert asked
            assert all(desktop["accepts"] for desktop in asked)


def test_a_person_is_told_the_same(photo: Path, cache: Path) -> None:
    out = run_pregen("show", photo, cache=cache).out
    assert str(photo) in out
    assert desktops.glib_uri(photo) in out
    assert "(Qt)" in out
    assert out.count("up to date") == 4
    assert "256x192" in out
    assert "8-bit RGBA" in out
    assert "accepted by  GLib" in out
    assert "\x1b" not in out
    assert re.search(r"\nUp to date: normal, large; accepted by \d+ programs\.\n$", out)
    assert "Thumb::MTime" not in out
    texts = run_pregen("show", "-v", photo, cache=cache).out
    assert "iTXt Thumb::MTime" in texts
    assert "1700000000.123456" in texts


def test_the_last_line_says_what_to_do(tmp_path: Path, photo: Path, cache: Path) -> None:
    def verdict(file: Path) -> str:
        return run_pregen("show", file, cache=cache).out.splitlines()[-1]

    small = put(tmp_path / "small.jpg", jpeg(100, 100))
    broken = put(tmp_path / "it is broken.jpg", b"\xff\xd8\xff\xe0 broken")
    run_pregen("run", small, broken, cache=cache)
    new = put(tmp_path / "new.jpg", jpeg(400, 300))
    os.utime(photo, ns=(1, 1_800_000_000_000_000_000))
    assert verdict(small) == "There is no thumbnail: too small."
    why = f"an earlier run failed. Why: pregen failures '{broken}'"
    assert verdict(broken) == f"There is no thumbnail: {why}"
    assert verdict(new) == f"There is no thumbnail. To create it: pregen run {new}"
    again = f"To recreate: pregen run '{photo}'"
    assert verdict(photo) == f"Not up to date: normal, large. {again}"
    assert verdict(tmp_path / "no such.jpg").endswith("Nothing is known about it: check the name.")


@needs(Capability.FILE_MODES)
def test_no_run_is_advised_for_what_it_could_not_read(tmp_path: Path, cache: Path) -> None:
    secret = put(tmp_path / "secret.jpg", jpeg(400, 300))
    secret.chmod(0)
    done = run_pregen("show", secret, tmp_path, cache=cache, prefix=modes_count())
    told = done.out.splitlines()
    assert "There is no thumbnail: the file cannot be read. Make it readable for this user." in told
    assert told[-1] == "No thumbnail can be up to date: a folder; thumbnails are of files."


def test_a_changed_source_is_told_from_its_entries(photo: Path, cache: Path) -> None:
    os.utime(photo, ns=(1, 1_800_000_000_000_000_000))
    (facts,) = _shown(cache, photo)
    for uri in facts["uris"]:
        for entry in uri["entries"]:
            assert entry["verdict"] == "stale"
            assert "Thumb::MTime" in entry["reason"]
            accepting = {each["client"] for each in entry["desktops"] if each["accepts"]}
            assert accepting <= {"rofi"}, "which looks at nothing but the name"


def test_the_entries_of_a_source_that_is_gone_are_shown(photo: Path, cache: Path) -> None:
    photo.unlink()
    (facts,) = _shown(cache, photo)
    assert facts["source"] is None
    assert facts["trouble"] == "the file does not exist"
    assert [entry["verdict"] for entry in facts["uris"][0]["entries"]] == ["unknown", "unknown"]


def test_of_a_file_that_never_was_nothing_is_known(cache: Path) -> None:
    done = run_pregen("show", "/no/such/file.jpg", cache=cache)
    assert done.code == 3
    assert "the file does not exist" in done.out
    assert not cache.exists(), "looking makes nothing"


def test_fail_records_of_any_program_are_shown(tmp_path: Path, cache: Path) -> None:
    broken = put(tmp_path / "broken.jpg", b"\xff\xd8\xff\xe0 broken")
    assert run_pregen("run", broken, cache=cache).code == 3
    (ours,) = (cache / "thumbnails" / "fail").rglob("*.png")
    put(cache / "thumbnails" / "fail" / "gnome-thumbnail-factory" / ours.name, b"no PNG")
    (facts,) = _shown(cache, broken)
    records = facts["uris"][0]["fail_records"]
    assert [(record["program"], record["verdict"]) for record in records] == [
        ("gnome-thumbnail-factory", "corrupt"),
        (ours.parent.name, "fresh"),
    ]
    assert "fail record of gnome-thumbnail-factory" in run_pregen("show", broken, cache=cache).out


def test_the_real_path_is_shown_where_a_link_leads_to_the_file(photo: Path, cache: Path) -> None:
    link = photo.parent.parent / "link.jpg"
    link.symlink_to(photo)
    (facts,) = _shown(cache, link)
    assert [uri["form"] for uri in facts["uris"]] == ["", "real path", "real path, Qt"]
    assert [len(uri["entries"]) for uri in facts["uris"]] == [0, 2, 2]


def test_each_client_is_judged_by_the_path_it_asks_with(photo: Path, cache: Path) -> None:
    link = photo.parent.parent / "link"
    link.symlink_to(photo.parent)
    linked = link / photo.name
    assert run_pregen("run", "--force", linked, cache=cache).code == 0
    (facts,) = _shown(cache, linked)
    (by_link, *_) = facts["uris"]
    told = {each["client"]: each for each in by_link["entries"][0]["desktops"]}
    assert told["GLib/GIO (Nautilus, Nemo, Caja)"]["accepts"]
    assert told["KIO (Dolphin)"]["reason"].startswith("it asks by another URI, ")
    assert not told["KIO (Dolphin)"]["looks_here"]
    real = next(uri for uri in facts["uris"] if uri["form"] == "real path, Qt")
    served = {each["client"]: each for each in facts["clients"]}
    assert served["KIO (Dolphin)"]["asks_for"][0] == real["uri"] == desktops.qt_uri(photo)
    # It was reached by its own name before.
    assert served["KIO (Dolphin)"]["accepts"] == ["normal", "large"]


def _installed(folder: Path, *names: str) -> dict[str, str]:
    """Put programs of these names where they are looked for; return what says so."""
    for name in names:
        put(folder / name, b"#!/bin/sh\n").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def _by_client(shown: str) -> dict[str, str]:
    """Return what is said of each program on this machine, by the first word of its name."""
    told = shown.partition("on this machine\n")[2].partition("\n\n")[0]
    return {line.split()[0]: line for line in told.splitlines()}


def test_what_is_installed_is_told_what_it_finds(tmp_path: Path, cache: Path) -> None:
    env = _installed(tmp_path / "bin", "gwenview", "dolphin")
    disk = put(tmp_path / "disk" / "a b.jpg", jpeg(400, 300)).parent
    link = tmp_path / "My Pictures"
    link.symlink_to(disk)
    assert run_pregen("run", "--realpath-keys=never", link, cache=cache).code == 0
    out = run_pregen("show", link / "a b.jpg", cache=cache, env=env).out
    lines = _by_client(out)
    assert {"Gwenview", "KIO"} <= lines.keys()
    assert lines["Gwenview"].endswith(f"finds none, as file://{link}/a b.jpg")
    assert lines["KIO"].endswith(f"finds none, as {desktops.qt_uri(disk / 'a b.jpg')}")
    assert run_pregen("run", "--clients=auto", link, cache=cache, env=env).code == 0
    out = run_pregen("show", link / "a b.jpg", cache=cache, env=env).out
    lines = _by_client(out)
    assert lines["Gwenview"].endswith("accepts normal, large")
    assert lines["KIO"].endswith("accepts normal, large")


def test_a_linked_entry_is_called_a_link(photo: Path, cache: Path) -> None:
    entry = desktops.entry_path(cache, "large", desktops.glib_uri(photo))
    entry.rename(cache / "elsewhere.png")
    entry.symlink_to(cache / "elsewhere.png")
    (facts,) = _shown(cache, photo)
    (_, large) = facts["uris"][0]["entries"]
    assert large["verdict"] == "corrupt"
    assert "symbolic link" in large["reason"]
    assert large["width"] == 256
    assert all(each["accepts"] for each in large["desktops"] if each["looks_here"])
    entry.unlink()
    entry.symlink_to("/dev/zero")
    (facts,) = _shown(cache, photo)
    (_, large) = facts["uris"][0]["entries"]
    assert not any(each["accepts"] for each in large["desktops"] if each["looks_here"])


def test_several_files_are_shown_in_their_order(tmp_path: Path, cache: Path) -> None:
    files = [put(tmp_path / name, jpeg(300, 200)) for name in ("b.jpg", "a.jpg")]
    assert [facts["path"] for facts in _shown(cache, *files)] == [str(file) for file in files]


def test_hostile_names_and_texts_cannot_drive_the_terminal(tmp_path: Path, cache: Path) -> None:
    file = put(tmp_path / "\x1b[31m\n.jpg", jpeg(300, 200))
    assert run_pregen("run", file, cache=cache).code == 0
    shown: Finished = run_pregen("show", file, cache=cache)
    assert "\x1b" not in shown.out
    assert r"\x1b[31m\n.jpg" in shown.out

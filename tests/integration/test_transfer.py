"""`pregen export` and `pregen import`: what arrives, what is refused, and what an end leaves."""

from __future__ import annotations

import io
import shutil
import signal
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.support.files import foreign_entries
from tests.support.files.pictures import jpeg, put
from tests.support.files.source_trees import MTIME_NS, few
from tests.support.judges import desktops, png_walk
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import PREGEN, Finished, Running, environment, run_pregen

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    few(tmp_path / "photos" / "a", 3)
    few(tmp_path / "photos" / "b", 2)
    return tmp_path / "photos"


@pytest.fixture
def cache(photos: Path, tmp_path: Path) -> Path:
    made = run_pregen("run", photos, cache=tmp_path / "cache")
    assert made.code == 0, made
    return tmp_path / "cache"


def call(verb: str, cache: Path, *more: str | Path, stdin: bytes = b"") -> Finished:
    return run_pregen(verb, "--json", *more, cache=cache, stdin=stdin)


def content(cache: Path) -> dict[str, bytes]:
    root = cache / "thumbnails"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.glob("*/*.png")}


def tar(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


@pytest.mark.parametrize("form", ["tar", "folder"])
def test_what_is_exported_arrives_and_is_accepted(
    photos: Path, cache: Path, tmp_path: Path, form: str
) -> None:
    to = tmp_path / "out.tar" if form == "tar" else f"{tmp_path}/out/thumbnails/"
    done = call("export", cache, "--to", to)
    assert (done.code, done.summary["exported"], done.summary["refused"]) == (0, 10, 0), done
    other = tmp_path / "other"
    assert call("import", other, to).summary["imported"] == 10
    assert content(other) == content(cache)
    for path in foreign_entries.files(other):
        assert path.stat().st_mode & 0o777 == 0o600, path
    again = run_pregen("run", "--json", "--check=full", photos, cache=other)
    assert again.summary["kinds"] == {"fresh": 5}
    assert call("import", other, to).summary["kept"] == 10


def test_an_archive_for_which_there_is_no_room_is_told_and_leaves_nothing(
    cache: Path, tmp_path: Path
) -> None:
    to = tmp_path / "out" / "all.tar"
    to.parent.mkdir()
    little = ["sh", "-c", 'ulimit -f 100; exec "$@"', "sh"]  # 50 KiB
    done = run_pregen("export", "--to", to, cache=cache, prefix=little)
    assert (done.code, done.out) == (12, ""), done
    assert done.err == (
        f"pregen: {to} cannot be written: File too large. Choose another place with --to; nothing "
        "was exported.\n"
    )
    assert list(to.parent.iterdir()) == []


@needs(Capability.GIO)
def test_through_a_pipe_into_a_cache_whose_files_have_moved(
    photos: Path, cache: Path, tmp_path: Path
) -> None:
    stream = tmp_path / "stream"
    with stream.open("wb") as file:
        command = [*PREGEN, "export", "--to", "-"]
        subprocess.run(command, env=environment(cache, None), stdout=file, check=True, timeout=60)
    other = tmp_path / "other"
    first = put(tmp_path / "first" / "x.jpg", jpeg(500, 300, seed=31), MTIME_NS)
    run_pregen("run", first, cache=other)  # now its journal has met this cache, nearly empty
    assert call("import", other, "-", stdin=stream.read_bytes()).summary["imported"] == 10
    moved = photos.rename(tmp_path / "moved")
    done = run_pregen("run", "--json", moved, cache=other)
    assert done.summary["kinds"] == {"reused": 5}
    files = sorted(moved.rglob("*.jpg"))
    assert all(answer.valid for answer in desktops.gio(other, files))


def test_a_part_by_folder_uri_and_flavor(photos: Path, cache: Path, tmp_path: Path) -> None:
    uri = desktops.glib_uri(photos / "b")
    for number, (flags, count) in enumerate(
        [
            (["--under", str(photos / "a")], 6),
            (["--under", uri], 4),
            (["--under", str(photos / "a"), "--under", uri + "/", "--flavors=large"], 5),
            (["--under", str(photos) + "/aa"], 0),
        ]
    ):
        done = call("export", cache, "--to", tmp_path / f"{number}.tar", *flags)
        assert done.summary["exported"] == count, flags


def test_the_entry_of_the_later_state_wins(photos: Path, cache: Path, tmp_path: Path) -> None:
    call("export", cache, "--to", tmp_path / "old.tar")
    source = put(photos / "a" / "00.jpg", jpeg(700, 300, seed=50), MTIME_NS + 10**12)
    run_pregen("run", photos, cache=cache)
    later = foreign_entries.read(cache, "large", source).data
    call("export", cache, "--to", tmp_path / "new.tar")
    for order in (["old.tar", "new.tar"], ["new.tar", "old.tar"]):
        other = tmp_path / order[0][:3]
        for name in order:
            assert call("import", other, tmp_path / name).code == 0
        assert foreign_entries.read(other, "large", source).data == later
    other = tmp_path / "old"
    other_entry = foreign_entries.read(other, "large", source).path
    other_entry.write_bytes(later[:-9])
    assert call("import", other, tmp_path / "new.tar").summary["imported"] == 1
    assert other_entry.read_bytes() == later


def test_a_hostile_archive_puts_nothing_anywhere(cache: Path, tmp_path: Path) -> None:
    [name, *_] = sorted(content(cache))
    flavor, file = name.split("/")
    good = content(cache)[name]
    prey = tmp_path / "prey"
    prey.write_text("mine")

    def member(path: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
        info = tarfile.TarInfo(path)
        info.type, info.linkname, info.mode = kind, link, 0o7777
        return info

    hostile = [
        (member(f"../../{flavor}/{file}"), good),
        (member(f"/{flavor}/{file}"), good),
        (member(str(prey)), b"gone"),
        (member(f"thumbnails/{flavor}/../../x.png"), good),
        (member(f"thumbnails/{flavor}/{file}", tarfile.SYMTYPE, str(prey)), b""),
        (member(f"thumbnails/{flavor}/{file}", tarfile.LNKTYPE, str(prey)), b""),
        (member(f"thumbnails/{flavor}/{file}", tarfile.FIFOTYPE), b""),
        (member(f"thumbnails/{flavor}/{file}", tarfile.CHRTYPE), b""),
        (member(f"thumbnails/fail/pregen-0.1/{file}"), good),
        (member(f"thumbnails/{flavor}/{'0' * 32}.png"), good),
        (member(f"thumbnails/{flavor}/{file}"), good[:-1]),
        (member(f"thumbnails/{flavor}/{file}"), good + b"<?php"),
        (member(f"thumbnails/{flavor}/{file}"), good[:200] + b"\0" + good[201:]),
        (member(f"thumbnails/{flavor}/{file}\x1b[2J"), b"no"),
        (member(f"thumbnails/{flavor}/{file.upper()}"), good),
        (member("thumbnails", tarfile.DIRTYPE), b""),
        (member(f"./{flavor}/{file}"), good),
    ]
    other = tmp_path / "other"
    done = call("import", other, "-", stdin=tar(hostile))
    assert done.code == 3, done
    assert (done.summary["imported"], done.summary["refused"]) == (1, len(hostile) - 2), done
    assert "\x1b" not in done.out + done.err
    assert content(other) == {name: good}
    assert prey.read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} >= {"prey", "other"}
    assert not list(tmp_path.rglob("x.png"))
    assert not foreign_entries.leftovers(other)


def test_an_entry_too_large_for_its_folder_is_refused(cache: Path, tmp_path: Path) -> None:
    large = next(name for name in content(cache) if name.startswith("large/"))
    bad = tarfile.TarInfo(large.replace("large/", "normal/"))
    done = call("import", tmp_path / "other", "-", stdin=tar([(bad, content(cache)[large])]))
    assert done.summary["refused"] == 1
    assert "too large for its folder" in done.out


@pytest.mark.parametrize("damage", ["cut", "junk", "gzip"])
def test_a_damaged_archive_leaves_what_came_before(
    cache: Path, tmp_path: Path, damage: str
) -> None:
    call("export", cache, "--to", tmp_path / "a.tar")
    whole = (tmp_path / "a.tar").read_bytes()
    data = {"cut": whole[: len(whole) // 2], "junk": b"junk" * 5000, "gzip": b"\x1f\x8b" * 900}
    other = tmp_path / "other"
    done = call("import", other, "-", stdin=data[damage])
    assert done.code == 2, done
    words = "cannot be read further: " if damage == "cut" else "cannot be read: it is "
    assert words in done.err
    arrived = content(other)
    assert arrived.items() <= content(cache).items()
    assert bool(arrived) == (damage == "cut")
    assert not foreign_entries.leftovers(other)


def test_with_an_interrupted_run_in_between_the_union_arrives_each_entry_whole(
    photos: Path, cache: Path, tmp_path: Path
) -> None:
    call("export", cache, "--to", tmp_path / "one.tar")
    exported = content(cache)
    other = tmp_path / "other"
    few(tmp_path / "more", 40)
    for path in (tmp_path / "more").iterdir():
        path.rename(path.with_name("m" + path.name))
    shutil.copytree(tmp_path / "more", photos / "a", dirs_exist_ok=True)
    with Running("run", "--json", "--workers=2", "--no-reuse", photos / "a", cache=other) as run:
        run.wait_for_outcomes(3)
        run.send(signal.SIGKILL)
        run.process.wait(30)
    before = content(other)
    assert call("import", other, "--wait", tmp_path / "one.tar").code == 0
    after = content(other)
    assert set(after) == set(before) | set(exported)
    for name, data in after.items():
        assert data == before.get(name) or data == exported.get(name)
        assert png_walk.chunks(data)[-1][0] == b"IEND"
    assert not foreign_entries.leftovers(other)
    assert run_pregen("run", photos, cache=other).code == 0
    assert run_pregen("verify", cache=other).code == 0


def test_an_interrupted_export_leaves_no_half_archive(cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    limit = ["prlimit", "--fsize=20000", "--"]
    done = run_pregen("export", "--to", out / "a.tar", cache=cache, prefix=limit)
    assert done.code == 12, done
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["export", "--to", "/nowhere/folder"], "end its name with /"),
        (["import", "/nowhere/a.tar"], "No such file"),
        (["import", "/proc/self/task"], "no folder normal, large, x-large or xx-large. Nothing"),
    ],
)
def test_what_cannot_be_meant_is_refused(cache: Path, arguments: list[str], words: str) -> None:
    done = run_pregen(*arguments, cache=cache)
    assert done.code == 2, done
    assert words in " ".join(done.err.split())

"""`pregen clean`, as a user runs it: exactly the right entries go, and nothing else."""

from __future__ import annotations

import os
import signal
import stat
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.support.faults.hanging_mount import StuckMount
from tests.support.files.mixed_cache import KDE, Zoo, png
from tests.support.judges import desktops
from tests.support.judges.terminal import Terminal
from tests.support.running.capabilities import Capability, modes_count, needs
from tests.support.running.program import PREGEN, Finished, Running, run_pregen

if TYPE_CHECKING:
    from pathlib import Path

GONE = {"deleted", "deleted kde", "deleted gnome", "deleted failed", "moved"}
LIVE = {"live", "live kde", "live gnome", "live gthumb", "live failed"}
ELSEWHERE = {"http", "http old", "smb", "smb old"}
LOCAL = {*LIVE, *GONE, "changed", "unreadable"}
REMOTE = {*ELSEWHERE, "unmounted", "gvfs"}

#: Flags, and the kinds of entries that go; {photos} stands for the folder.
TABLE = {
    "": {*GONE, "corrupt"},
    "--missing": GONE,
    "--corrupt": {"corrupt"},
    "--stale": {"changed"},
    "--missing --stale": {*GONE, "changed"},
    "--older-than 30d": {"http old", "smb old", "removable old", "bin old"},
    "--older-than 90d": set(),
    "--older-than 30d --remote": {"http old", "smb old"},
    "--local": {*LOCAL, "bin", "bin old"},
    "--remote": REMOTE,
    "--missing --remote": set(),
    "--fail": {"live failed", "deleted failed"},
    "--fail --missing": {"deleted failed"},
    "--flavor x-large": {"live gnome", "live gthumb"},
    "--flavor x-large --flavor xx-large --missing": {"deleted gnome"},
    "--flavor x-large --program gthumb": {"live gthumb"},
    "--program kde": {"live kde", "deleted kde"},
    "--program GNOME --missing": {"deleted gnome"},
    "--fail --program gnome": {"live failed"},
    "--program thumb": set(),
    "--missing --not-under {photos}": set(),
    "--missing --under {photos}": GONE,
    "--under {photos}/live.jpg": {"live"},
    "--under {photos}/live": set(),
    "--under smb://nas/photos": {"smb", "smb old"},
    "--under http://example.org/ --not-under http://example.org/a0.jpg": {"http old"},
    "--max-size 1G": set(),
    "--max-size 0 --fail": {"live failed", "deleted failed"},
}


@pytest.fixture
def zoo(tmp_path: Path) -> Zoo:
    return Zoo(tmp_path / "home").fill()


def clean(zoo: Zoo, *arguments: str, prefix: tuple[str, ...] = ()) -> Finished:
    zoo.closed.chmod(0)
    try:
        return run_pregen(
            "clean",
            *arguments,
            cache=zoo.cache,
            env={"LIBMOUNT_FSTAB": str(zoo.fstab)},
            prefix=(*prefix, *modes_count()),
        )
    finally:
        zoo.closed.chmod(0o700)


@needs(Capability.FILE_MODES)
@pytest.mark.parametrize("flags", TABLE)
def test_exactly_the_right_entries_go(zoo: Zoo, flags: str) -> None:
    arguments = flags.format(photos=zoo.photos).split()
    done = clean(zoo, *arguments, "--yes", "--json")
    assert done.code == 0, done
    assert zoo.gone() == TABLE[flags], done
    assert zoo.untouched()
    deleted = {os.fsencode(record["path"]) for record in done.records if record["type"] == "entry"}
    assert deleted == {bytes(path) for path in zoo.labels if not path.exists()}
    assert sum(each["entries"] for each in done.summary["deleted"].values()) == len(deleted)


@needs(Capability.FILE_MODES)
def test_what_stays_and_why_is_told(zoo: Zoo) -> None:
    done = clean(zoo, "--dry-run", "--json")
    kept = {why: count["entries"] for why, count in done.summary["kept"].items()}
    assert (kept["offline"], kept["unreadable"], kept["other-scheme"]) == (6, 1, 6), done
    places = {place["path"]: place["entries"] for place in done.summary["offline"]}
    assert places[str(zoo.nas)] == 2
    assert places[str(zoo.photos / "by hand")] == 1
    assert places["/media/me/STICK"] == 2
    assert {link["path"] for link in done.summary["links"]} == {
        str(zoo.thumbnails / "fail" / "linked")
    }
    said = clean(zoo, "--dry-run", "-v").out
    assert "Would be deleted" in said
    assert str(zoo.nas) in said
    assert "moved" not in zoo.gone()


def test_a_dry_run_deletes_nothing(zoo: Zoo) -> None:
    done = clean(zoo, "--dry-run", "--json")
    assert done.code == 0
    assert zoo.gone() == set()
    entries = [record for record in done.records if record["type"] == "entry"]
    assert entries
    assert not any(record["deleted"] for record in entries)
    assert done.summary["planned"]["corrupt"]["entries"] == 5
    assert done.summary["deleted"]["corrupt"]["entries"] == 0


def test_without_a_terminal_nothing_is_deleted_unless_told_so(zoo: Zoo) -> None:
    done = clean(zoo)
    assert done.code == 2
    assert "--yes" in done.err
    assert zoo.gone() == set()


@pytest.mark.parametrize("flags", ["--flavor small", "--flavor large --fail"])
def test_a_size_that_makes_no_sense_deletes_nothing(zoo: Zoo, flags: str) -> None:
    done = clean(zoo, *flags.split(), "--yes")
    assert done.code == 2
    assert "--flavor" in done.err
    assert zoo.gone() == set()


@needs(Capability.TMUX)
@pytest.mark.parametrize("answer", ["y", "n", "C-c"])
def test_a_person_is_asked(zoo: Zoo, answer: str) -> None:
    env = {**os.environ, "XDG_CACHE_HOME": str(zoo.cache), "LIBMOUNT_FSTAB": str(zoo.fstab)}
    with Terminal([*PREGEN, "clean", "--corrupt"], env, columns=120) as terminal:
        terminal.wait_for("Delete 5 thumbnails (")
        terminal.press(answer, "Enter")
        terminal.wait_for(lambda screen: "exit code" in screen)
        code = 130 if answer == "C-c" else 0
        assert f"exit code {code}" in terminal.screen()
    assert zoo.gone() == ({"corrupt"} if answer == "y" else set())


def test_an_empty_home_stays_empty(tmp_path: Path) -> None:
    done = run_pregen("clean", "--yes", cache=tmp_path / "cache")
    assert done.code == 0
    assert "nothing to do" in done.out
    assert list(tmp_path.iterdir()) == []


def test_the_least_recently_used_go_until_the_rest_fits(tmp_path: Path) -> None:
    zoo = Zoo(tmp_path)
    paths = [
        zoo.entry(f"{days}", f"http://example.org/{days}", unused_days=days) for days in range(1, 7)
    ]
    path = paths[-1]
    size_bytes = path.stat().st_size
    recently = path.stat().st_mtime + 6 * 86400
    os.utime(path, (recently, path.stat().st_mtime))  # read long after it was written
    done = run_pregen(
        "clean", "--max-size", f"{3 * size_bytes + 1}", "--yes", "--json", cache=zoo.cache
    )
    assert zoo.gone() == {"5", "4", "3"}, done
    assert done.summary["deleted"]["over-size"] == {"entries": 3, "bytes": 3 * size_bytes}


def test_cleaning_does_not_count_as_use(tmp_path: Path) -> None:
    zoo = Zoo(tmp_path)
    path = zoo.entry("old", "http://example.org/a", unused_days=60)
    before = path.stat().st_atime_ns
    run_pregen("clean", "--older-than", "90d", "--yes", cache=zoo.cache)
    assert path.stat().st_atime_ns == before


def test_hostile_names_do_not_reach_the_terminal(tmp_path: Path) -> None:
    zoo = Zoo(tmp_path)
    zoo.entry("x", "file:///\x1b[31mred\n", software="x\x1b[31m")
    zoo.file("y", "y", b"")
    (zoo.thumbnails / "fail" / "a\x1b[31mb").mkdir(parents=True)
    zoo.file("z", "z", b"", folder="fail/a\x1b[31mb")
    done = run_pregen("clean", "--yes", "-v", cache=zoo.cache)
    assert zoo.gone() == {"x", "y", "z"}
    assert "\x1b" not in done.out + done.err


def test_a_folder_of_photos_is_refused_with_the_command_that_is_meant(zoo: Zoo) -> None:
    done = clean(zoo, str(zoo.photos), "--yes")
    assert done.code == 2, done
    assert zoo.gone() == set()
    advised = f"pregen clean --under {zoo.photos}"
    assert done.err.rstrip().endswith(f"the files in {zoo.photos}: {advised}")
    before = _thumbnails_and_records(zoo)
    told = clean(zoo, *advised.split()[2:], "--yes").out.splitlines()[-1]
    gone, gone_records = map(int.__sub__, before, _thumbnails_and_records(zoo))
    assert gone > gone_records > 1
    assert told.startswith(f"Deleted {gone} thumbnails and {gone_records} fail records,")


def _thumbnails_and_records(zoo: Zoo) -> tuple[int, int]:
    records = len([*zoo.thumbnails.glob("fail/[!l]*/*.png")])
    return len([*zoo.thumbnails.rglob("*.png")]) - records, records


def test_it_waits_for_no_run_unless_told_so(zoo: Zoo) -> None:
    code = (
        "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX);"
        " print('{}', flush=True); sys.stdin.read()"
    )
    lock = zoo.thumbnails / ".pregen.lock"
    with psutil.Popen([sys.executable, "-c", code, lock], stdin=-1, stdout=-1) as holder:
        holder.stdout.readline()
        assert clean(zoo, "--yes").code == 10
        assert zoo.gone() == set()
        assert clean(zoo, "--dry-run").code == 0
        with Running("clean", "--corrupt", "--yes", "--wait", "--json", cache=zoo.cache) as waiting:
            waiting.wait_for_stderr("waiting")
            assert zoo.gone() == set()
            holder.stdin.close()
            holder.wait(10)
            assert waiting.end().code == 0
    assert zoo.gone() == {"corrupt"}


@needs(Capability.FILE_MODES)
def test_a_cache_that_cannot_be_written_ends_it(zoo: Zoo) -> None:
    large = zoo.thumbnails / "large"
    large.chmod(0o500)
    done = clean(zoo, "--corrupt", "--yes")
    large.chmod(0o700)
    assert done.code == 12, done
    assert zoo.gone() == set()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--local", "--remote"), "exclude each other"),
        (("--older-than", "30"), "30d"),
        (("--max-size", "many"), "2G"),
        (("--mount-timeout", "0"), "above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(zoo: Zoo, arguments: tuple[str, ...], told: str) -> None:
    done = clean(zoo, *arguments, "--yes")
    assert done.code == 2
    assert told in done.err
    assert zoo.gone() == set()


@needs(Capability.STUCK_MOUNT, Capability.FILE_MODES)
@pytest.mark.parametrize("flags", ["--missing --stale --corrupt", "--local --missing"])
def test_a_mount_that_hangs_costs_its_time_out_once(zoo: Zoo, tmp_path: Path, flags: str) -> None:
    hung = tmp_path / "hung"
    hung.mkdir()
    (zoo.photos / "to hung").symlink_to(hung)
    # Several chunks: a time-out for each file, folder or chunk would take minutes.
    for number in range(4500):
        folder = hung if number % 2 else zoo.photos / "to hung"
        zoo.entry("hung", f"{desktops.glib_uri(folder)}/{number % 100}/{number}.jpg")
    with StuckMount(hung) as stuck:
        started_s = time.monotonic()
        done = clean(
            zoo, *flags.split(), "--yes", "--json", "--mount-timeout", "2", prefix=stuck.inside
        )
        took_s = time.monotonic() - started_s
        helpers = stuck.held("originals/helper.py", psutil.STATUS_DISK_SLEEP)
        assert helpers, "nobody was left hanging: the mount did not hang at all"
    assert done.code == 0, done
    assert 2 <= took_s < 60
    expected = {
        "--missing --stale --corrupt": {*GONE, "changed", "corrupt"},
        "--local --missing": GONE,
    }
    assert zoo.gone() == expected[flags]
    assert done.summary["hung"] == [{"path": str(hung)}]
    if "--local" not in flags:
        assert done.summary["offline"][0] == {"path": str(hung), "entries": 4500, "hung": True}
    psutil.wait_procs(helpers, 10)


@needs(Capability.STUCK_MOUNT)
def test_ctrl_c_does_not_wait_for_a_mount_that_hangs(zoo: Zoo, tmp_path: Path) -> None:
    hung = tmp_path / "hung"
    hung.mkdir()
    zoo.entry("hung", f"{desktops.glib_uri(hung)}/a.jpg")
    arguments = ("clean", "--yes", "--mount-timeout", "600")
    with (
        StuckMount(hung) as stuck,
        Running(*arguments, cache=zoo.cache, prefix=stuck.inside) as running,
    ):
        helpers = stuck.wait_for_held("originals/helper.py")
        running.send(signal.SIGINT)
        assert running.end().code == 130
    assert zoo.gone() == set()
    psutil.wait_procs(helpers, 10)


@pytest.mark.slow
def test_a_hundred_thousand_entries(zoo: Zoo) -> None:
    """Names of a few files (hard links): reading and looking is the same work as for others."""
    dead = desktops.glib_uri(zoo.photos) + "/never.jpg"
    for folder, uri in (("normal", desktops.glib_uri(zoo.photo("live.jpg"))), ("large", dead)):
        data = png(("Thumb::URI", uri), ("Thumb::MTime", "1700000000"), ("Software", KDE))
        first = zoo.file(f"many {folder}", uri + "?", data, folder=folder)
        below = os.open(first.parent, os.O_RDONLY)
        for number in range(50_000):
            os.link(first.name, f"{number:032x}.png", src_dir_fd=below, dst_dir_fd=below)
        os.close(below)
    done = clean(zoo, "--missing", "--yes", "--json")
    assert done.code == 0
    assert done.summary["entries"] > 100_000
    left = {
        folder: sum(
            stat.S_ISREG(each.stat().st_mode) for each in os.scandir(zoo.thumbnails / folder)
        )
        for folder in ("normal", "large")
    }
    assert left["normal"] > 50_000
    assert left["large"] < 50
    assert zoo.gone() == {*GONE, "many large"}

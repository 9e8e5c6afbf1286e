"""Long runs beside other work: limits, priorities, pauses, logs, units; in the real program."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from pregen.display import plain
from tests.support.files import foreign_entries
from tests.support.files.pictures import jpeg, put
from tests.support.files.source_trees import few, many_slow
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import Running, run_pregen

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.usefixtures("no_leaks"), pytest.mark.xdist_group("timing")]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def count(cache: Path) -> int:
    return len(list((cache / "thumbnails" / "large").iterdir()))


def test_nights_with_a_limit_come_to_the_end_of_a_library(tmp_path: Path, cache: Path) -> None:
    photos = tmp_path / "photos"
    few(photos, 7)
    made, ended = [], None
    for _ in range(4):
        done = run_pregen("run", "--json", "--limit", "3", photos, cache=cache)
        assert done.code == 0, done
        made.append(done.summary["kinds"].get("made", 0))
        ended = done.summary["ended_because"]
    assert made == [3, 3, 1, 0]
    assert ended is None
    assert count(cache) == 7


def test_what_ended_politely_says_so_and_is_no_failure(tmp_path: Path, cache: Path) -> None:
    many_slow(tmp_path / "photos", 300)
    done = run_pregen("run", "--max-time", "2s", tmp_path / "photos", cache=cache)
    assert done.code == 0, done
    assert "--max-time" in done.out
    assert "Run the same command to continue." in done.out
    assert 0 < count(cache) < 300
    assert not foreign_entries.leftovers(cache)


def test_a_limit_tells_of_failures_all_the_same(tmp_path: Path, cache: Path) -> None:
    put(tmp_path / "photos" / "0.jpg", jpeg()[:2000])
    few(tmp_path / "photos" / "more", 3)
    done = run_pregen("run", "--json", "--limit", "2", tmp_path / "photos", cache=cache)
    assert done.code == 3, done
    assert done.summary["kinds"] == {"truncated": 1, "made": 1}


def test_a_load_that_is_too_high_makes_it_wait_until_the_time_is_over(
    tmp_path: Path, cache: Path
) -> None:
    """The load of any machine is over a millionth, unless it has idled for long."""
    few(tmp_path / "photos", 2)
    flags = ["--max-load", "0.000001", "--max-time", "3s"]
    burn = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        until_s = time.monotonic() + 60
        while os.getloadavg()[0] < 0.01 and time.monotonic() < until_s:
            time.sleep(0.2)
        done = run_pregen("run", "--json", *flags, tmp_path / "photos", cache=cache)
    finally:
        burn.kill()
        burn.wait()
    assert done.code == 0, done
    assert done.summary["kinds"] == {}
    assert "paused: the load is" in done.err
    paused = [record["paused"] for record in done.records if record["type"] == "progress"]
    assert any("--max-load" in str(why) for why in paused)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "pregen-test", str(place)]
    subprocess.run(mount, check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


@needs(Capability.MOUNT)
def test_it_stops_before_the_disk_is_full(small_disk: Path, tmp_path: Path) -> None:
    many_slow(tmp_path / "photos", 200, megapixels=1)
    cache = small_disk / "cache"
    flags = ["--min-free", "12M", "--flavors", "large"]
    done = run_pregen("run", "--json", *flags, tmp_path / "photos", cache=cache)
    assert done.code == 12, done
    assert "--min-free" in done.err
    facts = os.statvfs(small_disk)
    assert facts.f_bavail * facts.f_frsize > 1_000_000, "it went on to the end"
    assert 0 < done.summary["kinds"]["made"] < 200
    assert not foreign_entries.leftovers(cache)


@pytest.mark.timeout(500)
def test_nice_and_idle_are_those_of_the_workers_too(tmp_path: Path, cache: Path) -> None:
    many_slow(tmp_path / "photos", 200)
    flags = ["--json", "--nice", "7", "--idle"]
    photos = str(tmp_path / "photos")
    with Running("run", *flags, photos, cache=cache, patience_s=400) as running:
        workers = running.wait_for_workers()
        for pid in (running.process.pid, *workers):
            process = psutil.Process(pid)
            assert process.nice() == 7 + psutil.Process().nice()
            assert os.sched_getscheduler(pid) == os.SCHED_IDLE
            assert process.ionice().ioclass == psutil.IOPRIO_CLASS_IDLE


def test_the_log_has_what_was_said_and_what_failed(tmp_path: Path, cache: Path) -> None:
    few(tmp_path / "photos", 2)
    put(tmp_path / "photos" / "evil\x1b[31m.jpg", jpeg()[:2000])
    log = tmp_path / "pregen.log"
    for _ in range(2):
        run_pregen("run", "--quiet", "--log", log, tmp_path / "photos", cache=cache)
    text = log.read_text()
    assert text.count("begins") == 2
    assert "evil\\x1b[31m.jpg" in text
    assert "\x1b" not in text
    assert all(line[:2] == "20" for line in text.splitlines())


def test_a_log_that_has_grown_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "_MOST_BYTES", 1000)
    stream = plain.LogStream(str(tmp_path / "log"))
    for number in range(200):
        stream.write(f"line {number}\n")
    stream.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["log", "log.1", "log.2", "log.3", "log.4"]
    assert all(file.stat().st_size <= 1000 for file in files)
    assert "line 199" in (tmp_path / "log").read_text()


def test_a_log_that_cannot_be_written_ends_it_before_it_began(tmp_path: Path, cache: Path) -> None:
    few(tmp_path / "photos", 1)
    done = run_pregen("run", "--log", tmp_path / "no" / "x.log", tmp_path / "photos", cache=cache)
    assert done.code == 2, done
    assert "x.log" in done.err
    assert not cache.exists()


@needs(Capability.SYSTEMD)
@pytest.mark.parametrize("unit", ["pregen.service", "pregen.timer", "pregen-watch.service"])
def test_systemd_takes_the_units(unit: str, tmp_path: Path) -> None:
    for file in (ROOT / "pregen" / "verbs" / "desktop" / "data").iterdir():
        text = file.read_text().replace("%h/.local/bin/pregen", f"{sys.prefix}/bin/pregen")
        (tmp_path / file.name).write_text(text.replace("man:pregen(1)", "https://example.org"))
    env = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", "--man=no", str(tmp_path / unit)],
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )
    assert done.returncode == 0, done
    assert str(tmp_path) not in done.stderr, done.stderr


@pytest.mark.timeout(500)
@pytest.mark.parametrize("place", ["pregen/verbs/desktop/data/pregen.service", "scripts/crontab"])
def test_the_commands_of_units_and_cron_are_ones_that_run(
    place: str, tmp_path: Path, cache: Path
) -> None:
    """As written, but with folders of the test, and an end that does not depend on the hour."""
    few(tmp_path / "Pictures", 2)
    (tmp_path / "state").mkdir()
    (command,) = [line for line in (ROOT / place).read_text().splitlines() if "pregen run" in line]
    words = command.partition("pregen run")[2]
    for old, new in (
        ("%h", str(tmp_path)),
        ("$HOME/.local/state/pregen", str(tmp_path / "state")),
        ("$HOME", str(tmp_path)),
        ("%S/pregen", str(tmp_path / "state")),
        ("--min-free 2G", "--min-free 1k"),
        ("--pause-on-battery", ""),
    ):
        words = words.replace(old, new)
    # --idle: beside a busy suite it is hardly given a processor
    with Running("run", *words.split(), cache=cache, patience_s=400) as running:
        done = running.end()
    assert done.code == 0, done
    assert count(cache) == 2
    assert "Done in" in (tmp_path / "state" / "pregen.log").read_text()

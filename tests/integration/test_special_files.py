"""Sources that are no ordinary pictures: each gets the right outcome, none holds up a run."""

from __future__ import annotations

import os
import re
import socket
import stat
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.files import broken as hostile
from tests.support.files import foreign_entries
from tests.support.files.pictures import jpeg, put
from tests.support.files.source_trees import few, slow_picture
from tests.support.judges import desktops
from tests.support.judges.leaks import marked_processes
from tests.support.running.capabilities import Capability, modes_count, needs
from tests.support.running.program import Running, run_pregen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import psutil

    from tests.support.judges.leaks import Leaks
    from tests.support.running.program import Finished

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    few(tmp_path / "photos", 2)
    return tmp_path / "photos"


@pytest.fixture
def cache(photos: Path) -> Path:
    return photos.parent / "cache"


def run(photos: Path, *more: str, prefix: Sequence[str] = ()) -> Finished:
    cache = photos.parent / "cache"
    done = run_pregen("run", "--json", "-v", *more, photos, cache=cache, prefix=prefix)
    assert "Traceback" not in done.err
    assert not foreign_entries.leftovers(cache)
    return done


def assert_made_besides(done: Finished, **expected: str) -> None:
    """Check the kinds of all sources; the two ordinary ones were made whatever else there was."""
    kinds = done.kinds()
    assert {name: kinds.pop(name) for name in ("00.jpg", "01.jpg")} == {
        "00.jpg": "made",
        "01.jpg": "made",
    }
    assert kinds == expected


@needs(Capability.FILE_MODES)
def test_an_unreadable_file_fails_leaves_no_record_and_is_tried_again(
    photos: Path, cache: Path
) -> None:
    closed = put(photos / "closed.jpg", jpeg(300, 200))
    closed.chmod(0)
    done = run(photos, prefix=modes_count())
    assert done.code == 3
    assert_made_besides(done, **{"closed.jpg": "unreadable"})
    assert not list((cache / "thumbnails").glob("fail/*/*"))
    closed.chmod(0o600)
    assert run(photos, prefix=modes_count()).kinds()["closed.jpg"] == "made"


@needs(Capability.FILE_MODES)
@pytest.mark.parametrize("mode", [0o000, 0o600, 0o300], ids=oct)
def test_an_unreadable_directory_is_reported_and_the_walk_goes_on(photos: Path, mode: int) -> None:
    inside = put(photos / "closed" / "a.jpg", jpeg(300, 200)).parent
    inside.chmod(mode)
    try:
        done = run(photos, prefix=modes_count())
    finally:
        inside.chmod(0o700)
    kinds = done.kinds()
    assert (kinds["00.jpg"], kinds["01.jpg"]) == ("made", "made")
    assert "unreadable" in kinds.values()
    assert done.code == 3


def test_a_dangling_symlink_and_a_loop_of_symlinks_do_not_stop_a_run(photos: Path) -> None:
    (photos / "dangling.jpg").symlink_to("nowhere.jpg")
    (photos / "loop.jpg").symlink_to("loop.jpg")
    (photos / "up").symlink_to(photos, target_is_directory=True)
    for more in ((), ("--follow-symlinks",)):
        done = run(photos, *more)
        kinds = done.kinds()
        assert {kinds["00.jpg"], kinds["01.jpg"]} <= {"made", "fresh"}
        assert kinds["dangling.jpg"] == "vanished"
        assert kinds["loop.jpg"] == "vanished"


def test_special_files_are_never_opened(photos: Path) -> None:
    os.mkfifo(photos / "fifo.jpg")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(photos / "socket.jpg"))
        done = run(photos)
    assert done.code == 0
    assert_made_besides(done, **{"fifo.jpg": "special", "socket.jpg": "special"})


@needs(Capability.DEVICE_NODES)
def test_device_nodes_are_never_opened(photos: Path) -> None:
    os.mknod(photos / "zero.jpg", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    os.mknod(photos / "disk.jpg", 0o600 | stat.S_IFBLK, os.makedev(7, 250))
    done = run(photos)
    assert_made_besides(done, **{"zero.jpg": "special", "disk.jpg": "special"})


def test_special_files_named_on_the_command_line_are_not_opened_either(photos: Path) -> None:
    fifo = photos / "fifo.jpg"
    os.mkfifo(fifo)
    done = run_pregen("run", "--json", "-v", fifo, "/dev/zero", cache=photos.parent / "cache")
    assert set(done.kinds().values()) == {"special"}, done


def test_an_empty_file_fails_without_harm(photos: Path) -> None:
    put(photos / "empty.jpg", b"")
    put(photos / "empty", b"")
    kinds = run(photos).kinds()
    assert kinds["empty.jpg"] == "invalid"
    assert kinds["empty"] == "not-a-picture"


BOMBS: dict[str, Callable[[], bytes]] = {
    "header.png": hostile.png_header_bomb,
    "header.jpg": hostile.jpeg_header_bomb,
    "header.bmp": hostile.bmp_header_bomb,
    "zipped.png": hostile.png_zip_bomb,
}


def test_bombs_are_too_large_by_their_header_and_cost_nothing(photos: Path, cache: Path) -> None:
    for name, make in BOMBS.items():
        put(photos / name, make())
    done = run(photos)
    assert done.code == 3
    assert_made_besides(done, **dict.fromkeys(BOMBS, "too-large"))
    for path, record in done.outcomes.items():
        if record["kind"] == "too-large":
            assert record["ns"]["decode"] < 1_000_000_000, path
    assert len(list((cache / "thumbnails").glob("fail/*/*.png"))) == len(BOMBS)


def test_the_pixel_limit_can_be_set(photos: Path) -> None:
    put(photos / "bigger.jpg", jpeg(2000, 1000))
    limited = run(photos, "--max-pixels", "1000000")
    assert_made_besides(limited, **{"bigger.jpg": "too-large"})


def test_a_text_bomb_is_an_ordinary_picture(photos: Path) -> None:
    put(photos / "text.png", hostile.png_text_bomb())
    kinds = run(photos).kinds()
    assert kinds["text.png"] == "made"


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [(0.95, "made"), (0.85, "made"), (0.5, "truncated"), (0.1, "truncated")],
)
def test_a_picture_that_ends_early_counts_when_most_of_it_is_there(
    photos: Path, fraction: float, expected: str
) -> None:
    whole = jpeg(1600, 1200, seed=6, quality=85)
    put(photos / "cut.jpg", hostile.truncated(whole, fraction))
    assert_made_besides(run(photos), **{"cut.jpg": expected})


def test_files_of_formats_known_by_their_magic_alone_never_crash_a_run(photos: Path) -> None:
    named = hostile.magic_only()
    for name, data in named.items():
        put(photos / name, data)
    kinds = run(photos).kinds()
    assert {kinds[name] for name in named} <= {"invalid", "truncated", "unsupported", "made"}
    assert kinds["paper.pdf"] == "truncated"
    assert kinds["clip.mp4"] == "invalid"


def test_content_decides_and_not_the_extension(photos: Path) -> None:
    put(photos / "photo.png", jpeg(300, 200))
    put(photos / "no-extension", jpeg(300, 200))
    put(photos / "text.jpg", b"this is no picture\n" * 100)
    kinds = run(photos).kinds()
    assert kinds["photo.png"] == "made"
    assert kinds["no-extension"] == "made"
    assert kinds["text.jpg"] == "invalid"


@needs(Capability.GIO, Capability.GNOME_DESKTOP)
@pytest.mark.desktop
def test_a_fail_record_is_ours_alone_and_private(photos: Path, cache: Path) -> None:
    broken = put(photos / "broken.jpg", b"\xff\xd8\xff\xe0 broken", 1_700_000_000_123_456_000)
    assert run(photos).code == 3
    (path,) = (cache / "thumbnails").glob("fail/*/*.png")
    assert re.fullmatch(r"pregen-\d+\.\d+", path.parent.name)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parents[1].stat().st_mode) == 0o700
    record = foreign_entries.Entry(path, path.read_bytes())
    assert (record.image.size, record.image.mode) == ((1, 1), "RGBA")
    assert record.text("Thumb::URI") == desktops.glib_uri(broken)
    assert record.text("Thumb::MTime") == "1700000000"
    assert record.text("Thumb::Size") == str(broken.stat().st_size)
    assert path.stem == desktops.entry_path(cache, "large", desktops.glib_uri(broken)).stem
    # Other programs may still try: one of them may read what pregen cannot.
    (answer,) = desktops.gio(cache, [broken])
    assert (answer.valid, answer.failed) == (None, False)
    assert not desktops.gnome_desktop(cache, "large", [broken])[0].failed


@pytest.fixture
def slow_source(photos: Path) -> Path:
    """A picture whose decoding takes about half a second."""
    return put(photos / "slow.png", slow_picture(96), 1_700_000_000_000_000_000)


@contextmanager
def held_while_reading(leaks: Leaks, source: Path) -> Iterator[None]:
    """Wait until a worker has the source open, and let it sleep while the block does its deed."""
    reader = wait_until_read(leaks, source)
    reader.suspend()
    assert str(source) in targets(reader), "it was done already: the picture must be a slower one"
    yield
    reader.resume()


def wait_until_read(leaks: Leaks, source: Path) -> psutil.Process:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for process in marked_processes(leaks.mark):
            if str(source) in targets(process):
                return process
    raise AssertionError(f"nobody opened {source}")


def targets(process: psutil.Process) -> set[str]:
    """Return where the open files of a process lead."""
    found = set()
    for link in Path(f"/proc/{process.pid}/fd").glob("*"):
        with suppress(OSError):
            found.add(str(link.readlink()))
    return found


@pytest.mark.xdist_group("timing")
def test_a_source_deleted_while_it_is_read_leaves_nothing(
    photos: Path, cache: Path, slow_source: Path, no_leaks: Leaks
) -> None:
    with Running("run", "--json", "-v", photos, cache=cache) as running:
        with held_while_reading(no_leaks, slow_source):
            slow_source.unlink()
        done = running.end()
    assert_made_besides(done, **{"slow.png": "vanished"})
    assert len(list((cache / "thumbnails").rglob("*.png"))) == 4
    assert not foreign_entries.leftovers(cache)


@pytest.mark.xdist_group("timing")
def test_a_source_rewritten_once_while_it_is_read_is_read_again(
    photos: Path, cache: Path, slow_source: Path, no_leaks: Leaks
) -> None:
    with Running("run", "--json", "-v", photos, cache=cache) as running:
        with held_while_reading(no_leaks, slow_source):
            os.utime(slow_source, ns=(10**18, 10**18))
        done = running.end()
    assert done.code == 0, done
    assert_made_besides(done, **{"slow.png": "made"})
    assert foreign_entries.read(cache, "large", slow_source).text("Thumb::MTime") == str(10**9)


@pytest.mark.xdist_group("timing")
def test_a_source_replaced_while_it_is_read_gives_no_entry_of_the_old_one(
    photos: Path, cache: Path, slow_source: Path, no_leaks: Leaks
) -> None:
    mtime_ns = slow_source.stat().st_mtime_ns
    with Running("run", "--json", "-v", photos, cache=cache) as running:
        with held_while_reading(no_leaks, slow_source):
            # As editors save: a new file takes the name; the open one has not changed at all.
            put(photos / "new.tmp", jpeg(500, 400), mtime_ns + 10**9).replace(slow_source)
        done = running.end()
    assert_made_besides(done, **{"slow.png": "made"})
    entry = foreign_entries.read(cache, "large", slow_source)
    assert entry.original_size == (500, 400)
    assert entry.text("Thumb::MTime") == str((mtime_ns + 10**9) // 10**9)


@pytest.mark.xdist_group("timing")
def test_a_source_that_never_stops_changing_is_left_for_later(
    photos: Path, cache: Path, slow_source: Path
) -> None:
    stop = threading.Event()

    def keep_writing() -> None:
        mtime_ns = 10**18
        while not stop.wait(0.002):
            mtime_ns += 10**9
            os.utime(slow_source, ns=(mtime_ns, mtime_ns))

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        done = run(photos)
    finally:
        stop.set()
        writer.join()
    assert done.code == 3
    assert_made_besides(done, **{"slow.png": "changed"})
    assert len(list((cache / "thumbnails").rglob("*.png"))) == 4
    assert run(photos).kinds()["slow.png"] == "made"

"""One job in this process: what is written, what is not, and what is left when a step fails."""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pregen import work
from pregen.config import WorkConfig
from pregen.imaging import thumbnail
from pregen.imaging.runtime import pyvips
from pregen.model import Action, Flavor, Job, Kind, Outcome, Step
from pregen.source_file import SourceFile, open_source
from pregen.thumbspec.naming import entry_name
from pregen.thumbspec.uri import all_uris
from tests.support.files import broken, pictures

if TYPE_CHECKING:
    from pathlib import Path

BOTH = (Flavor.NORMAL, Flavor.LARGE)
MTIME_NS = 1_600_000_000_123_456_789


def nothing(_: int) -> None:
    """Grant every request for memory."""


class Bench:
    """A worker with a cache of its own, and jobs for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "cache" / "thumbnails"
        self.worker = work.make_worker(WorkConfig(os.fsencode(self.root), "9.8.7"))

    def source(self, name: str, data: bytes) -> Path:
        return pictures.put(self.folder / "photos" / name, data, MTIME_NS)

    def job(self, path: Path, *actions: tuple[Action, Flavor], **facts: int) -> Job:
        uris = all_uris(os.fsencode(path))
        wanted = actions or tuple((Action.MAKE, flavor) for flavor in BOTH)
        steps = tuple(Step(action, flavor, uri) for uri in uris for action, flavor in wanted)
        now = path.stat() if path.exists() else os.stat(self.folder)
        size_bytes = facts.get("size_bytes", now.st_size)
        mtime_ns = facts.get("mtime_ns", now.st_mtime_ns)
        return Job(7, os.fsencode(path), size_bytes, mtime_ns, uris, steps)

    def run(self, path: Path, *actions: tuple[Action, Flavor], **facts: int) -> Outcome:
        outcome = self.worker(self.job(path, *actions, **facts), nothing)
        assert (outcome.job_id, outcome.path) == (7, os.fsencode(path))
        return outcome

    def entry(self, path: Path, flavor: Flavor) -> Path:
        return self.root / flavor.directory / entry_name(all_uris(os.fsencode(path))[0])

    def record(self, path: Path) -> Path:
        return self.root / "fail" / "pregen-9.8" / entry_name(all_uris(os.fsencode(path))[0])

    def files(self) -> list[str]:
        return sorted(str(p.relative_to(self.root)) for p in self.root.rglob("*") if p.is_file())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def texts(path: Path) -> dict[str, str]:
    """The texts of a PNG as Pillow reads them."""
    with Image.open(path) as image:
        image.load()
        return dict(image.text)  # type: ignore[attr-defined]  # of PngImageFile


def test_a_picture_becomes_an_entry_of_each_flavor_that_says_what_it_is_of(bench: Bench) -> None:
    path = bench.source("a.jpg", pictures.jpeg(900, 600))
    outcome = bench.run(path)
    assert outcome.kind is Kind.MADE
    assert (outcome.width_px, outcome.height_px, outcome.mime) == (900, 600, "image/jpeg")
    assert outcome.entries_written == 2
    assert outcome.bytes_written == sum(bench.entry(path, f).stat().st_size for f in BOTH)
    assert outcome.bytes_read == path.stat().st_size
    assert min(outcome.stages) > 0
    for flavor in BOTH:
        said = texts(bench.entry(path, flavor))
        assert said["Thumb::URI"] == path.as_uri()
        assert said["Thumb::Size"] == str(path.stat().st_size)
        assert said["Thumb::Image::Width"] == "900"
        assert said["Thumb::Image::Height"] == "600"
        assert said["Thumb::Mimetype"] == "image/jpeg"


def test_missing_only_holds_for_a_source_that_changed_after_it_was_planned(bench: Bench) -> None:
    path = bench.source("a.jpg", pictures.jpeg(900, 600))
    bench.run(path)
    bench.entry(path, Flavor.NORMAL).unlink()
    stale = bench.entry(path, Flavor.LARGE).read_bytes()
    pictures.put(path, pictures.jpeg(600, 900), MTIME_NS + 10**9)
    config = WorkConfig(os.fsencode(bench.root), "9.8.7", missing_only=True)
    bench.worker = work.make_worker(config)
    outcome = bench.run(path, (Action.MAKE, Flavor.NORMAL), mtime_ns=MTIME_NS)
    assert (outcome.kind, outcome.stamps) == (Kind.MADE, ())
    assert texts(bench.entry(path, Flavor.NORMAL))["Thumb::Image::Width"] == "600"
    assert bench.entry(path, Flavor.LARGE).read_bytes() == stale


def test_a_small_picture_needs_no_entry_and_loses_a_stale_one(bench: Bench) -> None:
    path = bench.source("a.png", pictures.encode(pictures.image(500, 400), "PNG"))
    bench.run(path)
    assert len(bench.files()) == 2
    bench.source("a.png", pictures.encode(pictures.image(100, 80), "PNG"))
    assert bench.run(path).kind is Kind.SMALL
    assert bench.files() == []


def test_a_broken_picture_leaves_a_fail_record_and_success_removes_it(bench: Bench) -> None:
    path = bench.source("a.jpg", broken.truncated(pictures.jpeg(900, 600), 0.3))
    outcome = bench.run(path)
    assert outcome.kind is Kind.TRUNCATED
    assert "needed" in outcome.message
    assert bench.files() == [str(bench.record(path).relative_to(bench.root))]
    assert texts(bench.record(path))["Thumb::URI"] == path.as_uri()
    bench.source("a.jpg", pictures.jpeg(900, 600))
    assert bench.run(path).kind is Kind.MADE
    assert not bench.record(path).exists()


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.jpg", b"", Kind.INVALID),
        ("a.jpg", bytes(5000), Kind.INVALID),
        ("a.bin", bytes(5000), Kind.NOT_PICTURE),
        ("a.heic", broken.magic_only()["phone.heic"], Kind.INVALID),
        ("a.xcf", b"gimp xcf file\0" + bytes(100), Kind.UNSUPPORTED),
        ("a.png", broken.png_header_bomb(), Kind.TOO_LARGE),
    ],
)
def test_what_is_no_picture_says_why_and_leaves_a_record_only_if_it_never_can_be(
    name: str, data: bytes, kind: Kind, bench: Bench
) -> None:
    path = bench.source(name, data)
    outcome = bench.run(path)
    assert outcome.kind is kind
    assert outcome.message
    recorded = kind in {Kind.INVALID, Kind.TOO_LARGE}
    assert bench.record(path).exists() == recorded
    assert len(bench.files()) == int(recorded)


def test_vanished_special_and_unreadable_sources_leave_nothing(bench: Bench) -> None:
    path = bench.source("a.jpg", pictures.jpeg(300, 200))
    job = bench.job(path)
    path.unlink()
    assert bench.worker(job, nothing).kind is Kind.VANISHED
    os.mkfifo(path)
    assert bench.worker(job, nothing).kind is Kind.SPECIAL
    assert bench.files() == []


def changing(monkeypatch: pytest.MonkeyPatch, path: Path, times: int) -> list[int]:
    """Let `path` be written to during the first `times` decodes."""
    real, calls = thumbnail.make, [0]

    def make(*args: Any, **more: Any) -> thumbnail.Thumbnails:
        made = real(*args, **more)
        calls[0] += 1
        if calls[0] <= times:
            path.write_bytes(pictures.jpeg(700, 500, seed=calls[0]))
        return made

    monkeypatch.setattr(thumbnail, "make", make)
    return calls


def test_a_source_that_changes_once_is_done_again_with_its_new_content(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bench.source("a.jpg", pictures.jpeg(900, 600))
    calls = changing(monkeypatch, path, times=1)
    assert bench.run(path).kind is Kind.MADE
    assert calls == [2]
    said = texts(bench.entry(path, Flavor.LARGE))
    assert said["Thumb::Size"] == str(path.stat().st_size)
    assert said["Thumb::Image::Width"] == "700"


def test_a_source_that_keeps_changing_leaves_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bench.source("a.jpg", pictures.jpeg(900, 600))
    changing(monkeypatch, path, times=99)
    outcome = bench.run(path)
    assert outcome.kind is Kind.CHANGED
    assert "run again" in outcome.message
    assert bench.files() == []


def test_a_source_that_changed_since_it_was_planned_gets_all_its_entries_anew(bench: Bench) -> None:
    path = bench.source("a.jpg", pictures.jpeg(900, 600))
    bench.run(path, *((Action.MAKE, flavor) for flavor in Flavor))
    path.write_bytes(pictures.jpeg(640, 480, seed=5))
    outcome = bench.run(path, (Action.MAKE, Flavor.LARGE), size_bytes=1, mtime_ns=1)
    assert outcome.kind is Kind.MADE
    for flavor in BOTH:
        assert texts(bench.entry(path, flavor))["Thumb::Image::Width"] == "640"
    # GLib takes the largest file, valid or not: stale ones of flavors not wanted must go.
    assert not bench.entry(path, Flavor.X_LARGE).exists()
    assert not bench.entry(path, Flavor.XX_LARGE).exists()


def test_refitting_keeps_the_pixels_and_reads_none_of_the_source(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bench.source("a.jpg", pictures.jpeg(900, 600))
    bench.run(path)
    entry = bench.entry(path, Flavor.LARGE)
    with Image.open(entry) as image:
        pixels = image.convert("RGBA")
    said = texts(entry)
    info = PngInfo()
    info.add_text("Thumb::URI", said["Thumb::URI"], zip=True)
    info.add_text("Thumb::MTime", str(path.stat().st_mtime_ns // 10**9), zip=True)
    pixels.save(entry, "PNG", pnginfo=info)
    monkeypatch.setattr(thumbnail, "make", None)
    outcome = bench.run(path, (Action.REFIT, Flavor.LARGE))
    assert (outcome.kind, outcome.entries_written, outcome.bytes_read) == (Kind.REFITTED, 1, 0)
    with Image.open(entry) as image:
        assert image.tobytes() == pixels.tobytes()
    assert b"zTXt" not in entry.read_bytes()
    assert b"tEXtThumb::URI" in entry.read_bytes()


def test_an_entry_that_cannot_be_refitted_after_all_is_made(bench: Bench) -> None:
    path = bench.source("a.jpg", pictures.jpeg(900, 600))
    bench.run(path)
    bench.entry(path, Flavor.LARGE).write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    outcome = bench.run(path, (Action.REFIT, Flavor.LARGE))
    assert outcome.kind is Kind.MADE
    assert texts(bench.entry(path, Flavor.LARGE))["Thumb::Image::Width"] == "900"


def test_a_stale_entry_of_another_flavor_goes_and_a_fresh_one_stays(bench: Bench) -> None:
    path = bench.source("a.jpg", pictures.jpeg(900, 600))
    bench.run(path, (Action.MAKE, Flavor.X_LARGE), (Action.MAKE, Flavor.XX_LARGE))
    xx_large = bench.entry(path, Flavor.XX_LARGE)
    xx_large.write_bytes(xx_large.read_bytes().replace(b"Thumb::Size\0", b"Thumb::Size\x001"))
    outcome = bench.run(path, (Action.DELETE, Flavor.XX_LARGE), (Action.DELETE, Flavor.X_LARGE))
    assert outcome.kind is Kind.TIDIED
    assert not xx_large.exists()
    assert bench.entry(path, Flavor.X_LARGE).exists()


def test_a_name_that_qt_encodes_differently_gets_an_entry_under_each_key(bench: Bench) -> None:
    path = bench.source("a;b[1].jpg", pictures.jpeg(300, 200))
    uris = all_uris(os.fsencode(path))
    assert len(uris) == 3
    assert bench.run(path).entries_written == 6
    for uri in uris:
        name = hashlib.md5(uri.encode(), usedforsecurity=False).hexdigest() + ".png"
        assert texts(bench.root / "large" / name)["Thumb::URI"] == uri


def test_a_full_cache_is_named_and_leaves_the_old_entry_whole(bench: Bench) -> None:
    path = bench.source("a.jpg", pictures.jpeg(900, 600))
    bench.run(path)
    before = {name: (bench.root / name).read_bytes() for name in bench.files()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        outcome = bench.run(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert outcome.kind is Kind.CACHE_FULL
    assert {name: (bench.root / name).read_bytes() for name in bench.files()} == before


def test_want_of_memory_is_an_outcome(bench: Bench) -> None:
    huge = pyvips.Image.black(6000, 4000, bands=3).pngsave_buffer(interlace=True)
    path = bench.source("a.png", bytes(huge))

    def refuse(_: int) -> None:
        raise MemoryError

    outcome = bench.worker(bench.job(path), refuse)
    assert outcome.kind is Kind.OUT_OF_MEMORY
    assert bench.files() == []


def resident(path: Path) -> bool:
    """What the kernel holds of a file, as `fincore` of util-linux tells it."""
    told = subprocess.run(
        ["fincore", "--noheadings", "--bytes", "--output", "PAGES", str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(told.stdout) > 0


def evict(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@pytest.mark.skipif(shutil.which("fincore") is None, reason="fincore (util-linux) is not there")
@pytest.mark.parametrize("prefetch", [False, True])
def test_drop_cache_lets_go_of_what_was_read_and_of_nothing_else(
    prefetch: bool,  # noqa: FBT001 - a parameter
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    worker = work.make_worker(WorkConfig(os.fsencode(bench.root), "9.8.7", drop_cache=True))
    cold = bench.source("cold.jpg", pictures.jpeg(900, 600))
    warm = bench.source("warm.jpg", pictures.jpeg(900, 600))
    evict(cold)
    if resident(cold):
        pytest.skip("this file system keeps its pages (tmpfs)")
    warm.read_bytes()
    # As a worker does: the next source is fetched before the current one is begun.
    for path, following in ((cold, warm), (warm, None)):
        if prefetch and path == cold:
            worker.prefetch([bench.job(cold)])
        if prefetch and following is not None:
            worker.prefetch([bench.job(following)])
        assert worker(bench.job(path), nothing).kind is Kind.MADE
    assert not resident(cold)
    assert resident(warm)


@pytest.mark.skipif(shutil.which("fincore") is None, reason="fincore (util-linux) is not there")
def test_small_files_of_a_disk_that_spins_are_asked_for_together(bench: Bench) -> None:
    small = [bench.source(f"{n}.jpg", pictures.jpeg(300, 200)) for n in range(4)]
    large = bench.source("large.jpg", pictures.jpeg(300, 200) + bytes(200_000))
    for path in (*small, large):
        evict(path)
    if resident(small[0]):
        pytest.skip("this file system keeps its pages (tmpfs)")
    bench.worker.prefetch([bench.job(path) for path in small])
    await_resident(small[0])
    assert not any(resident(path) for path in (*small[1:], large))
    spinning = [bench.job(path)._replace(spins=True) for path in (large, *small[1:])]
    bench.worker.prefetch(spinning)
    for path in small[1:]:
        await_resident(path)
    assert not resident(large)
    assert [bench.worker(job, nothing).kind for job in spinning] == 4 * [Kind.MADE]


def await_resident(path: Path) -> None:
    """Wait for the kernel, which was asked to read a file."""
    until_s = time.monotonic() + 60
    while not resident(path):
        assert time.monotonic() < until_s
        time.sleep(0.01)


def test_prefetching_what_is_gone_or_needs_no_decode_does_nothing(bench: Bench) -> None:
    path = bench.source("a.jpg", pictures.jpeg(300, 200))
    job = bench.job(path)
    bench.worker.prefetch([bench.job(path, (Action.DELETE, Flavor.X_LARGE))])
    path.unlink()
    bench.worker.prefetch([job])
    assert bench.worker(job, nothing).kind is Kind.VANISHED


def test_what_cannot_be_opened_is_asked_for_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [bench.source(f"{n}.jpg", pictures.jpeg(300, 200)) for n in range(5)]
    jobs = [bench.job(path)._replace(spins=True) for path in paths]
    for path in paths:
        path.unlink()
    opened: list[bytes] = []

    def noted(path: bytes, *rest: Any) -> SourceFile:
        opened.append(path)
        return open_source(path, *rest)

    monkeypatch.setattr(work, "open_source", noted)
    for number, job in enumerate(jobs):
        bench.worker.prefetch(jobs[number + 1 :])
        assert bench.worker(job, nothing).kind is Kind.VANISHED
    assert len(opened) == 2 * len(jobs) - 1, "the first one is not prefetched"


def zipped(bench: Bench, path: Path, flavor: Flavor) -> Path:
    """Rewrite an entry as Qt would: its texts compressed, which GLib does not read."""
    entry = bench.entry(path, flavor)
    said = texts(entry)
    info = PngInfo()
    for key in ("Thumb::URI", "Thumb::MTime"):
        info.add_text(
            key, said[key].partition(".")[0] if key == "Thumb::MTime" else said[key], zip=True
        )
    with Image.open(entry) as image:
        pixels = image.convert("RGBA")
    pixels.save(entry, "PNG", pnginfo=info)
    return entry


def test_what_needs_no_decode_is_done_even_where_the_decode_fails(bench: Bench) -> None:
    path = bench.source("phone.heic", pictures.jpeg(900, 600))
    bench.run(path, (Action.MAKE, Flavor.LARGE), (Action.MAKE, Flavor.X_LARGE))
    content = broken.magic_only()["phone.heic"].ljust(path.stat().st_size, b"\0")
    path.write_bytes(content[: path.stat().st_size])
    os.utime(path, ns=(MTIME_NS, MTIME_NS))
    entry = zipped(bench, path, Flavor.LARGE)
    x_large = bench.entry(path, Flavor.X_LARGE)
    x_large.write_bytes(x_large.read_bytes().replace(b"Thumb::Size\0", b"Thumb::Size\x001"))
    outcome = bench.run(
        path,
        (Action.REFIT, Flavor.LARGE),
        (Action.DELETE, Flavor.X_LARGE),
        (Action.MAKE, Flavor.NORMAL),
    )
    assert (outcome.kind, outcome.entries_written) == (Kind.INVALID, 1)
    assert b"tEXtThumb::URI" in entry.read_bytes()
    assert not x_large.exists()


def test_an_unwanted_entry_that_cannot_be_refitted_goes(bench: Bench) -> None:
    path = bench.source("a.jpg", pictures.jpeg(900, 600))
    bench.run(path, (Action.MAKE, Flavor.X_LARGE))
    entry = zipped(bench, path, Flavor.X_LARGE)
    entry.write_bytes(entry.read_bytes()[:-2000])
    assert bench.run(path, (Action.REFIT, Flavor.X_LARGE)).kind is Kind.TIDIED
    assert not entry.exists()
    assert bench.run(path, (Action.REFIT, Flavor.X_LARGE)).kind is Kind.FRESH


def test_an_outcome_says_what_the_source_was_when_it_was_opened(bench: Bench) -> None:
    path = bench.source("a.png", pictures.encode(pictures.image(100, 80), "PNG"))
    outcome = bench.run(path, size_bytes=1, mtime_ns=2)
    assert outcome.kind is Kind.SMALL
    assert outcome.source_size_bytes == path.stat().st_size
    assert outcome.source_mtime_ns == MTIME_NS

"""The planner on a real cache: what it reads, what it makes of it, and that it writes nothing."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pregen import plan as plan_module
from pregen.cache.store import Cache
from pregen.config import PlanConfig, RealPathKeys
from pregen.model import ALL_FLAVORS, Action, Flavor, Job, Kind, Skip, Source, Step
from pregen.plan import Planner
from pregen.thumbspec.naming import entry_name
from pregen.thumbspec.pngbuild import SourceFacts, assemble, entry_chunks, fail_record
from pregen.thumbspec.uri import all_uris, file_uri
from tests.support.files.pictures import encode, image
from tests.support.judges import png_walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NORMAL, LARGE, X_LARGE, XX_LARGE = ALL_FLAVORS
MAKE, REFIT, DELETE, COPY = Action.MAKE, Action.REFIT, Action.DELETE, Action.COPY
SOURCE = Source(b"/photos/a.jpg", 3_000_000, 1_700_000_000_123_456_789)
URI = file_uri(SOURCE.path)


def no_hint(_source: Source) -> Kind | None:
    return None


@pytest.fixture(params=[1, 1000], ids=["listed", "not listed"], autouse=True)
def listing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs with the folders listed before the first look, and with none listed."""
    monkeypatch.setattr(plan_module, "LIST_AFTER_SOURCES", request.param)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with Cache(bytes(tmp_path / "thumbnails"), "1.2.3") as cache:
        yield cache


@pytest.fixture
def plan(cache: Cache) -> Callable[..., Job | Skip]:
    """Plan one source with a new planner."""

    def run(
        source: Source = SOURCE,
        config: PlanConfig = PlanConfig(),  # noqa: B008 - frozen
        hints: Callable[[Source], Kind | None] = no_hint,
    ) -> Job | Skip:
        return Planner(cache, config, hints, count(7).__next__).plan(source)

    return run


def png(facts: SourceFacts, long_px: int) -> bytes:
    """Return an entry as ours are, with a picture no planner looks at."""
    return assemble(long_px, max(1, long_px * 3 // 4), entry_chunks(facts), bytes(5000))


def facts_of(source: Source, uri: str, original_px: int = 4000) -> SourceFacts:
    height_px = original_px * 3 // 4
    return SourceFacts(
        uri, source.mtime_ns, source.size_bytes, "image/webp", original_px, height_px
    )


def fill(
    cache: Cache,
    source: Source = SOURCE,
    *,
    flavors: tuple[Flavor, ...] = (NORMAL, LARGE),
    uri: str = "",
    original_px: int = 4000,
) -> None:
    """Put a fresh entry of ours into each of the flavors."""
    uri = uri or file_uri(source.path)
    for flavor in flavors:
        facts = facts_of(source, uri, original_px)
        cache.write(flavor, uri, png(facts, min(flavor.box_px, original_px)))


def actions(found: Job | Skip) -> list[tuple[Action, Flavor]]:
    assert isinstance(found, Job)
    return [(step.action, step.flavor) for step in found.steps]


def kind(found: Job | Skip) -> Kind:
    assert isinstance(found, Skip)
    return found.kind


def test_a_source_with_fresh_entries_is_skipped(
    cache: Cache, plan: Callable[..., Job | Skip]
) -> None:
    fill(cache)
    assert plan() == Skip(SOURCE.path, Kind.FRESH)


def test_a_source_without_entries_becomes_a_job(plan: Callable[..., Job | Skip]) -> None:
    assert plan() == Job(
        job_id=7,
        path=SOURCE.path,
        size_bytes=SOURCE.size_bytes,
        mtime_ns=SOURCE.mtime_ns,
        uris=(URI,),
        steps=(Step(MAKE, NORMAL, URI), Step(MAKE, LARGE, URI)),
    )


def test_jobs_are_numbered_and_skips_are_not(cache: Cache) -> None:
    fill(cache)
    planner = Planner(cache, PlanConfig(), no_hint, count().__next__)
    others = [SOURCE._replace(path=b"/photos/%d.jpg" % number) for number in range(2)]
    found = [planner.plan(source) for source in (others[0], SOURCE, others[1])]
    assert [job.job_id for job in found if isinstance(job, Job)] == [0, 1]


@pytest.mark.parametrize(
    "changed",
    [
        SOURCE._replace(mtime_ns=SOURCE.mtime_ns + 10**9),
        SOURCE._replace(mtime_ns=SOURCE.mtime_ns - 10**15),
        SOURCE._replace(size_bytes=SOURCE.size_bytes + 1),
    ],
    ids=["younger", "older", "longer"],
)
def test_a_source_that_changed_is_made_anew_and_its_other_flavors_removed(
    cache: Cache, plan: Callable[..., Job | Skip], changed: Source
) -> None:
    fill(cache, flavors=(NORMAL, LARGE, XX_LARGE))
    assert actions(plan(changed)) == [(DELETE, XX_LARGE), (MAKE, NORMAL), (MAKE, LARGE)]


@pytest.mark.parametrize(
    ("original_px", "long_px", "flavor", "fresh"),
    [
        (4000, 128, NORMAL, True),
        (4000, 256, LARGE, True),
        (4000, 255, LARGE, False),
        (200, 200, LARGE, True),
        (200, 128, NORMAL, True),
        (200, 256, LARGE, False),
        (200, 150, LARGE, False),
        (200, 200, X_LARGE, True),
        (130, 128, NORMAL, True),
        (300, 384, X_LARGE, False),
    ],
)
def test_the_long_edge_must_be_the_flavors_or_the_smaller_originals(
    cache: Cache,
    plan: Callable[..., Job | Skip],
    original_px: int,
    long_px: int,
    flavor: Flavor,
    *,
    fresh: bool,
) -> None:
    cache.write(flavor, URI, png(facts_of(SOURCE, URI, original_px), long_px))
    found = plan(config=PlanConfig(flavors=(flavor,)))
    assert isinstance(found, Skip) == fresh


def test_an_entry_as_qt_writes_it_is_refitted(
    cache: Cache, plan: Callable[..., Job | Skip]
) -> None:
    seconds = str(SOURCE.mtime_ns // 10**9)
    texts = [("zTXt", "Thumb::URI", URI), ("tEXt", "Thumb::MTime", seconds)]
    for flavor in (NORMAL, LARGE):
        picture = encode(image(flavor.box_px, 96), "PNG")
        cache.write(flavor, URI, png_walk.with_texts(picture, texts))
    assert actions(plan()) == [(REFIT, NORMAL), (REFIT, LARGE)]
    assert kind(plan(config=PlanConfig(refit=False))) is Kind.FRESH


@pytest.mark.parametrize(
    ("before_ns", "action"),
    [(1, MAKE), (123_456_789, MAKE), (123_456_790, REFIT), (0, REFIT), (-1, REFIT)],
)
def test_an_entry_that_is_older_than_its_source_by_less_than_texts_tell_is_made_anew(
    cache: Cache, plan: Callable[..., Job | Skip], before_ns: int, action: Action
) -> None:
    """The source was replaced within one second, by a file of the same size."""
    fill(cache)
    seconds = str(SOURCE.mtime_ns // 10**9)
    texts = [("tEXt", "Thumb::URI", URI), ("tEXt", "Thumb::MTime", seconds)]
    cache.write(LARGE, URI, png_walk.with_texts(encode(image(256, 192), "PNG"), texts))
    entry = cache.folder(LARGE).path + b"/" + os.fsencode(entry_name(URI))
    os.utime(entry, ns=(0, SOURCE.mtime_ns - before_ns))
    assert actions(plan()) == [(action, LARGE)]


def test_text_behind_a_long_profile_is_found(cache: Cache, plan: Callable[..., Job | Skip]) -> None:
    """Only the first page is read at first; this entry needs all of it."""
    fill(cache)
    header, *rest = png_walk.chunks(png(facts_of(SOURCE, URI), 256))
    texts = [part for part in rest if part[0] in {b"tEXt", b"iTXt"}]
    others = [part for part in rest if part not in texts]
    profile = (b"iCCP", b"icc\0\0" + os.urandom(300_000))
    cache.write(LARGE, URI, png_walk.build([header, profile, *texts, *others]))
    assert kind(plan()) is Kind.FRESH
    assert actions(plan(SOURCE._replace(size_bytes=1))) == [(MAKE, NORMAL), (MAKE, LARGE)]


@pytest.mark.parametrize("cut_at", [0, 1, 8, 20, 33, 100, 300])
def test_an_entry_cut_off_before_its_picture_is_made_anew(
    cache: Cache, plan: Callable[..., Job | Skip], cut_at: int
) -> None:
    fill(cache, flavors=(NORMAL, LARGE, X_LARGE))
    whole = png(facts_of(SOURCE, URI), 256)
    for flavor in (LARGE, X_LARGE):
        cache.write(flavor, URI, whole[:cut_at])
    assert actions(plan()) == [(DELETE, X_LARGE), (MAKE, LARGE)]


def test_a_link_in_the_place_of_an_entry_is_made_anew(
    tmp_path: Path, cache: Cache, plan: Callable[..., Job | Skip]
) -> None:
    fill(cache)
    entry = tmp_path / "thumbnails" / "large" / entry_name(URI)
    entry.rename(tmp_path / "elsewhere.png")
    entry.symlink_to(tmp_path / "elsewhere.png")
    assert actions(plan()) == [(MAKE, LARGE)]


# Fail records and hints.


def test_a_source_that_failed_is_not_tried_again_until_it_changes(
    cache: Cache, plan: Callable[..., Job | Skip]
) -> None:
    cache.write_fail(URI, fail_record(facts_of(SOURCE, URI)))
    assert kind(plan()) is Kind.FAILED_BEFORE
    for changed in (
        SOURCE._replace(mtime_ns=SOURCE.mtime_ns - 10**9),
        SOURCE._replace(size_bytes=SOURCE.size_bytes + 1),
    ):
        assert actions(plan(changed)) == [(MAKE, NORMAL), (MAKE, LARGE)]
    for config in (PlanConfig(retry_failed=True), PlanConfig(force=True)):
        assert actions(plan(config=config)) == [(MAKE, NORMAL), (MAKE, LARGE)]


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        fail_record(facts_of(SOURCE, URI + "2")),
        fail_record(facts_of(SOURCE, URI))[:100],
    ],
    ids=["empty", "no header", "of another source", "cut off"],
)
def test_a_fail_record_that_says_nothing_about_this_source_is_passed_over(
    cache: Cache, plan: Callable[..., Job | Skip], record: bytes
) -> None:
    cache.write_fail(URI, record)
    assert actions(plan()) == [(MAKE, NORMAL), (MAKE, LARGE)]


def test_fail_records_of_others_do_not_count(
    tmp_path: Path, plan: Callable[..., Job | Skip]
) -> None:
    for program in ("gnome-thumbnail-factory", "pregen-1.1"):
        folder = tmp_path / "thumbnails" / "fail" / program
        folder.mkdir(parents=True)
        (folder / entry_name(URI)).write_bytes(fail_record(facts_of(SOURCE, URI)))
    assert actions(plan()) == [(MAKE, NORMAL), (MAKE, LARGE)]


def test_the_journal_is_asked_only_about_what_would_be_decoded(
    cache: Cache, plan: Callable[..., Job | Skip]
) -> None:
    asked: list[Source] = []

    def hints(source: Source) -> Kind | None:
        asked.append(source)
        return Kind.SMALL

    assert kind(plan(hints=hints)) is Kind.SMALL
    assert asked == [SOURCE]
    assert actions(plan(config=PlanConfig(force=True), hints=hints)) == [
        (MAKE, NORMAL),
        (MAKE, LARGE),
    ]
    fill(cache, flavors=(NORMAL, LARGE, X_LARGE))
    assert kind(plan(hints=hints)) is Kind.FRESH
    stale = PlanConfig(flavors=(NORMAL,))
    cache.write(X_LARGE, URI, b"stale")
    assert actions(plan(config=stale, hints=hints)) == [(DELETE, X_LARGE)]
    assert asked == [SOURCE]


# Keys.


def test_a_name_that_qt_writes_differently_needs_entries_under_both_keys(
    cache: Cache, plan: Callable[..., Job | Skip]
) -> None:
    source = SOURCE._replace(path=b"/photos/a;b.jpg")
    glib, qt = all_uris(source.path)
    fill(cache, source, uri=glib)
    found = plan(source)
    assert isinstance(found, Job)
    assert found.uris == (glib, qt)
    assert found.steps == (Step(COPY, NORMAL, qt), Step(COPY, LARGE, qt))
    found = plan(source, PlanConfig(reuse=False))
    assert isinstance(found, Job)
    assert found.steps == (Step(MAKE, NORMAL, qt), Step(MAKE, LARGE, qt))
    fill(cache, source, uri=qt)
    assert kind(plan(source)) is Kind.FRESH


def test_real_paths_get_entries_of_their_own_on_request(
    tmp_path: Path, cache: Cache, plan: Callable[..., Job | Skip]
) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a.jpg").write_bytes(b"")
    (tmp_path / "photos").symlink_to("disk")
    source = SOURCE._replace(path=bytes(tmp_path / "photos" / "a.jpg"))
    fill(cache, source)
    assert kind(plan(source)) is Kind.FRESH
    assert kind(plan(source, PlanConfig(realpath_keys=RealPathKeys.AUTO))) is Kind.FRESH
    assert kind(plan(source, PlanConfig(clients=("kio",)))) is Kind.FRESH
    served = PlanConfig(clients=("kio",), realpath_keys=RealPathKeys.AUTO)
    assert plan(source, served) == plan(source, PlanConfig(realpath_keys=RealPathKeys.ALWAYS))
    found = plan(source, served)
    assert isinstance(found, Job)
    real = file_uri(bytes((tmp_path / "disk" / "a.jpg").resolve()))
    assert found.uris == (file_uri(source.path), real)
    assert {step.uri for step in found.steps} == {real}


def test_a_name_that_is_not_utf8_is_planned_like_any_other(
    cache: Cache, plan: Callable[..., Job | Skip]
) -> None:
    source = SOURCE._replace(path=b"/photos/caf\xe9;.jpg")
    fill(cache, source)
    assert kind(plan(source)) is Kind.FRESH


# What it costs and leaves.


def test_planning_writes_nothing(
    tmp_path: Path, cache: Cache, plan: Callable[..., Job | Skip]
) -> None:
    plan()
    assert list(tmp_path.iterdir()) == []
    fill(cache)
    cache.write(X_LARGE, URI, b"stale")
    (tmp_path / "thumbnails" / "large").chmod(0o755)
    cache.close()
    before = {path: path.lstat() for path in tmp_path.rglob("*")}
    plan(config=PlanConfig(force=True))
    after = {path: path.lstat() for path in tmp_path.rglob("*")}
    assert before.keys() == after.keys()
    for path, facts in before.items():
        assert (facts.st_mode, facts.st_mtime_ns, facts.st_ctime_ns) == (
            after[path].st_mode,
            after[path].st_mtime_ns,
            after[path].st_ctime_ns,
        )


def test_once_listed_an_absent_entry_is_not_looked_for(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_module, "LIST_AFTER_SOURCES", 2)
    planner = Planner(cache, PlanConfig(), no_hint, count().__next__)
    cache.prepare([NORMAL, LARGE])
    first = planner.plan(SOURCE)
    assert isinstance(first, Job)
    fill(cache, flavors=(NORMAL,))
    assert actions(planner.plan(SOURCE)) == [(MAKE, LARGE)], "listed now"
    fill(cache)
    assert actions(planner.plan(SOURCE)) == [(MAKE, LARGE)], "written after the listing"


@pytest.mark.parametrize("names", [10, 4000])
def test_small_folders_are_listed_sooner(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, names: int
) -> None:
    monkeypatch.setattr(plan_module, "LIST_AFTER_SOURCES", 1000)
    monkeypatch.setattr(plan_module, "LIST_SMALL_AFTER_SOURCES", 2)
    monkeypatch.setattr(plan_module, "SMALL_FOLDER_BYTES", 64 * 1024)
    planner = Planner(cache, PlanConfig(), no_hint, count().__next__)
    cache.prepare([NORMAL, LARGE])
    for number in range(names):
        Path(os.fsdecode(cache.folder(LARGE).path), f"{number:036}").touch()
    for _ in range(2):
        assert isinstance(planner.plan(SOURCE), Job)
    fill(cache)
    listed = os.stat(cache.folder(LARGE).path).st_size <= 64 * 1024
    assert isinstance(planner.plan(SOURCE), Job) == listed, "written after the listing"

"""What a re-run believes without looking: only what has not changed in any way."""

from __future__ import annotations

import os
import sqlite3
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pregen.cache.store import Cache
from pregen.config import Check, PlanConfig
from pregen.journal import Journal, folders
from pregen.model import Flavor, Job, Kind, KnownFolder, Skip, Source, Stamp
from pregen.plan import Planner
from pregen.reuse.memory import RememberedSources, known
from pregen.thumbspec.naming import entry_name, key
from pregen.thumbspec.pngbuild import SourceFacts, assemble, entry_chunks
from pregen.thumbspec.uri import all_uris, file_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pregen.walk.unchanged import Settled

SOURCE = Source(b"/photos/2024/a.jpg", 3_000_000, 1_700_000_000_123_456_789)
URI = file_uri(SOURCE.path)
WANTED = (Flavor.NORMAL, Flavor.LARGE)


def packed(known: KnownFolder) -> tuple[bytes, bytes]:
    """Return what is known of a folder as the journal holds it."""
    _, _, _, names, facts = folders.row(b"", "", folders.flavors_text(WANTED), known)
    return names, facts


class Notebook:
    """A memory that forgets nothing and counts how often it is asked."""

    def __init__(self) -> None:
        self.pages: dict[bytes, KnownFolder] = {}
        self.asked = 0

    def recall(self, folder: bytes, _: Sequence[Flavor]) -> KnownFolder:
        self.asked += 1
        return dict(self.pages.get(folder, {}))

    def recall_packed(self, folder: bytes, _: Sequence[Flavor]) -> tuple[bytes, bytes] | None:
        return packed(self.pages[folder]) if folder in self.pages else None

    def learn(self, folder: bytes, _: Sequence[Flavor], known: KnownFolder) -> None:
        self.pages.setdefault(folder, {}).update(known)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with Cache(bytes(tmp_path / "thumbnails"), "1.2.3") as cache:
        yield cache


def put(cache: Cache, flavor: Flavor, source: Source = SOURCE, uri: str = "") -> Stamp:
    """Write a fresh entry of ours; return its stamp."""
    uri = uri or file_uri(source.path)
    facts = SourceFacts(uri, source.mtime_ns, source.size_bytes, "image/webp", 4000, 3000)
    png = assemble(flavor.box_px, flavor.box_px * 3 // 4, entry_chunks(facts), bytes(500))
    return cache.write(flavor, uri, png)


def entry(cache: Cache, flavor: Flavor) -> Path:
    return Path(os.fsdecode(cache.folder(flavor).path)) / entry_name(URI)


@pytest.fixture
def memory(cache: Cache) -> Notebook:
    """A memory that knows the source, whose entries are there."""
    notebook = Notebook()
    remembered = RememberedSources(cache, WANTED, notebook)
    remembered.learn(SOURCE, [(key(URI), [put(cache, flavor) for flavor in WANTED])])
    remembered.close()
    return notebook


def fresh(cache: Cache, memory: Notebook, source: Source = SOURCE) -> bool:
    return RememberedSources(cache, WANTED, memory).fresh(source)


def test_what_has_not_changed_is_believed(cache: Cache, memory: Notebook) -> None:
    assert fresh(cache, memory)


@pytest.mark.parametrize(
    "other",
    [
        SOURCE._replace(size_bytes=3_000_001),
        SOURCE._replace(mtime_ns=SOURCE.mtime_ns - 1),
        SOURCE._replace(path=b"/photos/2024/b.jpg"),
        SOURCE._replace(path=b"/photos/2025/a.jpg"),
    ],
)
def test_another_source_is_not(cache: Cache, memory: Notebook, other: Source) -> None:
    assert not fresh(cache, memory, other)


def remove(path: Path) -> None:
    path.unlink()


def rewrite(path: Path) -> None:
    """The same bytes under the same time, in a new file."""
    now = path.stat()
    copy = path.with_suffix(".tmp")
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=(now.st_atime_ns, now.st_mtime_ns))
    copy.replace(path)


def touch(path: Path) -> None:
    now = path.stat()
    os.utime(path, ns=(now.st_atime_ns, now.st_mtime_ns + 1))


def shorten(path: Path) -> None:
    now = path.stat()
    os.truncate(path, now.st_size - 1)
    os.utime(path, ns=(now.st_atime_ns, now.st_mtime_ns))


def link(path: Path) -> None:
    kept = path.with_suffix(".kept")
    path.replace(kept)
    path.symlink_to(kept)


@pytest.mark.parametrize("change", [remove, rewrite, touch, shorten, link])
@pytest.mark.parametrize("flavor", WANTED)
def test_any_change_of_an_entry_is_noticed(
    flavor: Flavor, change: Callable[[Path], None], cache: Cache, memory: Notebook
) -> None:
    change(entry(cache, flavor))
    assert not fresh(cache, memory)


def test_an_entry_of_another_flavor_asks_for_a_look(cache: Cache, memory: Notebook) -> None:
    put(cache, Flavor.X_LARGE)
    assert not fresh(cache, memory)


def test_a_flavor_whose_folder_is_gone_asks_for_a_look(cache: Cache, memory: Notebook) -> None:
    entry(cache, Flavor.LARGE).unlink()
    entry(cache, Flavor.LARGE).parent.rmdir()
    cache.close()
    assert not fresh(cache, memory)


def test_the_memory_is_asked_once_for_each_folder(cache: Cache, memory: Notebook) -> None:
    remembered = RememberedSources(cache, WANTED, memory)
    memory.asked = 0
    for folder in (b"/photos/2024", b"/photos/2025"):
        for name in (b"a.jpg", b"b.jpg", b"c.jpg"):
            remembered.fresh(SOURCE._replace(path=folder + b"/" + name))
    assert memory.asked == 2


def test_folders_that_come_in_turns_are_read_once_each(cache: Cache, memory: Notebook) -> None:
    remembered = RememberedSources(cache, WANTED, memory)
    memory.asked = 0
    for name in (b"a.jpg", b"b.jpg", b"c.jpg"):
        for folder in (b"/photos/2024", b"/photos/2025"):
            remembered.fresh(SOURCE._replace(path=folder + b"/" + name))
    assert memory.asked == 2


def test_an_order_that_never_stays_in_a_folder_gives_up_remembering(
    cache: Cache, memory: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pregen.reuse.memory.MOST_SOURCES", 2)
    remembered = RememberedSources(cache, WANTED, memory)
    known_once = memory.pages[b"/photos/2024"][b"a.jpg"]
    for n in range(200):
        memory.pages[b"/photos/%d" % n] = {b"a.jpg": known_once, b"b.jpg": known_once}
    memory.asked = 0
    for n in range(1000):
        remembered.fresh(SOURCE._replace(path=b"/photos/%d/a.jpg" % (n % 200)))
    assert memory.asked < 100


def test_an_entry_its_owner_may_not_read_is_looked_at(cache: Cache, memory: Notebook) -> None:
    entry(cache, Flavor.LARGE).chmod(0)
    assert not fresh(cache, memory)


def planner(cache: Cache, memory: Notebook | Journal, **config: object) -> Planner:
    settings = PlanConfig(**config)  # type: ignore[arg-type]  # a test's own keywords
    return Planner(cache, settings, lambda _: None, count().__next__, memory)


def test_the_planner_learns_what_it_judged_and_believes_it_next_time(cache: Cache) -> None:
    notebook = Notebook()
    for flavor in WANTED:
        put(cache, flavor)
    first = planner(cache, notebook)
    assert first.plan(SOURCE) == Skip(SOURCE.path, Kind.FRESH)
    first.close()
    assert set(notebook.pages[b"/photos/2024"]) == {b"a.jpg"}
    # A stamp that still agrees is believed although the file would be judged corrupt now.
    path = entry(cache, Flavor.LARGE)
    now = path.stat()
    with path.open("r+b") as file:
        file.write(b"garbage")
    os.utime(path, ns=(now.st_atime_ns, now.st_mtime_ns))
    assert planner(cache, notebook).believes(SOURCE)
    assert not planner(cache, notebook, check=Check.FULL).believes(SOURCE)
    assert not planner(cache, notebook, force=True).believes(SOURCE)
    assert isinstance(planner(cache, notebook).plan(SOURCE), Job)


@pytest.mark.parametrize("path", [b"/photos/2024/a;b.jpg", b"/photos/2024/a[1].jpg"])
def test_a_source_with_more_than_one_key_is_fresh_when_the_entries_of_all_are(
    path: bytes, cache: Cache
) -> None:
    notebook = Notebook()
    source = SOURCE._replace(path=path)
    uris = all_uris(path)
    for flavor in WANTED:
        for uri in uris:
            put(cache, flavor, source, uri)
    work = planner(cache, notebook)
    assert work.plan(source) == Skip(path, Kind.FRESH)
    work.close()
    assert [len(each) for each in notebook.pages[b"/photos/2024"].values()] == [len(uris)]
    assert planner(cache, notebook).believes(source)
    put(cache, Flavor.LARGE, source, uris[-1])  # by another program, say
    assert not planner(cache, notebook).believes(source)


def test_the_journal_is_a_memory_across_runs(cache: Cache, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "state" / "journal.sqlite3")
    warnings: list[str] = []
    for flavor in WANTED:
        put(cache, flavor)
    for _ in range(2):
        journal = Journal.open(path, warnings.append)
        work = planner(cache, journal)
        assert isinstance(work.plan(SOURCE), Skip)
        work.close()
        journal.close()
    journal = Journal.open(path, warnings.append)
    found = journal.recall(b"/photos/2024", WANTED)
    stamps = [
        Stamp(s.st_ino, s.st_mtime_ns, s.st_size) for s in (entry(cache, f).stat() for f in WANTED)
    ]
    assert found == {b"a.jpg": (known(SOURCE.size_bytes, SOURCE.mtime_ns, key(URI), stamps),)}
    assert journal.recall(b"/photos/2024", (Flavor.NORMAL,)) == {}
    assert journal.recall(b"/photos", WANTED) == {}
    journal.close()
    other = Journal.open(path, warnings.append, version="99.0.0")
    assert other.recall(b"/photos/2024", WANTED) == {}
    other.close()
    assert warnings == []


def test_another_run_that_writes_does_not_end_the_journal(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "state" / "journal.sqlite3")
    warnings: list[str] = []
    journal = Journal.open(path, warnings.append)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    stamps = [Stamp(1, 2, 3)] * 2
    page: KnownFolder = {b"%d" % n: (known(1, 2, key(URI), stamps),) for n in range(30_000)}
    journal.learn(b"/photos", WANTED, page)
    other.execute("ROLLBACK")
    other.close()
    journal.close()
    journal = Journal.open(path, warnings.append)
    assert len(journal.recall(b"/photos", WANTED)) == 30_000
    journal.learn(b"/photos", WANTED, {b"x%d" % n: page[b"0"] for n in range(30_000)})
    assert journal.recall(b"/photos", WANTED) == {}, "too large a folder is not remembered"
    journal.close()
    assert warnings == []


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder of one photo."""
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"photo")
    return folder


def settled(cache: Cache, folder: Path, flavors: Sequence[Flavor] = WANTED) -> Settled | None:
    """Remember the photo in a folder as it is now, then have the folder settled."""
    photo = folder / "a.jpg"
    there = photo.stat()
    source = Source(os.fsencode(photo), there.st_size, there.st_mtime_ns)
    notebook = Notebook()
    remembered = RememberedSources(cache, WANTED, notebook)
    stamps = [put(cache, flavor, source) for flavor in WANTED]
    remembered.learn(source, [(key(file_uri(source.path)), stamps)])
    remembered.close()
    again = RememberedSources(cache, flavors, notebook)
    return again.settle(os.fsencode(folder), there.st_dev, hidden=False)


def test_a_remembered_folder_is_settled_at_once(cache: Cache, photos: Path) -> None:
    assert settled(cache, photos) == (1, [])


def test_a_photo_with_several_keys_is_settled_by_all_of_them(cache: Cache, photos: Path) -> None:
    there = (photos / "a.jpg").stat()
    source = Source(os.fsencode(photos / "a.jpg"), there.st_size, there.st_mtime_ns)
    uris = (file_uri(source.path), f"{file_uri(source.path)}#", f"{file_uri(source.path)}##")
    for changed in (None, *uris):
        notebook = Notebook()
        remembered = RememberedSources(cache, WANTED, notebook)
        stamps = [(key(uri), [put(cache, f, source, uri) for f in WANTED]) for uri in uris]
        remembered.learn(source, stamps)
        remembered.close()
        if changed is not None:
            put(cache, Flavor.LARGE, source, changed)
        again = RememberedSources(cache, WANTED, notebook)
        found = again.settle(os.fsencode(photos), there.st_dev, hidden=False)
        assert found == ((0, [b"a.jpg"]) if changed else (1, []))


def test_a_folder_is_settled_beside_what_is_new_in_it(cache: Cache, photos: Path) -> None:
    (photos / "b.jpg").write_bytes(b"photo")
    assert settled(cache, photos) == (1, [b"b.jpg"])


def test_a_photo_with_an_entry_nobody_wants_is_left(cache: Cache, photos: Path) -> None:
    source = Source(os.fsencode(photos / "a.jpg"), 5, 0)
    put(cache, Flavor.X_LARGE, source)
    assert settled(cache, photos) == (0, [b"a.jpg"])


def test_a_folder_nobody_remembers_is_not_settled(cache: Cache, photos: Path) -> None:
    remembered = RememberedSources(cache, WANTED, Notebook())
    assert remembered.settle(os.fsencode(photos), 1, hidden=False) is None


def test_a_folder_that_is_gone_is_not_settled(cache: Cache, memory: Notebook) -> None:
    remembered = RememberedSources(cache, WANTED, memory)
    assert remembered.settle(b"/photos/2024", 1, hidden=False) is None


def test_without_a_folder_of_a_wanted_flavor_nothing_is_settled(cache: Cache, photos: Path) -> None:
    assert settled(cache, photos, (Flavor.NORMAL, Flavor.XX_LARGE)) is None

"""pregen as a library: what `from pregen import ...` gives, against real files and processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pregen
from pregen import Flavor, Kind, LockedError
from pregen.cache.lock import CacheLock
from tests.support.files.pictures import jpeg, put
from tests.support.files.source_trees import few, many_slow

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.usefixtures("no_leaks"), pytest.mark.xdist_group("timing")]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "thumbnails"


def test_every_path_has_one_outcome(tmp_path: Path, cache: Path) -> None:
    good = few(tmp_path, 3)
    broken = put(tmp_path / "broken.jpg", jpeg()[:1500])
    paths = [*good, broken, tmp_path / "missing.jpg", tmp_path]
    outcomes = list(pregen.thumbnails(paths, cache=cache, workers=2))
    assert {os.fsdecode(each.path) for each in outcomes} == set(map(str, paths))
    kinds = Counter(each.kind for each in outcomes)
    assert kinds == {Kind.MADE: 3, Kind.TRUNCATED: 1, Kind.VANISHED: 1, Kind.EXCLUDED: 1}
    again = Counter(each.kind for each in pregen.thumbnails(paths, cache=cache))
    assert again == {Kind.FRESH: 3, Kind.FAILED_BEFORE: 1, Kind.VANISHED: 1, Kind.EXCLUDED: 1}


def test_an_entry_is_found_as_long_as_it_is_fresh(tmp_path: Path, cache: Path) -> None:
    (path,) = few(tmp_path, 1)
    assert pregen.lookup(path, cache=cache) is None
    assert len(list(pregen.thumbnails([path], cache=cache))) == 1
    found = pregen.lookup(path, cache=cache)
    assert found is not None
    assert found.flavor is Flavor.LARGE
    assert found.path == pregen.entry_path(path, cache=cache)
    assert found.path.is_file()
    smaller = pregen.lookup(path, [Flavor.NORMAL], cache=cache)
    assert smaller is not None
    assert smaller.path == pregen.entry_path(path, Flavor.NORMAL, cache=cache)
    os.utime(path, ns=(0, 0))
    assert pregen.lookup(path, cache=cache) is None
    path.unlink()
    assert pregen.lookup(path, cache=cache) is None


def test_paths_come_in_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    uri = f"file://{tmp_path}/a%20%231.jpg"
    for path in ("a #1.jpg", b"./a #1.jpg", tmp_path / "x" / ".." / "a #1.jpg"):
        assert pregen.uri(path) == uri
        assert str(pregen.entry_path(path)).startswith("/cache/thumbnails/large/")
    assert pregen.uri(b"/\xff") == "file:///%FF"


def test_closing_ends_the_work_and_frees_the_cache(tmp_path: Path, cache: Path) -> None:
    paths = many_slow(tmp_path, 60)
    outcomes = pregen.thumbnails(iter(paths), cache=cache, workers=2)
    assert next(outcomes).kind is Kind.MADE
    with pytest.raises(LockedError):
        next(pregen.thumbnails(paths, cache=cache, force=True))
    outcomes.close()
    made = list((cache / "large").iterdir())
    assert 0 < len(made) < len(paths)
    lock = CacheLock(bytes(cache))
    lock.acquire()
    lock.release()


def test_another_run_in_the_cache_does_the_files_next(tmp_path: Path, cache: Path) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="run-") as runtime,
        pytest.MonkeyPatch.context() as set_,
    ):
        set_.setenv("XDG_RUNTIME_DIR", runtime)
        outcomes = pregen.thumbnails(many_slow(tmp_path / "busy", 60), cache=cache, workers=2)
        with closing(outcomes):
            next(outcomes)
            others = list(pregen.thumbnails(few(tmp_path / "photos", 2), cache=cache))
        assert [(each.kind, each.entries_written) for each in others] == [(Kind.MADE, 2)] * 2


def test_what_the_paths_raise_comes_out(tmp_path: Path, cache: Path) -> None:
    good = few(tmp_path, 2)

    def paths() -> Iterator[Path]:
        yield from good
        raise RuntimeError("the database is gone")

    received: list[Kind] = []

    def take() -> None:
        received.extend(each.kind for each in pregen.thumbnails(paths(), cache=cache))

    with pytest.raises(RuntimeError, match="database is gone"):
        take()
    assert set(received) <= {Kind.MADE, Kind.INTERRUPTED}


def test_an_endless_iterable_is_taken_a_few_thousand_ahead(tmp_path: Path, cache: Path) -> None:
    (path,) = few(tmp_path, 1)
    taken = 0

    def paths() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield path

    outcomes = pregen.thumbnails(paths(), cache=cache, workers=1, force=True)
    assert [next(outcomes).kind for _ in range(3)] == [Kind.MADE] * 3
    time.sleep(1)
    outcomes.close()
    assert taken < 10_000


def test_importing_it_imports_nothing_heavy() -> None:
    program = (
        "import sys, pregen; pregen.uri; heavy = ('pyvips', 'PIL', 'numpy', 'rich', 'click'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    for name in pregen.__all__:
        assert getattr(pregen, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = pregen.nothing


def test_the_example_of_the_manual_runs(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    few(tmp_path / "Pictures", 2)
    (tmp_path / "example.py").write_text(example)
    ran = subprocess.run(
        [sys.executable, "example.py"],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "large" in ran.stdout

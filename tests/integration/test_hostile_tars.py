"""`pregen import` of archives that mean harm: refused in a sentence, soon, and nothing changes."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support.files.hostile_tars import HOSTILE_TARS, Victim
from tests.support.files.pictures import jpeg, put
from tests.support.files.source_trees import MTIME_NS
from tests.support.judges import desktops
from tests.support.running.program import PREGEN, environment, run_pregen

if TYPE_CHECKING:
    from pathlib import Path

_MOST_BYTES = 200_000_000


class Import(NamedTuple):
    """One import that has ended, and what it took."""

    code: int
    words: str
    resident_bytes: int
    processor_s: float


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the entries of one photo."""
    place = tmp_path_factory.mktemp("hostile")
    put(place / "photos" / "a.jpg", jpeg(600, 400), MTIME_NS)
    assert run_pregen("run", place / "photos", cache=place / "cache").code == 0
    return place / "cache"


def victim(cache: Path) -> Victim:
    source = cache.parent / "photos" / "a.jpg"
    path = desktops.entry_path(cache, "large", desktops.glib_uri(source))
    return Victim(f"large/{path.name}", path.read_bytes())


def everything(place: Path) -> dict[Path, bytes]:
    return {
        path: path.read_bytes()
        for path in place.rglob("*")
        if path.is_file() and path.name != ".pregen.lock" and "cache-state" not in path.parts
    }


#: Between the tests and the program: the kernel counts the memory of whoever forked a process as
#: its own (getrusage(2), ru_maxrss), and a process of tests is large.
_MEASURED = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, done.stdout.decode(errors="replace"), used.ru_maxrss * 1024,
                  used.ru_utime + used.ru_stime]))
"""


def import_(cache: Path, archive: Path) -> Import:
    done = subprocess.run(
        [sys.executable, "-I", "-c", _MEASURED, *PREGEN, "import", archive],
        env=environment(cache, None),
        stdout=subprocess.PIPE,
        check=True,
    )
    return Import(*json.loads(done.stdout))


@pytest.mark.parametrize("name", HOSTILE_TARS)
def test_it_is_refused_in_a_sentence_and_nothing_changes(
    cache: Path, tmp_path: Path, name: str
) -> None:
    archive = tmp_path / "hostile.tar"
    HOSTILE_TARS[name](victim(cache), archive)
    before = everything(cache.parent)
    done = import_(cache, archive)
    told = f"{name}: {done}"
    assert done.code in {2, 3}, told
    assert "Traceback" not in done.words, told
    assert "\x1b" not in done.words, told
    words = ("refused ", "cannot be read")
    why = [line for line in done.words.splitlines() if any(word in line for word in words)]
    # Each of many members has its own, up to the limit of what people are told.
    assert len(why) == 1 or name == "20 GB of holes", told
    verdicts = ("0 thumbnails", "Nothing was imported.")
    assert any(verdict in " ".join(done.words.split()) for verdict in verdicts), told
    assert done.resident_bytes < _MOST_BYTES, told
    assert everything(cache.parent) == before, told
    assert [path.name for path in tmp_path.iterdir()] == ["hostile.tar"]
    with (cache / "thumbnails" / ".pregen.lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

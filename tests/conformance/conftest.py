"""One library of real and made pictures, thumbnailed once, for every desktop to judge."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support.files.pictures import every_format, put
from tests.support.judges import desktops
from tests.support.running.capabilities import corpus
from tests.support.running.program import Finished, run_pregen

if TYPE_CHECKING:
    from pathlib import Path

#: An ordinary sub-second mtime; one whose microseconds are 0 although its nanoseconds are not;
#: a whole second; one whose microseconds start with zeros; the last microsecond of a second.
MTIMES_NS = (
    1_700_000_000_123_456_789,
    1_600_000_000_000_000_999,
    1_500_000_000_000_000_000,
    1_400_000_000_000_042_000,
    1_300_000_000_999_999_999,
)


class Library(NamedTuple):
    """A folder of sources, the cache a run made for them, and what the run said."""

    folder: Path
    cache: Path
    run: Finished

    @property
    def made(self) -> list[Path]:
        """Sources that got entries."""
        made = {path for path, record in self.run.outcomes.items() if record["kind"] == "made"}
        return [path for path in sorted(self.folder.rglob("*")) if bytes(path) in made]

    def kinds(self, folder: str) -> dict[str, str]:
        """Return what became of each source of a folder by its name."""
        kinds = self.run.kinds()
        return {path.name: kinds[path.name] for path in sorted((self.folder / folder).iterdir())}


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder: one picture of every format, and the corpus where there is one."""
    folder = tmp_path_factory.mktemp("photos")
    for name, data in every_format().items():
        put(folder / "made" / name, data)
    if corpus().is_dir():
        for part in ("camera", "orientation", "formats"):
            shutil.copytree(corpus() / part, folder / part, copy_function=shutil.copyfile)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for number, path in enumerate(files):
        put(path, path.read_bytes(), MTIMES_NS[number % len(MTIMES_NS)])
    return folder


@pytest.fixture(scope="session")
def _libraries() -> dict[int, Library]:
    """By umask; kept apart from `library` because pytest-randomly mixes its parameters."""
    return {}


@pytest.fixture(params=[0o000, 0o077], ids=["umask000", "umask077"])
def library(
    photos: Path,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    _libraries: dict[int, Library],
) -> Library:
    """Thumbnail the folder in all four flavors, under the widest and the tightest umask."""
    umask: int = request.param
    if umask not in _libraries:
        cache = tmp_path_factory.mktemp("cached") / "cache"
        flavors = ",".join(desktops.FLAVORS)
        arguments = ("run", "--json", "-v", "--flavors", flavors, photos)
        run = run_pregen(*arguments, cache=cache, umask=umask)
        # Which ones failed, if any, is for a test to say: the others are judged all the same.
        assert run.code in {0, 3}, run
        _libraries[umask] = Library(photos, cache, run)
    return _libraries[umask]

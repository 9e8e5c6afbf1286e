"""Clients of Debian 13 take every entry, whatever a source is called and however old it is."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from PIL import Image

from tests.support.files import judged_entries, odd_sources, screens
from tests.support.files.pictures import encode, put
from tests.support.judges import desktops
from tests.support.judges.desktop_roots import BOOKWORM, TRIXIE
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.judges.desktop_roots import DesktopRoot

    Answers = dict[bytes, bool]

pytestmark = [pytest.mark.desktop, pytest.mark.slow, pytest.mark.xdist_group("roots")]

FLAVORS = ",".join(desktops.FLAVORS)


class Library(NamedTuple):
    """Odd sources, and a cache that a run has filled for them."""

    sources: dict[bytes, int]
    """The mtime of each in ns, by its path."""
    cache: Path


def repaint(cache: Path) -> None:
    """Have every entry show green, and otherwise be as it was made."""
    for entry in (cache / "thumbnails").rglob("*.png"):
        entry.write_bytes(judged_entries.repainted(entry.read_bytes()))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Every entry shows green where its source does not, and is otherwise as pregen made it."""
    folder = tmp_path_factory.mktemp("odd")
    planted = odd_sources.plant(folder / "library")
    cache = folder / "cache"
    run = run_pregen("run", "--json", "--flavors", FLAVORS, folder / "library", cache=cache)
    assert run.code == 0, run
    assert run.summary["kinds"] == {"made": len(planted)}
    repaint(cache)
    start = bytes(folder / "library") + b"/"
    return Library({start + path: mtime_ns for path, mtime_ns in planted.items()}, cache)


def gio(library: Library, flavor: str) -> Answers:
    answers = desktops.gio_flavor(library.cache, flavor, list(library.sources), TRIXIE)
    return dict(zip(library.sources, (bool(each.valid) for each in answers), strict=True))


def gnome_desktop(library: Library, flavor: str) -> Answers:
    answers = desktops.gnome_desktop(library.cache, flavor, list(library.sources), TRIXIE)
    return dict(zip(library.sources, (each.path is not None for each in answers), strict=True))


def tumbler(library: Library, flavor: str) -> Answers:
    answers = desktops.tumbler(library.cache, flavor, list(library.sources), TRIXIE)
    return dict(zip(library.sources, (each.untouched for each in answers), strict=True))


def kio(library: Library, flavor: str) -> Answers:
    said = desktops.kio(library.cache, flavor, list(library.sources), TRIXIE)
    return dict(zip(library.sources, said, strict=True))


def libfm_qt(library: Library, flavor: str) -> Answers:
    said = desktops.libfm_qt(library.cache, flavor, list(library.sources), TRIXIE)
    return dict(zip(library.sources, said, strict=True))


def qt_cannot_open(path: bytes, _: int) -> bool:
    """Qt reads names as UTF-8, without what Unicode calls no character."""
    try:
        return path.decode().endswith("\uffff.jpg")
    except UnicodeDecodeError:
        return True


#: How each is asked, and what it refuses.
CLIENTS: dict[str, tuple[Callable[[Library, str], Answers], Callable[[bytes, int], bool]]] = {
    "gio": (gio, lambda *_: False),
    "gnome-desktop": (gnome_desktop, lambda *_: False),
    # Microseconds; 0 or less means none to it.
    "tumbler": (tumbler, lambda _, mtime_ns: mtime_ns < 1000),
    "kio": (kio, qt_cannot_open),
    # It compares unsigned numbers.
    "libfm-qt": (libfm_qt, lambda _, mtime_ns: mtime_ns < 0),
}


@needs(Capability.DEBIAN_13)
@pytest.mark.parametrize(
    ("client", "flavor"),
    [
        (client, flavor)
        for client in CLIENTS
        for flavor in desktops.FLAVORS
        if (client, flavor) != ("libfm-qt", "xx-large")  # which it never reads
    ],
)
def test_what_is_refused_is_known(
    library: Library, tmp_path: Path, client: str, flavor: str
) -> None:
    ask, is_refused = CLIENTS[client]
    # Clients make again what they refuse: each has a cache of its own.
    cache = Path(shutil.copytree(library.cache, tmp_path / "cache"))
    answers = ask(library._replace(cache=cache), flavor)
    refused = {path for path, taken in answers.items() if not taken}
    assert refused == {
        path for path, mtime_ns in library.sources.items() if is_refused(path, mtime_ns)
    }


@needs(Capability.DEBIAN_13)
@pytest.mark.parametrize("scale", [1, 1.25, 1.5, 2, 3])
def test_sizes_for_the_screens_leave_kio_nothing_to_make(
    tmp_path: Path, home: Path, scale: float
) -> None:
    put(home / "config" / "kwinoutputconfig.json", screens.kwinoutputconfig(scale))
    shown = Image.new("RGB", (1600, 1200), judged_entries.NOT_GREEN)
    data = encode(shown, "JPEG")
    photos = [put(tmp_path / "photos" / f"{number}.jpg", data) for number in range(2)]
    taken = {}
    for flavors in ("auto", "normal,large"):
        cache = tmp_path / flavors
        run = run_pregen("run", "--flavors", flavors, tmp_path / "photos", cache=cache)
        assert run.code == 0, run
        repaint(cache)
        taken[flavors] = [
            desktops.kio(cache, wanted, photos, TRIXIE, scale) for wanted in ("normal", "large")
        ]
    assert taken["auto"] == [[True, True], [True, True]]
    # Without them it makes pictures of 256 px from 125 % on, and at 300 % of 128 px as well.
    assert taken["normal,large"] == [[scale < 3] * 2, [scale == 1] * 2]


#: Runs the program and prints, as its last line, how often the functions were called.
_COUNTING = """
import json, sys
from collections import Counter
from pregen import cli
from pregen.imaging import thumbnail
from pregen.imaging.pixels import stream

calls = Counter()
for module, name in ((thumbnail, "make"), (stream, "compress")):
    def counted(*given, real=getattr(module, name), name=name, **named):
        calls[name] += 1
        return real(*given, **named)
    setattr(module, name, counted)
code = cli.run(sys.argv[1:])
print(json.dumps(calls))
sys.exit(code)
"""


@pytest.mark.parametrize(
    "root",
    [
        pytest.param(BOOKWORM, marks=needs(Capability.DEBIAN_12), id="kio-5"),
        pytest.param(TRIXIE, marks=needs(Capability.DEBIAN_13), id="kio-6"),
    ],
)
def test_a_root_that_is_a_link_is_decoded_once_and_taken_by_kio(
    tmp_path: Path, root: DesktopRoot
) -> None:
    shown, formats = judged_entries.source_picture(), ("jpeg", "png") * 3
    link, cache = tmp_path / "Pictures", tmp_path / "cache"
    link.symlink_to(tmp_path / "mnt")
    names = [f"photo {number} é.{kind}" for number, kind in enumerate(formats)]
    for name, kind in zip(names, formats, strict=True):
        put(tmp_path / "mnt" / name, encode(shown, kind.upper()))
    arguments = ("run", "--engine", "serial", "--flavors", "normal,large")
    run = run_pregen(
        *(*arguments, "--clients", "kio", link),
        cache=cache,
        program=(sys.executable, "-c", _COUNTING),
    )
    assert run.code == 0, run
    calls = json.loads(run.out.splitlines()[-1])
    assert calls["make"] == 6
    # Each size of each photo at most; where C does all of it, in the same call.
    assert calls["compress"] <= 6 * 2
    assert len(list((cache / "thumbnails").rglob("*.png"))) == 6 * 2 * 2
    repaint(cache)
    for flavor in ("normal", "large"):
        assert desktops.kio(cache, flavor, [link / name for name in names], root) == [True] * 6

"""Our model of the desktops against the desktops: names and verdicts, on real files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pregen.model import Flavor
from pregen.thumbspec.clients import Paths, Place, desktop_verdicts
from pregen.thumbspec.naming import entry_path
from pregen.thumbspec.uri import file_uri
from tests.support.files.pictures import jpeg, put
from tests.support.judges import desktops
from tests.support.running.capabilities import Capability, needs
from tests.thumbspec import samples

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.desktop

NASTY = [
    *(b"a" + bytes([byte]) + b"b" for byte in range(1, 256) if byte != ord("/")),
    b"-x",
    b" ",
    b"...",
    b"%41",
    "e\u0301 写 \N{GRINNING FACE}".encode(),
    b"[1]",
    b"x" * 255,
]

MTIMES_NS = [samples.MTIME_NS, samples.WHOLE_MTIME_NS, 0, 4_000_003_000, -4_500_000_000]

#: {uri}, {mtime}, {signed}, {fraction} and {size} stand for the source's facts.
URI = ("tEXt", "Thumb::URI", "{uri}")
WHOLE = ("tEXt", "Thumb::MTime", "{mtime}")
SIGNED = ("tEXt", "Thumb::MTime", "{signed}")
FRACTION = ("tEXt", "Thumb::MTime", "{signed}.{fraction}")
FRACTION_IN_ITXT = ("iTXt", "Thumb::MTime", "{signed}.{fraction}")
SIZE = ("tEXt", "Thumb::Size", "{size}")
OTHER_URI = ("tEXt", "Thumb::URI", "file:///other")
#: Texts in front of the picture, texts behind it.
FOREIGN: dict[str, tuple[list[samples.Said], list[samples.Said]]] = {
    "whole seconds": ([URI, WHOLE], []),
    "size": ([URI, WHOLE, SIZE], []),
    "signed seconds": ([URI, SIGNED], []),
    "fraction": ([URI, FRACTION], []),
    "both, fraction first": ([FRACTION_IN_ITXT, URI, WHOLE, SIZE], []),
    "both, fraction last": ([URI, WHOLE, SIZE, FRACTION_IN_ITXT], []),
    "both in tEXt": ([URI, WHOLE, FRACTION], []),
    "zTXt URI": ([FRACTION_IN_ITXT, ("zTXt", *URI[1:]), WHOLE], []),
    "zTXt everything": ([("zTXt", *one[1:]) for one in (URI, WHOLE, SIZE)], []),
    "compressed iTXt fraction": (
        [("iTXt", "Thumb::MTime", "{signed}.{fraction}" + "0" * 40), URI, WHOLE],
        [],
    ),
    "leading zeros": ([URI, ("tEXt", "Thumb::MTime", "00{signed}")], []),
    "blanks": ([URI, ("tEXt", "Thumb::MTime", " {signed} ")], []),
    "no URI": ([WHOLE], []),
    "no mtime": ([URI], []),
    "nothing": ([], []),
    "empty mtime": ([URI, ("tEXt", "Thumb::MTime", "")], []),
    "wrong size": ([URI, WHOLE, ("tEXt", "Thumb::Size", "1")], []),
    "wrong URI": ([OTHER_URI, WHOLE], []),
    "wrong URI first": ([OTHER_URI, URI, WHOLE], []),
    "wrong URI last": ([URI, WHOLE, OTHER_URI], []),
    "wrong iTXt URI last": ([URI, WHOLE, ("iTXt", *OTHER_URI[1:])], []),
    "wrong mtime": ([URI, ("tEXt", "Thumb::MTime", "1")], []),
    "text behind": ([], [URI, WHOLE, SIZE]),
    "half of it behind": ([URI], [WHOLE]),
    "wrong size behind": ([URI, WHOLE], [("tEXt", "Thumb::Size", "1")]),
}


@needs(Capability.GIO)
def test_gio_gives_every_file_the_uri_that_we_do(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    paths = [folder + b"/" + name for name in NASTY]
    for path in paths:
        with open(path, "xb"):
            pass
    said = [answer.uri for answer in desktops.gio(tmp_path, paths)]
    assert said == [file_uri(path) for path in paths]


def _filled(said: list[samples.Said], source: Path) -> list[samples.Said]:
    facts = source.stat()
    seconds, rest_ns = divmod(facts.st_mtime_ns, 10**9)
    values = {
        "uri": file_uri(os.fsencode(source)),
        "mtime": seconds % 2**64,
        "signed": seconds,
        "fraction": f"{rest_ns // 1000:06}",
        "size": facts.st_size,
    }
    return [(kind, key, value.format(**values)) for kind, key, value in said]


def _plant(tmp_path: Path, flavor: Flavor, mtime_ns: int) -> dict[str, tuple[Path, bytes]]:
    """Make a source for every foreign entry and one of our own; return them with the entries."""
    picture = jpeg(400, 300)
    made = {}
    edges_px = flavor.box_px, flavor.box_px * 3 // 4
    for number, name in enumerate(["our own", *FOREIGN]):
        source = put(tmp_path / "photos" / f"{number}.jpg", picture, mtime_ns)
        if name == "our own":
            uri = file_uri(os.fsencode(source))
            facts = samples.FACTS._replace(uri=uri, mtime_ns=mtime_ns, size_bytes=len(picture))
            png = samples.own(facts, *edges_px)
        else:
            before, behind = (_filled(said, source) for said in FOREIGN[name])
            png = samples.foreign(before, behind, edges_px=edges_px)
        made[name] = source, png
    return made


def _gio(cache: Path, flavor: Flavor, sources: list[Path]) -> list[bool]:
    return [bool(answer.valid) for answer in desktops.gio_flavor(cache, flavor.directory, sources)]


def _gnome_desktop(cache: Path, flavor: Flavor, sources: list[Path]) -> list[bool]:
    answers = desktops.gnome_desktop(cache, flavor.directory, sources)
    return [answer.path is not None for answer in answers]


def _tumbler(cache: Path, flavor: Flavor, sources: list[Path]) -> list[bool]:
    answers = desktops.tumbler(cache, flavor.directory, sources)
    return [answer.ready and answer.untouched for answer in answers]


@pytest.mark.xdist_group("tumbler")
@pytest.mark.parametrize("mtime_ns", MTIMES_NS)
@pytest.mark.parametrize(
    ("client", "ask"),
    [
        pytest.param(
            "GLib/GIO (Nautilus, Nemo, Caja)", _gio, id="gio", marks=needs(Capability.GIO)
        ),
        pytest.param(
            "gnome-desktop", _gnome_desktop, id="gnome", marks=needs(Capability.GNOME_DESKTOP)
        ),
        pytest.param("tumbler (Thunar)", _tumbler, id="tumbler", marks=needs(Capability.TUMBLER)),
    ],
)
def test_a_desktop_says_of_every_entry_what_we_say_it_does(
    tmp_path: Path,
    client: str,
    ask: Callable[[Path, Flavor, list[Path]], list[bool]],
    mtime_ns: int,
) -> None:
    flavor = Flavor.LARGE
    planted = _plant(tmp_path, flavor, mtime_ns)
    cache = tmp_path / "cache"
    expected = {}
    for name, (source, png) in planted.items():
        uri = file_uri(os.fsencode(source))
        root = os.fsencode(cache / "thumbnails")
        put(Path(os.fsdecode(entry_path(root, flavor, uri))), png)
        place = Place(flavor, uri, Paths(*[os.fsencode(source)] * 3))
        verdicts = desktop_verdicts(png, place, mtime_ns, source.stat().st_size)
        expected[name] = next(one.accepts for one in verdicts if one.client == client)
    said = ask(cache, flavor, [source for source, _ in planted.values()])
    assert dict(zip(planted, said, strict=True)) == expected
    assert expected["nothing"] is False
    assert expected["our own"] is not (client.startswith("tumbler") and mtime_ns <= 0)

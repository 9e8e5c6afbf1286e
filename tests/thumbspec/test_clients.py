from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.model import Flavor
from pregen.thumbspec import mtime, pngbuild
from pregen.thumbspec.clients import CLIENTS, Wanted, desktop_verdicts, refusals
from pregen.thumbspec.pngtext import read_head
from pregen.thumbspec.uri import all_uris
from tests.thumbspec import samples
from tests.thumbspec.samples import FACTS, IDENTITY, MTIME_NS, SIZE_BYTES, URI, WHOLE_MTIME_NS

NAMES = [client.name for client in CLIENTS]
SHORT = dict(
    zip(["glib", "gnome", "kio", "tumbler", "libfm", "geeqie", "gthumb"], NAMES, strict=True)
)


def _accepting(
    png: bytes | None, mtime_ns: int = MTIME_NS, flavor: Flavor = Flavor.LARGE
) -> set[str]:
    verdicts = desktop_verdicts(png, flavor, URI, mtime_ns, SIZE_BYTES)
    assert [verdict.client for verdict in verdicts] == NAMES
    assert all(bool(verdict.reason) != verdict.accepts for verdict in verdicts)
    accepting = {verdict.client for verdict in verdicts if verdict.accepts}
    return {short for short, name in SHORT.items() if name in accepting}


EVERYONE = set(SHORT)
KDE: samples.Said = ("tEXt", "Software", "KDE Thumbnail Generator Images")


def test_every_desktop_accepts_our_own_entry_where_it_looks() -> None:
    assert _accepting(samples.own()) == EVERYONE
    assert _accepting(samples.own(width_px=128), flavor=Flavor.NORMAL) == EVERYONE
    assert _accepting(samples.own(width_px=512), flavor=Flavor.X_LARGE) == EVERYONE - {"geeqie"}
    assert _accepting(samples.own(width_px=1024), flavor=Flavor.XX_LARGE) == EVERYONE - {
        "geeqie",
        "libfm",
    }


@given(samples.facts(samples.ORDINARY_MTIMES_NS))
def test_every_desktop_accepts_the_texts_of_any_ordinary_source(
    facts: pngbuild.SourceFacts,
) -> None:
    wanted = Wanted(*facts[:3])
    assert refusals(read_head(samples.own(facts, 256, 2)), wanted) == {}


@pytest.mark.parametrize(
    ("said", "accepting"),
    [
        (IDENTITY, EVERYONE),
        (IDENTITY[1:], EVERYONE - {"tumbler"}),
        ([], set()),
        (IDENTITY[2:], {"libfm"}),
        ([IDENTITY[0], *IDENTITY[2:]], {"libfm"}),
        ([IDENTITY[1]], set()),
        (IDENTITY[:2], {"gnome", "geeqie", "tumbler"}),
        (samples.changed(IDENTITY, "Thumb::Size", "1"), EVERYONE - {"glib", "kio"}),
        (samples.changed(IDENTITY, "Thumb::Size", ""), EVERYONE - {"glib"}),
        (samples.changed(IDENTITY, "Thumb::URI", "file:///x"), {"tumbler", "libfm"}),
        (samples.changed(IDENTITY, "Thumb::MTime", "1"), {"gnome", "geeqie", "tumbler"}),
        ([("zTXt", key, value) for _, key, value in IDENTITY], EVERYONE - {"glib"}),
        ([*IDENTITY, ("iTXt", "Thumb::URI", "file:///x")], EVERYONE - {"kio", "gthumb"}),
        ([*IDENTITY, ("tEXt", "Thumb::URI", "file:///x")], EVERYONE - {"glib", "kio", "gthumb"}),
        ([("iTXt", "Thumb::URI", "file:///x"), *IDENTITY], EVERYONE - {"gnome", "geeqie"}),
        ([*IDENTITY, KDE, ("tEXt", "Software", "other")], EVERYONE),
        ([*IDENTITY, KDE], EVERYONE - {"kio"}),
        ([*IDENTITY, (*KDE[:2], f"{KDE[2]} (v1)")], EVERYONE - {"kio"}),
        ([*IDENTITY, (*KDE[:2], f"{KDE[2]} (v2)")], EVERYONE),
        ([*IDENTITY, KDE, ("tEXt", "Thumb::Mimetype", "image/png")], EVERYONE),
        ([*IDENTITY, KDE, ("tEXt", "Thumb::Mimetype", "image/jpeg")], EVERYONE - {"kio"}),
    ],
)
def test_each_client_picks_its_own_from_the_texts(
    said: list[samples.Said], accepting: set[str]
) -> None:
    assert _accepting(samples.foreign(said)) == accepting


def test_only_tumbler_minds_text_behind_the_picture() -> None:
    assert _accepting(samples.foreign([], IDENTITY)) == EVERYONE - {"tumbler"}


def test_glib_stops_at_the_picture_once_it_has_both_keys() -> None:
    wrong = [("tEXt", "Thumb::Size", "1"), ("tEXt", "Thumb::URI", "file:///x")]
    assert "glib" in _accepting(samples.foreign(IDENTITY, wrong))
    assert "glib" not in _accepting(samples.foreign(IDENTITY[:2], [IDENTITY[2], *wrong]))


def test_geeqie_wants_an_edge_of_just_128_or_256() -> None:
    assert "geeqie" not in _accepting(samples.own(width_px=200))
    assert "geeqie" in _accepting(samples.own(width_px=100, height_px=128))


@pytest.mark.parametrize(
    ("mtime_ns", "accepting"),
    [
        (WHOLE_MTIME_NS, EVERYONE),
        (0, EVERYONE - {"tumbler"}),
        (5000, EVERYONE),
        (-1, EVERYONE - {"tumbler", "libfm"}),
        (-4_500_000_000, EVERYONE - {"tumbler", "libfm"}),
    ],
)
def test_our_texts_suit_as_many_as_they_can_at_any_time(mtime_ns: int, accepting: set[str]) -> None:
    assert _accepting(samples.own(FACTS._replace(mtime_ns=mtime_ns)), mtime_ns) == accepting


def test_glibs_number_for_a_time_before_1970_alone_suits_others() -> None:
    said = [
        ("tEXt", "Thumb::URI", URI),
        ("tEXt", "Thumb::MTime", mtime.integer_text(-(10**9))),
    ]
    assert _accepting(samples.foreign(said), -(10**9)) == {"glib", "tumbler", "libfm"}


@pytest.mark.parametrize(
    ("png", "accepting"),
    [
        (None, set()),
        (b"", set()),
        (b"GIF89a", set()),
        (samples.own()[:50], set()),
        (samples.own()[:-20], {"glib", "tumbler"}),
    ],
)
def test_nobody_accepts_what_cannot_be_shown(png: bytes | None, accepting: set[str]) -> None:
    assert _accepting(png) == accepting


@pytest.mark.parametrize(
    ("path", "askers"),
    [
        (b"/d/a.jpg", ["both"]),
        (b"/d/a;b.jpg", ["glib", "kio"]),
        (b"/d/a[1].jpg", ["both", "kio"]),
        (b"/d/a;[1].jpg", ["glib", "kio", "kio"]),
        (b"/d/\xff.jpg", ["glib"]),
    ],
)
def test_a_client_looks_under_the_uri_it_builds(path: bytes, askers: list[str]) -> None:
    found = []
    for uri in all_uris(path):
        png = samples.own(FACTS._replace(uri=uri))
        verdicts = desktop_verdicts(png, Flavor.LARGE, uri, MTIME_NS, SIZE_BYTES)
        looking = {verdict.client for verdict in verdicts if verdict.looks_here}
        assert looking == {verdict.client for verdict in verdicts if verdict.accepts}
        kio, others = SHORT["kio"] in looking, len(looking - {SHORT["kio"]}) == len(NAMES) - 1
        found.append(
            {(True, True): "both", (True, False): "kio", (False, True): "glib"}[kio, others]
        )
    assert found == askers


@given(st.binary() | st.binary().map(samples.own()[:180].__add__), samples.FLAVORS)
def test_any_bytes_get_a_verdict_of_every_client(data: bytes, flavor: Flavor) -> None:
    verdicts = desktop_verdicts(data, flavor, URI, MTIME_NS, SIZE_BYTES)
    assert [verdict.client for verdict in verdicts] == NAMES


def test_very_long_values_are_cut_in_what_people_read() -> None:
    said = samples.changed(IDENTITY, "Thumb::URI", "file:///" + "x" * 50_000)
    verdicts = desktop_verdicts(samples.foreign(said), Flavor.LARGE, URI, MTIME_NS, SIZE_BYTES)
    assert all(len(verdict.reason) < 300 for verdict in verdicts)

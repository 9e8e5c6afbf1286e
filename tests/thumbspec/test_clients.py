from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.model import Flavor
from pregen.thumbspec import mtime, pngbuild
from pregen.thumbspec.clients import (
    BY_KEY,
    CLIENTS,
    AsksBy,
    ClientVerdict,
    Paths,
    Place,
    WantedKeys,
    asked_uris,
    desktop_verdicts,
    every_uri,
    found,
    refused_by,
)
from pregen.thumbspec.naming import source_path
from pregen.thumbspec.pngtext import read_head
from pregen.thumbspec.refusals import Wanted
from pregen.thumbspec.uri import UriForm, all_uris, file_uri, path_from_uri, uris_in
from tests.thumbspec import samples
from tests.thumbspec.samples import FACTS, IDENTITY, MTIME_NS, SIZE_BYTES, URI, WHOLE_MTIME_NS

NAMES = [client.name for client in CLIENTS]
SHORT = {
    short: BY_KEY[key].name
    for short, key in (
        ("glib", "gio"),
        ("gnome", "gnome-desktop"),
        ("kio", "kio"),
        ("tumbler", "tumbler"),
        ("libfm", "libfm-qt"),
        ("geeqie", "geeqie"),
        ("gthumb", "gthumb"),
    )
}


def _verdicts(
    png: bytes | None,
    mtime_ns: int = MTIME_NS,
    flavor: Flavor = Flavor.LARGE,
    uri: str = URI,
    path: bytes | None = None,
) -> list[ClientVerdict]:
    here = path or source_path(URI) or b""
    place = Place(flavor, uri, Paths(here, here, here))
    return desktop_verdicts(png, place, mtime_ns, SIZE_BYTES)


def _accepting(
    png: bytes | None, mtime_ns: int = MTIME_NS, flavor: Flavor = Flavor.LARGE
) -> set[str]:
    verdicts = _verdicts(png, mtime_ns, flavor)
    assert [verdict.client for verdict in verdicts] == NAMES
    assert all(bool(verdict.reason) != verdict.accepts for verdict in verdicts)
    accepting = {verdict.client for verdict in verdicts if verdict.accepts}
    return {short for short, name in SHORT.items() if name in accepting}


EVERYONE = set(SHORT)
FAR = 2**31  # seconds: the year 2038
SHORT_LIVED = {BY_KEY[key].name for key in ("gwenview", "photoqt", "deepin")}
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
    refused = set(refused_by(read_head(samples.own(facts, 256, 2)), wanted))
    # Their times have 32 bits.
    assert refused == (SHORT_LIVED if facts.mtime_ns // 10**9 >= FAR else set())


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
        verdicts = _verdicts(png, uri=uri, path=path)
        looking = {verdict.client for verdict in verdicts if verdict.looks_here}
        assert looking == {verdict.client for verdict in verdicts if verdict.accepts}
        others = set(SHORT.values()) - {SHORT["kio"]}
        assert looking & others in (set(), others)
        kio, rest = SHORT["kio"] in looking, bool(looking & others)
        found.append({(True, True): "both", (True, False): "kio", (False, True): "glib"}[kio, rest])
    assert found == askers


@given(st.binary() | st.binary().map(samples.own()[:180].__add__), samples.FLAVORS)
def test_any_bytes_get_a_verdict_of_every_client(data: bytes, flavor: Flavor) -> None:
    verdicts = _verdicts(data, MTIME_NS, flavor)
    assert [verdict.client for verdict in verdicts] == NAMES


def test_very_long_values_are_cut_in_what_people_read() -> None:
    said = samples.changed(IDENTITY, "Thumb::URI", "file:///" + "x" * 50_000)
    verdicts = _verdicts(samples.foreign(said))
    assert all(len(verdict.reason) < 300 for verdict in verdicts)


#: Of the programs that are not covered above: what each takes for the texts of a source.
OTHERS: dict[str, dict[str, bool]] = {
    "gimp": {"ours": True, "other URI": False, "fraction": True, "other size": False, "far": True},
    "libfm": {"ours": True, "other URI": True, "fraction": True, "no MTime": True, "far": True},
    "gwenview": {"ours": True, "other URI": False, "fraction": False, "far": False},
    "photoqt": {"ours": True, "other URI": True, "no MTime": False, "far": False},
    "deepin": {"ours": True, "other URI": True, "other size": True, "far": False},
    "nomacs": {"ours": True, "other URI": False, "fraction": True, "far": True},
    "cosmic": {"ours": True, "other URI": False, "compressed": False, "far": True},
    "blender": {"ours": True, "other URI": True, "behind": False, "far": True},
    "feh": {"ours": True, "other URI": True, "behind": False, "far": True},
    "rofi": {"ours": True, "other URI": True, "nothing": True, "far": True},
    "elementary": {"ours": True, "other URI": True, "behind": False, "far": True},
}


def _said(case: str) -> tuple[bytes, int]:
    """Return an entry and the time of its source."""
    uri = ("tEXt", "Thumb::URI", URI)
    whole = ("tEXt", "Thumb::MTime", "1700000000")
    if case == "far":
        return samples.own(FACTS._replace(mtime_ns=FAR * 10**9)), FAR * 10**9
    said = {
        "ours": IDENTITY,
        "other URI": samples.changed(IDENTITY, "Thumb::URI", "file:///x"),
        "fraction": [uri, ("tEXt", "Thumb::MTime", "1700000000.123456")],
        "no MTime": [uri],
        "other size": [*IDENTITY[:3], ("tEXt", "Thumb::Size", "1")],
        "compressed": [("zTXt", *uri[1:]), whole],
        "nothing": [],
    }
    if case == "behind":
        return samples.foreign([], IDENTITY), MTIME_NS
    return samples.foreign(said[case]), MTIME_NS


@pytest.mark.parametrize(("key", "case"), [(key, case) for key in OTHERS for case in OTHERS[key]])
def test_each_other_program_goes_by_its_own_rule(key: str, case: str) -> None:
    png, mtime_ns = _said(case)
    verdicts = {one.client: one for one in _verdicts(png, mtime_ns)}
    assert verdicts[BY_KEY[key].name].accepts is OTHERS[key][case]


# Who asks by which URI.

LINKED = Paths(b"/home/me/My Photos/a.jpg", b"/mnt/disk/a.jpg", b"/home/me/other/a.jpg")


@pytest.mark.parametrize(
    ("key", "uris"),
    [
        ("gio", ["file:///home/me/My%20Photos/a.jpg"]),
        ("kio", ["file:///mnt/disk/a.jpg"]),
        ("cosmic", ["file:///mnt/disk/a.jpg"]),
        ("libfm-qt", ["file:///home/me/other/a.jpg"]),
        ("gwenview", ["file:///home/me/My Photos/a.jpg"]),
        ("feh", ["file:///home/me/My Photos/a.jpg"]),
        ("nomacs", ["file:///home/me/My%20Photos/a.jpg"]),
    ],
)
def test_a_client_asks_by_its_own_path_in_its_own_form(key: str, uris: list[str]) -> None:
    assert list(asked_uris(BY_KEY[key], LINKED)) == uris


def test_where_links_lead_elsewhere_a_client_is_judged_by_the_path_it_asks_with() -> None:
    by_link = file_uri(LINKED.walked)
    png = samples.own(FACTS._replace(uri=by_link))
    place = Place(Flavor.LARGE, by_link, LINKED)
    found = {one.client: one for one in desktop_verdicts(png, place, MTIME_NS, SIZE_BYTES)}
    assert found[BY_KEY["gio"].name].accepts
    assert found[BY_KEY["kio"].name] == ClientVerdict(
        "KIO (Dolphin)", accepts=False, reason="it asks by its real path", looks_here=False
    )
    assert not found[BY_KEY["cosmic"].name].looks_here
    assert "another URI" in found[BY_KEY["gwenview"].name].reason


@given(samples.PATHS)
def test_every_uri_can_be_read_back(path: bytes) -> None:
    for uri in every_uri(path):
        assert path_from_uri(uri) == path


@given(samples.PATHS)
def test_every_form_of_a_plain_path_is_glibs(path: bytes) -> None:
    plain = b"/" + bytes(byte for byte in path if chr(byte).isalnum() and byte < 128)
    assert every_uri(plain) == (file_uri(plain),)


@pytest.mark.parametrize(
    ("form", "path", "uris"),
    [
        (
            UriForm.PRETTY,
            "/My Photos/K\u00f6ln \U0001f600.jpg",
            ["/My Photos/K\u00f6ln \U0001f600.jpg"],
        ),
        (UriForm.PRETTY, "/a;[1]%#?.jpg", ["/a;%5B1%5D%25%23%3F.jpg", "/a;[1]%25%23%3F.jpg"]),
        (UriForm.RUST, "/a;|^[] .jpg", ["/a;|%5E[]%20.jpg", "/a;|^[]%20.jpg"]),
        (UriForm.RUST, "/\u00e9", ["/%C3%A9"]),
        (UriForm.LOWER_CASE, "/\u00e9 %41;", ["/%c3%a9%20%2541%3b"]),
        (UriForm.RAW, "/\u00e9 ;[", ["/\u00e9 ;["]),
        (UriForm.RAW, "/100%.jpg", []),
        (UriForm.RAW, "/100%25.jpg", []),
        (UriForm.RAW, "/a#b", []),
    ],
)
def test_forms_differ_as_the_programs_do(form: UriForm, path: str, uris: list[str]) -> None:
    assert list(uris_in(form, path.encode())) == [f"file://{uri}" for uri in uris]


@pytest.mark.parametrize("form", UriForm)
def test_of_a_name_that_is_not_utf8_only_glibs_kinds_have_a_uri(form: UriForm) -> None:
    knows_bytes = {UriForm.GLIB, UriForm.RUST, UriForm.LOWER_CASE}
    assert bool(uris_in(form, b"/\xff")) is (form in knows_bytes)


# Which of them a run makes.

SPACED = Paths(b"/a b;c", b"/d e;f", b"/g h;i")


@pytest.mark.parametrize(
    ("clients", "real", "more"),
    [
        ((), None, set()),
        (("gio", "tumbler", "nomacs", "geeqie"), None, set()),
        (("kio",), None, {"file:///d%20e;f"}),
        (("kio",), False, set()),
        ((), True, {"file:///d%20e%3Bf", "file:///d%20e;f"}),
        (("libfm-qt",), None, {"file:///g%20h%3Bi"}),
        (("gwenview",), None, {"file:///a b;c"}),
        (("gwenview", "photoqt", "feh"), True, {
            "file:///a b;c", "file:///d%20e%3Bf", "file:///d%20e;f",
        }),
        (("cosmic",), False, {"file:///a%20b;c"}),
        (("blender",), None, {"file:///a%20b%3bc"}),
    ],
)  # fmt: skip
def test_the_keys_of_a_run_are_those_its_clients_ask_by(
    clients: tuple[str, ...],
    real: bool | None,  # noqa: FBT001 - a parameter of the test
    more: set[str],
) -> None:
    found = WantedKeys.of(clients, real=real)
    assert set(found.more(SPACED)) == more
    asks = {BY_KEY[key].asks_by for key in clients} - {AsksBy.WALKED}
    assert found.follows_links is (real is not False and bool(asks or real))


def test_a_client_is_found_by_any_of_its_programs() -> None:
    assert found({"org.kde.gwenview", "dolphin"}.__contains__) == ("kio", "gwenview")
    assert found(lambda _: False) == ()


def test_keys_and_names_of_clients_are_their_own() -> None:
    assert len(BY_KEY) == len(CLIENTS) == len(set(NAMES))
    assert all(client.checks and client.source and client.programs for client in CLIENTS)

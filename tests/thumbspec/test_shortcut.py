"""The short cut by which `judge` knows our own entries, against the thorough way."""

from __future__ import annotations

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from pregen.model import Flavor
from pregen.thumbspec import fingerprint, pngbuild, validity
from pregen.thumbspec.refusals import Wanted
from pregen.thumbspec.validity import Freshness, judge
from tests.support.judges import png_walk
from tests.thumbspec import samples
from tests.thumbspec.samples import IDENTITY, MTIME_NS, SIZE_BYTES, URI


def _judge(png: bytes, *, whole: bool = True) -> validity.Judgement:
    return judge(png, Flavor.LARGE, URI, MTIME_NS, SIZE_BYTES, whole=whole)


_USUAL_TEXTS = st.sampled_from(
    [
        ("tEXt", "Thumb::Mimetype", "image/jpeg"),
        ("tEXt", "Thumb::Image::Width", "4032"),
        ("tEXt", "Thumb::Image::Height", "3024"),
        ("tEXt", "Thumb::Image::Width", "100"),
        ("tEXt", "Thumb::Image::Height", "80"),
        ("tEXt", "Software", "pregen 0.1.0"),
        ("tEXt", "X-Pregen::Fingerprint", f"{7:032x}:65536"),
    ]
)
#: Within a text, what would be the fingerprint's chunk if it stood outside of one.
_NESTED = "\0\0\0\x20tEXtX-Pregen::Fingerprint\x001"
_ODD_TEXTS = st.tuples(
    st.sampled_from(["tEXt", "zTXt", "iTXt"]),
    st.sampled_from(
        [
            "Thumb::URI",
            "Thumb::MTime",
            "Thumb::Size",
            "Thumb::Image::Width",
            "Thumb::Image::Height",
            "X-Other",
            "X-Pregen::Fingerprint",
        ]
    ),
    st.sampled_from(
        [URI, "1700000000", "1700000000.123456", "4123456", "300", "256", "0", "x", _NESTED]
    ),
)
_ODD_EDGES_PX = st.sampled_from([0, 1, 128, 192, 257, 300])
_ODD_FORMS = st.sampled_from([(8, 2, 0, 0, 0), (8, 6, 0, 0, 1), (8, 3, 0, 0, 0), (8, 6, 1, 0, 0)])
_ODD_PARTS: list[tuple[bytes, bytes]] = [(b"gAMA", b"1234"), (b"ABCD", b""), (b"IEND", b"")]


@st.composite
def _nearly_ours(draw: st.DrawFn) -> bytes:
    """Draw the beginning of an entry of ours, with up to two things about it changed."""
    flaws = draw(
        st.sets(st.sampled_from(["edges", "form", "text", "part", "byte", "cut"]), max_size=2)
    )
    edges_px = (draw(_ODD_EDGES_PX), draw(_ODD_EDGES_PX)) if "edges" in flaws else (256, 192)
    form = draw(_ODD_FORMS) if "form" in flaws else ()
    parts = [(b"IHDR", samples.ihdr(*edges_px, *form))]
    parts += [
        samples.text_part(*one) for one in IDENTITY + draw(st.lists(_USUAL_TEXTS, max_size=4))
    ]
    if "text" in flaws:
        parts.append(samples.text_part(*draw(_ODD_TEXTS)))
    if "part" in flaws:
        parts.append(draw(st.sampled_from(_ODD_PARTS)))
    png = png_walk.build([*parts, (b"IDAT", b"rows"), (b"IEND", b"")])
    if "byte" in flaws:
        at = draw(st.integers(0, len(png) - 1))
        png = png[:at] + bytes([png[at] ^ draw(st.integers(1, 255))]) + png[at + 1 :]
    return png[: draw(st.integers(0, len(png)))] if "cut" in flaws else png


@settings(max_examples=400)
@given(data=_nearly_ours(), flavor=st.just(Flavor.LARGE) | samples.FLAVORS, whole=st.booleans())
def test_the_short_cut_for_our_own_entries_never_changes_a_verdict(
    *, data: bytes, flavor: Flavor, whole: bool
) -> None:
    quick = judge(data, flavor, URI, MTIME_NS, SIZE_BYTES, whole=whole)
    wanted = Wanted(URI, MTIME_NS, SIZE_BYTES)
    thorough = validity.examine(data, flavor, wanted, whole=whole)
    assert quick.verdict is thorough.verdict
    assert quick == thorough or quick.head is None
    event(f"{quick.verdict.value}, {'recognised' if quick != thorough else 'examined'}")


@pytest.mark.parametrize(
    ("form", "more", "verdict"),
    [
        ((8, 6, 0, 0, 0), [], Freshness.FRESH),
        ((8, 2, 0, 0, 0), [], Freshness.FRESH),
        ((8, 6, 1, 0, 0), [], Freshness.CORRUPT),
        ((8, 3, 0, 0, 0), [], Freshness.CORRUPT),
        ((8, 6, 0, 0, 0), [("Width", "100"), ("Height", "80")], Freshness.STALE),
        ((8, 6, 0, 0, 0), [("Width", "500"), ("Height", "80"), ("Width", "100")], Freshness.FRESH),
        ((8, 6, 0, 0, 0), [("Width", "100"), ("Height", "80"), ("Width", "500")], Freshness.STALE),
    ],
)
def test_beginning_as_ours_do_excuses_nothing(
    form: tuple[int, ...], more: list[tuple[str, str]], verdict: Freshness
) -> None:
    said = IDENTITY + [("tEXt", f"Thumb::Image::{edge}", value) for edge, value in more]
    parts = [(b"IHDR", samples.ihdr(256, 192, *form)), *(samples.text_part(*one) for one in said)]
    assert _judge(png_walk.build([*parts, (b"IDAT", b""), (b"IEND", b"")])).verdict is verdict


def test_no_height_at_all_is_corrupt_however_well_it_begins() -> None:
    parts = [(b"IHDR", samples.ihdr(256, 0)), *(samples.text_part(*one) for one in IDENTITY)]
    png = png_walk.build([*parts, (b"IDAT", b""), (b"IEND", b"")])
    assert _judge(png, whole=False).verdict is Freshness.CORRUPT


def test_the_short_cut_is_taken_for_our_own_entries() -> None:
    assert _judge(samples.own()).head is None
    assert _judge(samples.foreign(IDENTITY)[:-12], whole=False).head is None


def test_what_differs_from_photo_to_photo_is_not_what_is_remembered() -> None:
    """Otherwise no two entries have texts in common, and all are taken apart again."""
    for number in range(3):
        facts = samples.FACTS._replace(
            mime="image/x-test", extra=((fingerprint.KEY, f"{number:032x}:65536"),)
        )
        known = pngbuild._said_in.cache_info().hits
        assert _judge(samples.own(facts, idat=bytes(10 + number))).head is None
        assert pngbuild._said_in.cache_info().hits == known + (number > 0)

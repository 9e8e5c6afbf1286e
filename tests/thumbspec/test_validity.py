from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pregen.model import Flavor
from pregen.thumbspec import mtime, pngbuild, validity
from pregen.thumbspec.pngtext import read_head
from pregen.thumbspec.refusals import Wanted
from pregen.thumbspec.validity import HEAD_BYTES, Freshness, judge, judge_fail_record
from tests.support.files.pictures import (
    encode,
    image,
    interlaced_png,
    palette_png_with_alpha,
    png16,
)
from tests.support.judges import png_walk
from tests.thumbspec import samples
from tests.thumbspec.samples import FACTS, IDENTITY, MTIME_NS, SIZE_BYTES, URI, WHOLE_MTIME_NS

WHOLE = [("tEXt", "Thumb::URI", URI), ("tEXt", "Thumb::MTime", "1700000000")]


def _judge(
    png: bytes | None, mtime_ns: int = MTIME_NS, *, whole: bool = True
) -> validity.Judgement:
    return judge(png, Flavor.LARGE, URI, mtime_ns, SIZE_BYTES, whole=whole)


def _verdict(said: list[samples.Said], mtime_ns: int = MTIME_NS) -> Freshness:
    return _judge(samples.foreign(said), mtime_ns).verdict


@pytest.mark.parametrize("flavor", Flavor)
@pytest.mark.parametrize(
    "original_px", [(4032, 3024), (3024, 4032), (300, 200), (90, 500), (0, 0), (4032, 0)]
)
def test_our_own_entry_is_fresh_in_every_flavor(
    flavor: Flavor, original_px: tuple[int, int]
) -> None:
    long_px = min(flavor.box_px, max(original_px)) if all(original_px) else flavor.box_px
    facts = FACTS._replace(width_px=original_px[0], height_px=original_px[1])
    png = samples.own(facts, long_px, 5)
    for data, whole in ((png, True), (png[:HEAD_BYTES], False)):
        judged = judge(data, flavor, URI, MTIME_NS, SIZE_BYTES, whole=whole)
        assert (judged.verdict, judged.reason) == (Freshness.FRESH, "")


@given(facts=samples.facts(), flavor=samples.FLAVORS, upright=st.booleans())
@example(facts=FACTS._replace(mtime_ns=0), flavor=Flavor.LARGE, upright=True)
@example(facts=FACTS._replace(mtime_ns=3000), flavor=Flavor.LARGE, upright=True)
@example(facts=FACTS._replace(mtime_ns=-1), flavor=Flavor.LARGE, upright=True)
@example(facts=FACTS._replace(mtime_ns=-4_500_000_000), flavor=Flavor.LARGE, upright=False)
def test_what_we_write_is_fresh_for_any_source_and_refitting_ends(
    *, facts: pngbuild.SourceFacts, flavor: Flavor, upright: bool
) -> None:
    original_px = facts.width_px, facts.height_px
    long_px = min(flavor.box_px, max(original_px)) if all(original_px) else flavor.box_px
    png = samples.own(facts, *((1, long_px) if upright else (long_px, 1)))
    for data, whole in ((png, True), (png[: len(png) - 20], False)):
        assert judge(data, flavor, *facts[:3], whole=whole).verdict is Freshness.FRESH
        assert validity.examine(data, flavor, Wanted(*facts[:3]), whole=whole).verdict is (
            Freshness.FRESH
        )
    foreign = samples.foreign([("zTXt", "Thumb::URI", facts.uri)], edges_px=(1, flavor.box_px))
    mended = pngbuild.retext(foreign, facts._replace(width_px=0))
    assert judge(mended, flavor, *facts[:3], whole=True).verdict is Freshness.FRESH


@given(samples.facts(), st.data())
def test_any_change_of_the_source_makes_our_entry_stale(
    facts: pngbuild.SourceFacts, data: st.DataObject
) -> None:
    facts = facts._replace(width_px=0)
    png = samples.own(facts, 256, 2)
    uri, mtime_ns, size_bytes = facts[:3]
    other_uri = data.draw(samples.URIS.filter(lambda other: other != uri))
    usec = mtime_ns // 1000
    other_ns = data.draw(samples.MTIMES_NS.filter(lambda other: other // 1000 != usec))
    other_bytes = data.draw(samples.SIZES_BYTES.filter(lambda other: other != size_bytes))
    # From the year 2242 on two microseconds may be one double, and so the same time to tumbler.
    if mtime.whole_s(other_ns) == mtime.whole_s(mtime_ns):
        assume(mtime.tumbler_s(other_ns) != mtime.tumbler_s(mtime_ns))
    for changed in (
        (other_uri, mtime_ns, size_bytes),
        (uri, other_ns, size_bytes),
        (uri, mtime_ns, other_bytes),
    ):
        judged = judge(png, Flavor.LARGE, *changed, whole=True)
        assert judged.verdict is not Freshness.FRESH
        assert judged.reason
    assert judge(png, Flavor.X_LARGE, *facts[:3]).verdict is Freshness.STALE
    assert judge(png, Flavor.NORMAL, *facts[:3]).verdict is Freshness.STALE


@pytest.mark.parametrize(
    ("mtime_ns", "size_bytes", "uri", "why"),
    [
        (MTIME_NS - 10**9, SIZE_BYTES, URI, "Thumb::MTime is '1700000000.123456'"),
        (MTIME_NS + 10**9, SIZE_BYTES, URI, "the file's is 1700000001.123456"),
        (MTIME_NS + 1000, SIZE_BYTES, URI, "the file's is 1700000000.123457"),
        (MTIME_NS, SIZE_BYTES + 1, URI, "Thumb::Size is '4123456', the file's is 4123457"),
        (MTIME_NS, SIZE_BYTES, URI + "x", "Thumb::URI is 'file:///home/jens/photos/me.png'"),
    ],
)
def test_stale_says_what_differs(mtime_ns: int, size_bytes: int, uri: str, why: str) -> None:
    judged = judge(samples.own(), Flavor.LARGE, uri, mtime_ns, size_bytes)
    assert judged.verdict is Freshness.STALE
    assert why in judged.reason
    assert judged.head == read_head(samples.own())


def test_an_older_source_is_another_source() -> None:
    assert _judge(samples.own(), MTIME_NS - 10**15).verdict is Freshness.STALE


def test_the_nanoseconds_below_a_microsecond_are_nobodys_business() -> None:
    assert _judge(samples.own(), MTIME_NS // 1000 * 1000).verdict is Freshness.FRESH


def test_nothing_is_missing() -> None:
    assert _judge(None).verdict is Freshness.MISSING
    assert judge_fail_record(None, URI, MTIME_NS, SIZE_BYTES).verdict is Freshness.MISSING


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ([WHOLE[0]], Freshness.STALE),
        ([WHOLE[1]], Freshness.STALE),
        ([], Freshness.STALE),
        (samples.changed(IDENTITY, "Thumb::MTime", ""), Freshness.STALE),
        (samples.changed(IDENTITY, "Thumb::MTime", "1699999999"), Freshness.STALE),
        (samples.changed(IDENTITY, "Thumb::MTime", "1700000000.1", "iTXt"), Freshness.STALE),
        (samples.changed(IDENTITY, "Thumb::Size", ""), Freshness.STALE),
        (samples.changed(IDENTITY, "Thumb::Size", "4123456.0"), Freshness.STALE),
        (samples.changed(IDENTITY, "Thumb::URI", URI.replace("me", "%6De")), Freshness.STALE),
        ([*IDENTITY, ("tEXt", "Thumb::URI", "file:///other")], Freshness.STALE),
        ([*IDENTITY, ("zTXt", "Thumb::MTime", "17")], Freshness.STALE),
        ([*IDENTITY, ("iTXt", "Thumb::Size", "17")], Freshness.STALE),
        (IDENTITY, Freshness.FRESH),
        (IDENTITY[:3], Freshness.FRESH),
        ([*IDENTITY, ("tEXt", "Thumb::MTime", "1700000000")], Freshness.FRESH),
        ([*IDENTITY, ("zTXt", "Comment", "x")], Freshness.FRESH),
    ],
)
def test_texts_of_other_programs_are_judged_by_the_standard(
    said: list[samples.Said], verdict: Freshness
) -> None:
    assert _verdict(said) is verdict


@pytest.mark.parametrize(
    ("said", "who"),
    [
        # Integer MTime only, as everybody but tumbler writes it.
        (WHOLE, {"tumbler"}),
        # As tumbler writes it.
        (
            [WHOLE[0], ("tEXt", "Thumb::MTime", "1700000000.123456")],
            {"GLib", "KIO", "libfm-qt", "gThumb"},
        ),
        # As Qt writes a URI of 40 characters and more.
        ([IDENTITY[0], ("zTXt", "Thumb::URI", URI), *IDENTITY[2:]], {"GLib"}),
        ([IDENTITY[0], IDENTITY[1], ("zTXt", "Thumb::MTime", "1700000000")], {"GLib"}),
        # The fraction behind the integer: tumbler takes the first, Qt the last.
        ([*IDENTITY[1:], IDENTITY[0]], {"KIO", "tumbler", "libfm-qt", "gThumb"}),
        (samples.changed(IDENTITY, "Thumb::MTime", "01700000000"), {"GLib"}),
        (samples.changed(IDENTITY, "Thumb::MTime", " 1700000000 "), {"GLib", "gThumb"}),
        (samples.changed(IDENTITY, "Thumb::Size", "04123456"), {"GLib"}),
        (samples.changed(IDENTITY, "Thumb::MTime", "1700000000.123456789", "iTXt"), {"tumbler"}),
    ],
)
def test_fresh_entries_that_some_desktop_refuses_are_refitted_and_say_for_whom(
    said: list[samples.Said], who: set[str]
) -> None:
    judged = _judge(samples.foreign(said))
    assert judged.verdict is Freshness.REFIT
    named = {"GLib", "gnome-desktop", "KIO", "tumbler", "libfm-qt", "Geeqie", "gThumb"}
    assert {name for name in named if name in judged.reason} == who
    assert _judge(pngbuild.retext(samples.foreign(said), FACTS)).verdict is Freshness.FRESH


def test_whole_seconds_need_no_fraction() -> None:
    assert _verdict(WHOLE, WHOLE_MTIME_NS) is Freshness.FRESH
    assert _verdict(WHOLE, WHOLE_MTIME_NS + 999) is Freshness.FRESH


def test_text_behind_the_picture_is_found_and_moved() -> None:
    behind = samples.foreign([], IDENTITY)
    assert _judge(behind[:HEAD_BYTES], whole=False).verdict is Freshness.NEED_MORE
    judged = _judge(behind)
    assert judged.verdict is Freshness.REFIT
    assert "tumbler" in judged.reason
    assert _judge(pngbuild.retext(behind, FACTS)).verdict is Freshness.FRESH
    stale = samples.foreign([], samples.changed(IDENTITY, "Thumb::Size", "1"))
    assert _judge(stale).verdict is Freshness.STALE


@pytest.mark.parametrize(
    ("edges_px", "original_px", "flavor", "verdict"),
    [
        ((256, 192), None, Flavor.LARGE, Freshness.FRESH),
        ((192, 256), None, Flavor.LARGE, Freshness.FRESH),
        ((256, 256), None, Flavor.LARGE, Freshness.FRESH),
        ((255, 192), None, Flavor.LARGE, Freshness.STALE),
        ((257, 192), None, Flavor.LARGE, Freshness.STALE),
        ((256, 257), None, Flavor.LARGE, Freshness.STALE),
        ((2000, 2000), None, Flavor.NORMAL, Freshness.STALE),
        ((1, 1), None, Flavor.NORMAL, Freshness.STALE),
        ((384, 256), None, Flavor.X_LARGE, Freshness.STALE),
        ((384, 256), (384, 256), Flavor.X_LARGE, Freshness.FRESH),
        ((256, 384), (200, 384), Flavor.X_LARGE, Freshness.FRESH),
        ((512, 341), (384, 256), Flavor.X_LARGE, Freshness.STALE),
        ((512, 341), (600, 400), Flavor.X_LARGE, Freshness.FRESH),
        ((512, 341), (384, 0), Flavor.X_LARGE, Freshness.FRESH),
    ],
)
def test_the_long_edge_is_the_flavors_or_the_originals(
    edges_px: tuple[int, int],
    original_px: tuple[int, int] | None,
    flavor: Flavor,
    verdict: Freshness,
) -> None:
    said = list(IDENTITY)
    if original_px:
        said.append(("tEXt", "Thumb::Image::Width", str(original_px[0])))
        said.append(("zTXt", "Thumb::Image::Height", str(original_px[1])))
    png = samples.foreign(said, edges_px=edges_px)
    assert judge(png, flavor, URI, MTIME_NS, SIZE_BYTES, whole=True).verdict is verdict


@pytest.mark.parametrize(
    "png",
    [
        interlaced_png(256, 100),
        png16(256, 100),
        palette_png_with_alpha(256, 100),
        encode(image(256, 100).convert("1"), "PNG"),
        encode(image(256, 100).convert("LA"), "PNG"),
    ],
)
def test_any_legal_png_format_will_do(png: bytes) -> None:
    assert _judge(png_walk.with_texts(png, IDENTITY)).verdict is Freshness.FRESH


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a PNG at all",
        samples.own()[:20],
        samples.own()[:300],
        samples.own().replace(b"IHDR", b"IHDS"),
        samples.own()[:30] + b"x" + samples.own()[31:],
        samples.own().replace(b"1700000000.1", b"1700000000.2"),
        png_walk.build([(b"IHDR", samples.ihdr(0, 5)), (b"IDAT", b""), (b"IEND", b"")]),
        samples.own().replace(b"IDAT", b"ID\0T"),
        samples.own()[: samples.own().index(b"IDAT") - 4] + b"\xff\xff\xff\xffIDAT",
        samples.foreign([], [])[:-20],
    ],
)
def test_a_broken_file_is_corrupt(data: bytes) -> None:
    judged = _judge(data)
    assert judged.verdict is Freshness.CORRUPT
    assert judged.reason.startswith("the thumbnail ")
    assert judged.head is None


def test_an_empty_file_and_a_file_of_another_kind_are_corrupt_without_being_whole() -> None:
    assert _judge(b"", whole=False).verdict is Freshness.CORRUPT
    assert _judge(b"GIF89a", whole=False).verdict is Freshness.CORRUPT


def test_a_beginning_is_never_called_corrupt() -> None:
    png = samples.own()
    all_text = png.index(b"IDAT") + 4
    for length in range(1, len(png)):
        verdict = _judge(png[:length], whole=False).verdict
        assert verdict is (Freshness.FRESH if length >= all_text else Freshness.NEED_MORE), length


def test_text_longer_than_the_head_asks_for_more() -> None:
    long_uri = "file:///" + "%C3%A9" * 700 + "/a.jpg"
    png = samples.own(FACTS._replace(uri=long_uri))
    args = Flavor.LARGE, long_uri, MTIME_NS, SIZE_BYTES
    assert judge(png[:HEAD_BYTES], *args).verdict is Freshness.NEED_MORE
    assert judge(png, *args, whole=True).verdict is Freshness.FRESH


def test_what_contradicts_the_source_is_stale_however_little_is_there() -> None:
    cut = samples.own()[: samples.own().index(b"Thumb::Size")]
    judged = _judge(cut, MTIME_NS + 10**9, whole=False)
    assert judged.verdict is Freshness.STALE


@given(
    flavor=samples.FLAVORS,
    data=st.binary() | st.binary().map(samples.own()[:180].__add__),
    whole=st.booleans(),
)
def test_any_bytes_get_a_verdict(*, flavor: Flavor, data: bytes, whole: bool) -> None:
    verdict = judge(data, flavor, URI, MTIME_NS, SIZE_BYTES, whole=whole).verdict
    assert verdict is not Freshness.MISSING
    if whole:
        assert verdict is not Freshness.NEED_MORE


def test_an_empty_size_is_not_the_size_of_an_empty_file() -> None:
    png = samples.foreign(samples.changed(IDENTITY, "Thumb::Size", ""))
    assert judge(png, Flavor.LARGE, URI, MTIME_NS, 0, whole=True).verdict is Freshness.STALE


def test_a_fail_record_is_fresh_until_the_source_changes() -> None:
    record = pngbuild.fail_record(FACTS)
    assert (
        judge_fail_record(record, URI, MTIME_NS, SIZE_BYTES, whole=True).verdict is Freshness.FRESH
    )
    assert judge_fail_record(record, URI, MTIME_NS, SIZE_BYTES).verdict is Freshness.FRESH
    for changed in (
        (URI, MTIME_NS + 10**9, SIZE_BYTES),
        (URI, MTIME_NS, 0),
        (URI + "x", MTIME_NS, SIZE_BYTES),
    ):
        assert judge_fail_record(record, *changed).verdict is Freshness.STALE
    assert judge_fail_record(b"", URI, MTIME_NS, SIZE_BYTES).verdict is Freshness.CORRUPT
    assert judge_fail_record(record[:50], URI, MTIME_NS, SIZE_BYTES).verdict is Freshness.NEED_MORE


def test_fail_records_of_other_programs_are_understood() -> None:
    gnome = samples.foreign(WHOLE, edges_px=(1, 1))
    assert (
        judge_fail_record(gnome, URI, MTIME_NS, SIZE_BYTES, whole=True).verdict is Freshness.FRESH
    )


@pytest.mark.parametrize("mtime_ns", [0, 999, -1, -(10**9), -(10**18) - 1])
def test_times_that_no_text_suits_everyone_for_are_not_refitted_for_ever(mtime_ns: int) -> None:
    said = [("tEXt", "Thumb::URI", URI), ("tEXt", "Thumb::MTime", mtime.integer_text(mtime_ns))]
    foreign = samples.foreign(said)
    first = _judge(foreign, mtime_ns)
    assert first.verdict is (Freshness.FRESH if mtime_ns >= 0 else Freshness.REFIT)
    mended = pngbuild.retext(foreign, FACTS._replace(mtime_ns=mtime_ns))
    assert _judge(mended, mtime_ns).verdict is Freshness.FRESH
    assert validity.examine(
        mended, Flavor.LARGE, Wanted(URI, mtime_ns, SIZE_BYTES), whole=True
    ).verdict is (Freshness.FRESH)

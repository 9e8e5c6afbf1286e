"""The draw: reproducible, bounded, and nothing that exists is left out while there is room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.model import Source
from pregen.verbs.bench.sample import Stratum, Totals, allocate, draw, stratum_of

sources = st.lists(
    st.builds(
        lambda number, extension, size_bytes: Source(
            b"/p/%d.%s" % (number, extension), size_bytes, number
        ),
        st.integers(0, 10_000),
        st.sampled_from([b"jpg", b"JPG", b"png", b"tif", b"heic"]),
        st.integers(0, 10**8),
    ),
    unique_by=lambda source: source.path,
    max_size=60,
)
libraries = st.dictionaries(
    st.builds(Stratum, st.sampled_from(["jpg", "png", "tif", ""]), st.integers(0, 16)),
    st.builds(Totals, st.integers(1, 10**6), st.integers(0, 10**12)),
    max_size=30,
)


@given(sources, st.integers(1, 40), st.integers(0, 3), st.randoms())
def test_the_same_seed_draws_the_same_sample_whatever_the_order(
    found: list[Source], limit: int, seed: int, random: object
) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    first, second = draw(found, limit, seed), draw(shuffled, limit, seed)
    assert first.sources == second.sources
    assert first.digest == second.digest
    assert len(first.sources) == min(limit, len(found))
    assert set(first.sources) <= set(found)
    assert first.covers == (limit >= len(found))


@given(sources, st.integers(1, 40))
def test_every_stratum_is_drawn_from_while_there_is_room(found: list[Source], limit: int) -> None:
    sample = draw(found, limit, 0)
    drawn = set(sample.strata)
    assert drawn <= sample.library.keys()
    assert len(drawn) == min(limit, len(sample.library))
    assert sample.total == Totals(len(found), sum(source.size_bytes for source in found))


@given(libraries, st.integers(0, 500))
def test_no_stratum_gets_more_than_it_has(library: dict[Stratum, Totals], limit: int) -> None:
    seats = allocate(library, limit)
    assert seats.keys() == library.keys()
    assert all(0 <= seats[stratum] <= library[stratum].sources for stratum in library)
    assert sum(seats.values()) == min(limit, sum(each.sources for each in library.values()))


def test_the_largest_part_of_a_library_gets_the_most() -> None:
    photos, few_raws, icons = Stratum("jpg", 12), Stratum("tif", 14), Stratum("png", 6)
    seats = allocate(
        {
            photos: Totals(9000, 36_000_000_000),
            few_raws: Totals(100, 4_000_000_000),
            icons: Totals(900, 1_000_000),
        },
        200,
    )
    assert seats[photos] > 150
    assert seats[few_raws] >= 8, "few, but a tenth of the bytes"
    assert seats[icons] >= 8


def test_another_seed_draws_another_sample() -> None:
    found = [Source(b"/p/%d.jpg" % number, 5_000_000, 1) for number in range(500)]
    assert draw(found, 50, 0).sources != draw(found, 50, 1).sources


def test_a_changed_file_changes_the_digest() -> None:
    old, new = Source(b"/p/a.jpg", 5, 1), Source(b"/p/a.jpg", 5, 2)
    assert draw([old], 1, 0).digest != draw([new], 1, 0).digest


@pytest.mark.parametrize(
    ("name", "size_bytes", "stratum"),
    [
        (b"a.JPG", 5_000_000, Stratum("jpg", 12)),
        (b"a.b.png", 0, Stratum("png", 0)),
        (b"no-extension", 1, Stratum("", 1)),
        (b".jpg", 3, Stratum("", 1)),
        (b"scan.0001", 4, Stratum("", 2)),
        (b"a.edited by me", 4**5 - 1, Stratum("", 5)),
        (b"a.\xff\xfe", 4**5, Stratum("", 6)),
    ],
)
def test_a_stratum_is_an_extension_and_a_size(
    name: bytes, size_bytes: int, stratum: Stratum
) -> None:
    assert stratum_of(Source(b"/p.d/" + name, size_bytes, 0)) == stratum

"""Fingerprints: the same bytes give the same text, other bytes another, and junk is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from pregen.thumbspec import fingerprint
from pregen.thumbspec.fingerprint import LEAST_FIRST_BYTES, Piece, ReadRanges, looked_at

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = bytes(range(256)) * 800
BEGINNINGS = st.integers(LEAST_FIRST_BYTES, len(DATA))
PIECES = st.lists(
    st.tuples(st.integers(0, len(DATA) - 1), st.sampled_from([1, 100, 4096])), max_size=8
)


def of(text: str, data: bytes) -> str | None:
    """Return the fingerprint of `data` by the places another was taken from."""

    def read(offset: int, count: int) -> Iterator[bytes]:
        for at in range(offset, min(offset + count, len(data)), 1000):
            yield data[at : min(at + 1000, offset + count)]

    looked = looked_at(text, len(data))
    return None if looked is None else fingerprint.of(looked, read)


def seen(first: int, pieces: list[tuple[int, int]]) -> str:
    found = ReadRanges()
    for offset, count in pieces:
        found.add(offset, DATA[offset : offset + count])
    return found.fingerprint(DATA[:first])


@given(BEGINNINGS, PIECES)
def test_the_same_bytes_at_the_same_places_have_the_same_fingerprint(
    first: int, pieces: list[tuple[int, int]]
) -> None:
    text = seen(first, pieces)
    assert of(text, DATA) == text


@given(BEGINNINGS, PIECES, st.data())
def test_one_bit_that_was_looked_at_makes_another_fingerprint(
    first: int, pieces: list[tuple[int, int]], draw: st.DataObject
) -> None:
    text = seen(first, pieces)
    places = [(0, first), *pieces]
    offset, count = draw.draw(st.sampled_from(places))
    at = draw.draw(st.integers(offset, min(offset + count, len(DATA)) - 1))
    other = bytearray(DATA)
    other[at] ^= 1 << draw.draw(st.integers(0, 7))
    assert of(text, bytes(other)) not in {None, text}


def test_neighbouring_pieces_are_told_as_one() -> None:
    text = seen(LEAST_FIRST_BYTES, [(70_000 + 100 * number, 100) for number in range(500)])
    assert text.endswith(":65536,70000+100*500")
    looked = looked_at(text, len(DATA))
    assert looked is not None
    assert looked.pieces[-1] == Piece(70_000 + 49_900, 100)


def test_what_was_read_all_over_a_file_has_no_fingerprint() -> None:
    assert not seen(LEAST_FIRST_BYTES, [(1000 * number, 10) for number in range(100)])


@given(st.text() | st.from_regex(r"[0-9a-f]{32}:[0-9]{1,20}(,[0-9]{1,20}\+[0-9]{1,20}){0,3}"))
def test_junk_is_a_place_within_the_file_or_nothing(text: str) -> None:
    looked = looked_at(text, len(DATA))
    if looked is not None:
        assert LEAST_FIRST_BYTES <= looked.first_bytes <= len(DATA)
        assert sum(piece.size_bytes for piece in looked.pieces) <= 2 * len(DATA)


def test_a_fingerprint_of_hardly_anything_is_none() -> None:
    assert looked_at("0" * 32 + ":0", len(DATA)) is None
    assert looked_at("0" * 32 + ":65535", len(DATA)) is None
    assert looked_at("0" * 32 + ":10", 10) is not None

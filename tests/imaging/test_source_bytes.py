"""What is read of a source: the right bytes, within the file, each once, all of it told."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.imaging.source_bytes import MAX_PIECE_BYTES, DamagedError, SourceBytes
from pregen.thumbspec.fingerprint import looked_at, of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = bytes(range(256)) * 1024
_HEAD_BYTES = 64 * 1024
_BLOCK_BYTES = 32 * 1024


@pytest.fixture
def source(tmp_path: Path) -> Iterator[SourceBytes]:
    path = tmp_path / "source"
    path.write_bytes(DATA)
    fd = os.open(path, os.O_RDONLY)
    yield SourceBytes(fd, len(DATA), DATA[:_HEAD_BYTES])
    os.close(fd)


def test_what_is_known_is_not_read_again(source: SourceBytes) -> None:
    assert source.read_at(100, 1000) == DATA[100:1100]
    assert source.piece(100, 1000) == DATA[100:1100]
    assert source.first(1000) == DATA[:_HEAD_BYTES]
    assert source.bytes_read == _HEAD_BYTES
    assert source.whole() == DATA
    assert source.bytes_read == len(DATA)


def test_structures_are_read_in_blocks_and_each_block_once(source: SourceBytes) -> None:
    for at in range(100_000, 101_000, 10):
        assert source.piece(at, 10) == DATA[at : at + 10]
    assert source.bytes_read == _HEAD_BYTES + 8192
    assert source.uint(100_001, 2) == int.from_bytes(DATA[100_001:100_003], "big")
    assert source.uint(100_001, 2, "little") == int.from_bytes(DATA[100_001:100_003], "little")


@pytest.mark.parametrize(
    ("offset", "count"),
    [(-1, 4), (len(DATA) - 3, 4), (len(DATA), 1), (1 << 40, 4), (90_000, MAX_PIECE_BYTES + 1)],
)
def test_a_structure_outside_of_the_file_is_damage(
    source: SourceBytes, offset: int, count: int
) -> None:
    with pytest.raises(DamagedError, match="outside"):
        source.piece(offset, count)


def test_structures_that_never_end_are_damage() -> None:
    size_bytes = 10_000_000
    fd = os.memfd_create("source")
    try:
        os.truncate(fd, size_bytes)
        source = SourceBytes(fd, size_bytes, b"")
        for number in range(64):
            source.piece(8192 * number, 1)
        with pytest.raises(DamagedError, match="never end"):
            source.piece(8192 * 64, 1)
        assert source.bytes_read == 512 * 1024
    finally:
        os.close(fd)


def test_past_the_end_there_is_nothing(source: SourceBytes) -> None:
    assert source.read_at(len(DATA) - 5, 100) == DATA[-5:]
    assert source.read_at(len(DATA), 100) == b""
    assert source.read_at(len(DATA) + 5, 100) == b""
    assert SourceBytes.of(b"abc").read_at(1, 100) == b"bc"


@given(st.lists(st.tuples(st.integers(0, len(DATA) + 100), st.integers(0, 70_000)), max_size=6))
def test_a_file_of_it_reads_like_the_file(places: list[tuple[int, int]]) -> None:
    fd = os.memfd_create("source")
    try:
        os.write(fd, DATA)
        ours = SourceBytes(fd, len(DATA), DATA[:_HEAD_BYTES]).as_file()
        theirs = io.BytesIO(DATA)
        for offset, count in places:
            theirs.seek(offset)
            assert ours.read_at(offset, count) == theirs.read(count)
            assert ours.read(7) == theirs.read(7)
    finally:
        os.close(fd)


def test_the_fingerprint_tells_all_that_was_read(source: SourceBytes) -> None:
    source.read_at(200_000, 300)
    source.as_file().read_at(100_000, 10)
    looked = looked_at(source.fingerprint, len(DATA))
    assert looked is not None
    assert looked.first_bytes == _HEAD_BYTES
    assert looked.pieces == ((100_000 // _BLOCK_BYTES * _BLOCK_BYTES, _BLOCK_BYTES), (200_000, 300))
    assert of(looked, lambda at, count: [DATA[at : at + count]]) == source.fingerprint


def test_what_others_read_is_not_known(source: SourceBytes) -> None:
    assert source.fingerprint
    assert source.fd >= 0
    assert source.fingerprint == ""


def test_an_error_of_a_file_is_remembered() -> None:
    broken = SourceBytes(-1, len(DATA), DATA[:_HEAD_BYTES]).as_file()
    assert broken.read_at(10, 10) == DATA[10:20]
    assert broken.error is None
    assert broken.read_at(_HEAD_BYTES - 5, 10) == DATA[_HEAD_BYTES - 5 : _HEAD_BYTES]
    assert broken.error is not None
    assert broken.read_at(200_000, 10) == b""

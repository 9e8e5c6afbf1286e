"""`--files-from`: lists in any pieces, with anything in them."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.errors import UsageError
from pregen.model import Kind, Skip, Source
from pregen.walk import roots, sources_from_list

if TYPE_CHECKING:
    from pathlib import Path


def read(data: bytes, place: Path, delimiter: bytes = b"\n") -> list[Source | Skip]:
    return list(sources_from_list(io.BytesIO(data), delimiter, os.fsencode(place)))


def test_a_list_gives_its_sources_in_its_order(tmp_path: Path) -> None:
    for name, size in (("b.jpg", 1), (".a.txt", 2), ("c", 3)):
        (tmp_path / name).write_bytes(bytes(size))
    top = os.fsencode(tmp_path)
    found = read(b"b.jpg\n" + top + b"/.a.txt\n\n./x/../c", tmp_path)
    assert [(item.path, getattr(item, "size_bytes", None)) for item in found] == [
        (top + b"/b.jpg", 1),
        (top + b"/.a.txt", 2),
        (top + b"/c", 3),
    ]


def test_a_missing_file_is_a_skip(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    top = os.fsencode(tmp_path)
    assert read(b"gone.jpg\nlink\n", tmp_path) == [
        Skip(top + b"/gone.jpg", Kind.VANISHED, "no such file", listed=True),
        Skip(top + b"/link", Kind.VANISHED, "dangling symbolic link", listed=True),
    ]


def test_a_list_from_another_system_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    (skip,) = read(b"a.jpg\r\n", tmp_path)
    assert isinstance(skip, Skip)
    assert skip.listed
    assert "carriage return" in skip.message


def test_what_is_no_file_is_a_skip(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    cached = tmp_path / ".cache" / "thumbnails" / "large" / "a.png"
    cached.parent.mkdir(parents=True)
    cached.touch()
    kinds = [getattr(item, "kind", None) for item in read(
        b"folder\npipe\n.cache/thumbnails/large/a.png\n" + b"x" * 5_000, tmp_path
    )]  # fmt: skip
    assert kinds == [Kind.EXCLUDED, Kind.SPECIAL, Kind.EXCLUDED, Kind.UNREADABLE]


def test_files_of_the_cache_in_use_are_left_out(tmp_path: Path) -> None:
    for name in ("cache/a.png", "a.png", "cache2/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    top = os.fsencode(tmp_path)
    stream = io.BytesIO(b"cache/a.png\na.png\ncache2/a.png\ncache/a.png\n")
    found = list(sources_from_list(stream, b"\n", top, top + b"/cache"))
    assert [type(item) for item in found] == [Skip, Source, Source]


def test_a_list_with_zero_bytes_read_by_lines_says_so(tmp_path: Path) -> None:
    [skip] = read(b"a.jpg\0b.jpg\0", tmp_path)
    assert isinstance(skip, Skip)
    assert "-0" in skip.message


def test_names_with_newlines_come_through_a_zero_list(tmp_path: Path) -> None:
    (tmp_path / "a\nb.jpg").touch()
    [source] = read(b"a\nb.jpg\0", tmp_path, b"\0")
    assert isinstance(source, Source)


def test_the_same_file_is_taken_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        (tmp_path / name).touch()
    assert len(read(b"a\nb\na\n./a\nc\nb\n", tmp_path)) == 3
    monkeypatch.setattr(roots, "_REMEMBERED", 1)
    assert len(read(b"a\na\na\nb\nb\n", tmp_path)) == 2
    # What is remembered is bounded.
    assert len(read(b"a\nb\na\n", tmp_path)) == 3


def test_what_is_no_list_is_refused_and_not_read_to_its_end(tmp_path: Path) -> None:
    with open("/dev/zero", "rb") as endless, pytest.raises(UsageError, match="-0"):
        list(sources_from_list(endless, b"\n", os.fsencode(tmp_path)))


def test_a_pipe_is_followed_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    out, into = os.pipe()
    with open(out, "rb") as stream, open(into, "wb", buffering=0) as writer:
        found = sources_from_list(stream, b"\n", os.fsencode(tmp_path))
        writer.write(b"a\nb")
        assert next(found).path.endswith(b"/a")
        writer.write(b"c\n")
        assert next(found).path.endswith(b"/bc")


@given(
    names=st.lists(st.binary(max_size=12).filter(lambda name: b"\0" not in name), max_size=12),
    piece=st.integers(1, 7),
    ends=st.booleans(),
)
def test_a_list_in_any_pieces_is_the_same_list(
    names: list[bytes], piece: int, *, ends: bool
) -> None:
    class Pieces(io.BytesIO):
        def read1(self, _size: int | None = -1, /) -> bytes:
            return super().read(piece)

    stream: BinaryIO = Pieces(b"\0".join(names) + b"\0" * ends)
    assert list(roots._items(stream, b"\0")) == [name for name in names if name]

"""Rights of one file given to another: never more than it had."""

from __future__ import annotations

import os
import stat
import struct
from typing import TYPE_CHECKING

import pytest

from pregen.cache.shared import Rights

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ACL = "system.posix_acl_access"
_NOBODY = 0xFFFFFFFF


def access_list(user: int, bits: int) -> bytes:
    """Return the list `u::rw-,u:USER:BITS,g::---,m::BITS,o::---` (linux/posix_acl_xattr.h)."""
    rows = [(0x01, 6, _NOBODY), (0x02, bits, user), (0x04, 0, _NOBODY)]
    rows += [(0x10, bits, _NOBODY), (0x20, 0, _NOBODY)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *row) for row in rows)


@pytest.fixture
def fds(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """An original and a new file, open."""
    flags = os.O_RDWR | os.O_CREAT
    both = os.open(tmp_path / "original", flags, 0o600), os.open(tmp_path / "new", flags, 0o600)
    yield both
    for fd in both:
        os.close(fd)


def mode(fd: int) -> int:
    return stat.S_IMODE(os.fstat(fd).st_mode)


def set_list(fd: int, value: bytes) -> None:
    try:
        os.setxattr(fd, _ACL, value)
    except OSError as error:
        pytest.skip(f"needs a file system with access lists ({error.strerror})")


@pytest.mark.parametrize("bits", [0o400, 0o644, 0o755, 0o604], ids=oct)
def test_the_mode_is_given(fds: tuple[int, int], bits: int) -> None:
    original, new = fds
    os.fchmod(original, bits)
    Rights.of(original).give(new)
    assert mode(new) == bits


def test_what_runs_with_its_owners_rights_gives_them_to_no_picture(fds: tuple[int, int]) -> None:
    original, new = fds
    os.fchmod(original, 0o6755)
    Rights.of(original).give(new)
    assert mode(new) == 0o755


def test_an_access_list_is_given(fds: tuple[int, int]) -> None:
    original, new = fds
    set_list(original, access_list(4321, 4))
    Rights.of(original).give(new)
    assert os.getxattr(new, _ACL) == os.getxattr(original, _ACL)
    assert mode(new) == mode(original)


def test_a_list_that_came_from_the_folder_is_taken_away(fds: tuple[int, int]) -> None:
    original, new = fds
    os.fchmod(original, 0o640)
    set_list(new, access_list(4321, 6))
    Rights.of(original).give(new)
    assert mode(new) == 0o640
    with pytest.raises(OSError, match="No data"):
        os.getxattr(new, _ACL)


@pytest.mark.parametrize(
    ("bits", "narrower"),
    [(0o640, 0o600), (0o664, 0o644), (0o660, 0o600), (0o604, 0o604), (0o755, 0o755)],
    ids=str,
)
def test_a_group_or_list_that_cannot_be_given_leaves_what_everybody_has(
    fds: tuple[int, int], bits: int, narrower: int
) -> None:
    _, new = fds
    # No file system takes this for a list.
    Rights(bits, os.geteuid(), os.getegid(), b"no list").give(new)
    assert oct(mode(new)) == oct(narrower)

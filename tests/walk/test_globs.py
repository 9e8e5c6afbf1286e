"""Patterns: what each form matches, against a table and against fnmatch."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.errors import UsageError
from pregen.walk.filters import Globs

ROOT = b"/r/"


def excluded(pattern: bytes, below: bytes, *, folder: bool = False) -> bool:
    globs = Globs(exclude=[pattern])
    judge = globs.enters if folder else globs.takes
    return not judge(ROOT + below, len(ROOT), below.rpartition(b"/")[2])


@pytest.mark.parametrize(
    ("pattern", "hits", "misses"),
    [
        (b"*.jpg", [b"a.jpg", b"x/y/a.jpg", b".jpg"], [b"a.jpg.png", b"a.jpg/b"]),
        (b"*.jpg", [b"a.JPG", b"X/A.JpG"], [b"a.png"]),
        (b"x/IMG*", [b"X/img_1"], [b"y/img_1"]),
        (b"IMG_????.*", [b"x/IMG_0001.png"], [b"IMG_1.png", b"IMG_00001.png"]),
        (b"[ab]*", [b"a", b"x/bc"], [b"c", b"xa"]),
        (b"[!ab]*", [b"c", b"-"], [b"a", b"bc"]),
        (b"[^ab]", [b"c"], [b"a", b"^a"]),
        (b"[]x]", [b"]", b"x"], [b"[]x]"]),
        (b"[]", [b"[]"], [b"", b"]"]),
        (b"a[", [b"a["], [b"a"]),
        (b"a[1", [b"a[1"], [b"a1"]),
        (b"[a-c]", [b"b"], [b"-", b"d"]),
        (b"[a\\]]", [b"a]", b"\\]"], [b"]"]),
        (b"[[:x]", [b"[", b":", b"x"], [b"[:x"]),
        (b"a\\b", [b"a\\b"], [b"ab"]),
        (b"(a|b)+", [b"(a|b)+"], [b"a", b"aa"]),
        (b"x/*.jpg", [b"x/a.jpg"], [b"a.jpg", b"y/x/a.jpg", b"x/y/a.jpg"]),
        (b"x?y/a", [b"xzy/a"], [b"x/y/a"]),
        (b"x[/]y/a", [], [b"x/y/a"]),
        (b"x[!a]y/b", [b"x_y/b"], [b"x/y/b"]),
        (b"x/**", [b"x/a", b"x/y/z/a"], [b"x", b"xx/a"]),
        (b"**/a", [b"a", b"x/a", b"x/y/a"], [b"ba", b"x/ba", b"a/x"]),
        (b"x/**/a", [b"x/a", b"x/y/a", b"x/y/z/a"], [b"x/ba", b"a"]),
        (b"x/**y/a", [b"x/y/a", b"x/zy/a"], [b"x/z/y/a"]),
        (b"**", [b"a", b"x/y"], []),
        (b"/a", [b"a"], [b"x/a"]),
        (b"/x/a", [b"x/a"], [b"y/x/a"]),
        (b"/r/x/a", [b"x/a", b"r/x/a"], [b"a"]),
        (b"caf\xe9*", [b"caf\xe9.jpg"], [b"caf\xc3\xa9.jpg"]),
        (b"a\nb", [b"a\nb"], [b"a"]),
        (b"*", [b"a\nb", b".hidden", b"\xff"], []),
    ],
)
def test_a_pattern_matches(pattern: bytes, hits: list[bytes], misses: list[bytes]) -> None:
    assert [path for path in hits if not excluded(pattern, path)] == []
    assert [path for path in misses if excluded(pattern, path)] == []


def test_a_pattern_that_ends_in_a_slash_is_for_folders() -> None:
    assert excluded(b"raw/", b"x/raw", folder=True)
    assert not excluded(b"raw/", b"x/raw")
    assert excluded(b"/x/raw/", b"x/raw", folder=True)
    assert not excluded(b"/x/raw/", b"y/raw", folder=True)


def test_exclude_wins_over_include() -> None:
    globs = Globs(include=[b"*.jpg", b"x/*.png"], exclude=[b"IMG*"])

    def takes(below: bytes) -> bool:
        return globs.takes(ROOT + below, len(ROOT), below.rpartition(b"/")[2])

    assert takes(b"a.jpg")
    assert takes(b"x/a.png")
    assert not takes(b"a.png")
    assert not takes(b"IMG_1.jpg")


def test_include_says_nothing_about_folders() -> None:
    globs = Globs(include=[b"*.jpg"])
    assert globs.enters(b"/r/x", 3, b"x")
    assert not globs.any_for_folders


def test_a_pattern_for_the_root_of_all() -> None:
    globs = Globs(exclude=[b"/proc", b"sys/*"])
    assert not globs.enters(b"/proc", 1, b"proc")
    assert globs.enters(b"/x/proc", 1, b"proc")
    assert not globs.enters(b"/sys/x", 1, b"x")


@pytest.mark.parametrize("pattern", [b"", b"/", b"//", b"[z-a]"])
def test_a_pattern_without_sense_is_refused(pattern: bytes) -> None:
    with pytest.raises(UsageError):
        Globs(exclude=[pattern])
    with pytest.raises(UsageError):
        Globs(include=[pattern])


def test_including_folders_is_refused_with_what_to_write_instead() -> None:
    with pytest.raises(UsageError, match=r"x/\*\*"):
        Globs(include=[b"x/"])


_letters = st.sampled_from("ab-!*?.x")


@given(st.text(_letters, max_size=8), st.text(_letters, max_size=8))
def test_names_match_as_in_fnmatch(pattern: str, name: str) -> None:
    if not pattern:
        return
    assert excluded(pattern.encode(), name.encode()) == fnmatchcase(name, pattern)


@given(st.binary(max_size=12), st.binary(max_size=12))
def test_any_bytes_are_a_pattern_or_refused(pattern: bytes, name: bytes) -> None:
    try:
        globs = Globs(exclude=[pattern])
    except UsageError:
        return
    assert globs.takes(ROOT + name, len(ROOT), name) in {True, False}


@given(st.binary(min_size=1, max_size=12).filter(lambda name: not set(name) & set(b"*?[/")))
def test_a_name_without_wildcards_matches_itself_only(name: bytes) -> None:
    assert excluded(name, name)
    assert not excluded(name, name + b"x")
    assert not excluded(name, b"x" + name)

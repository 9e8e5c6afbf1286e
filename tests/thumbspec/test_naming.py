from __future__ import annotations

import hashlib
import os.path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.model import Flavor
from pregen.thumbspec import naming
from tests.thumbspec.samples import URI, URIS


@pytest.mark.parametrize(
    ("given_path", "clean"),
    [
        (b"/a/b", b"/a/b"),
        (b"/a//b/", b"/a/b"),
        (b"//host/a", b"/host/a"),
        (b"///a", b"/a"),
        (b"/a/./b/.", b"/a/b"),
        (b"/a/../b", b"/b"),
        (b"/../../a", b"/a"),
        (b"/a/..", b"/"),
        (b"/", b"/"),
        (b"", b"/work/dir"),
        (b".", b"/work/dir"),
        (b"x", b"/work/dir/x"),
        (b"./x", b"/work/dir/x"),
        (b"../x", b"/work/x"),
        (b"../../../x", b"/x"),
        (b"/a/...", b"/a/..."),
        (b"/a/..b/.c", b"/a/..b/.c"),
        (b"-x", b"/work/dir/-x"),
        (b"\xff\n", b"/work/dir/\xff\n"),
    ],
)
def test_paths_become_absolute_and_clean_by_their_text(given_path: bytes, clean: bytes) -> None:
    assert naming.clean_path(given_path, b"/work//dir/") == clean


def test_two_relative_paths_make_no_absolute_one() -> None:
    with pytest.raises(ValueError, match="absolute"):
        naming.clean_path(b"x", b"work")


_WILD = st.lists(
    st.sampled_from([b"", b".", b"..", b"a", b"b c", b"\xff", b"..."]), max_size=8
).map(b"/".join)


@given(_WILD, _WILD)
def test_cleaning_is_what_posix_normalisation_does_and_is_done_once(
    path: bytes, below: bytes
) -> None:
    cwd = b"/" + below
    clean = naming.clean_path(path, cwd)
    joined = path if path.startswith(b"/") else cwd + b"/" + path
    # POSIX lets two leading slashes stand; a URI must not have them.
    assert clean == b"/" + os.path.normpath(joined).lstrip(b"/")
    assert naming.clean_path(clean, b"/elsewhere") == clean


@pytest.mark.parametrize(
    ("environ", "root"),
    [
        ({}, b"/home/j/.cache/thumbnails"),
        ({"XDG_CACHE_HOME": ""}, b"/home/j/.cache/thumbnails"),
        ({"XDG_CACHE_HOME": "  "}, b"/home/j/.cache/thumbnails"),
        ({"XDG_CACHE_HOME": "relative/cache"}, b"/home/j/.cache/thumbnails"),
        ({"XDG_CACHE_HOME": "/var/c"}, b"/var/c/thumbnails"),
        ({"XDG_CACHE_HOME": "/var/c//"}, b"/var/c/thumbnails"),
        ({"XDG_CACHE_HOME": "/"}, b"/thumbnails"),
        ({"XDG_CACHE_HOME": "/caf\udce9"}, b"/caf\xe9/thumbnails"),
    ],
)
def test_the_thumbnails_directory_follows_the_xdg_rule(
    environ: dict[str, str], root: bytes
) -> None:
    assert naming.thumbnails_root(environ, "/home/j/") == root


@pytest.mark.parametrize(
    ("uri", "digest"),
    [
        ("file:///home/jens/photos/me.png", "c6ee772d9e49320e97ec29a7eb5b1697"),
        ("./picture.png", "7fd0e41c1612f860427a76c4100745a3"),
    ],
)
def test_keys_are_the_ones_the_standard_prints(uri: str, digest: str) -> None:
    assert naming.key(uri) == digest
    assert naming.entry_name(uri) == f"{digest}.png"


@given(URIS)
def test_a_key_is_the_md5_of_the_uri(uri: str) -> None:
    assert naming.key(uri) == hashlib.md5(uri.encode("ascii")).hexdigest()  # noqa: S324 - the standard's choice


def test_entries_and_fail_records_have_their_places() -> None:
    name = b"c6ee772d9e49320e97ec29a7eb5b1697.png"
    root = b"/c/thumbnails"
    places = [naming.entry_path(root, flavor, URI) for flavor in Flavor]
    assert places == [
        root + b"/normal/" + name,
        root + b"/large/" + name,
        root + b"/x-large/" + name,
        root + b"/xx-large/" + name,
    ]
    assert naming.fail_program("0.1.7") == "pregen-0.1"


@pytest.mark.parametrize(
    ("version", "folder"),
    [
        ("0.1.0", "pregen-0.1"),
        ("1.12.3.dev4+gabc", "pregen-1.12"),
        ("2.0rc1", "pregen-2.0"),
        ("3", "pregen-3.0"),
    ],
)
def test_the_fail_folder_has_the_minor_version_only(version: str, folder: str) -> None:
    assert naming.fail_program(version) == folder


def test_a_version_without_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown"):
        naming.fail_program("unknown")

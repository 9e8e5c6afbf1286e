"""From what looking gave to what became of an original: a table, and nothing guessed."""

from __future__ import annotations

import errno

import pytest

from pregen.originals.mounts import Mount, Mounts
from pregen.originals.status import (
    LookOutcome,
    Original,
    OriginalState,
    PathStatus,
    judge,
    of_other_scheme,
)

MADE_NS = 1_000
MOUNTED = (
    Mount(b"/", "ext4", b"/dev/sda1"),
    Mount(b"/home/me/nas", "nfs4", b"nas:/"),
    Mount(b"/auto", "autofs"),
    Mount(b"/media/me/STICK", "exfat", b"/dev/sdb1"),
    Mount(b"/mnt/share", "cifs", b"//nas/share"),
    Mount(b"/mnt/disk", "ext4", b"/dev/sdc1"),
    Mount(b"/run/user/1000/gvfs", "fuse.gvfsd-fuse", b"gvfsd-fuse"),
)
DECLARED = (
    Mount(b"/mnt/disk", "ext4"),
    Mount(b"/srv/nas", "nfs"),
    Mount(b"/srv/disk", "ext4"),
    Mount(b"/srv/card", "vfat", removable=True),
)
TABLE = Mounts(MOUNTED, DECLARED)


def missing(folder: bytes, *, empty: bool = False, changed_ns: int = 2_000) -> dict[str, object]:
    return {
        "outcome": LookOutcome.MISSING,
        "folder": folder,
        "folder_empty": empty,
        "folder_changed_ns": changed_ns,
    }


def judged(path: bytes, facts: dict[str, object], real: bytes = b"") -> Original:
    return judge(path, PathStatus(real=real or path, **facts), TABLE, MADE_NS)  # type: ignore[arg-type]  # a row of a table


FOUND: dict[str, object] = {"outcome": LookOutcome.FOUND, "size_bytes": 5, "mtime_ns": 7}
TIMED_OUT: dict[str, object] = {"outcome": LookOutcome.TIMED_OUT}
UNTOUCHED: dict[str, object] = {"outcome": LookOutcome.UNTOUCHED}
DENIED: dict[str, object] = {"outcome": LookOutcome.FAILED, "errno": errno.EACCES}


@pytest.mark.parametrize(
    ("path", "facts", "state", "remote", "removable"),
    [
        (b"/home/me/a.jpg", FOUND, OriginalState.THERE, False, False),
        (b"/home/me/nas/a.jpg", FOUND, OriginalState.THERE, True, False),
        (b"/home/me/a.jpg", missing(b"/home/me"), OriginalState.GONE, False, False),
        (b"/home/me/nas/a.jpg", missing(b"/home/me/nas"), OriginalState.GONE, True, False),
        (b"/home/me/a.jpg", DENIED, OriginalState.UNREADABLE, False, False),
        (
            b"/home/me/nas/a.jpg",
            TIMED_OUT,
            OriginalState.TIMED_OUT,
            True,
            False,
        ),
        (
            b"/auto/nas/a.jpg",
            UNTOUCHED,
            OriginalState.OFFLINE,
            None,
            False,
        ),
        (b"/srv/nas/a.jpg", missing(b"/srv/nas", empty=True), OriginalState.OFFLINE, True, False),
        (b"/srv/nas/a.jpg", missing(b"/srv"), OriginalState.OFFLINE, True, False),
        (b"/srv/nas/a.jpg", FOUND, OriginalState.OFFLINE, True, False),
        (b"/srv/disk/a.jpg", missing(b"/srv"), OriginalState.OFFLINE, False, False),
        (b"/srv/card/a.jpg", missing(b"/srv/card"), OriginalState.OFFLINE, False, True),
        (b"/media/me/OTHER/a.jpg", missing(b"/media/me"), OriginalState.OFFLINE, None, True),
        (b"/media/me/STICK/a.jpg", missing(b"/media/me/STICK"), OriginalState.OFFLINE, None, True),
        (b"/media/me/STICK/a.jpg", FOUND, OriginalState.THERE, False, True),
        (b"/mnt/folder/a.jpg", missing(b"/mnt/folder"), OriginalState.OFFLINE, None, True),
        (b"/mnt/share/a.jpg", missing(b"/mnt/share"), OriginalState.GONE, True, False),
        (b"/mnt/disk/a.jpg", missing(b"/mnt/disk"), OriginalState.GONE, False, False),
        (
            b"/run/user/1000/gvfs/smb-share:x/a.jpg",
            missing(b"/run/user/1000/gvfs"),
            OriginalState.OFFLINE,
            True,
            False,
        ),
        (
            b"/run/user/1000/gvfs/smb-share:x/a.jpg",
            missing(b"/run/user/1000/gvfs/smb-share:x"),
            OriginalState.GONE,
            True,
            False,
        ),
        # An empty folder that has not changed since the entry was made never held the original.
        (
            b"/x/a.jpg",
            missing(b"/x", empty=True, changed_ns=999),
            OriginalState.OFFLINE,
            None,
            False,
        ),
        (
            b"/x/a.jpg",
            missing(b"/x", empty=True, changed_ns=1_000),
            OriginalState.GONE,
            False,
            False,
        ),
        (
            b"/x/a.jpg",
            missing(b"/x", empty=False, changed_ns=999),
            OriginalState.GONE,
            False,
            False,
        ),
    ],
)
def test_originals_are_judged(
    path: bytes, facts: dict[str, object], state: OriginalState, remote: object, removable: object
) -> None:
    found = judged(path, facts)
    assert (found.state, found.remote, found.removable) == (state, remote, removable)


def test_where_a_link_leads_counts_too() -> None:
    link = b"/home/me/photos/a.jpg"
    assert judged(link, missing(b"/srv"), b"/srv/nas/a.jpg").state is OriginalState.OFFLINE
    assert judged(link, missing(b"/media"), b"/media/me/STICK/a.jpg").state is OriginalState.OFFLINE
    assert judged(link, FOUND, b"/home/me/nas/a.jpg").remote is True


def test_an_absent_place_is_named() -> None:
    assert judged(b"/srv/nas/a/b.jpg", missing(b"/srv")).place == b"/srv/nas"
    assert judged(b"/media/me/X/a/b.jpg", missing(b"/media/me")).place == b"/media/me/X"
    assert judged(b"/home/me/nas/a", TIMED_OUT).place == b"/home/me/nas"


@pytest.mark.parametrize(
    ("uri", "remote"),
    [
        ("http://example.org/a.jpg", True),
        ("smb://nas/a.jpg", True),
        ("file://nas/a.jpg", True),
        ("TRASH:///a.jpg", False),
        ("mtp://phone/a.jpg", False),
        ("", True),
    ],
)
def test_other_schemes_are_remote_unless_known(uri: str, remote: object) -> None:
    assert of_other_scheme(uri) == Original(OriginalState.OTHER_SCHEME, remote=bool(remote))

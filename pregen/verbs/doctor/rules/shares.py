"""Shares with pictures: how they are mounted, where that costs time, and the command that mends it.

All of it are notes: a slow share hides nothing. docs/shares.md has the measurements.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from pregen.display import text
from pregen.display.text import printable, shown
from pregen.verbs.doctor.findings import note, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pregen.verbs.doctor.facts import MachineFacts, ShareMount
    from pregen.verbs.doctor.findings import Finding

_NFS: Final = frozenset({"nfs", "nfs4"})
_SMB: Final = frozenset({"cifs", "smb", "smb3"})
_GVFS: Final = frozenset({"gvfsd-fuse"})
#: A reader of one file waits for a round trip each time: at 10 ms this is 50 MB/s at most. The
#: kernel's own value is 128 KiB since 5.4, where no udev rule of nfs-utils raises it.
_LEAST_READ_AHEAD_BYTES: Final = 512 << 10
_GOOD_READ_AHEAD_BYTES: Final = 4 << 20
#: Servers agree to a MiB; less was set by hand, or by a very old server.
_LEAST_RSIZE_BYTES: Final = 256 << 10
_GOOD_RSIZE_BYTES: Final = 1 << 20
#: sshfs(1): words that come without a value, those that have one, and the ones of two that are off.
_DIR_CACHE_OFF: Final = frozenset({"dir_cache=no", "cache=no"})
_KEEPS_PAGES: Final = frozenset({"auto_cache", "kernel_cache"})
_UNREAD_AHEAD: Final = frozenset({"direct_io", "no_readahead"})
_GVFS_NAME: Final = re.compile(rb"/gvfs/(sftp|smb-share):([^/]+)")


def shares(facts: MachineFacts) -> Iterator[Finding]:
    """Yield what makes shares slower than they need be."""
    for share in facts.shares:
        for kinds, rules in _RULES:
            if not kinds or share.kind in kinds:
                for rule in rules:
                    yield from rule(share)


def _sshfs_pages(share: ShareMount) -> Iterator[Finding]:
    options = sshfs_options(share.command)
    if share.command and not options & _KEEPS_PAGES and "direct_io" not in options:
        yield note(
            "share-auto-cache",
            _about(share),
            "sshfs is mounted without auto_cache: what was read of a file is thrown away when a "
            "program opens it again, and every desktop reads it anew.",
            *_mounted_again(share, frozenset(), "auto_cache"),
        )


def _sshfs_folders(share: ShareMount) -> Iterator[Finding]:
    if found := sshfs_options(share.command) & _DIR_CACHE_OFF:
        yield note(
            "share-dir-cache",
            _about(share),
            f"sshfs is mounted with {'/'.join(sorted(found))}: looking at a folder takes a round "
            "trip for each file, where one for many is enough.",
            *_mounted_again(share, found),
        )


def _sshfs_read_ahead(share: ShareMount) -> Iterator[Finding]:
    if found := sshfs_options(share.command) & _UNREAD_AHEAD:
        yield note(
            "share-read-ahead",
            _about(share),
            f"sshfs is mounted with {'/'.join(sorted(found))}: nothing is read ahead, and the link "
            "idles for a round trip between two reads.",
            *_mounted_again(share, found),
        )


def _nfs_read_ahead(share: ShareMount) -> Iterator[Finding]:
    ahead = share.read_ahead_bytes
    if ahead is not None and ahead < _LEAST_READ_AHEAD_BYTES:
        yield note(
            "share-read-ahead",
            _about(share),
            f"The kernel reads {text.size(ahead)} ahead here: a program that reads one file after "
            "the other waits for a round trip each time (until the next mount; nfsrahead(5) "
            "of nfs-utils raises it for good).",
            f"echo {_GOOD_READ_AHEAD_BYTES >> 10} | sudo tee "
            f"/sys/class/bdi/$(mountpoint -d {quoted(share.point)})/read_ahead_kb",
        )


def _nfs_rsize(share: ShareMount) -> Iterator[Finding]:
    rsize = _number(share, "rsize")
    if rsize is not None and rsize < _LEAST_RSIZE_BYTES:
        yield note(
            "share-rsize",
            _about(share),
            f"It is mounted with rsize={rsize}: a photo takes many requests, where servers give a "
            "megabyte for one.",
            *_remounted(share, f"rsize={_GOOD_RSIZE_BYTES}"),
        )


def _attributes(share: ShareMount) -> Iterator[Finding]:
    named = {"noac", "actimeo=0", "acregmax=0", "acdirmax=0"} & {*share.options}
    if named:
        yield note(
            "share-attributes",
            _about(share),
            f"It is mounted with {'/'.join(sorted(named))}: the kernel remembers nothing of its "
            "files, and looking at a folder takes a round trip for each of them.",
            *_remounted(share, "ac" if share.kind in _NFS else "actimeo=1"),
        )


def _smb_cache(share: ShareMount) -> Iterator[Finding]:
    if "cache=none" in share.options:
        yield note(
            "share-cache",
            _about(share),
            "It is mounted with cache=none: nothing is read ahead or kept, and every read of a "
            "program goes to the server.",
            *_remounted(share, "cache=strict"),
        )


def _waiting(share: ShareMount) -> Iterator[Finding]:
    """Yield `sync`, which costs only those who write there."""
    if "sync" in share.options:
        yield note(
            "share-sync",
            _about(share),
            "It is mounted with sync: whoever writes there, as `pregen share` does, waits for the "
            "server's disk after each write. Reading is not slower.",
            f"sudo mount -o remount,async {quoted(share.point)}",
        )


def _gvfs(share: ShareMount) -> Iterator[Finding]:
    yield note(
        "share-gvfs",
        _about(share),
        "It is what a file manager connected to (gvfs): every file costs some round trips more "
        "than on a mounted share, and desktops show thumbnails there under another address. Mount "
        "it, and give pregen that folder.",
        *_mount_instead(share.example),
    )


#: Which rules ask which kinds of file systems; none: all.
_RULES: Final[
    Sequence[tuple[frozenset[str], Sequence[Callable[[ShareMount], Iterator[Finding]]]]]
] = (
    (frozenset({"sshfs"}), (_sshfs_folders, _sshfs_read_ahead, _sshfs_pages)),
    (_NFS, (_nfs_read_ahead, _nfs_rsize)),
    (_SMB, (_smb_cache,)),
    (_NFS | _SMB, (_attributes,)),
    (_GVFS, (_gvfs,)),
    (frozenset(), (_waiting,)),
)


def sshfs_options(command: Sequence[str]) -> frozenset[str]:
    """Return the words behind every `-o` of a command line."""
    found: set[str] = set()
    for word, following in pairwise([*command, ""]):
        if word == "-o":
            found.update(following.split(","))
        elif word.startswith("-o"):
            found.update(word[2:].split(","))
    return frozenset(found)


def _mounted_again(share: ShareMount, without: frozenset[str], *more: str) -> tuple[str, ...]:
    """Return how to mount with sshfs again, without some options and with others.

    In the background, whoever keeps it in the foreground now.
    """
    words: list[str] = []
    for word in share.command:
        if word == "-f":
            continue
        option = word.startswith("-o") and word != "-o"
        if option or (words and words[-1] == "-o"):
            kept = [each for each in word.removeprefix("-o").split(",") if each not in without]
            if kept:
                words.append(("-o" if option else "") + ",".join(kept))
            elif not option:
                words.pop()
        else:
            words.append(word)
    extra = ["-o", ",".join(more)] if more else []
    shell = " ".join(quoted(word.encode("utf-8", "surrogateescape")) for word in [*words, *extra])
    return (f"fusermount3 -u {quoted(share.point)}", shell)


def _remounted(share: ShareMount, option: str) -> tuple[str, ...]:
    """Return how to mount by the kernel again.

    Read-only stays so; who logs in otherwise than by default adds that.
    """
    point = quoted(share.point)
    option += ",ro" if "ro" in share.options else ""
    return (
        f"sudo umount {point}",
        f"sudo mount -t {share.kind} -o {option} {quoted(share.source)} {point}",
    )


def _mount_instead(path: bytes) -> tuple[str, ...]:
    """Return how to mount what gvfs shows (its folder names: gvfs, common/gmountspec.c)."""
    found = _GVFS_NAME.search(path)
    if found is None:
        return ()
    facts = {}
    for part in found[2].split(b","):
        key, _, value = part.partition(b"=")
        facts[key] = unquote_to_bytes(value)
    if found[1] == b"sftp" and b"host" in facts:
        host = facts[b"host"]
        whole = (facts[b"user"] + b"@" if b"user" in facts else b"") + host + b":/"
        port = f" -p {quoted(facts[b'port'])}" if b"port" in facts else ""
        return (
            f"mkdir -p ~/{quoted(host)}",
            f"sshfs -o auto_cache{port} {quoted(whole)} ~/{quoted(host)}",
        )
    if {b"server", b"share"} <= facts.keys():
        user = b"username=" + facts.get(b"user", b"guest")
        where = b"//" + facts[b"server"] + b"/" + facts[b"share"]
        point = quoted(b"/mnt/" + facts[b"share"])
        return (
            f"sudo mkdir -p {point}",
            f"sudo mount -t cifs -o ro,{quoted(user)} {quoted(where)} {point}",
        )
    return ()


def _number(share: ShareMount, name: str) -> int | None:
    for option in share.options:
        key, _, value = option.partition("=")
        if key == name and value.isascii() and value.isdigit():
            return int(value)
    return None


def _about(share: ShareMount) -> str:
    return f"the share {shown(share.point)} ({printable(share.kind)})"

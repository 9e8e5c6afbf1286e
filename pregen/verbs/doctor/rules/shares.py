"""Shares with pictures: how they are mounted, where that costs time, and the command that fixes it.

All of it are notes: a slow share hides nothing. docs/shares.md has the measurements.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote_to_bytes

from pregen.display import text
from pregen.display.text import printable, shown
from pregen.verbs.doctor.findings import note, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pregen.verbs.doctor.facts import MachineFacts, ShareMount
    from pregen.verbs.doctor.findings import Finding

_SSHFS: Final = frozenset({"sshfs"})
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
_GVFS_NAME: Final = re.compile(rb"/gvfs/(sftp|smb-share):([^/]+)")


class _Rule(NamedTuple):
    """What makes a share slow, and what fixes that."""

    code: str
    kinds: frozenset[str]
    """Of file systems; empty: of any."""
    found: Callable[[ShareMount], str | None]
    """Returns what stands for `{found}` in the words; None: this share is as it should be."""
    words: str
    commands: Callable[[ShareMount], tuple[str, ...]]


def shares(facts: MachineFacts) -> Iterator[Finding]:
    """Yield what makes shares slower than they need be."""
    for share in facts.shares:
        for rule in _RULES:
            found = rule.found(share) if share.kind in (rule.kinds or {share.kind}) else None
            if found is not None:
                about = f"the share {shown(share.point)} ({printable(share.kind)})"
                commands = rule.commands(share)
                yield note(rule.code, about, rule.words.format(found=found), *commands)


def _of_sshfs(*words: str) -> Callable[[ShareMount], str | None]:
    """Return what finds any of these words among the options of sshfs."""
    return lambda share: _joined(sshfs_options(share.command) & {*words})


def _mounted_with(*words: str) -> Callable[[ShareMount], str | None]:
    """Return what finds any of these words among the options of a mount."""
    return lambda share: _joined({*share.options} & {*words})


def _joined(found: set[str] | frozenset[str]) -> str | None:
    return "/".join(sorted(found)) or None


def _forgets_pages(share: ShareMount) -> str | None:
    keeps = {"auto_cache", "kernel_cache", "direct_io"} & sshfs_options(share.command)
    return "" if share.command and not keeps else None


def _small_read_ahead(share: ShareMount) -> str | None:
    ahead = share.read_ahead_bytes
    return text.size(ahead) if ahead is not None and ahead < _LEAST_READ_AHEAD_BYTES else None


def _small_rsize(share: ShareMount) -> str | None:
    rsize = _number(share, "rsize")
    return f"rsize={rsize}" if rsize is not None and rsize < _LEAST_RSIZE_BYTES else None


def _without(*words: str) -> Callable[[ShareMount], tuple[str, ...]]:
    """Return the commands that mount with sshfs again, without any of these options."""
    return lambda share: _mounted_again(share, frozenset(words))


def _with(option: str) -> Callable[[ShareMount], tuple[str, ...]]:
    """Return the commands that mount by the kernel again, with an option."""
    return lambda share: _remounted(share, option)


def _more_read_ahead(share: ShareMount) -> tuple[str, ...]:
    device = f"/sys/class/bdi/$(mountpoint -d {quoted(share.point)})/read_ahead_kb"
    return (f"echo {_GOOD_READ_AHEAD_BYTES >> 10} | sudo tee {device}",)


#: In the order in which they are told. sshfs(1) has its options, nfs(5) and mount.cifs(8) theirs.
_RULES: Final = (
    _Rule(
        "share-dir-cache",
        _SSHFS,
        _of_sshfs("dir_cache=no", "cache=no"),
        "sshfs is mounted with {found}: listing a folder takes a round trip for each file, "
        "instead of one for many.",
        _without("dir_cache=no", "cache=no"),
    ),
    _Rule(
        "share-read-ahead",
        _SSHFS,
        _of_sshfs("direct_io", "no_readahead"),
        "sshfs is mounted with {found}: nothing is read ahead, and the link idles for a round "
        "trip between two reads.",
        _without("direct_io", "no_readahead"),
    ),
    _Rule(
        "share-auto-cache",
        _SSHFS,
        _forgets_pages,
        "sshfs is mounted without auto_cache: cached data of a file is dropped when a program "
        "opens it again, and every desktop reads the file again.",
        lambda share: _mounted_again(share, frozenset(), "auto_cache"),
    ),
    _Rule(
        "share-read-ahead",
        _NFS,
        _small_read_ahead,
        "The kernel reads {found} ahead here: a program that reads one file after the other "
        "waits for a round trip each time (until the next mount; nfsrahead(5) of nfs-utils "
        "raises it for good).",
        _more_read_ahead,
    ),
    _Rule(
        "share-rsize",
        _NFS,
        _small_rsize,
        "It is mounted with {found}: a photo takes many requests, although servers send up to a "
        "megabyte for one.",
        _with(f"rsize={_GOOD_RSIZE_BYTES}"),
    ),
    _Rule(
        "share-cache",
        _SMB,
        _mounted_with("cache=none"),
        "It is mounted with {found}: nothing is read ahead or cached, and every read goes "
        "to the server.",
        _with("cache=strict"),
    ),
    *(
        _Rule(
            "share-attributes",
            kinds,
            _mounted_with("noac", "actimeo=0", "acregmax=0", "acdirmax=0"),
            "It is mounted with {found}: the kernel caches no attributes, and listing a folder "
            "takes a round trip for each file.",
            _with(option),
        )
        for kinds, option in ((_NFS, "ac"), (_SMB, "actimeo=1"))
    ),
    _Rule(
        "share-gvfs",
        _GVFS,
        lambda _share: "",
        "A file manager connected it (gvfs): every file costs more round trips than on a share "
        "that the system mounts, and desktops look for its thumbnails under another address. "
        "Mount the share, and give pregen that folder.",
        lambda share: _mount_instead(share.example),
    ),
    _Rule(
        "share-sync",  # costs only those who write there
        frozenset(),
        _mounted_with("sync"),
        "It is mounted with {found}: a program that writes there, such as `pregen share`, waits "
        "for the server's disk after each write. Reading is not slower.",
        lambda share: (f"sudo mount -o remount,async {quoted(share.point)}",),
    ),
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

    In the background, also where a program keeps it in the foreground now.
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

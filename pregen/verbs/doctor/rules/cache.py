"""The cache: who owns it, who may read it, on what disk it is; and other caches of this user."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pregen.display import text
from pregen.display.text import printable, shown
from pregen.verbs.doctor.findings import (
    bytes_per_source,
    note,
    problem,
    quoted,
    wanted_flavors,
    warning,
)
from pregen.verbs.doctor.fixes import GiveBack, SetModes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.verbs.doctor.facts import MachineFacts
    from pregen.verbs.doctor.findings import Finding


_OWNER_ALL: Final = 0o700
_OTHERS: Final = 0o077
#: Below this a desktop has trouble of its own.
_SCANT_BYTES: Final = 200_000_000
_SCANT_INODES: Final = 10_000
#: Emptied when the machine stops.
_VOLATILE: Final = frozenset({"tmpfs", "ramfs", "zram"})
_ABOUT: Final = "the cache"


def owners(facts: MachineFacts) -> Iterator[Finding]:
    """Yield folders and entries of another user, as a run by root leaves them."""
    cache = facts.cache
    folders = [folder for folder in cache.folders if folder.uid != cache.uid]
    if folders:
        what = f"{shown(folders[0].path)} belongs"
    elif cache.foreign_entries:
        number = text.plural(cache.foreign_entries, "thumbnail")
        verb = "belongs" if cache.foreign_entries == 1 else "belong"
        what = f"{number} in {shown(cache.root)} {verb}"
    else:
        return
    yield problem(
        "owner",
        _ABOUT,
        f"{what} to another user, so the desktop of {cache.owner} cannot update thumbnails there "
        "and may refuse them.",
        f"sudo chown -R {cache.owner} {quoted(cache.root)}",
        fix=GiveBack(cache.root, cache.uid, cache.owner),
    )


def modes(facts: MachineFacts) -> Iterator[Finding]:
    """Yield what its owner may not read, and what others may."""
    cache = facts.cache
    closed = [folder for folder in cache.folders if folder.mode & _OWNER_ALL != _OWNER_ALL]
    if closed or cache.closed_entries:
        what = shown(closed[0].path) if closed else f"{cache.closed_entries:,} of the thumbnails"
        yield problem(
            "closed",
            _ABOUT,
            f"Its mode denies your own programs access to {what}.",
            f"chmod -R u+rwX {quoted(cache.root)}",
            fix=SetModes(cache.root, for_others=False),
        )
    opened = [folder for folder in cache.folders if folder.mode & _OTHERS]
    if (
        cache.open_entries
        and opened
        and all(folder.mode & _OTHERS for folder in cache.folders if folder.path == cache.root)
    ):
        yield note(
            "open",
            _ABOUT,
            f"Other users of this machine can read {cache.open_entries:,} of your thumbnails.",
            f"chmod -R go= {quoted(cache.root)}",
            fix=SetModes(cache.root, for_others=True),
        )


def room(facts: MachineFacts) -> Iterator[Finding]:
    """Yield that there is none, or not enough for the pictures that are to come."""
    cache, disk = facts.cache, facts.cache.disk
    missing = max(0, facts.source_count - cache.keys)
    need = round(missing * bytes_per_source(facts))
    where = quoted(cache.root)
    if disk.read_only:
        why = f"{shown(cache.root)} is on a file system that is mounted read-only."
        yield problem("read-only", _ABOUT, why, f"findmnt --target {where}")
    elif disk.free_bytes < max(need, _SCANT_BYTES):
        for_all = f", and {text.count(missing)} pictures need about {text.size(need)}"
        yield problem(
            "full",
            _ABOUT,
            f"{text.size(disk.free_bytes)} are free on the disk of {shown(cache.root)}"
            f"{for_all if need else ''}.",
            "pregen clean",
            f"df -h {where}",
        )
    # an entry is a file
    needed_inodes = max(_SCANT_INODES, missing * len(wanted_flavors(facts)))
    if disk.free_inodes is not None and disk.free_inodes < needed_inodes:
        for_all = f", and the thumbnails to come need {needed_inodes:,}" if missing else ""
        only = "" if missing else "only "
        yield problem(
            "inodes",
            _ABOUT,
            f"The file system of {shown(cache.root)} can hold {only}{disk.free_inodes:,} more files"
            f"{for_all}.",
            "pregen clean",
            f"df -i {where}",
        )


def kind_of_disk(facts: MachineFacts) -> Iterator[Finding]:
    """Yield that the cache is lost at the next start, or slow."""
    cache, disk = facts.cache, facts.cache.disk
    elsewhere = quoted(facts.home + b"/.local/share/cache")
    move = (
        f"mkdir -p {elsewhere} ~/.config/environment.d",
        f"echo XDG_CACHE_HOME={elsewhere} >> ~/.config/environment.d/60-cache.conf",
    )
    if disk.fstype in _VOLATILE:
        yield problem(
            "volatile",
            _ABOUT,
            f"{shown(cache.root)} is in memory ({disk.fstype}) and lost when the machine "
            "stops; these commands move it to a disk at the next login.",
            *move,
        )
    elif disk.remote:
        yield warning(
            "network",
            _ABOUT,
            f"{shown(cache.root)} is on a network ({disk.fstype}): every thumbnail takes a "
            "round trip in every desktop; these commands move it to a local folder at the "
            "next login.",
            *move,
        )


def fail_records(facts: MachineFacts) -> Iterator[Finding]:
    """Yield records of other programs for files that have thumbnails now.

    GLib reads a record only where there is no thumbnail, so nothing is hidden yet.
    """
    for records in facts.cache.fail_records:
        if records.outlived:
            files = text.plural(records.outlived, "file that has", "files that have")
            program = printable(records.program)
            yield warning(
                "fail-records",
                program,
                f"{program} recorded a failure for {files} a thumbnail now. If that thumbnail is "
                "lost, desktops that read these records do not try again.",
                f"pregen clean --fail --program {quoted(records.program.encode())}",
            )


def private(facts: MachineFacts) -> Iterator[Finding]:
    """Yield that the cache shows what is encrypted elsewhere."""
    cache = facts.cache
    if cache.private_entries:
        number = text.plural(cache.private_entries, "thumbnail")
        verb = "shows" if cache.private_entries == 1 else "show"
        yield warning(
            "private",
            _ABOUT,
            f"{number} in {shown(cache.root)} {verb} encrypted files, as in "
            f"{shown(cache.private_place)}: anyone who reads the disk sees them, even while those "
            "are locked.",
            "pregen clean --private",
        )


def sudo(facts: MachineFacts) -> Iterator[Finding]:
    """Yield that root is asking, whose cache no desktop reads."""
    if facts.sudo_user:
        user = printable(facts.sudo_user)
        yield problem(
            "sudo",
            "pregen",
            f"pregen runs as root, through sudo: run it as {user} to create thumbnails "
            f"for {user}, or they go to {shown(facts.cache.root)} or belong to root.",
            f"sudo -u {quoted(facts.sudo_user.encode())} -H pregen doctor",
        )


def session(facts: MachineFacts) -> Iterator[Finding]:
    """Yield that the login session has another cache than this shell, cron job or service."""
    told: set[bytes] = set()
    for other in facts.session_roots:
        if other.root in (facts.cache.root, *told):
            continue
        told.add(other.root)
        home = os.path.dirname(other.root)
        yield problem(
            "cache-home",
            printable(other.what),
            f"{printable(other.what)} has its thumbnails in {shown(other.root)}, and pregen, "
            f"as called here, in {shown(facts.cache.root)}: set XDG_CACHE_HOME to the same "
            "value for both.",
            f"export XDG_CACHE_HOME={quoted(home)}",
        )


def sandboxes(facts: MachineFacts) -> Iterator[Finding]:
    """Yield the programs that see a cache of their own only."""
    for other in facts.other_roots:
        program = printable(other.program)
        yield note(
            "sandbox",
            f"{program} ({other.kind})",
            f"The {other.kind} {program} uses its own cache in {shown(other.cache_home)}, "
            "and reads no other. If it shows thumbnails, fill that cache, too.",
            f"XDG_CACHE_HOME={quoted(other.cache_home)} pregen run ~/Pictures",
        )

"""Several caches: that of sandboxed programs, of another session, of root."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pregen.doctor.findings import Finding, Severity
from pregen.doctor.rules.phrases import quoted
from pregen.progress.text import printable, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.doctor.facts import Facts


def sudo(facts: Facts) -> Iterator[Finding]:
    """Yield that root is asking, whose cache nobody looks at."""
    if facts.sudo_user:
        user = printable(facts.sudo_user)
        yield Finding(
            Severity.PROBLEM,
            "sudo",
            "pregen",
            f"This is root's view, through sudo: thumbnails for {user} have to be made by {user}, "
            f"or they go to {shown(facts.cache.root)} or belong to root.",
            (f"sudo -u {quoted(facts.sudo_user.encode())} -H pregen doctor",),
        )


def session(facts: Facts) -> Iterator[Finding]:
    """Yield that the login session has another cache than this shell, cron job or service."""
    told: set[bytes] = set()
    for other in facts.session_roots:
        if other.root in (facts.cache.root, *told):
            continue
        told.add(other.root)
        home = os.path.dirname(other.root)
        yield Finding(
            Severity.PROBLEM,
            "cache-home",
            printable(other.what),
            f"{printable(other.what)} has its thumbnails in {shown(other.root)}, and pregen, as "
            f"called here, in {shown(facts.cache.root)}: set XDG_CACHE_HOME alike for both.",
            (f"export XDG_CACHE_HOME={quoted(home)}",),
        )


def sandboxes(facts: Facts) -> Iterator[Finding]:
    """Yield the programs that see a cache of their own only."""
    for other in facts.other_roots:
        program = printable(other.program)
        yield Finding(
            Severity.NOTE,
            "sandbox",
            f"{program} ({other.kind})",
            f"The {other.kind} {program} has a cache of its own in {shown(other.cache_home)}, and "
            "sees no other: where it shows thumbnails, fill that one too.",
            (f"XDG_CACHE_HOME={quoted(other.cache_home)} pregen run ~/Pictures",),
        )

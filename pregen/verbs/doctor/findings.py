"""What a rule has to say: how bad it is, why in one sentence, and the command that mends it."""

from __future__ import annotations

import os
import shlex
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from pregen.display.text import printable, shown

if TYPE_CHECKING:
    from pregen.verbs.doctor.facts import MachineFacts


class Severity(IntEnum):
    """How bad it is. The names appear in `--json`: never rename."""

    NOTE = 0
    """Good to know; nothing of what pregen made is lost or hidden by it."""
    WARNING = 1
    """Will hide or lose thumbnails under circumstances that may come."""
    PROBLEM = 2
    """Hides or loses thumbnails now."""


class Finding(NamedTuple):
    """One answer."""

    severity: Severity
    code: str
    """Names the rule, for programs: `gnome-maximum-size`."""
    about: str
    """Who would not show them: a desktop, a program, or the cache."""
    why: str
    """One sentence."""
    mend: tuple[str, ...] = ()
    """Commands for a shell, to be run in this order."""


def worst_first(findings: list[Finding]) -> list[Finding]:
    """Return them by severity; those of one severity stay in their order."""
    return sorted(findings, key=lambda finding: -finding.severity)


# --- Parts of sentences and of commands that several rules need


def share(part: int, whole: int) -> str:
    """Return `all` or `12 %`."""
    return "all" if part == whole else f"{max(1, round(100 * part / whole))} %"


def remote_example(facts: MachineFacts) -> str:
    """Return how many of the known pictures are on network file systems; empty: none is known."""
    remote = [source for source in facts.sources if source.remote]
    if not remote:
        return ""
    folder = shown(remote[0].path.rpartition(b"/")[0] or b"/")
    return f"{share(len(remote), len(facts.sources))} of your pictures are on a network: {folder}"


def quoted(path: bytes) -> str:
    """Return a path as a word for a POSIX shell; odd bytes as bash and zsh take them."""
    text = os.fsdecode(path)
    if text == printable(text):
        return shlex.quote(text)
    safe = "".join(
        chr(byte) if 0x20 <= byte < 0x7F and byte not in b"'\\" else f"\\x{byte:02x}"  # noqa: PLR2004 - printable ASCII
        for byte in path
    )
    return f"$'{safe}'"


# --- How large a cache will be


#: Of entries in `normal` and `large` together: 35,000 photos took 4.5 GB (the issue), the 352 of
#: the README 45 MB.
USUAL_BYTES_PER_SOURCE = 128_000
#: A mean of fewer says little.
_ENOUGH = 100
#: An entry is a file, and there are two flavors.
INODES_PER_SOURCE = 2


def bytes_per_source(facts: MachineFacts) -> float:
    """Return what the entries of a picture take, measured where there are enough of them."""
    cache = facts.cache
    return cache.size_bytes / cache.keys if cache.keys >= _ENOUGH else USUAL_BYTES_PER_SOURCE


def expected_bytes(facts: MachineFacts) -> int:
    """Return what the cache will hold once all known pictures have their entries."""
    return max(facts.cache.size_bytes, round(facts.source_count * bytes_per_source(facts)))


def missing_sources(facts: MachineFacts) -> int:
    """Return for how many pictures there is room to be found still."""
    return max(0, facts.source_count - facts.cache.keys)

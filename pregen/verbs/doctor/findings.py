"""What a rule has to say: how bad it is, why in one sentence, and the command that fixes it.

Also parts of sentences and of commands that several rules need, and how large a cache will be.
"""

from __future__ import annotations

import os
import shlex
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pregen.display.summary import ENTRY_BYTES
from pregen.display.text import printable
from pregen.screens.choice import USUAL, choose
from pregen.verbs.doctor.fixes import Needs, RunProgram

if TYPE_CHECKING:
    from pregen.model import Flavor
    from pregen.verbs.doctor.facts import MachineFacts
    from pregen.verbs.doctor.fixes import Fix


#: A mean of fewer says little.
_ENOUGH = 100


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
    fix: Fix | None = None
    """What `--fix` does about it; None: a person has to."""


def _finding(
    severity: Severity, code: str, about: str, why: str, *mend: str, fix: Fix | None = None
) -> Finding:
    return Finding(severity, code, about, why, mend, fix)


problem = partial(_finding, Severity.PROBLEM)
warning = partial(_finding, Severity.WARNING)
note = partial(_finding, Severity.NOTE)


def share(part: int, whole: int) -> str:
    """Return `all` or `12%`."""
    return "all" if part == whole else f"{max(1, round(100 * part / whole))}%"


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


def setting(schema: str, key: str, value: str) -> RunProgram:
    """Return what sets a value of GSettings."""
    return RunProgram(("gsettings", "set", schema, key, value), Needs.SESSION)


def wanted_flavors(facts: MachineFacts) -> tuple[Flavor, ...]:
    """Return what a run makes here: what is named, else what screens and other programs ask for."""
    if facts.named_flavors:
        return facts.named_flavors
    return USUAL if facts.screens is None else choose(facts.screens).flavors


def bytes_per_source(facts: MachineFacts) -> float:
    """Return what the entries of a picture take, measured where there are enough of them."""
    cache = facts.cache
    if cache.keys >= _ENOUGH:
        return cache.size_bytes / cache.keys
    return sum(ENTRY_BYTES[flavor] for flavor in wanted_flavors(facts))

"""What a rule has to say: how bad it is, why in one sentence, and the command that mends it."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


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

"""Facts to findings. Pure: no file is read, no program called, no clock asked.

Where a rule comes from stands at the rule; docs/desktops.md says what desktops do at look-up. [RUN]
means observed by running the program.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from pregen.verbs.doctor.rules import cache, desktops, shares, sizes, types

if TYPE_CHECKING:
    from pregen.verbs.doctor.facts import MachineFacts
    from pregen.verbs.doctor.findings import Finding

_RULES = (
    desktops.housekeeping,
    desktops.nautilus_and_kin,
    desktops.thumbnailers,
    desktops.dolphin,
    types.dolphin,
    desktops.thunar,
    desktops.tumbler,
    types.tumbler,
    types.slow_jpeg,
    desktops.pcmanfm,
    cache.owners,
    cache.modes,
    cache.room,
    cache.kind_of_disk,
    sizes.wanted,
    sizes.unwanted,
    cache.fail_records,
    cache.private,
    cache.sudo,
    cache.session,
    cache.sandboxes,
    shares.shares,
)


def diagnose(facts: MachineFacts) -> list[Finding]:
    """Return all that stands in the way, the worst first; those of one severity in their order."""
    findings = chain.from_iterable(rule(facts) for rule in _RULES)
    return sorted(findings, key=lambda finding: -finding.severity)

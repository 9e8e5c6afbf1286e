"""Facts to findings. Pure: no file is read, no program called, no clock asked.

Where a rule comes from stands at the rule; docs/desktops.md says what desktops do at look-up. [RUN]
means observed by running the program.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from pregen.verbs.doctor.findings import Finding, worst_first
from pregen.verbs.doctor.rules import cache, gnome, kde, xfce

if TYPE_CHECKING:
    from pregen.verbs.doctor.facts import MachineFacts

_RULES = (
    gnome.housekeeping,
    gnome.file_managers,
    gnome.thumbnailers,
    kde.previews,
    kde.plugins,
    xfce.thunar,
    xfce.tumbler,
    xfce.file_managers,
    cache.owners,
    cache.modes,
    cache.room,
    cache.kind_of_disk,
    cache.fail_records,
    cache.sudo,
    cache.session,
    cache.sandboxes,
)


def diagnose(facts: MachineFacts) -> list[Finding]:
    """Return all that stands in the way, the worst first."""
    return worst_first(list(chain.from_iterable(rule(facts) for rule in _RULES)))

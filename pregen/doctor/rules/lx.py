"""PCManFM and PCManFM-Qt: thumbnails switched off.

Their limits by size and by place are for making thumbnails: an entry that is there is shown
(libfm-qt, desktop-consumers, section 8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pregen.doctor.findings import Finding, Severity
from pregen.doctor.rules.phrases import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.doctor.facts import Facts


def file_managers(facts: Facts) -> Iterator[Finding]:
    """Yield the file managers that show none."""
    for manager in facts.lx:
        if not manager.shows:
            key, _, value = manager.show_line.partition("=")
            yield Finding(
                Severity.PROBLEM,
                f"{manager.name.lower()}-never",
                manager.name,
                f"{manager.name} is set to show no thumbnails at all.",
                (f"sed -i 's/^{key}=.*/{key}={value}/' {quoted(manager.path)}",),
            )

"""Sizes of thumbnails: those that screens ask for and the cache lacks, and the reverse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pregen.display import text
from pregen.display.text import shown
from pregen.model import ALL_FLAVORS, Flavor
from pregen.screens.choice import USUAL, choose
from pregen.verbs.doctor.findings import note, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.verbs.doctor.facts import MachineFacts
    from pregen.verbs.doctor.findings import Finding

_ABOUT: Final = "the cache"
#: In a smaller cache too little has been made to say what is missing.
_ENOUGH_KEYS: Final = 20
#: A size is missing where fewer of the pictures have it: others may be too small for it.
_MOST_PART: Final = 0.5


def wanted(facts: MachineFacts) -> Iterator[Finding]:
    """Yield the larger sizes that screens ask for, and that most pictures do not have.

    KIO looks in the folder of the size it asks for alone, so Dolphin makes each one again; GIO
    shows the largest there is, blown up.
    """
    if facts.screens is None or facts.cache.keys < _ENOUGH_KEYS:
        return
    choice = choose(facts.screens._replace(filled=()))
    missing = [
        flavor
        for flavor in choice.flavors
        if flavor not in USUAL and _entries(facts, flavor) < facts.cache.keys * _MOST_PART
    ]
    if not missing:
        return
    names = " and ".join(flavor.directory for flavor in missing)
    has = text.count(max(_entries(facts, flavor) for flavor in missing))
    named = [flavor for flavor in missing if facts.named_flavors]
    because = "; your settings name other sizes (flavors, PREGEN_FLAVORS)" if named else ""
    run = "pregen run ~/Pictures"
    yield warning(
        "sizes-wanted",
        _ABOUT,
        f"Your screens need {names} thumbnails ({choice.why}); {has} of about "
        f"{text.count(facts.cache.keys)} pictures have them{because}.",
        f"{run} --flavors auto" if named else run,
    )


def unwanted(facts: MachineFacts) -> Iterator[Finding]:
    """Yield the larger sizes that lie in the cache, and that nothing known here asks for."""
    if facts.screens is None:
        return
    asked = {*USUAL, *facts.named_flavors, *choose(facts.screens._replace(filled=())).flavors}
    for flavor in ALL_FLAVORS:
        count = facts.cache.flavors.get(flavor)
        if flavor in asked or count is None or not count.entries or count.foreign:
            continue
        yield note(
            "sizes-unwanted",
            _ABOUT,
            f"{shown(facts.cache.root)} has {text.count(count.entries)} thumbnails of "
            f"{flavor.directory} ({text.size(count.size_bytes)}); no known screen and no other "
            "program needs this size.",
            f"pregen clean --flavor {flavor.directory}",
        )


def _entries(facts: MachineFacts, flavor: Flavor) -> int:
    count = facts.cache.flavors.get(flavor)
    return count.entries if count else 0

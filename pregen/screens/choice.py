"""From facts of the screens to the sizes of thumbnails. Pure."""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.config import FlavorChoice
from pregen.model import ALL_FLAVORS, Flavor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.screens.settings import Panel, Scale

#: What every desktop asks for at 100 %.
USUAL: Final = (Flavor.NORMAL, Flavor.LARGE)
#: The edges of thumbnails that file managers show, before they are scaled: KIO asks for one of
#: these for Dolphin, tumbler for Thunar, and Nautilus generates the larger (docs/desktops.md).
_EDGES_PX: Final = (128, 256)
_MM_PER_INCH: Final = 25.4
#: The density of a screen at which GNOME shows everything at 100 %, and from which diagonal on it
#: takes a screen for one that stands farther away (mutter, meta-monitor.c).
_NEAR_DPI, _FAR_DPI = 135, 110
_FAR_INCHES: Final = 20
_MOST_BY_SIZE: Final = 4
#: So many entries have to be those of other programs, and the larger part of those looked at.
_ENOUGH_FOREIGN: Final = 8
#: Of a size that was made for one folder only, fewer of the pictures have an entry.
_KEPT_PART: Final = 16


class SetScale(NamedTuple):
    """A scale that the user, or a desktop, has set."""

    source: str
    """The name of the file."""
    scale: Scale


class Connected(NamedTuple):
    """A screen that is connected."""

    screen: str
    """Its connector."""
    panel: Panel


class Filled(NamedTuple):
    """What a look at some entries of a flavor shows."""

    flavor: Flavor
    looked_at: int
    """So many of its entries."""
    foreign: int
    """Of these, by other programs."""
    pictures: int
    """So many of the pictures that have an entry in `normal`."""
    having: int
    """Of these, with an entry of this flavor."""


class ScreenFacts(NamedTuple):
    """What is known of the screens here."""

    scales: tuple[SetScale, ...] = ()
    connected: tuple[Connected, ...] = ()
    filled: tuple[Filled, ...] = ()
    """Looked at only where no scale is set."""
    ignored: tuple[str, ...] = ()
    """Files that make no sense, for people."""


class _Wish(NamedTuple):
    """Something that asks for flavors, and how it is told."""

    flavors: tuple[Flavor, ...]
    why: str
    factor: float = 1.0


def flavors_at(factor: float) -> tuple[Flavor, ...]:
    """Return the flavors that file managers ask for at a scale, small to large."""
    wanted = {_smallest(edge_px * factor) for edge_px in _EDGES_PX}
    return tuple(flavor for flavor in ALL_FLAVORS if flavor in wanted)


def _smallest(edge_px: float) -> Flavor:
    """Return the smallest flavor that has an edge; part of a pixel does not count (KIO's int)."""
    return next((each for each in ALL_FLAVORS if each.box_px >= int(edge_px)), ALL_FLAVORS[-1])


def scale_by_size(panel: Panel) -> float:
    """Return the scale that GNOME gives a screen without a setting: a whole one."""
    if not (panel.width_mm and panel.width_px):
        return 1.0
    inches = math.hypot(panel.width_mm, panel.height_mm) / _MM_PER_INCH
    dpi = math.hypot(panel.width_px, panel.height_px) / inches
    usual_dpi = _NEAR_DPI if inches < _FAR_INCHES else _FAR_DPI
    return float(min(max(1, round(dpi / usual_dpi)), _MOST_BY_SIZE))


def choose(facts: ScreenFacts) -> FlavorChoice:
    """Return the usual flavors and those that screens, or else other programs, ask for.

    A scale that is set goes before what a screen says of itself: for that screen, or for all where
    it is set for all. What lies in the cache counts where no scale is set: a desktop whose settings
    are not known here still leaves its entries.
    """
    screens = [*_by_settings(facts), *_by_size(facts)]
    wishes = [*screens, *_by_entries(facts)]
    reasons: dict[str, list[Flavor]] = {}
    for flavor in ALL_FLAVORS:
        asking = [each for each in wishes if flavor in each.flavors]
        if asking and flavor not in USUAL:
            most = max(asking, key=lambda each: each.factor)
            reasons.setdefault(most.why, []).append(flavor)
    wanted = {*USUAL, *chain.from_iterable(reasons.values())}
    why = "; ".join(
        f"{' and '.join(each.directory for each in flavors)} {why}"
        for why, flavors in reasons.items()
    )
    return FlavorChoice(
        tuple(each for each in ALL_FLAVORS if each in wanted),
        why or _nothing_more(screens),
        facts.ignored,
    )


def _nothing_more(screens: list[_Wish]) -> str:
    """Return why the usual flavors are enough."""
    if not screens:
        return "no screens were found"
    most = max(screens, key=lambda each: each.factor)
    return f"enough {most.why}"


def _by_settings(facts: ScreenFacts) -> Iterator[_Wish]:
    for source, (screen, factor) in facts.scales:
        why = f"for {screen or 'screens'} at {factor * 100:.0f}% ({source})"
        yield _Wish(flavors_at(factor), why, factor)


def _by_size(facts: ScreenFacts) -> Iterator[_Wish]:
    settled = {scale.screen for _, scale in facts.scales}
    for screen, panel in facts.connected:
        if screen in settled or "" in settled:
            continue
        factor = scale_by_size(panel)
        size = f"{panel.width_px} x {panel.height_px}"
        mm = f" on {panel.width_mm} x {panel.height_mm} mm" if panel.width_mm else ""
        yield _Wish(flavors_at(factor), f"for {screen} ({size}{mm})", factor)


def _by_entries(facts: ScreenFacts) -> Iterator[_Wish]:
    for flavor, looked_at, foreign, pictures, having in facts.filled:
        if foreign >= _ENOUGH_FOREIGN and foreign * 2 >= looked_at:
            yield _Wish(
                (flavor,), f"as other programs use it ({foreign} of {looked_at} thumbnails)"
            )
        elif having and having * _KEPT_PART >= pictures:
            yield _Wish((flavor,), f"as before: {having} of {pictures} pictures checked have it")

"""Shared repositories, read by the one desktop that reads them: tumbler."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.conformance.conftest import MTIMES_NS
from tests.support.files.pictures import jpeg, put
from tests.support.judges import desktops
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.desktop,
    pytest.mark.xdist_group("desktops"),
    needs(Capability.TUMBLER),
]

#: Every character that libraries escape differently, and none.
_NAMES = ("plain.jpg", "a b;c[d]#é%41.jpg", "$&'()*+,:=@~.jpg")


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "photos"
    mtimes = dict(zip(_NAMES, MTIMES_NS, strict=False))
    return [
        put(folder / name, jpeg(400, 300, seed=number), mtimes[name])
        for number, name in enumerate(_NAMES)
    ]


def _own_entries(cache: Path, flavor: str, photos: list[Path]) -> list[str]:
    """Return the photos of which tumbler made entries in the user's cache."""
    return [
        photo.name
        for photo in photos
        if desktops.entry_path(cache, flavor, desktops.glib_uri(photo)).exists()
    ]


@pytest.mark.parametrize("flavor", ["normal", "large"])
def test_tumbler_uses_shared_thumbnails_and_makes_none_of_its_own(
    photos: list[Path], tmp_path: Path, flavor: str
) -> None:
    cache = tmp_path / "cache"
    shared = run_pregen("share", photos[0].parent, cache=cache)
    assert shared.code == 0, shared
    answers = desktops.tumbler(cache, flavor, photos)
    assert [(answer.ready, answer.error) for answer in answers] == [(True, "")] * len(photos)
    assert _own_entries(cache, flavor, photos) == []


def test_tumbler_makes_its_own_where_a_shared_thumbnail_is_outdated_or_not_there(
    photos: list[Path], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    run_pregen("share", photos[0].parent, cache=cache)
    os.utime(photos[1], ns=(1, 1_234_567_890_000_001_000))
    late = put(photos[0].with_name("late.jpg"), jpeg(300, 300, seed=9))
    answers = desktops.tumbler(cache, "normal", [*photos, late])
    assert all(answer.ready for answer in answers)
    assert _own_entries(cache, "normal", [*photos, late]) == [photos[1].name, late.name]

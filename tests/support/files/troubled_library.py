"""A library with 25 files of four kinds of failure: what screens and pictures are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.files.pictures import jpeg, put

if TYPE_CHECKING:
    from pathlib import Path

#: By what a run calls them.
TROUBLES = {"invalid": 6, "truncated": 13, "too large": 5, "unreadable": 1}
_SEEDS = 6
_FOLDERS = ("01 New Year", "07 Summer", "12 Christmas")
#: 1.6 thousand million pixels, which a run refuses.
_WALL_MAP_PX = (40_000).to_bytes(2, "big") * 2


def troubled_library(folder: Path, sound: int, width_px: int = 900) -> None:
    """Make a library of so many sound photos and the troubles.

    The unreadable one has mode 0: root reads it nevertheless, unless it runs as
    `program.MODES_COUNT` says.
    """
    pictures = [jpeg(width_px + 40 * seed, width_px * 2 // 3, seed=seed) for seed in range(_SEEDS)]
    for number in range(sound):
        year = folder / f"{2015 + number % 9}" / _FOLDERS[number % len(_FOLDERS)]
        put(year / f"IMG_{number:04}.jpg", pictures[number % _SEEDS])
    card = folder / "2024" / "card that failed"
    for number in range(TROUBLES["truncated"]):
        picture = pictures[number % _SEEDS]
        put(card / f"IMG_{2000 + number}.jpg", picture[: len(picture) * (number + 1) // 30])
    for number in range(TROUBLES["invalid"]):
        put(card / f"DSC_{number:04}.jpg", bytes(5000))
    for number in range(TROUBLES["too large"]):
        head, frame, rest = pictures[number].partition(b"\xff\xc0")
        enlarged = rest[:3] + _WALL_MAP_PX + rest[7:]  # after length and depth
        put(folder / "scans" / f"wall map {number}.jpg", head + frame + enlarged)
    put(folder / "2023" / "private.jpg", pictures[0]).chmod(0)

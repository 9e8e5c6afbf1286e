"""The verdict on one cell: the file is what it should be, and pregen shows it so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.judges import foreign_decoders
from tests.support.judges.likeness import EXACT, compared
from tests.support.judges.our_entries import BOX_PX

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from tests.support.cells.cell import Cell
    from tests.support.files.colour_spaces import Floats
    from tests.support.judges.our_entries import Ours


class WrongPicture(AssertionError):  # noqa: N818 - it is a verdict
    """An entry shows something else than the file."""


class NoPicture(AssertionError):  # noqa: N818 - likewise
    """A file that others show was refused."""


class WrongPair(AssertionError):  # noqa: N818 - likewise
    """No foreign decoder sees in the file what the test put in: the test is wrong."""


def judge(cell: Cell, path: Path, ours: Ours, readers: Collection[str]) -> str:
    """Return how close the entry is, in words.

    Args:
        cell: what the file should be.
        path: the file.
        ours: what pregen made of it.
        readers: foreign decoders that are installed, of those the cell names.

    Raises:
        WrongPicture, NoPicture, WrongPair: see there.
    """
    truth = cell.pair().truth
    foreign = _foreign(cell, path, truth, readers) if cell.readers else None
    entry = ours.entry
    if entry is None:
        raise NoPicture(f"{cell.name}: {ours}")
    likeness = compared(entry, truth, BOX_PX)
    beyond = likeness.beyond(cell.bounds)
    if cell.lossy and foreign is not None:
        beyond += [
            f"beside the foreign decode: {words}"
            for words in compared(entry, foreign, BOX_PX).beyond(EXACT)
        ]
    if beyond:
        raise WrongPicture(f"{cell.name}: {', '.join(beyond)} ({ours.loader})")
    return f"{likeness.colour_levels:.2f} levels, {likeness.psnr_db:.1f} dB"


def _foreign(cell: Cell, path: Path, truth: Floats, readers: Collection[str]) -> Floats:
    """Return the first foreign decode that agrees with the painting."""
    words = []
    for name in cell.readers:
        if name not in readers:
            continue
        try:
            picture = foreign_decoders.shown(name, path)
        except foreign_decoders.Refused as refusal:
            words.append(f"{name}: {refusal}")
            continue
        if picture.shape != truth.shape:
            words.append(f"{name}: {picture.shape}, not {truth.shape}")
            continue
        beyond = compared(picture, truth).beyond(cell.pair_bounds)
        if not beyond:
            return picture
        words.append(f"{name}: {', '.join(beyond)}")
    raise WrongPair(f"{cell.name}: no foreign decoder agrees: {'; '.join(words)}")

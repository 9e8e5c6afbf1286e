"""Every kind of picture comes out as other people's decoders show it.

The files are made anew by other writers than our readers (`cells.table`), one run of pregen makes
entries of all of them, and each entry is judged by itself.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.support.cells import table
from tests.support.cells.cell import NEEDS, Cell
from tests.support.files.pairs import BITS, MODES, PROFILES
from tests.support.judges import foreign_decoders, our_entries, verdicts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.judges.our_entries import Ours

#: The first cell of a shelf waits for all of its files to be written, and for a run of pregen.
pytestmark = pytest.mark.timeout(600)

_CELLS = table.cells()
#: Formats of the product that the issue asks for; others have a few cells each.
_PRODUCT = (
    "png", "jpeg", "tiff", "webp", "gif", "jxl", "avif", "heic", "jp2", "psd", "bmp", "tga", "pcx",
    "ppm", "qoi", "ico",
)  # fmt: skip


#: What one run of pregen is over; one process of the suite makes it, so that none is made twice.
_SHELVES = frozenset({"png", "jpeg", "tiff", "jxl", "avif", "heic", "jp2", "psd"})


def _shelf(cell: Cell) -> str:
    return cell.file_format if cell.file_format in _SHELVES else "others"


def _marks(cell: Cell) -> list[pytest.MarkDecorator]:
    found = [pytest.mark.xdist_group(f"pictures-{_shelf(cell)}")]
    found += [pytest.mark.needs(need.name) for need in cell.needs]
    return found


class Shelves:
    """The files of the cells that are asked for, and what pregen makes of them."""

    def __init__(self, folder: Path, chosen: set[Cell], capable: Mapping[str, bool]) -> None:
        self._folder = folder
        self._chosen = chosen
        self._capable = capable
        self._made: dict[str, Mapping[Path, Ours]] = {}
        self._unwritten: dict[Cell, Exception] = {}
        self.readers = {
            name
            for name in foreign_decoders.DECODERS
            if name not in NEEDS or capable[NEEDS[name].name]
        }

    def take(self, cell: Cell) -> tuple[Path, Ours]:
        """Return a cell's file and outcome; made with all others of its shelf."""
        shelf = _shelf(cell)
        folder = self._folder / shelf
        if shelf not in self._made:
            folder.mkdir()
            wanted = [one for one in self._chosen if _shelf(one) == shelf]
            # The programs among the writers run beside each other.
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(self._write, wanted))
            scratch = self._folder / f"ours-{shelf}"
            self._made[shelf] = our_entries.made_of(folder, scratch, timeout_s=500)
        if cell in self._unwritten:
            raise self._unwritten[cell]
        path = self._path(cell)
        return path, self._made[shelf][path]

    def _write(self, cell: Cell) -> None:
        if all(self._capable[need.name] for need in cell.needs):
            try:
                self._path(cell).write_bytes(cell.write(cell.pair()))
            except Exception as error:  # noqa: BLE001 - one file costs no other
                self._unwritten[cell] = error

    def _path(self, cell: Cell) -> Path:
        return self._folder / _shelf(cell) / f"{cell.name}.{cell.extension}"


@pytest.fixture(scope="module")
def shelves(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    capable: dict[str, bool],
) -> Shelves:
    chosen: set[Cell] = {
        item.callspec.params["cell"]  # type: ignore[misc]  # the parameters are cells
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.originalname == test_a_picture_comes_out_as_others_show_it.__name__
    }
    return Shelves(tmp_path_factory.mktemp("cells"), chosen, capable)


@pytest.mark.parametrize(
    "cell", [pytest.param(cell, id=cell.name, marks=_marks(cell)) for cell in _CELLS]
)
def test_a_picture_comes_out_as_others_show_it(cell: Cell, shelves: Shelves) -> None:
    if cell.readers and not shelves.readers & set(cell.readers):
        pytest.skip(NEEDS[cell.readers[0]].missing)
    verdicts.judge(cell, *shelves.take(cell), shelves.readers)


def test_every_hole_in_the_table_has_a_reason() -> None:
    there = {(cell.file_format, cell.mode, cell.bits, cell.profile) for cell in _CELLS}
    silent = [
        kind
        for kind in itertools.product(_PRODUCT, MODES, BITS, PROFILES)
        if kind not in there and not table.hole(*kind)
    ]
    assert not silent


def test_every_orientation_is_tried_in_every_place_that_pregen_reads() -> None:
    places: dict[tuple[str, str], set[int]] = {}
    for cell in _CELLS:
        if cell.place:
            places.setdefault((cell.file_format, cell.place), set()).add(cell.orientation)
    whole = {place for place, tried in places.items() if tried == set(range(2, 9))}
    assert whole == {
        ("png", "before"), ("png", "behind"), ("jpeg", "exif"), ("tiff", "tag"), ("webp", "exif"),
        ("jxl", "codestream"), ("avif", "irot"), ("heic", "irot"),
    }  # fmt: skip

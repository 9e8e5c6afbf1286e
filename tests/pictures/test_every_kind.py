"""Every kind of picture comes out as other people's decoders show it.

The files are made anew by other writers than our readers (`cells.table`), one run of pregen makes
entries of all of them, and each entry is judged by itself. What is wrong today stands in two
tables; a mend takes its lines out of them, because what is expected to fail and does not is an error.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
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

#: One process writes the files and runs pregen; the others would do it again.
pytestmark = [pytest.mark.xdist_group("pictures"), pytest.mark.timeout(900)]

#: Cells by patterns of their names, and the defect: an entry is stored that shows something else.
KNOWN_WRONG: dict[str, str] = {}
#: Likewise: no entry is stored of what others show.
KNOWN_REFUSED: dict[str, str] = {}

_CELLS = table.cells()
#: Formats of the product that the issue asks for; others have a few cells each.
_PRODUCT = (
    "png", "jpeg", "tiff", "webp", "gif", "jxl", "avif", "heic", "jp2", "psd", "bmp", "tga", "pcx",
    "ppm", "qoi", "ico",
)  # fmt: skip


def _known(cell: Cell) -> tuple[pytest.MarkDecorator, ...]:
    marks = []
    for known, verdict in (
        (KNOWN_WRONG, verdicts.WrongPicture),
        (KNOWN_REFUSED, verdicts.NoPicture),
    ):
        for pattern, reason in known.items():
            if fnmatchcase(cell.name, pattern):
                marks.append(pytest.mark.xfail(strict=True, raises=verdict, reason=reason))
                break
    assert len(marks) < 2, f"{cell.name} is in both tables"
    needed = tuple(need.name for need in cell.needs)
    return (*marks, pytest.mark.needs(*needed)) if needed else tuple(marks)


@pytest.fixture(scope="module")
def judged(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    capable: dict[str, bool],
) -> tuple[Path, Mapping[Path, Ours], set[str]]:
    """Write every chosen cell that this machine can write, and run pregen over all of them."""
    chosen = {
        item.callspec.params["cell"]
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.originalname == test_a_picture_comes_out_as_others_show_it.__name__
    }
    folder = tmp_path_factory.mktemp("cells")

    def write(cell: Cell) -> None:
        if all(capable[need.name] for need in cell.needs):
            _file(folder, cell).write_bytes(cell.write(cell.pair()))

    # The programs among the writers run beside each other.
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, sorted(chosen, key=lambda cell: cell.name)))
    ours = our_entries.made_of(folder, tmp_path_factory.mktemp("ours"), timeout_s=600)
    readers = {
        name for name in foreign_decoders.DECODERS if name not in NEEDS or capable[NEEDS[name].name]
    }
    return folder, ours, readers


def _file(folder: Path, cell: Cell) -> Path:
    return folder / f"{cell.name}.{cell.extension}"


@pytest.mark.parametrize(
    "cell", [pytest.param(cell, id=cell.name, marks=_known(cell)) for cell in _CELLS]
)
def test_a_picture_comes_out_as_others_show_it(
    cell: Cell, judged: tuple[Path, Mapping[Path, Ours], set[str]]
) -> None:
    folder, ours, readers = judged
    if cell.readers and not readers & set(cell.readers):
        pytest.skip(NEEDS[cell.readers[0]].missing)
    path = _file(folder, cell)
    verdicts.judge(cell, path, ours[path], readers)


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


@pytest.mark.parametrize("pattern", [*KNOWN_WRONG, *KNOWN_REFUSED])
def test_what_is_known_is_in_the_table(pattern: str) -> None:
    assert any(fnmatchcase(cell.name, pattern) for cell in _CELLS)

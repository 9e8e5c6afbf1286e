"""Comments refer to nothing that is not in the repository, and tell the bounds of loops in C."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PRODUCT = Path(__file__).resolve().parents[2] / "pregen"
ELSEWHERE = re.compile(r"DESIGN \d|formats-and-decoders|desktop-consumers|\bissue [A-Z]\b")


def references(folder: Path) -> Iterator[str]:
    """Yield the lines that name a document outside of the repository."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".py", ".c", ".h", ".pyi", ".md", ".jinja"}:
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if ELSEWHERE.search(line):
                    yield f"{path.relative_to(folder)}:{number}: {line.strip()}"


LOOP = re.compile(r"\s*(?:for|while|\} while|do) ?[({]")
TURNS = "/* turns: "


def unbounded(folder: Path) -> Iterator[str]:
    """Yield the loops in C that say neither on their line nor before it how often they turn."""
    for path in sorted(path for path in folder.rglob("*") if path.suffix in {".c", ".h"}):
        before = ""
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if LOOP.match(line) and TURNS not in line and TURNS not in before:
                yield f"{path.relative_to(folder)}:{number}: {line.strip()}"
            before = line


def test_every_loop_in_c_tells_its_bound() -> None:
    assert list(unbounded(PRODUCT)) == []


def test_a_loop_without_one_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text(
        "for (;;) { /* turns: at most 8 */\n/* turns: 2 */\nwhile (x)\nx--;\nfor (;;)\n"
    )
    assert list(unbounded(tmp_path)) == ["a.c:5: for (;;)"]


def test_no_text_refers_to_what_a_reader_does_not_have() -> None:
    assert list(references(PRODUCT)) == []


def test_such_a_reference_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('X = 1  # as DESIGN 3.5 wants\n"""An issue, no more."""\n')
    (tmp_path / "b.c").write_text("/* see issue C */\n")
    assert [line.partition(" ")[0] for line in references(tmp_path)] == ["a.py:1:", "b.c:1:"]

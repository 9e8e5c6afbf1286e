"""Comments of the product refer to nothing that is not in the repository."""

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
        if path.suffix in {".py", ".c", ".pyi", ".md", ".jinja"}:
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if ELSEWHERE.search(line):
                    yield f"{path.relative_to(folder)}:{number}: {line.strip()}"


def test_no_text_refers_to_what_a_reader_does_not_have() -> None:
    assert list(references(PRODUCT)) == []


def test_such_a_reference_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('X = 1  # as DESIGN 3.5 wants\n"""An issue, no more."""\n')
    (tmp_path / "b.c").write_text("/* see issue C */\n")
    assert [line.partition(" ")[0] for line in references(tmp_path)] == ["a.py:1:", "b.c:1:"]

"""The pictures of terminals: an SVG needs nothing but itself, is small, and shows each row once."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tools.terminal_svg import Frame, picture

DOCS = Path(__file__).resolve().parents[2] / "docs"
SVGS = [DOCS / "terminal.svg", *sorted((DOCS / "screens").glob("*.svg"))]
pytestmark = pytest.mark.skipif(not DOCS.exists(), reason="not a checkout")
#: What a README may cost a reader.
MOST_BYTES = 300_000
_SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return [each.text or "" for each in ET.fromstring(svg).iter(f"{_SVG}text")]  # noqa: S314 - our own


@pytest.mark.parametrize("path", SVGS, ids=lambda path: path.stem)
def test_pictures_in_the_manual_are_small_and_need_nothing_else(path: Path) -> None:
    svg = path.read_text(encoding="utf-8")
    assert len(svg) < MOST_BYTES
    assert any(line.startswith("$ pregen ") for line in texts(svg))
    assert set(re.findall(r"https?://[^\"']+", svg)) == {"http://www.w3.org/2000/svg"}
    assert "/home/ann/" in svg or path.stem == "doctor"
    assert "cache/thumbnails/" not in svg or "/home/ann/.cache" in svg
    named = f"screens/{path.name}" if path.parent.name == "screens" else path.name
    assert f"({named})" in (DOCS / "screens.md").read_text(encoding="utf-8")


def test_the_moving_picture_ends_with_the_verdict_for_readers_who_want_no_motion() -> None:
    svg = (DOCS / "terminal.svg").read_text(encoding="utf-8")
    assert "prefers-reduced-motion: reduce" in svg
    last = [line for line in svg.splitlines() if ' last"' in line]
    assert any("Done in " in line for line in last)
    assert svg.count("@keyframes ") > 5


def test_a_row_that_stays_is_drawn_once_and_colours_hold_over_rows() -> None:
    svg = picture(
        [Frame(0.0, "stays\n\x1b[31mred <1>\nstill\x1b[0m"), Frame(1.0, "stays\nnext")], 20, "a & b"
    )
    assert texts(svg) == ["stays", "red <1>", "next", "still"]
    red = re.findall(r'fill="(#[0-9a-f]+)"[^>]*>(?:red|still)', svg)
    assert len(red) == 2
    assert len(set(red)) == 1
    assert svg.count('class="m ') == 3
    assert "@keyframes" not in picture([Frame(0.0, "one")], 20, "still")

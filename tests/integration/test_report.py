"""`pregen report`: the page of a real run, read by a parser and opened in a real browser."""

from __future__ import annotations

import io
import os
import re
import sqlite3
from contextlib import closing
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.support.files.pictures import encode, jpeg, put
from tests.support.files.source_trees import few
from tests.support.judges import browser
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = "<img src=x onerror=alert(1)>.jpg"
REORDERED = "photo\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe.jpg"
#: A series' colour on light and on dark.
COLOURS = {"light": (0x2F, 0x6F, 0xB0), "dark": (0x6A, 0xA9, 0xE9)}


class Page(HTMLParser):
    """Every element with its attributes, and all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run over good, broken, hostile and doubtful files."""
    scratch = tmp_path_factory.mktemp("report")
    photos = scratch / "photos"
    few(photos, 6)
    put(photos / SCRIPT, jpeg(640, 480)[:3000])
    put(photos / f"good {SCRIPT}", jpeg(640, 480))
    put(photos / REORDERED, b"\xff\xd8\xff\xe0 broken")
    put(photos / os.fsdecode(b"bad \xff bytes.jpg"), jpeg(400, 300))
    put(photos / "night.png", encode(Image.new("RGB", (600, 400), (3, 3, 3)), "PNG"))
    put(photos / "scroll.png", encode(Image.new("RGB", (3000, 160), (90, 120, 30)), "PNG"))
    run = run_pregen("run", "--quiet", photos, cache=scratch / "cache")
    assert run.code == 3, run
    done = run_pregen("report", "-o", scratch / "report.html", cache=scratch / "cache")
    assert done.code == 0, done
    return scratch / "report.html"


@pytest.fixture(scope="module")
def page(written: Path) -> Page:
    return Page(written.read_text(encoding="utf-8"))


def test_it_tells_what_happened(page: Page) -> None:
    for words in ("pregen run 1", "truncated", "images/s", "Slowest files", "night.png"):
        assert words in page.text
    assert sum(tag == "svg" for tag, _ in page.elements) == 5
    shown = [facts for tag, facts in page.elements if tag == "img"]
    assert len(shown) >= 10
    assert all(str(facts["src"]).startswith("data:image/jpeg;base64,") for facts in shown)


def test_doubtful_pictures_are_shown_with_the_reason(page: Page) -> None:
    doubtful = page.text.partition("Doubtful")[2].partition("Random sample")[0]
    assert "extreme aspect scroll.png" in " ".join(doubtful.split())
    assert "flat night.png" in " ".join(doubtful.split())


def test_names_are_text_and_nothing_else(page: Page, written: Path) -> None:
    assert SCRIPT in page.text
    assert r"photo\u202egpj.exe.jpg" in page.text
    assert r"bad \xff bytes.jpg" in page.text
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in written.read_text(encoding="utf-8")
    for tag, facts in page.elements:
        assert tag != "script"
        assert not [name for name in facts if name.startswith("on")]
        for name in ("src", "href"):
            assert str(facts.get(name, "data:")).startswith(("data:", "#"))


def test_only_its_owner_may_read_it(written: Path) -> None:
    assert written.stat().st_mode & 0o777 == 0o600


@needs(Capability.CHROMIUM)
@pytest.mark.parametrize("width_px", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_has_nothing_to_complain_about(written: Path, scheme: str, width_px: int) -> None:
    seen = browser.visit(written, width_px, scheme)
    assert seen.console == []
    assert {url.partition(":")[0] for url in seen.requested} <= {"data"}
    with Image.open(io.BytesIO(seen.screenshot)) as shot:
        colours = {colour for _, colour in shot.convert("RGB").getcolors(1 << 24) or []}
        corner = shot.convert("L").getpixel((2, 2))
    assert COLOURS[scheme] in colours, "no chart was drawn"
    assert isinstance(corner, int)
    assert (corner > 200) == (scheme == "light")


@pytest.mark.parametrize(
    ("arguments", "words"), [(["7"], "no run 7"), (["-o", "/nonexistent/x.html"], "cannot be")]
)
def test_what_cannot_be_done_is_said(written: Path, arguments: list[str], words: str) -> None:
    done = run_pregen("report", *arguments, cache=written.parent / "cache")
    assert done.code == 2, done
    assert words in done.err
    assert "Traceback" not in done.err


def test_without_any_run_it_says_so(tmp_path: Path) -> None:
    done = run_pregen("report", cache=tmp_path / "cache", cwd=tmp_path)
    assert done.code == 2, done
    assert "pregen run" in done.err
    assert not (tmp_path / "report.html").exists()


def test_it_goes_to_standard_output_too(written: Path) -> None:
    done = run_pregen("report", "-o", "-", cache=written.parent / "cache")
    assert done.code == 0, done
    assert done.out.startswith("<!doctype html>")


def test_without_the_extra_its_command_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "jinja2.py").write_text("raise ModuleNotFoundError(name='jinja2')\n")
    done = run_pregen("report", cache=tmp_path / "cache", env={"PYTHONPATH": str(blocked)})
    assert done.code == 11, done
    assert "pregen report needs jinja2" in done.err
    assert re.search(r"--with report|\[report\]", done.err)


def test_a_row_that_pregen_never_wrote_makes_room_for_a_new_journal(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    few(tmp_path / "photos", 2)
    assert run_pregen("run", tmp_path / "photos", cache=cache).code == 0
    state = tmp_path / "cache-state" / "pregen"
    with closing(sqlite3.connect(state / "journal.sqlite3")) as journal, journal:
        journal.execute("UPDATE sources SET message = 7")
        journal.execute("UPDATE sources SET decode_ns = 'text'")
    done = run_pregen("report", "-o", "-", cache=cache)
    assert (done.code, done.out) == (2, ""), done
    assert "is damaged" in done.err
    assert [*state.glob("journal.sqlite3.corrupt-*")]
    assert "No runs recorded" in run_pregen("report", "-o", "-", cache=cache).err

"""Whole screens at three sizes: the last line tells how it ended, and words stay whole."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.files.troubled_library import TROUBLES, troubled_library
from tests.support.judges.terminal import Terminal
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import MODES_COUNT, PREGEN, environment

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs(Capability.TMUX)

SOUND = 12


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """Return a home with a short name, as people's are: paths fit into 80 columns."""
    with tempfile.TemporaryDirectory(prefix="ann") as place:
        home = Path(place)
        troubled_library(home / "Pictures", SOUND)
        yield home


def screens(home: Path, columns: int, rows: int) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield what each command leaves, as rows of the terminal and as lines, without empty ones."""
    photos = str(home / "Pictures")
    photo = str(next((home / "Pictures").rglob("IMG_0000.jpg")))
    cache = home / f"c{columns}"
    env = {
        **environment(cache, None),
        "HOME": str(home),
        "TERM": "screen-256color",
        "LC_ALL": "C.UTF-8",
    }
    commands = {
        "first run": ("run", photos),
        "second run": ("run", photos),
        "status": ("status",),
        "show": ("show", photo),
        "failures": ("failures",),
        "doctor": ("doctor", photos),
        "quiet run": ("run", "--quiet", photos),
        "export": ("export", "--to", str(home / "nowhere" / "thumbnails of all pictures.tar")),
        "verify": ("verify",),
        "dry run": ("run", "--dry-run", photos),
        "formats": ("formats",),
        "clean": ("clean", "--dry-run"),
        "desktop": ("desktop", "status"),
        "report": ("report", "-o", str(home / "report.html")),
    }
    for name, arguments in commands.items():
        with Terminal([*MODES_COUNT, *PREGEN, *arguments], env, columns, rows) as terminal:
            terminal.wait_for("exit code")
            shown, lines = terminal.history(), terminal.lines()
        yield name, _before_the_end(shown), _before_the_end(lines)


def _before_the_end(text: str) -> list[str]:
    filled = [line.rstrip() for line in text.splitlines() if line.strip()]
    assert filled[-1].startswith("exit code")
    return filled[:-1]


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (110, 40), (200, 50)])
def test_the_last_line_tells_how_it_ended_and_words_stay_whole(
    home: Path, columns: int, rows: int
) -> None:
    seen = {}
    for name, shown, lines in screens(home, columns, rows):
        seen[name] = shown
        # What is longer is broken by the terminal, within a word: commands of the doctor are, and
        # paths that are alone on their line.
        broken = [
            line
            for line in lines
            if len(line) > columns and " " in line.strip() and not line.startswith("    ")
        ]
        assert not broken, name
    failed = sum(TROUBLES.values())
    assert seen["first run"][-1].startswith("Done in ")
    assert seen["first run"][-1].endswith(f". {failed} files failed: pregen failures")
    for kind, number in TROUBLES.items():
        assert any(line.split("  ")[-1].strip() == kind for line in seen["first run"]), kind
        assert any(line.startswith(f"{kind.capitalize()} ({number})") for line in seen["first run"])
    # Only what may succeed without a change is tried again.
    assert seen["second run"][-1].endswith(". 1 file failed: pregen failures")
    assert seen["status"][-2] == f"  ... and {failed - 5} more"
    assert re.fullmatch(
        rf"\d+ thumbnails, [\d.]+ .B\. Last run: done\. {failed} files failed: pregen failures",
        seen["status"][-1],
    )
    assert seen["show"][-1].startswith("Up to date: normal, large; accepted by ")
    assert seen["failures"][-1] == f"{failed} failures. To try them again: pregen failures --retry"
    assert seen["quiet run"][-1] == "  -> check the permissions and the disk, then run again"
    assert " ".join(map(str.strip, seen["export"])).endswith("create it, or choose another.")
    assert seen["verify"][-1] == "24 thumbnails and 24 fail records checked: all correct."
    assert re.fullmatch(r"\d+ formats can be read(, \d+ need an extra)?\.", seen["formats"][-1])
    assert seen["dry run"][-1].startswith("Nothing was written. Time unknown: ")
    assert seen["clean"][-1] == "Nothing to delete: 48 kept."
    assert seen["desktop"][-1] == "Nothing is installed: pregen desktop install"
    assert seen["report"][-1] == f"Written to {home}/report.html"
    assert seen["doctor"][-1].startswith(("Nothing to do.", "Found "))

"""Makes the pictures of the README from real runs: docs/terminal.svg and docs/report.png.

    scripts/pictures

Needs tmux and chromium. The library is made up: photographs of nothing, some of them damaged.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.support.files.pictures import jpeg, put
from tests.support.judges import browser
from tests.support.judges.terminal import Terminal

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
COLUMNS, ROWS = 80, 13
#: Enough for a run of some seconds.
COUNT = 1500
KINDS = 12
#: The percentage at which the screen is taken.
PART = ("62", "63", "64", "65", "66")
#: rich names fonts on a server; a picture is to need nobody.
_FONTS = re.compile(r"@font-face \{.*?\}", re.DOTALL)


def library(folder: Path) -> None:
    """Make a library of which some files are broken."""
    pictures = [jpeg(2400 + 40 * seed, 1600, seed=seed) for seed in range(KINDS)]
    for number in range(COUNT):
        year = folder / str(2012 + number % 9)
        data = pictures[number % KINDS]
        put(year / f"IMG_{number:04}.jpg", data[: len(data) // 2] if number % 301 == 5 else data)


def main() -> None:
    """Run, look, write."""
    DOCS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "ann"
        photos = home / "Pictures"
        library(photos)
        env = {
            **os.environ,
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / ".cache"),
            "XDG_STATE_HOME": str(home / ".local" / "state"),
            "TERM": "tmux-256color",
            "COLORTERM": "truecolor",
        }
        program = [str(ROOT / ".venv" / "bin" / "pregen"), "run", str(photos)]
        with Terminal(program, env, COLUMNS, ROWS) as terminal:
            terminal.wait_for(lambda screen: screen.partition(" %")[0][-2:] in PART)
            shown = terminal.ansi()
            terminal.wait_for("exit code")
        page = Path(scratch) / "report.html"
        subprocess.run([program[0], "report", "-o", str(page)], env=env, check=True)
        text = page.read_text(encoding="utf-8").replace(scratch, "/home")
        page.write_text(text, encoding="utf-8")
        (DOCS / "report.png").write_bytes(browser.visit(page, 1280, "light", 1540).screenshot)
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"))  # noqa: SIM115 - until the end
    console.print(Text("$ pregen run ~/Pictures"))
    console.print(Text.from_ansi(shown.replace(scratch, "/home").rstrip()))
    svg = _FONTS.sub("", console.export_svg(title="pregen"))
    (DOCS / "terminal.svg").write_text(svg, encoding="utf-8")
    print("\n".join(str(path) for path in sorted(DOCS.iterdir())))


if __name__ == "__main__":
    main()

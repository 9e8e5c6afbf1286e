"""Makes the pictures of README and manual from real runs, in a terminal and in a browser.

    scripts/pictures

Writes docs/terminal.svg, which moves, docs/screens/*.svg and docs/report.png. Needs tmux and
chromium. The library is made up: photographs of nothing, 25 of them with something wrong.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
import time
from pathlib import Path

from tests.support.files.troubled_library import troubled_library
from tests.support.judges import browser
from tests.support.judges.terminal import Terminal
from tests.support.running.program import MODES_COUNT
from tools.terminal_svg import Frame, picture

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
COLUMNS, ROWS = 90, 26
#: So that a run takes some seconds.
COUNT, WIDTH_PX = 900, 4000
_TICK_S = 0.2
#: Programs of this machine are nothing to a made-up user (util-linux).
ALONE = ("unshare", "--pid", "--fork", "--mount-proc")
_LONGEST_S = 120
_ENDED = "exit code"
PHOTO = "~/Pictures/2015/'01 New Year'/IMG_0000.jpg"
#: A user of Thunar with a limit of size: something to find for the doctor.
THUNAR = """\
<channel name="thunar" version="1.0">
  <property name="misc-thumbnail-max-file-size" type="uint64" value="500000"/>
</channel>
"""
#: What is typed for each picture; the first one is the moving one.
COMMANDS = {
    "first-run": "pregen run ~/Pictures",
    "second-run": "pregen run ~/Pictures",
    "status": "pregen status",
    "show": f"pregen show {PHOTO}",
    "failures": "pregen failures",
    "doctor": "pregen doctor ~/Pictures",
}


def frames(command: str, env: dict[str, str], scratch: str) -> list[Frame]:
    """Type a command into a terminal; return what it showed, the last with all that scrolled by."""
    typed = f"$ {command}\n\n"
    shown: list[Frame] = []
    start_s = time.monotonic()
    with Terminal([*ALONE, *MODES_COUNT, "sh", "-c", command], env, COLUMNS, ROWS) as terminal:
        while time.monotonic() - start_s < _LONGEST_S:
            plain, ansi = terminal.screen(), terminal.ansi()
            if _ENDED in plain:
                break
            if ansi.strip() and (not shown or shown[-1].ansi != ansi):
                shown.append(Frame(time.monotonic() - start_s, ansi))
            time.sleep(_TICK_S)
        end = Frame(time.monotonic() - start_s, terminal.history(colours=True))
    told = [
        frame._replace(
            ansi=typed + frame.ansi.partition(_ENDED)[0].rstrip().replace(scratch, "/home")
        )
        for frame in [*shown, end]
    ]
    return [Frame(0.0, typed), *told]


def moving(shown: list[Frame]) -> list[Frame]:
    """Return frames as high as the terminal: of the last one the end, which stays on the screen."""
    typed, *run, end = shown
    rows = end.ansi.splitlines()
    return [typed, *run, end._replace(ansi="\n".join(rows[-ROWS:]))]


def main() -> None:
    """Run, look, write."""
    (DOCS / "screens").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "ann"
        troubled_library(home / "Pictures", COUNT, WIDTH_PX)
        thunar = home / ".config" / "xfce4" / "xfconf" / "xfce-perchannel-xml" / "thunar.xml"
        thunar.parent.mkdir(parents=True)
        thunar.write_text(THUNAR, encoding="utf-8")
        programs = ROOT / ".venv" / "bin"
        env = {
            **os.environ,
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / ".cache"),
            "XDG_STATE_HOME": str(home / ".local" / "state"),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "TERM": "tmux-256color",
            "COLORTERM": "truecolor",
            "LC_ALL": "C.UTF-8",
        }
        for name, command in COMMANDS.items():
            shown = frames(command, env, scratch)
            still = picture(shown[-1:], COLUMNS, command)
            (DOCS / "screens" / f"{name}.svg").write_text(still, encoding="utf-8")
            if name == "first-run":
                film = picture(moving(shown), COLUMNS, command)
                (DOCS / "terminal.svg").write_text(film, encoding="utf-8")
        page = Path(scratch) / "report.html"
        command = f"pregen report -o {shlex.quote(str(page))} 1"
        subprocess.run(["sh", "-c", command], env=env, check=True)
        text = page.read_text(encoding="utf-8").replace(scratch, "/home")
        page.write_text(text, encoding="utf-8")
        (DOCS / "report.png").write_bytes(browser.visit(page, 1280, "light", 1540).screenshot)
    print("\n".join(str(path) for path in sorted(DOCS.rglob("*.svg"))))


if __name__ == "__main__":
    main()

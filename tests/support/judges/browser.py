"""A real browser without a screen: what a page looks like, asks for, and complains about."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

_PROGRAM = "chromium"
_TIMEOUT_S = 60
#: `preferredColorScheme` as Blink numbers it: dark is 0, light 1.
_SCHEME = {"dark": "0", "light": "1"}


class Visit(NamedTuple):
    """What came of opening a page."""

    screenshot: bytes
    """PNG."""
    console: list[str]
    """What the page wrote to the browser's console, errors and refusals included."""
    requested: set[str]
    """The URLs it asked for, its own left out."""


def version() -> str:
    """Return what the browser says of itself; empty when there is none that works."""
    try:
        done = subprocess.run(
            [_PROGRAM, "--version"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def visit(page: Path, width_px: int, scheme: str, height_px: int = 1600) -> Visit:
    """Open a file in a browser of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        shot, log = Path(scratch, "shot.png"), Path(scratch, "net.json")
        done = subprocess.run(
            [
                _PROGRAM,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--hide-scrollbars",
                "--enable-logging=stderr",
                f"--user-data-dir={scratch}/profile",
                f"--blink-settings=preferredColorScheme={_SCHEME[scheme]}",
                f"--window-size={width_px},{height_px}",
                f"--log-net-log={log}",
                f"--screenshot={shot}",
                page.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
        console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
        events = json.loads(log.read_text())["events"]
        asked = {
            event["params"]["url"]
            for event in events
            if "url" in event.get("params", {})
            and str(event["params"].get("initiator", "")).startswith(("file:", "null"))
        }
        return Visit(shot.read_bytes(), console, asked - {page.as_uri()})

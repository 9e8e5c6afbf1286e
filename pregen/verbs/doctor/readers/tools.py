"""The desktops' own programs, and XML."""

from __future__ import annotations

import shutil
import subprocess
from typing import Final
from xml.etree import ElementTree as ET

#: A tool answers in milliseconds, or waits for a session bus that is not there.
_TIMEOUT_S: Final = 5.0


def parse_xml(text: str) -> ET.Element:
    """Return the root of an XML text; an empty element where it is damaged."""
    try:
        return ET.fromstring(text.encode())  # noqa: S314 - the user's own settings
    except ET.ParseError:
        return ET.Element("damaged")


def find(*names: str) -> str | None:
    """Return the first of these programs that is installed."""
    return next((name for name in names if shutil.which(name)), None)


def ask(*command: str) -> str | None:
    """Return what a desktop's own tool prints; None: it is not there, fails, or does not answer."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed programs, found on the user's own PATH
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace")

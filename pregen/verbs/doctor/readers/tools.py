"""The desktops' own programs, libraries and folders, and XML."""

from __future__ import annotations

import os
import shutil
import subprocess
from itertools import chain
from typing import TYPE_CHECKING, Final

from pregen.desktop_settings import matching

if TYPE_CHECKING:
    from xml.etree import ElementTree as ET

#: A tool answers in milliseconds, or waits for a session bus that is not there.
_TIMEOUT_S: Final = 5.0
#: Where distributions have libraries: Debian's folders by machine, Fedora's, Arch's, NixOS'.
_LIBRARIES: Final = (
    ("/usr/lib", "*-linux-gnu*/"),
    ("/usr", "lib64/"),
    ("/usr", "lib/"),
    ("/run/current-system/sw", "lib/"),
)


def parse_xml(text: str) -> ET.Element:
    """Return the root of an XML text; an empty element where it is damaged."""
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - not for `library_files`

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


def library_files(pattern: str) -> list[str]:
    """Return the files of libraries that match, wherever distributions have them."""
    found = chain.from_iterable(matching(above, below + pattern) for above, below in _LIBRARIES)
    return list({os.path.realpath(path): path for path in found}.values())


def same_folder(first: bytes, second: bytes) -> bool:
    """Tell whether both are there, and one folder."""
    try:
        return os.path.samefile(first, second)
    except OSError:
        return False

"""Asks gnome-desktop's thumbnail factory about many URIs; runs under the system's python3.

Reads one JSON object from stdin: {"flavor": "large", "files": [[uri, mtime_s], ...]}; prints a
JSON list of [path or null, has_valid_failed_record]. XDG_CACHE_HOME says which cache.
"""

import json
import sys

import gi

gi.require_version("GnomeDesktop", "3.0")
from gi.repository import GnomeDesktop  # noqa: E402 - the version must be chosen before this

SIZES = {
    "normal": GnomeDesktop.DesktopThumbnailSize.NORMAL,
    "large": GnomeDesktop.DesktopThumbnailSize.LARGE,
    "x-large": GnomeDesktop.DesktopThumbnailSize.XLARGE,
    "xx-large": GnomeDesktop.DesktopThumbnailSize.XXLARGE,
}


def main() -> None:
    """Answer one request."""
    request = json.load(sys.stdin)
    factory = GnomeDesktop.DesktopThumbnailFactory.new(SIZES[request["flavor"]])
    answers = [
        [factory.lookup(uri, mtime_s), factory.has_valid_failed_thumbnail(uri, mtime_s)]
        for uri, mtime_s in request["files"]
    ]
    json.dump(answers, sys.stdout)


main()

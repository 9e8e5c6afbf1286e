"""URIs of files as other machines see them: a folder here, a share or a folder there. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pregen.thumbspec.uri import all_uris, file_uri, qt_uris

if TYPE_CHECKING:
    from collections.abc import Iterable

_FILE: Final = "file://"
#: A scheme, two slashes, and nothing that a URI cannot hold (RFC 3986): escapes are left as given.
_PREFIX: Final = re.compile(
    r"[a-z][a-z0-9+.-]*://(?:[A-Za-z0-9._~!$&'()*+,;=:@/\[\]-]|%[0-9A-F]{2})*", re.ASCII
)


def prefix_of(text: str) -> str | None:
    """Return a prefix without slashes at its end; None where it is not the beginning of a URI.

    It is written into keys letter by letter: escapes in capitals, nothing escaped for nothing.
    """
    if not _PREFIX.fullmatch(text):
        return None
    if text.startswith(_FILE) and not text.startswith(_FILE + "/"):
        return None  # a host: no desktop writes one
    scheme, _, rest = text.partition("://")
    return f"{scheme}://{rest.rstrip('/')}"


class Published:
    """Names the files below some folders as other machines do.

    Args:
        folders: Absolute and clean, each with its prefix (`prefix_of`). Of several that hold a
            file the innermost counts.
    """

    def __init__(self, folders: Iterable[tuple[bytes, str]]) -> None:
        self._folders = sorted(folders, key=lambda pair: len(pair[0]), reverse=True)

    def uris(self, path: bytes) -> tuple[str, ...]:
        """Return every URI a file is known by: of this machine where it is not published."""
        for folder, prefix in self._folders:
            if path == folder or path.startswith(folder.rstrip(b"/") + b"/"):
                rest = path[len(folder.rstrip(b"/")) :]
                return _below(prefix, rest)
        return all_uris(path)

    def place(self, folder: bytes) -> bytes:
        """Return what tells a folder from the same one under other names."""
        uri = self.uris(folder)[0]
        return folder if uri == file_uri(folder) else uri.encode()


def _below(prefix: str, rest: bytes) -> tuple[str, ...]:
    """Return the URIs of `rest`, which begins with a slash or is empty, below a prefix.

    GVfs, which names what is not `file:` for GLib's programs, leaves `;` as it is, as Qt does
    (gvfsuriutils.c, G_URI_RESERVED_CHARS_ALLOWED_IN_PATH): there Qt's newest form comes first.
    """
    forms = all_uris(rest) if prefix.startswith(_FILE) else (*qt_uris(rest), file_uri(rest))
    return tuple(prefix + form[len(_FILE) :] for form in forms)

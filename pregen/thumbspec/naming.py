"""Where things are kept: clean paths, keys, and the places of entries and fail records.

Builds names only. Reads no environment by itself, makes no directory, resolves no symlink.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from pregen.digests import md5
from pregen.thumbspec.uri import all_uris, file_uri, path_from_uri, qt_uris

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pregen.model import Flavor


#: How our folders below `fail/` begin, of every version.
OWN_PROGRAMS: Final = "pregen-"
RAW_NAMES: Final = (
    b".cr2", b".cr3", b".nef", b".arw", b".dng", b".orf", b".rw2", b".raf", b".pef", b".srw",
)  # fmt: skip
#: Names, in lower case, that promise a picture: such a file without a picture in it is damaged, and
#: its owner wants to know (memory cards leave files full of zeros).
PICTURE_NAMES: Final = (
    b".jpg", b".jpeg", b".jpe", b".png", b".gif", b".webp", b".tif", b".tiff", b".heic", b".heif",
    b".avif", b".bmp", b".svg", b".psd", b".jp2", b".jxl", *RAW_NAMES,
)  # fmt: skip
_MAJOR_MINOR: Final = re.compile(r"([0-9]+)(?:\.([0-9]+))?")


def clean_path(path: bytes, cwd: bytes) -> bytes:
    """Return `path` absolute and without `.`, `..` and `//`, by its text alone, as GFile does.

    Symlinks stay as the user gave them, so `/link/../x` is `/x` wherever the link leads. Leading
    slashes become one: Qt would take `//host/x` for another machine.

    Args:
        path: As the user gave it; empty means `cwd`.
        cwd: What a relative path starts from; absolute.

    Raises:
        ValueError: Both are relative.
    """
    if not path.startswith(b"/"):
        if not cwd.startswith(b"/"):
            raise ValueError(f"neither {path!r} nor the working directory {cwd!r} is absolute")
        path = cwd + b"/" + path
    parts: list[bytes] = []
    for part in path.split(b"/"):
        if part == b"..":
            del parts[-1:]
        elif part not in {b"", b"."}:
            parts.append(part)
    return b"/" + b"/".join(parts)


def source_path(uri: str) -> bytes | None:
    """Return the clean path of the file a URI names; None when that is not a local file."""
    path = path_from_uri(uri)
    return None if path is None else clean_path(path, b"/")


def thumbnails_root(environ: Mapping[str, str], home: str) -> bytes:
    """Return the thumbnails directory (standard, Thumbnail Directory).

    `$XDG_CACHE_HOME` that is unset, blank or relative counts as `~/.cache` (XDG base directory
    specification). It is not cleaned: `..` behind a symlink means what the kernel makes of it.
    """
    cache = environ.get("XDG_CACHE_HOME", "")
    if not cache.startswith("/"):
        cache = home.rstrip("/") + "/.cache"
    return os.fsencode(cache.rstrip("/") + "/thumbnails")


def key(uri: str) -> str:
    """Return the md5 of a URI as 32 lower-case hex digits (standard, Thumbnail Saving)."""
    digest: str = md5(uri.encode(), usedforsecurity=False).hexdigest()
    return digest


def entry_name(uri: str) -> str:
    """Return the file name of a URI's entry, and of its fail record."""
    return key(uri) + ".png"


def entry_path(root: bytes, flavor: Flavor, uri: str) -> bytes:
    """Return the place of an entry below the thumbnails directory `root`."""
    return b"/".join((root, flavor.directory.encode(), entry_name(uri).encode()))


def fail_program(version: str) -> str:
    """Return our folder's name below `fail/`: a new minor version tries failures afresh.

    Raises:
        ValueError: `version` starts with no number.
    """
    found = _MAJOR_MINOR.match(version)
    if found is None:
        raise ValueError(f"{version!r} is not a version number")
    return f"{OWN_PROGRAMS}{found[1]}.{found[2] or 0}"


def made_by(program: str, beginnings: Iterable[str]) -> bool:
    """Tell whether a program's name begins with one of these, upper or lower case alike."""
    return program.casefold().startswith(tuple(name.casefold() for name in beginnings))


# URIs of files as other machines see them: a folder here, a share or a folder there.

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
        pairs = [(folder.rstrip(b"/"), prefix) for folder, prefix in folders]
        self._folders = sorted(pairs, key=lambda pair: len(pair[0]), reverse=True)

    def uris(self, path: bytes) -> tuple[str, ...]:
        """Return every URI a file is known by: of this machine where it is not published."""
        for folder, prefix in self._folders:
            if path == folder or path.startswith(folder + b"/"):
                return _below(prefix, path[len(folder) :])
        return all_uris(path)

    def path(self, path: bytes) -> bytes:
        """Return the path by which a file is known; empty: other machines know it by none."""
        for folder, prefix in self._folders:
            if path == folder or path.startswith(folder + b"/"):
                above = path_from_uri(prefix + "/")
                return above.rstrip(b"/") + path[len(folder) :] if above is not None else b""
        return path

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

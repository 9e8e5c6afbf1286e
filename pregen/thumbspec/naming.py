"""Where things are kept: clean paths, keys, and the places of entries and fail records.

Builds names only. Reads no environment by itself, makes no directory, resolves no symlink.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pregen.model import Flavor

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
    return hashlib.md5(uri.encode(), usedforsecurity=False).hexdigest()


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
        raise ValueError(f"{version!r} is no version number")
    return f"pregen-{found[1]}.{found[2] or 0}"


def fail_path(root: bytes, version: str, uri: str) -> bytes:
    """Return the place of our fail record below the thumbnails directory `root`."""
    return b"/".join((root, b"fail", fail_program(version).encode(), entry_name(uri).encode()))

"""How COSMIC Files looks for a thumbnail, told again from its sources: it is not packaged here.

cosmic-files, src/thumbnail_cacher.rs, with the crates url 2.5 (parser.rs: `PATH_SEGMENT` and
`SPECIAL_PATH_SEGMENT`), md-5 and png: the canonical path as a URL, and of the texts before the
picture the first tEXt of each key.
"""

from __future__ import annotations

import hashlib
import os
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: ASCII that is escaped in a part of a path, besides controls.
_ESCAPED = frozenset(b' "<>`#?{}/%\\\x7f')


def url(path: Path) -> str:
    """Return `Url::from_file_path` of the canonical path."""
    parts = os.fsencode(os.path.realpath(path)).split(b"/")
    return "file://" + "/".join(
        "".join(f"%{b:02X}" if b < 32 or b >= 127 or b in _ESCAPED else chr(b) for b in part)
        for part in parts
    )


def accepts(cache: Path, flavor: str, source: Path) -> bool:
    """Tell whether it would show what the cache holds for a file."""
    named = hashlib.md5(url(source).encode(), usedforsecurity=False).hexdigest()
    try:
        data = (cache / "thumbnails" / flavor / f"{named}.png").read_bytes()
    except FileNotFoundError:
        return False
    texts: dict[bytes, bytes] = {}
    at = 8
    while data[at + 4 : at + 8] != b"IDAT":
        (count,) = struct.unpack_from(">I", data, at)
        if data[at + 4 : at + 8] == b"tEXt":
            key, _, value = data[at + 8 : at + 8 + count].partition(b"\0")
            texts.setdefault(key, value)
        at += 12 + count
    facts = source.stat()
    size = texts.get(b"Thumb::Size", b"%d" % facts.st_size)
    return (texts.get(b"Thumb::URI"), texts.get(b"Thumb::MTime"), size) == (
        url(source).encode("latin-1"),
        b"%d" % max(0, facts.st_mtime_ns // 10**9),
        b"%d" % facts.st_size,
    )

"""A library of sources with odd names, folders, times and sizes; each shows no green.

Paths are bytes, relative to the library. Every source is larger than 128 px, so it gets entries.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from PIL import Image

from tests.support.files import judged_entries
from tests.support.files.pictures import encode

#: An ordinary one, with microseconds.
MTIME_NS: Final = 1_700_000_000_123_456_789
NAMES: Final[tuple[bytes, ...]] = (
    *(b"a-" + bytes([byte]) + b"-b.jpg" for byte in range(1, 256) if byte != ord("/")),
    b" leading.jpg",
    b"trailing .jpg",
    b"trailing.jpg ",
    b"two  spaces.jpg",
    b"-rf.jpg",
    b"--help",
    b"~home.jpg",
    b"$HOME.jpg",
    b"`date`.jpg",
    b"no ending",
    b"UPPER.JPG",
    b"dots...jpg",
    b"trailing.",
    b"100%.jpg",
    b"already%41%2f.jpg",
    b"%00.jpg",
    b"?a=b&c=d#e.jpg",
    b"file:x.jpg",
    b"smb:host.jpg",
    b"[1](2){3}<4>.jpg",
    b"[::1].jpg",
    b"'single' \"double\".jpg",
    b"back\\slash\\.jpg",
    b"two\nlines\r\n.jpg",
    b"n" * 251 + b".jpg",
    "ä".encode() * 125 + b".jpg",
    "café Köln.jpg".encode(),
    "cafe\u0301 Ko\u0308ln.jpg".encode(),
    "Фото Ελλάδα 写真 사진 ภาพ.jpg".encode(),
    "صورة שלום.jpg".encode(),
    "right\u202eto left.jpg".encode(),
    "zero\u200bwidth\u200d.jpg".encode(),
    "mark\ufeff.jpg".encode(),
    "line\u2028separator.jpg".encode(),
    "wide\u00a0\u3000space.jpg".encode(),
    "👩\u200d👩\u200d👧 🇩🇪.jpg".encode(),
    "plane\U0001d11e.jpg".encode(),
    "private\ue000.jpg".encode(),
    "not a character\uffff.jpg".encode(),
    "replacement\ufffd.jpg".encode(),
    b"overlong\xc0\xaf.jpg",
    b"surrogate\xed\xa0\x80.jpg",
    b"latin\xe9\xe8.jpg",
    b"cut\xe2\x82.jpg",
)
FOLDERS: Final[tuple[bytes, ...]] = (
    b"My Photos",
    b" ",
    b"a;b",
    b"a[1]",
    b"a?b#c",
    b"100%",
    b"%41",
    b"dots...",
    b"a\nb",
    b"-r",
    b"C:",
    b"a\\b",
    b"(c) ^|`",
    b"thumbnails",
    b"photo.jpg",
    b"latin\xe9",
    "Köln/写真".encode(),
    b"deep/" * 20 + b"end",
    b"l" * 255,
)
_MTIMES_S: Final = (
    *(-(2**31), -86_400, -1, 0, 1, 999_999_999, 10**9),
    *(2**31 - 1, 2**31, 2**32 - 1, 2**32, 9_000_000_000),
)
_FRACTIONS_NS: Final = (0, 1, 999, 1000, 1_000_000, 123_456_789, 999_999_999)
_EDGES_PX: Final = (
    *((129, 129), (130, 3), (3, 130), (256, 256), (257, 100), (512, 512), (513, 300)),
    *((1024, 700), (1025, 700), (700, 1100), (1500, 1)),
)
_FORMATS: Final = ("png", "webp", "gif", "bmp", "tiff", "avif", "ppm", "tga")


def plant(library: Path) -> dict[bytes, int]:
    """Write all of it; return the mtime of each source in ns, by its path."""
    ordinary = encode(Image.new("RGB", (200, 150), judged_entries.NOT_GREEN), "JPEG")
    made: dict[bytes, tuple[bytes, int]] = {}
    for name in NAMES:
        made[b"names/" + name] = ordinary, MTIME_NS
    for folder in FOLDERS:
        made[b"folders/" + folder + b"/a b.jpg"] = ordinary, MTIME_NS
    for mtime_s in _MTIMES_S:
        for fraction_ns in _FRACTIONS_NS:
            mtime_ns = mtime_s * 10**9 + fraction_ns
            made[b"times/%d.jpg" % mtime_ns] = ordinary, mtime_ns
    for edges in _EDGES_PX:
        shown = Image.new("RGB", edges, judged_entries.NOT_GREEN)
        made[b"sizes/%d x %d.jpg" % edges] = encode(shown, "JPEG"), MTIME_NS
    shown = Image.new("RGB", (300, 200), judged_entries.NOT_GREEN)
    for kind in _FORMATS:
        made[b"formats/a." + kind.encode()] = encode(shown, kind.upper()), MTIME_NS
    for path, (data, mtime_ns) in made.items():
        where = bytes(library) + b"/" + path
        os.makedirs(os.path.dirname(where), exist_ok=True)
        Path(os.fsdecode(where)).write_bytes(data)
        os.utime(where, ns=(mtime_ns, mtime_ns))
    return {path: mtime_ns for path, (_, mtime_ns) in made.items()}

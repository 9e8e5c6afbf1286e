"""The pictures in the code of 3D printers: Base64 in comments before the first command.

As PrusaSlicer, Cura, OrcaSlicer and Creality's slicer write them.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final

from pregen.imaging.source_bytes import DamagedError

if TYPE_CHECKING:
    from pregen.imaging.source_bytes import SourceBytes

#: Blanks in numbers: as many as programs write, lest a line of nothing else takes the square of its
#: length.
_BEGIN: Final = re.compile(
    rb"^;[ \t]{0,9}(?:thumbnail(?:_\w{1,8})?|png|jpg|jpeg)[ \t]{1,9}begin[ \t]{1,9}(\d{1,5})"
    rb"[ \t]{0,9}[x*, ][ \t]{0,9}(\d{1,5})\b[^\n]*\n",
    re.MULTILINE,
)
_END: Final = re.compile(
    rb"^;[ \t]{0,9}(?:thumbnail(?:_\w{1,8})?|png|jpg|jpeg)[ \t]{1,9}end\b", re.MULTILINE
)
_COMMAND: Final = re.compile(rb"^[^;\s]", re.MULTILINE)
#: Comments are read so far for pictures; the largest at hand is one of 640 x 480 as PNG.
_MOST_BYTES: Final = 4 * 1024 * 1024
_GROWTH: Final = 4


def is_illustrated(head: bytes) -> bool:
    """Tell whether a file begins like code with pictures in it."""
    return head.startswith(b";") and _BEGIN.search(head) is not None


def largest(source: SourceBytes) -> bytes | None:
    """Return the largest picture before the first command; None where there is none.

    Raises:
        DamagedError: it has no end, or is no Base64.
        OSError: the file cannot be read.
    """
    known = len(source.head)
    data = source.head
    while not _COMMAND.search(data) and known < min(source.size_bytes, _MOST_BYTES):
        known *= _GROWTH
        data = source.first(known)
    best: tuple[int, int] = (0, 0)
    for found in _BEGIN.finditer(data, 0, _MOST_BYTES):
        best = max(best, (int(found[1]) * int(found[2]), found.end()))
    if not best[0]:
        return None
    end = _END.search(data, best[1], _MOST_BYTES)
    if end is None:
        raise DamagedError("a picture in its comments has no end")
    text = data[best[1] : end.start()].translate(None, b"; \t\r\n")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise DamagedError(f"a picture in its comments is damaged ({error})") from error

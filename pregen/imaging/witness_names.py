"""The name of the decoder in an outcome, where that was a second one. Imports no library."""

from __future__ import annotations

from typing import Final

_SECOND: Final = "second-"
_IN_PART: Final = "-part"
LIBRARIES: Final = {
    "pillow": "Pillow", "vips": "libvips", "ffmpeg": "FFmpeg", "libraw": "LibRaw",
    "libheif": "libheif",
}  # fmt: skip


def loader_of(by: str, *, whole: bool) -> str:
    """Return the loader's name for a picture that a witness (`witnesses`) decoded."""
    return f"{_SECOND}{by}{'' if whole else _IN_PART}"


def witness_in(loader: str) -> tuple[str, bool]:
    """Return the library that gave a second opinion, for people, and whether it shows all.

    Empty for a picture of the usual decoder.
    """
    if not loader.startswith(_SECOND):
        return "", True
    name = loader.removeprefix(_SECOND)
    by = name.removesuffix(_IN_PART)
    return LIBRARIES.get(by, by), by == name

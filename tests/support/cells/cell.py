"""One kind of picture, and ways to make many of them; modes and depths are words in a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict, Unpack

from tests.support.files.pairs import PROFILES, pair
from tests.support.judges.likeness import EXACT, Bounds
from tests.support.running.capabilities import Capability

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.files.foreign_writers import Writer
    from tests.support.files.pairs import Pair

#: What a foreign decoder needs of the machine; libraries are there with the suite.
NEEDS = {
    "imagemagick": Capability.IMAGEMAGICK,
    "gdk-pixbuf": Capability.GDK_PIXBUF,
    "djxl": Capability.JXL_TOOLS,
    "avifdec": Capability.AVIF_TOOLS,
    "heif-convert": Capability.HEIF_TOOLS,
    "opj_decompress": Capability.JP2_TOOLS,
    "ffmpeg": Capability.FFMPEG,
}

#: A picture of two colours is all edges: libvips and numpy's Lanczos round a few of them apart.
EDGES = Bounds(colour_levels=0.5, block_levels=3.0)
#: For foreign decoders: linear light is coarse in the shadows, in 8 bits and in littleCMS' tables
#: for any depth, and theirs is compared before it is reduced.
COARSE = Bounds(block_levels=12.0)
#: Coded with loss: held to the foreign decode by `EXACT`, to the painting by this.
LOSSY = Bounds(colour_levels=3.0, block_levels=14.0, alpha_levels=2.5)
#: For foreign decoders: they disagree about the white of Lab, CIE's D50 or TIFF's default, D65.
WHITES = Bounds(colour_levels=5.0, block_levels=24.0)

#: Profiles that fit a mode; every other name is a profile by itself.
ALL = "all"
#: Of `ALL` those that ask most of a depth: none, the farthest from sRGB, and linear light.
DEEP = "deep"
_DEEP = frozenset({"none", "grey", "prophoto", "linear"})
_USUAL_PX = (320, 240)
#: More than twice an entry, so that decoders that can decode a part of the resolution do.
LARGE_PX = (803, 601)


@dataclass(frozen=True)
class Cell:
    """One kind of picture."""

    file_format: str
    extension: str
    mode: str
    bits: str
    profile: str
    variant: str
    write: Writer
    readers: tuple[str, ...]
    bounds: Bounds
    """Ours against what it must look like."""
    pair_bounds: Bounds
    """The foreign decoder's."""
    lossy: bool = False
    """Ours is compared with the foreign decode besides."""
    needs: tuple[Capability, ...] = ()
    edges_px: tuple[int, int] = _USUAL_PX
    orientation: int = 1
    """As EXIF counts."""
    place: str = ""
    """Where in the file the orientation stands."""

    @property
    def name(self) -> str:
        """Unique, and the file's name without its extension."""
        turned = f"{self.place}{self.orientation}" if self.place else ""
        parts = (self.file_format, self.mode, self.bits, self.profile, self.variant, turned)
        return "-".join(part for part in parts if part)

    def pair(self) -> Pair:
        """What is stored, and what it must look like."""
        return pair(self.mode, self.bits, self.profile, self.edges_px, self.orientation)


class Rest(TypedDict, total=False):
    """What most cells have in common, and some do not; see `Cell`."""

    profiles: str
    variant: str
    bounds: Bounds
    pair_bounds: Bounds
    lossy: bool
    needs: Capability
    extension: str
    edges_px: tuple[int, int]


def many(
    file_format: str, modes: str, depths: str, write: Writer, readers: str, **rest: Unpack[Rest]
) -> Iterator[Cell]:
    """Yield a cell for each mode, depth and profile (none, unless others are named)."""
    for mode in modes.split():
        for bits in depths.split():
            for profile in _profiles(mode, rest.get("profiles", "none")):
                usual = LOSSY if rest.get("lossy") else EXACT
                yield _cell((file_format, mode, bits, profile), write, readers, usual, rest)


def turned(
    file_format: str,
    place: str,
    write: Writer,
    readers: str,
    orientations: Sequence[int] = range(2, 9),
    samples: tuple[str, str] = ("8", "none"),
    **rest: Unpack[Rest],
) -> Iterator[Cell]:
    """Yield a cell for each orientation, of RGB; `samples` are bits and profile."""
    for orientation in orientations:
        usual = LOSSY if rest.get("lossy") else EXACT
        kind = (file_format, "rgb", *samples)
        yield _cell(kind, write, readers, usual, rest, (place, orientation))


def _cell(
    kind: tuple[str, str, str, str],
    write: Writer,
    readers: str,
    usual: Bounds,
    rest: Rest,
    turn: tuple[str, int] = ("", 1),
) -> Cell:
    file_format, mode, bits, profile = kind
    bounds = rest.get("bounds", usual)
    theirs = COARSE if bounds is EXACT and profile == "linear" else bounds
    return Cell(
        file_format,
        rest.get("extension", file_format),
        mode,
        bits,
        profile,
        rest.get("variant", ""),
        write,
        tuple(readers.split()),
        bounds,
        rest.get("pair_bounds", theirs),
        rest.get("lossy", False),
        (rest["needs"],) if "needs" in rest else (),
        rest.get("edges_px", _USUAL_PX),
        turn[1],
        turn[0],
    )


def _profiles(mode: str, wanted: str) -> list[str]:
    grey = mode.startswith("grey")
    every = [
        name
        for name in PROFILES
        if (name in {"none", "grey", "linear"} if grey else name != "grey")
    ]
    if wanted == ALL:
        return every
    return [name for name in every if name in _DEEP] if wanted == DEEP else wanted.split()

"""How much of a picture is left in what is stored of damaged files, for each format.

For `scripts/damage-table`, and in short for the suite. A thumbnail of a damaged file is to show
three quarters of what the sound file's shows; a file that shows less is to be refused.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pillow_heif
import pylibjxl
from PIL import Image

from pregen.imaging.faults import Fault
from tests.support.files import pictures
from tests.support.files.photo import over_grey, photo
from tests.support.files.pictures import encode
from tests.support.judges.decoding import large

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

_EDGES_PX: Final = (720, 540)
#: The most of a file that one damage covers.
_MOST_SHARE: Final = 0.2
#: A pixel of a thumbnail shows what it should when no channel is further off than this.
_TOLERANCE_LEVELS: Final = 20
#: What a thumbnail is to show of the sound file's.
ENOUGH: Final = 0.75
_WHOLE: Final = 0.98
_DEFAULT_COUNT: Final = 500


class Damage(NamedTuple):
    """One way to damage a file."""

    how: str
    at: int
    size_bytes: int

    def __str__(self) -> str:
        return f"{self.how} {self.size_bytes} at {self.at}"

    def of(self, data: bytes, rng: random.Random) -> bytes:
        """Return the damaged file."""
        match self.how:
            case "cut":
                return data[: self.at]
            case "zeroed":
                part = bytes(self.size_bytes)
            case _:
                part = rng.randbytes(self.size_bytes)
        return data[: self.at] + part + data[self.at + self.size_bytes :]


@dataclass
class Row:
    """What came of one kind of file."""

    verdicts: Counter[str] = field(default_factory=Counter)
    """Whole, partly, refused, wrong."""
    wrong: list[str] = field(default_factory=list)
    """Each damage after which something was stored that shows less than `ENOUGH`, and how much."""


def samples(beginning: str = "") -> dict[str, bytes]:
    """Return a sound file of each kind whose name begins so."""
    picture = Image.fromarray(photo(*_EDGES_PX, seed=8))
    return {name: make(picture) for name, make in KINDS.items() if name.startswith(beginning)}


def _with(kind: str, **options: Any) -> Callable[[Image.Image], bytes]:
    return lambda picture: encode(picture, kind, **options)


def _heic(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    pillow_heif.from_pillow(picture).save(out, quality=80)
    return out.getvalue()


def _with_alpha(picture: Image.Image) -> Image.Image:
    picture = picture.copy()
    picture.putalpha(Image.fromarray(photo(*picture.size, seed=9)).convert("L"))
    return picture


KINDS: Final[dict[str, Callable[[Image.Image], bytes]]] = {
    "tiff-none": _with("TIFF"),
    "tiff-lzw": _with("TIFF", compression="tiff_lzw"),
    "tiff-deflate": _with("TIFF", compression="tiff_adobe_deflate"),
    "tiff-packbits": _with("TIFF", compression="packbits"),
    "tiff-jpeg": _with("TIFF", compression="jpeg"),
    "png": _with("PNG"),
    "png-palette": lambda picture: encode(picture.quantize(200), "PNG"),
    "png-interlaced": lambda _: pictures.interlaced_png(*_EDGES_PX),
    "jpeg": _with("JPEG", quality=88),
    "jpeg-restarts": _with("JPEG", quality=88, restart_marker_blocks=8),
    "jpeg-progressive": _with("JPEG", quality=88, progressive=True),
    "webp": _with("WEBP", quality=80),
    "webp-alpha": lambda picture: encode(_with_alpha(picture), "WEBP", quality=80),
    "webp-lossless": _with("WEBP", lossless=True, quality=20, method=0),
    "gif": lambda picture: encode(picture.quantize(200), "GIF"),
    "psd": lambda picture: pictures.photoshop(np.asarray(picture)),
    "bmp": _with("BMP"),
    "heic": _heic,
    "avif": _with("AVIF", speed=9),
    "avif-alpha": lambda picture: encode(_with_alpha(picture), "AVIF", speed=9),
    "jxl": lambda picture: bytes(pylibjxl.encode(np.asarray(picture), effort=3)),
    "jp2": _with("JPEG2000"),
    "jp2-lossy": _with("JPEG2000", irreversible=True, quality_layers=[20]),
}


def damages(size_bytes: int, count: int, rng: random.Random) -> Iterator[Damage]:
    """Yield so many damages of a file of a size: short ones as often as long ones."""
    for _ in range(count):
        how = rng.choice(("zeroed", "noise", "cut"))
        length = max(1, int((size_bytes * _MOST_SHARE) ** rng.random()))
        at = rng.randrange(size_bytes)
        yield Damage(how, at, min(length, size_bytes - at))


def row(data: bytes, count: int, seed: int) -> Row:
    """Damage one sound file so often, and judge what is made of it."""
    sound = _seen(large(data))
    found, rng = Row(), random.Random(seed)  # noqa: S311 - damages, not secrets
    for damage in damages(len(data), count, rng):
        damaged = damage.of(data, rng)
        try:
            share = _share(_seen(large(damaged)), sound)
        except (Fault, MemoryError):
            found.verdicts["refused"] += 1
            continue
        except KeyError:  # it says it is so small that it needs no entry
            share = 0.0
        verdict = "whole" if share >= _WHOLE else "partly" if share >= ENOUGH else "wrong"
        found.verdicts[verdict] += 1
        if verdict == "wrong":
            found.wrong.append(f"{damage}: {share:.0%}")
    return found


def _seen(rgba: NDArray[np.uint8]) -> NDArray[np.int16]:
    return np.asarray(over_grey(Image.fromarray(rgba)), np.int16)


def _share(ours: NDArray[np.int16], sound: NDArray[np.int16]) -> float:
    """The share of pixels that show what they do in the sound file's thumbnail."""
    if ours.shape != sound.shape:
        return 0.0
    return float((np.abs(ours - sound).max(-1) <= _TOLERANCE_LEVELS).mean())


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="scripts/damage-table", description=__doc__)
    parser.add_argument(
        "--count", type=int, default=_DEFAULT_COUNT, help="damages of each kind (default 500)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the damages (default 1)")
    parser.add_argument("--only", default="", help="kinds of file that begin so")
    parser.add_argument("--wrong", action="store_true", help="name each damage that is not found")
    chosen = parser.parse_args(arguments)
    verdicts = ("whole", "partly", "refused", "wrong")
    sys.stdout.write("kind".ljust(18) + "damages".rjust(9))
    sys.stdout.write("".join(name.rjust(9) for name in verdicts) + "\n")
    for name, data in samples(chosen.only).items():
        found = row(data, chosen.count, chosen.seed)
        counts = "".join(str(found.verdicts[each]).rjust(9) for each in verdicts)
        sys.stdout.write(f"{name:18}{chosen.count:9}{counts}\n")
        for words in found.wrong if chosen.wrong else ():
            sys.stdout.write(f"    {words} (of {len(data)})\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())

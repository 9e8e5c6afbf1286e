"""Throws damaged JPEGs at pregen's C decoder, built with sanitizers: any finding ends it.

    scripts/fuzz-jpegdc [SEED] [COUNT]

Needs gcc with libasan and libubsan. Seeds are made here: every sampling, grey, restarts,
progressive. 60,000 mutations take about half a minute; a finding prints the sanitizer's report.
"""

from __future__ import annotations

import argparse
import io
import random
import subprocess
import sys
import sysconfig
import tempfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
SANITIZE = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
SEEDS = 36


class Seed(NamedTuple):
    """A sound JPEG."""

    data: bytes
    width_px: int
    height_px: int


def seeds(chance: random.Random) -> Iterator[Seed]:
    """Yield sound JPEGs of all kinds that the decoder may meet."""
    for number in range(SEEDS):
        width_px, height_px = chance.randrange(9, 400), chance.randrange(9, 400)
        noise = np.random.default_rng(number).integers(0, 256, (9, 9, 3), np.uint8)
        picture = Image.fromarray(noise).resize((width_px, height_px))
        if number % 6 == 5:
            picture = picture.convert("L")
        kept = io.BytesIO()
        picture.save(
            kept,
            "JPEG",
            quality=chance.choice([30, 75, 95]),
            subsampling=number % 3,
            progressive=number % 2,
            restart_marker_blocks=chance.choice([0, 0, 3]),
        )
        yield Seed(kept.getvalue(), width_px, height_px)


def damaged(sound: bytes, chance: random.Random) -> bytes:
    """Return it with up to five changes, half of them in the segments before the scan."""
    data = bytearray(sound)
    for _ in range(chance.randrange(6)):
        at = chance.randrange(min(len(data), chance.choice([700, len(data)])))
        match chance.randrange(4):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                data[at] ^= 1 << chance.randrange(8)
            case 2:
                del data[at : at + chance.randrange(1, 9)]
            case _:
                data[at:at] = chance.randbytes(chance.randrange(1, 9))
    if chance.random() < 0.1:
        del data[chance.randrange(len(data)) :]
    return bytes(data)


def loaded(file: str) -> Any:
    """Return the C module of this file."""
    spec = spec_from_file_location("_jpegdc", file)
    if spec is None or spec.loader is None:
        sys.exit(f"{file} is not a module of this Python")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fuzz(module: Any, seed: int, count: int) -> None:
    """Have so many damaged JPEGs decoded; a finding ends the process."""
    chance = random.Random(seed)
    sound = list(seeds(chance))
    decoded = 0
    for _ in range(count):
        data, width_px, height_px = chance.choice(sound)
        bands = chance.choice([1, 3, 4])
        out = bytearray(-(-width_px // 8) * -(-height_px // 8) * bands)
        decoded += module.decode(damaged(data, chance), out, width_px, height_px, bands)
    print(f"{count} damaged JPEGs: {decoded} decoded, {count - decoded} left to others, no finding")


def under_sanitizers(seed: int, count: int) -> int:
    """Build the module with sanitizers, and run this program again with it; return its code."""
    with tempfile.TemporaryDirectory() as folder:
        module = f"{folder}/_jpegdc.so"
        include = sysconfig.get_paths()["include"]
        source = ROOT / "pregen" / "imaging" / "_jpegdc.c"
        subprocess.run(
            ["gcc", *SANITIZE, "-shared", "-fPIC", f"-I{include}", source, "-o", module, "-lm"],
            check=True,
        )
        asan = subprocess.run(
            ["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
        ).stdout.strip()
        # Python keeps memory until its end on purpose: that is no leak of ours.
        environment = {"LD_PRELOAD": asan, "ASAN_OPTIONS": "detect_leaks=0"}
        command = [sys.executable, "-P", __file__, str(seed), str(count), "--module", module]
        return subprocess.run(command, env=environment, check=False).returncode


def main() -> int:
    """Fuzz the module that is given, else one built for it."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz-jpegdc", description=__doc__)
    parser.add_argument("seed", nargs="?", type=int, default=1)
    parser.add_argument("count", nargs="?", type=int, default=60_000)
    parser.add_argument("--module", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.module is None:
        return under_sanitizers(wanted.seed, wanted.count)
    fuzz(loaded(wanted.module), wanted.seed, wanted.count)
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""How close entries come to the best that could be made of their sources: PSNR in dB.

    python -m benchmarks.fidelity                                pregen over the camera corpus
    python -m benchmarks.fidelity --flags "--decoder vips"       with a certain decoder
    python -m benchmarks.fidelity --progressive                  the same photos as progressive
    python -m benchmarks.fidelity --peers pregen,sharp,pillow    beside others

The best is a full-size decode, turned upright, reduced to the entry's size with Lanczos-3, and
converted to sRGB where there is a profile. There are two ways to reduce: `libvips` is what
libvips' `resize` does when asked for Lanczos-3 (a box filter first, to at most twice the size,
then Lanczos-3), `exact` is Lanczos-3 over the full-size picture. The requirement of the project
(median at least 47 dB, worst at least 38 dB) was set with the first; a decoder's 1/8 scale is a box
filter too, so the first is kinder to it.
"""

from __future__ import annotations

import argparse
import math
import shlex
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyvips

from benchmarks.harness import entries, measure
from benchmarks.harness.programs import PEERS, ROOT, Setting, environment
from benchmarks.run import default_work

#: Names of the two references, and libvips' `gap` for each (0: no box filter before Lanczos-3).
_GAPS = {"libvips": 2.0, "exact": 0.0}


class Score(NamedTuple):
    """One file's PSNR in dB against each reference."""

    name: str
    db: dict[str, float]


def reference(path: Path, width_px: int, height_px: int, gap: float) -> pyvips.Image:
    """The best entry of a size that can be made of a file: the whole decode, reduced."""
    full = pyvips.Image.new_from_file(str(path)).autorot()
    profile = full.get_typeof("icc-profile-data") != 0
    scale, vscale = width_px / full.width, height_px / full.height
    # Of whole numbers libvips makes whole numbers, which are 0.14 levels too dark on average.
    small = full.cast("float").resize(scale, vscale=vscale, kernel="lanczos3", gap=gap)
    small = small.rint().cast("uchar").copy(interpretation=full.interpretation)
    return small.icc_transform("srgb", embedded=True) if profile else small.colourspace("srgb")


def psnr_db(one: pyvips.Image, other: pyvips.Image) -> float:
    """Peak signal-to-noise ratio over the three colours."""
    difference = _colours(one) - _colours(other)
    mean_square = float((difference**2).mean())
    return 10 * math.log10(255**2 / mean_square) if mean_square else math.inf


def _colours(picture: pyvips.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Red, green and blue as numbers."""
    pixels = picture.numpy().astype(np.float64)
    return pixels[..., :3] if picture.bands >= 3 else np.stack([pixels.squeeze()] * 3, axis=-1)  # noqa: PLR2004 - three colours


def scores(files: list[Path], thumbnails: Path, flavor: str) -> list[Score]:
    """Compare every entry that is there; a program that made none gets no score."""
    found = []
    for path in files:
        facts = path.stat()
        source = entries.Source(str(path), facts.st_size, facts.st_mtime_ns, 0)
        folder = thumbnails / flavor
        candidates = (folder / source.entry_name, folder / f"{path.stem}.png")
        entry_path = next((entry for entry in candidates if entry.exists()), None)
        if entry_path is None:
            continue
        entry = pyvips.Image.new_from_file(str(entry_path)).copy_memory()
        best = {
            name: psnr_db(reference(path, entry.width, entry.height, gap), entry)
            for name, gap in _GAPS.items()
        }
        found.append(Score(path.name, best))
    return found


def table_row(name: str, those: list[Score], wanted: int) -> str:
    """Median and worst of a program, against both references."""
    if not those:
        return f"| {name} | 0 of {wanted} | | | | |"
    cells = [name, f"{len(those)} of {wanted}"]
    for kind in _GAPS:
        worst = min(those, key=lambda score: score.db[kind])
        median = statistics.median(score.db[kind] for score in those)
        cells += [f"{median:.2f}", f"{worst.db[kind]:.2f} ({worst.name})"]
    return "| " + " | ".join(cells) + " |"


def progressive_twins(folder: Path, originals: list[Path]) -> list[Path]:
    """The same coefficients in progressive order; jpegtran complains of files that end early."""
    if shutil.which("jpegtran") is None:
        sys.exit("jpegtran is missing: see benchmarks/setup")
    folder.mkdir(parents=True, exist_ok=True)
    twins = []
    for original in originals:
        twin = folder / original.name
        if not twin.exists():
            command = ["jpegtran", "-progressive", "-copy", "all", "-outfile"]
            subprocess.run([*command, str(twin), str(original)], check=False, capture_output=True)
        twins.append(twin)
    return twins


def main() -> int:
    """Run the programs, compare, print; 1 when a requirement given is not met."""
    options = _options()
    pyvips.cache_set_max(0)
    work: Path = options.work.resolve()
    setting = Setting(work, 2, options.pregen_python)
    files = sorted((options.corpus / "camera").resolve().iterdir())
    if options.progressive:
        files = progressive_twins(work / "trees" / "fidelity-progressive", files)
    print("| program | entries | median dB, libvips | worst | median dB, exact | worst |")
    print("|---|---|---|---|---|---|")
    met = True
    for name in options.peers.split(","):
        peer = PEERS[name]
        if why := peer.missing(setting):
            print(f"left out: {name}: {why}", file=sys.stderr)
            continue
        home = work / "out" / "fidelity"
        shutil.rmtree(home, ignore_errors=True)
        thumbnails = home / "cache" / "thumbnails"
        thumbnails.mkdir(parents=True, mode=0o700)
        flags = shlex.split(options.flags) if name.startswith("pregen") else []
        flavors = tuple(dict.fromkeys((*entries.FLAVORS, options.flavor)))
        command = [*peer.command(setting, files[0].parent, thumbnails, flavors), *flags]
        folder = work if peer.pregen_python else ROOT
        log = work / "out" / f"fidelity-{name}.log"
        program = measure.Program(command, environment(setting, home), folder, log)
        measure.run(program, options.timeout)
        those = scores(files, thumbnails, options.flavor)
        print(table_row(" ".join([name, *flags]), those, len(files)), flush=True)
        if options.per_file:
            for score in those:
                print(f"{score.name}: " + ", ".join(f"{k} {v:.2f}" for k, v in score.db.items()))
        met &= _meets(those, len(files), options.require)
    return 0 if met else 1


def _meets(those: list[Score], wanted: int, limits: str | None) -> bool:
    """Whether median and worst against libvips' Lanczos-3 reach the limits, for every file."""
    if limits is None:
        return True
    median, worst = (float(limit) for limit in limits.split(","))
    values = [score.db["libvips"] for score in those]
    enough = len(values) == wanted
    return enough and statistics.median(values) >= median and min(values) >= worst


def _options() -> argparse.Namespace:
    """Read the command line."""
    about, _blank, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="benchmarks.fidelity",
        description=about,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--peers", default="pregen", help="comma-separated; default: pregen")
    add("--flags", default="", help="further flags for pregen, as one argument")
    add("--flavor", choices=list(entries.BOXES_PX), default="large", help="default: large")
    add("--progressive", action="store_true", help="make progressive JPEGs of the photos first")
    add("--per-file", action="store_true", help="every file's numbers")
    add(
        "--require", metavar="MEDIAN,WORST", help="exit 1 below these dB, or if an entry is missing"
    )
    add("--corpus", type=Path, default=ROOT.parent / "shared" / "corpus", help="real photos")
    add("--work", type=Path, default=default_work(), help="as given to benchmarks.run")
    add("--timeout", type=float, default=600, help="seconds per program; default: 600")
    add("--pregen-python", default=sys.executable, help="interpreter with the pregen to measure")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

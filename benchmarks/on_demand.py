#!/usr/bin/env python3
"""What thumbnails on demand cost: single files, many names, files that arrive during a run.

    python -m benchmarks.on_demand [--rounds N] [--photos N]

* start: `pregen path` on a fresh file against `python3 -c pass`, pair by pair;
* names: files a second of `pregen path` by standard input, 10,000 of them fresh;
* sizes: what `--flavors auto` adds to a re-run with `normal,large` over a few fresh photos;
* arriving: seconds from a new file to its entry during a run over --photos photos, by who asks.

Medians, with quartiles. Processor time counts where the machine is not quiet.
"""

from __future__ import annotations

import argparse
import compileall
import io
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

import pregen
from pregen.library import entry_path

if TYPE_CHECKING:
    from collections.abc import Sequence

_PREGEN = (sys.executable, "-m", "pregen")
_NAMES = 10_000
_FEW = 40
_PATIENCE_S = 60


class Cost(NamedTuple):
    """What one program took, with all its processes."""

    wall_ms: float
    cpu_ms: float


def cost(command: Sequence[str | Path], given: bytes = b"") -> Cost:
    """Run a program to its end."""
    before, began_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, input=given, stdout=subprocess.DEVNULL, check=True)
    wall_s, after = time.monotonic() - began_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(1e3 * wall_s, 1e3 * cpu_s)


def spread(values: Sequence[float], unit: str = "") -> str:
    """Return the median with quartiles."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.3g}{unit} ({low:.3g} to {high:.3g})"


def photos(folder: Path, count: int, edge_px: int = 1600) -> list[Path]:
    """Write JPEGs of noise, all with the same picture."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(1).integers(0, 256, (edge_px // 8, edge_px // 8, 3), np.uint8)
    stream = io.BytesIO()
    shown = Image.fromarray(noise).resize((edge_px, edge_px * 3 // 4))
    shown.save(stream, "JPEG", quality=90)
    paths = [folder / f"{number:05}.jpg" for number in range(count)]
    for path in paths:
        path.write_bytes(stream.getvalue())
    return paths


def start(folder: Path, rounds: int) -> None:
    """Compare the answer about one fresh file with the start of an interpreter."""
    (photo,) = photos(folder / "one", 1)
    asked = (*_PREGEN, "path", photo)
    cost(asked)
    pairs = [(cost((sys.executable, "-c", "pass")), cost(asked)) for _ in range(rounds)]
    for kind in Cost._fields:
        python = [getattr(base, kind) for base, _ in pairs]
        path = [getattr(answer, kind) for _, answer in pairs]
        above = [a - 1.5 * b for a, b in zip(path, python, strict=True)]
        print(f"start, {kind}: python3 {spread(python)}, pregen path {spread(path)},")
        print(f"  path - 1.5 x python3: {spread(above, ' ms')}, wanted: 40 ms at most")


def names(folder: Path, rounds: int) -> None:
    """Tell how many fresh files are answered a second."""
    paths = photos(folder / "many", _NAMES, edge_px=160)
    subprocess.run((*_PREGEN, "run", "--quiet", folder / "many"), check=True)
    given = b"".join(os.fsencode(path) + b"\n" for path in paths)
    asked = [cost((*_PREGEN, "path"), given) for _ in range(rounds)]
    for kind in Cost._fields:
        rates = [_NAMES / getattr(each, kind) * 1e3 for each in asked]
        print(f"names, by {kind}: {spread(rates, ' a second')}, wanted: 5,000 a second")


def sizes(folder: Path, rounds: int) -> None:
    """Compare re-runs with and without a look at the screens."""
    photos(folder / "few", _FEW)
    run = (*_PREGEN, "run", "--quiet", folder / "few", "--flavors")
    cost((*run, "auto"))
    ways = ("normal,large", "auto")
    pairs = []
    for number in range(rounds):
        order = ways if number % 2 else ways[::-1]
        taken = {way: cost((*run, way)).cpu_ms for way in order}
        pairs.append((taken["normal,large"], taken["auto"]))
    more = spread([auto - named for named, auto in pairs], " ms")
    print(f"sizes, cpu_ms: auto - named {more}, of {spread([named for named, _ in pairs])}")


def arriving(folder: Path, count: int, way: str) -> None:
    """Tell how long a file waits for its entry that comes when a twentieth of a run is done."""
    library, cache = folder / "library", folder / f"{way}-cache"
    if not library.exists():
        photos(library, count, edge_px=1000)
    state = {**os.environ, "XDG_CACHE_HOME": str(cache), "XDG_STATE_HOME": f"{cache}-state"}
    thumbnails = cache / "thumbnails" / "large"

    def start(*arguments: str | Path) -> subprocess.Popen[bytes]:
        quiet = subprocess.DEVNULL
        return subprocess.Popen((*_PREGEN, *arguments), env=state, stdout=quiet, stderr=quiet)

    # The photos are alike, and to be made each.
    started = [start("run", "--no-reuse", library)]
    if way == "watch":
        started.append(start("watch", library))
    while (done := len(list(thumbnails.glob("*.png")))) < count // 20:
        time.sleep(0.1)
    (new,) = photos(library / f"new by {way}", 1)
    began_s = time.monotonic()
    if way != "watch":
        started.append(start(way, new))
    entry = entry_path(new, cache=cache / "thumbnails")
    while not entry.exists() and time.monotonic() < began_s + _PATIENCE_S:
        time.sleep(0.01)
    waited_s = time.monotonic() - began_s
    left = count - len(list(thumbnails.glob("*.png")))
    print(f"arriving, by {way}: {waited_s:.2f} s ({done} done before, {left} left), wanted: 2 s")
    for process in reversed(started):
        process.terminate()
        process.wait()


def main() -> None:
    """Measure and print."""
    about, _blank, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="benchmarks.on_demand",
        description=about,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--photos", type=int, default=5000)
    parser.add_argument("--only", nargs="*", choices=("start", "names", "sizes", "arriving"))
    chosen = parser.parse_args()
    compileall.compile_dir(pregen.__path__[0], quiet=1)  # as in an installation
    with tempfile.TemporaryDirectory(prefix="pregen-on-demand-") as scratch:
        folder = Path(scratch)
        for name in ("CACHE", "STATE", "CONFIG", "RUNTIME"):
            (folder / name).mkdir(mode=0o700)
            os.environ[f"XDG_{name}_{'DIR' if name == 'RUNTIME' else 'HOME'}"] = str(folder / name)
        for measure in (start, names, sizes):
            if not chosen.only or measure.__name__ in chosen.only:
                measure(folder, chosen.rounds)
        if not chosen.only or "arriving" in chosen.only:
            for way in ("path", "run", "watch"):
                arriving(folder, chosen.photos, way)


if __name__ == "__main__":
    main()

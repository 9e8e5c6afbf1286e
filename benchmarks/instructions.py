#!/usr/bin/env python3
"""Counts the instructions of a job for fixed pictures, and compares with the record.

    python -m benchmarks.instructions              compare with benchmarks/instructions.json
    python -m benchmarks.instructions --record     write that file
    python -m benchmarks.instructions --keep DIR   keep the profiles, for callgrind_annotate

For changes that are too small for a clock. One worker in one process does every picture three
times below `valgrind --tool=callgrind`, which cuts its profile before and after each job; the first
job, which imports things, does not count. Exit status 1: some picture takes more than 1 % above the
record, ten times what the same code differs by; 2: it could not be measured.

A count is no time: it knows nothing of the kernel, of caches, of waiting. It depends on the
libraries and on the processor: valgrind has no AVX-512, so newer processors look like one with
AVX2, but older ones do not. Where the record was made with something else, compare with a record of
the old code made on the same machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from benchmarks.harness import counts, stills
from benchmarks.harness.machine import cpu_model
from benchmarks.harness.programs import ROOT, output_of
from pregen.engines.local.server import WORKER_ENVIRONMENT
from pregen.imaging.runtime import pyvips

RECORD = ROOT / "benchmarks" / "instructions.json"

#: Of each picture; the first does not count.
_REPEATS = 3
#: The system call that `harness/repeat.py` marks with, by both its names in glibc.
_MARKS = ("getpgid", "__getpgid")
#: Without these a count would depend on who runs it.
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", **WORKER_ENVIRONMENT}


def measure(folder: Path, profiles: Path) -> counts.Record:
    """Count, in a scratch folder.

    Args:
        folder: for the pictures and the cache.
        profiles: an empty folder for what callgrind writes.

    Raises:
        RuntimeError: the program below valgrind failed; the message holds what it said.
        ValueError: callgrind did not see the marks.
    """
    pictures = stills.make(folder)
    command = [shutil.which("valgrind") or "valgrind", "--quiet", "--tool=callgrind"]
    command += ["--dump-line=no"]
    command += [f"--callgrind-out-file={profiles / 'part'}", f"--log-file={profiles / 'log'}"]
    command += [f"--dump-before={name}" for name in _MARKS]
    command += [sys.executable, "-m", "benchmarks.harness.repeat", str(folder / "cache")]
    command += [str(_REPEATS), *map(str, pictures.values())]
    environment = {**_ENVIRONMENT, "PATH": os.defpath, "HOME": str(folder)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True
    )
    if done.returncode:
        log = (profiles / "log").read_text(encoding="utf-8", errors="replace")
        raise RuntimeError(f"exit status {done.returncode}: {done.stderr[-2000:]}{log[-2000:]}")
    # part.1, part.2, ... and, from the last mark to the end, part.
    numbered = sorted(profiles.glob("part.*"), key=lambda path: int(path.suffix[1:]))
    files = [*numbered, profiles / "part"]
    totals = [counts.instructions_of(path.read_text(encoding="utf-8")) for path in files]
    instructions = counts.by_picture(totals, list(pictures), _REPEATS)
    return counts.Record(_made_with() | {"pictures": stills.digest(pictures)}, instructions)


def _made_with() -> dict[str, str]:
    """Versions and processor. glibc is the one that copies memory."""
    return {
        "cpu": cpu_model(),
        "glibc": platform.libc_ver()[1],
        "libvips": ".".join(str(pyvips.version(part)) for part in range(3)),
        "python": platform.python_version(),
        "valgrind": output_of("valgrind", "--version").removeprefix("valgrind-"),
    } | {name: version(name) for name in ("isal", "numpy", "pillow", "pyvips", "simplejpeg")}


def report(recorded: counts.Record, now: counts.Record) -> int:
    """Print the comparison; return the exit status."""
    rows = counts.compare(recorded.instructions, now.instructions)
    print(counts.table(rows))
    others = list(counts.differences(recorded.made_with, now.made_with))
    if others:
        print("\nThe record was made with something else, so this may say nothing of pregen:")
        print("\n".join(f"  {line}" for line in others))
        print("Make a record of the old code here (--record --file) and compare with that.")
    if any(row.slower for row in rows):
        print(f"\nMore than {counts.LIMIT - 1:.0%} above the record. If that is the price of")
        print("something worth it, write a new record: python -m benchmarks.instructions --record")
        return 1
    return 0


def _options() -> argparse.Namespace:
    """Read the command line."""
    about, _blank, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="benchmarks.instructions",
        description=about,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--record", action="store_true", help="write the record, compare nothing")
    parser.add_argument("--file", type=Path, default=RECORD, help="another record")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="a new folder for the profiles")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        parser.error("valgrind is missing: install it (Debian: apt-get install valgrind)")
    if not options.record and not options.file.exists():
        parser.error(f"there is no {options.file}: make it with --record")
    if options.keep and options.keep.exists():
        parser.error(f"{options.keep} is there already: name a new folder")
    return options


def main() -> int:
    """Measure, then compare or record."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="pregen-instructions-") as name:
        folder = Path(name)
        profiles: Path = options.keep or folder / "profiles"
        profiles.mkdir(parents=True)
        try:
            now = measure(folder, profiles.resolve())
        except (RuntimeError, ValueError) as error:
            print(f"Could not measure: {error}", file=sys.stderr)
            return 2
    if options.record:
        counts.save(options.file, now)
        print(counts.table(counts.compare(now.instructions, now.instructions)))
        return 0
    return report(counts.load(options.file), now)


if __name__ == "__main__":
    sys.exit(main())

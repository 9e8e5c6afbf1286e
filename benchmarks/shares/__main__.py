"""pregen over a share at the speed of its link: sshfs over a delaying, slow link on loopback.

    python -m benchmarks.shares                          the matrix, 5 rounds: about 25 minutes
    python -m benchmarks.shares --before PYTHON          ... and another environment's pregen
    python -m benchmarks.shares --flags "--readers 8"    ... and the same with other flags
    python -m benchmarks.shares --cases small,two-mounts,rotational
    python -m benchmarks.shares --quick                  a try: one cell, a quarter of the photos

A cell is a round trip and a rate, written 10:60 (ms and MB/s). Each measurement has a fresh mount,
so that nothing of it is cached, and an empty cache folder; what sshd reads is in memory. In each
round of a cell, in turns: 16 parallel `cat` (what the link gives), pregen over the local folder
(what the processors must do), and pregen over the share.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import entries, pagecache, trees
from benchmarks.harness.machine import cpu_model, slug
from benchmarks.harness.programs import ROOT, output_of
from benchmarks.run import default_work
from benchmarks.shares import record, rotational, two_mounts
from benchmarks.shares.companion import CompanionError
from benchmarks.shares.lanes import Case, Course, Pregen
from benchmarks.shares.share import Share, ShareError, Speed, missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: `sh -c` gets the folder as $1: it is the last word.
_CAT = ("sh", "-c", 'find "$1" -type f -print0 | xargs -0 -n 1 -P 16 cat >/dev/null', "cat")
_READ = (sys.executable, "-m", "benchmarks.shares.readers", "8")
MATRIX = Case("matrix", "share", _CAT)
FEW = Case("few", "share-few", _CAT)
LONG = Case("long", "share-long", _CAT)
SMALL = Case("small", "share-small", _READ)
SPEEDS = [Speed(rtt_ms, mb_s) for mb_s in (10, 25, 60, 110) for rtt_ms in (1, 10, 40)]
#: Where the start of a program shows most in 88 photos.
_LONG_SPEEDS = [Speed(rtt_ms, 110) for rtt_ms in (1, 10, 40)]
#: Small files wait for round trips: the rate is one that does not matter.
_SMALL_SPEEDS = [Speed(10, 110)]
_QUICK_SPEEDS = [Speed(10, 60)]
CASES = ("matrix", "long", "small", "two-mounts", "rotational")


class Bench:
    """A run of the benchmark: what is measured, and where it is written."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._options = options
        self._work: Path = options.work.resolve()
        self._folder = folder
        self._cores = len(os.sched_getaffinity(0))
        self._pregens = [Pregen("run", sys.executable)]
        if options.before:
            # not resolved: a link is what makes an environment's interpreter its own
            self._pregens.append(Pregen("before", os.path.abspath(options.before)))
        for flags in options.flags:
            self._pregens.append(Pregen(f"run {flags}", sys.executable, (*shlex.split(flags),)))
        self._samples: list[record.Sample] = []
        self._tables: dict[str, str] = {}
        self._records: dict[str, object] = {}
        self._folder.mkdir(parents=True, exist_ok=True)
        self._facts = self._describe()

    def _describe(self) -> dict[str, object]:
        """Return what a reader must know to judge the numbers."""
        return {
            "cpu": cpu_model(),
            "cores": self._cores,
            "system": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
            "kernel": platform.release().partition("-")[0],
            "python": platform.python_version(),
            "sshfs": _sshfs_version(),
            "ssh": _ssh_version(),
            "commit": output_of("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
            "pregens": {
                p.lane: output_of(p.python, "-m", "pregen", "--version") for p in self._pregens
            },
        }

    def run_cells(self, case: Case, speeds: Sequence[Speed]) -> None:
        """Measure a case at these speeds."""
        self.make_tree(case.tree)
        with Share(trees.tree_path(self._work, case.tree)) as share:
            course = Course(case, share, self._work, self._pregens)
            for pregen in self._pregens:  # compiles its modules
                course.warm_up(pregen)
            for number in range(1, self._options.rounds + 1):
                for speed in speeds:
                    for lane in _turned(course.lanes, number):
                        self._keep(course.measure(lane, speed, number))
        self.write_summary()

    def make_tree(self, name: str) -> None:
        """Make a tree of sources, unless it is there, and read it once."""
        command = [sys.executable, "-m", "benchmarks.harness.trees", name]
        command += [str(self._work), str(self._options.corpus.resolve())]
        subprocess.run(command, cwd=ROOT, check=True)
        manifest = trees.manifest_path(self._work, name)
        pagecache.warm(entries.read_manifest(manifest, trees.tree_path(self._work, name)))

    def run_two_mounts(self) -> None:
        """Measure what a dead share costs."""
        self.make_tree(two_mounts.SOUND)
        self.make_tree(two_mounts.DYING)
        found = []
        for number in range(1, self._options.rounds + 1):
            for pregen in self._pregens:
                found.append(two_mounts.measure(self._work, pregen, number))
                say(f"two-mounts: {found[-1]}")
        self._tables["two-mounts"] = two_mounts.table(found)
        self._records["two_mounts"] = [one._asdict() for one in found]
        self.write_summary()

    def run_rotational(self) -> None:
        """Measure what order is worth on a disk that spins."""
        for tree in rotational.TREES:
            self.make_tree(tree)
            disk = rotational.Disk(self._work, tree)
            disk.make()
            found = []
            for number in range(1, self._options.rounds + 1):
                for spun in rotational.one_round(disk, self._work, self._pregens, number):
                    found.append(spun)
                    say(f"rotational: {spun}")
            self._tables[f"rotational-{tree}"] = rotational.table(found)
            self._records[f"rotational-{tree}"] = [one._asdict() for one in found]
            self.write_summary()

    def _keep(self, sample: record.Sample) -> None:
        self._samples.append(sample)
        with (self._folder / "samples.jsonl").open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(sample._asdict()) + "\n")
        remark = "" if sample.whole else "  NOT WHOLE"
        say(
            f"{sample.case} round {sample.round}, {sample.rtt_ms:g} ms, {sample.rate_mb_s:g} MB/s: "
            f"{sample.lane}: {sample.wall_s:.2f} s, {sample.right} of {sample.expected}{remark}"
        )

    def write_summary(self) -> None:
        """Write what is known so far."""
        cells = record.summary(self._samples, self._cores)
        self._write("summary.json", {**self._facts, "cells": cells, **self._records})
        (self._folder / "summary.md").write_text(self.tables(), encoding="utf-8")

    @property
    def whole(self) -> bool:
        """True when every cell's work was done."""
        return all(sample.whole for sample in self._samples)

    def tables(self) -> str:
        """Return everything for people, in Markdown."""
        cells = [record.table(self._samples, self._cores)] if self._samples else []
        return "\n".join([_remark(self._facts), *cells, *self._tables.values()])

    def records(self) -> str:
        """Return everything for programs."""
        return (self._folder / "summary.json").read_text(encoding="utf-8")

    def _write(self, name: str, value: object) -> None:
        path = self._folder / name
        path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _turned(lanes: list[str], number: int) -> Iterator[str]:
    """Yield the lanes, each round beginning with another one."""
    turn = number % len(lanes)
    yield from lanes[turn:]
    yield from lanes[:turn]


def _sshfs_version() -> str:
    """The line that is sshfs's own: libfuse and fusermount tell theirs as well."""
    lines = output_of("sshfs", "--version").splitlines()
    return next((line for line in lines if line.startswith("SSHFS")), "")


def _ssh_version() -> str:
    done = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False)
    return done.stderr.strip()


def say(text: str) -> None:
    """Tell the person who waits."""
    print(text, file=sys.stderr, flush=True)


def _remark(facts: dict[str, object]) -> str:
    kept = ("cpu", "cores", "system", "kernel", "python", "sshfs", "ssh", "commit")
    return ", ".join(f"{name} {facts[name]}" for name in kept) + "\n"


def _speeds(text: str) -> list[Speed]:
    """Read `10:60,40:110`: round trips in milliseconds, rates in MB/s."""
    return [Speed(*map(float, one.split(":"))) for one in text.split(",")]


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := sorted({*names} - {*CASES}):
        raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; there are {', '.join(CASES)}")
    return names


def _options() -> argparse.Namespace:
    """Read the command line."""
    about, _blank, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="benchmarks.shares",
        description=about,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--cases", type=_names, default=["matrix"], help=f"of {', '.join(CASES)}; default: matrix")
    add("--cells", type=_speeds, help="RTT:RATE,... in ms and MB/s; default: all 12 of the matrix")
    add("--rounds", type=int, default=5, help="default: 5")
    add("--before", metavar="PYTHON", help="interpreter that has the pregen to compare with")
    add("--flags", action="append", default=[], help="compare with `pregen run` and these flags")
    add("--quick", action="store_true", help="one cell, 22 photos, a round: does it work?")
    add("--work", type=Path, default=default_work(), help="sources and scratch; kept")
    add("--corpus", type=Path, default=ROOT.parent / "shared" / "corpus", help="real photos")
    add("--out", type=Path, help="default: benchmarks/runs/<date>-shares-<machine>")
    add("--json", action="store_true", help="print a record, not tables; both are kept in --out")
    return parser.parse_args()


def _measure(bench: Bench, options: argparse.Namespace) -> None:
    for case in options.cases:
        if case == "matrix":
            speeds = options.cells or (_QUICK_SPEEDS if options.quick else SPEEDS)
            bench.run_cells(FEW if options.quick else MATRIX, speeds)
        elif case == "long":
            bench.run_cells(LONG, options.cells or _LONG_SPEEDS)
        elif case == "small":
            bench.run_cells(SMALL, options.cells or _SMALL_SPEEDS)
        elif case == "two-mounts":
            bench.run_two_mounts()
        else:
            bench.run_rotational()


def main() -> int:
    """Measure what was asked for."""
    options = _options()
    lacking = missing()
    if "rotational" in options.cases:
        lacking += rotational.missing()
    if lacking:
        print(f"Cannot measure. Missing: {'; '.join(lacking)}.", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit("stopped"))
    date = datetime.now(UTC).date().isoformat()
    folder = options.out or ROOT / "benchmarks" / "runs" / f"{date}-shares-{slug()}"
    if options.quick:
        options.rounds = 1
    bench = Bench(options, folder)
    try:
        _measure(bench, options)
    except subprocess.CalledProcessError as error:
        print(f"Could not measure: {error} {(error.stderr or '').strip()}", file=sys.stderr)
        return 2
    except (ShareError, CompanionError, OSError) as error:
        print(f"Could not measure: {error}", file=sys.stderr)
        return 2
    print(bench.records() if options.json else bench.tables())
    say(f"kept in {folder}")
    return 0 if bench.whole else 1


if __name__ == "__main__":
    sys.exit(main())

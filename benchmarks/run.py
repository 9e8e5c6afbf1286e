#!/usr/bin/env python3
"""Runs pregen against its peers and keeps every sample.

    python -m benchmarks.run                       all cases, 10 rounds: an afternoon
    python -m benchmarks.run --cases camera        the case that matters most
    python -m benchmarks.run --cases camera-few --rounds 2 --out /tmp/try     to try it
    python -m benchmarks.run --before PYTHON       beside the pregen of another environment

Rounds are interleaved (A B C, A B C, ...), so that a machine that slows down slows everybody.
Before the rounds each program runs once to warm up; that run watches its memory and its time
does not count. After every run the entries are counted by `harness/entries.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from benchmarks.harness import entries, machine, measure, pagecache, report, samples, trees
from benchmarks.harness.cases import CASES, YARDSTICKS, Case
from benchmarks.harness.programs import (
    PEERS,
    ROOT,
    Peer,
    Setting,
    compile_bytecode,
    environment,
    pregen_digest,
)

_COLD_BY = {
    "fadvise": "the sources' pages are dropped by posix_fadvise; the rest stays warm",
    "drop-caches": "the kernel's page, directory-entry and inode caches are emptied",
}


#: Of a tree's files, so many are asked whether they are in memory.
_LOOKED_AT = 1000


class Lane(NamedTuple):
    """A program on a tree, asked for some flavors."""

    peer: Peer
    tree: str
    flavors: tuple[str, ...]
    sources: list[entries.Source]

    def __str__(self) -> str:
        return f"{self.peer.name} on {self.tree}, {','.join(self.flavors)}"


class Bench:
    """A harness run: its settings, and the folder its samples go to."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.work: Path = options.work.resolve()
        self.setting = _setting(options)
        self.folder: Path = options.out or _new_folder()
        self._judged: dict[str, entries.Counts] = {}

    def start(self) -> None:
        """Make the folder and describe the machine in it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        facts = machine.describe(self.setting) | {
            "workers": self.options.workers,
            "cold_by": _COLD_BY[self.options.cold_by],
            "command_lines": self._command_lines(),
        }
        path = self.folder / "machine.json"
        path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        for python in filter(None, (self.setting.pregen_python, self.setting.before_python)):
            compile_bytecode(python)
        for name, why in facts["missing"].items():
            _say(f"left out: {name}: {why}")

    def _command_lines(self) -> dict[str, str]:
        """Every peer's command line, without this machine's paths."""
        lines = {}
        for name, peer in PEERS.items():
            asked = Path("TREE"), Path("THUMBNAILS"), entries.FLAVORS
            words = peer.command(self.setting, *asked)
            lines[name] = machine.anonymous(" ".join(words), self.setting)
        return lines

    def run_case(self, case: Case) -> None:
        """Measure one case: warm-up, then the rounds, warm first."""
        lanes = self._lanes(case)
        if not lanes:
            _say(f"{case.name}: none of its programs is here")
            return
        for lane in lanes:
            if case.filled and lane.peer.writes_entries:
                _say(f"{case.name}: {lane.peer.name}: filling the cache, if it is not filled")
                self._run(case, lane, "warm", 0, timed=False)
            self._run(case, lane, "warm", 0, timed=False)
        for cache in self._caches(case):
            for number in range(1, self.options.rounds + 1):
                for lane in lanes:
                    self._run(case, lane, cache, number, timed=True)
        self.write_summary()

    def _count(
        self, lane: Lane, thumbnails: Path, since_ns: int, *, changed: bool
    ) -> entries.Counts:
        """Judge what a run left; of an unchanged re-run, what is new."""
        if not changed and (known := self._judged.get(str(lane))):
            return known._replace(new=entries.written_since(thumbnails, since_ns))
        self._judged[str(lane)] = entries.count(thumbnails, lane.sources, since_ns, lane.flavors)
        return self._judged[str(lane)]

    def write_summary(self) -> None:
        """Write what is known so far."""
        text = report.summary(self.folder)
        (self.folder / "summary.md").write_text(text, encoding="utf-8")

    def _caches(self, case: Case) -> list[str]:
        """Which states of the page cache are measured."""
        both = ["warm", "cold"] if case.cold else ["warm"]
        return both if self.options.cache == "auto" else [self.options.cache]

    def _lanes(self, case: Case) -> list[Lane]:
        """The programs that are here, on every tree of the case."""
        names = self.options.peers or case.peers
        if case.filled:  # the second run of a program that has none is its first once more
            names = [name for name in names if name in case.peers]
        names = [name for name in names if name == case.reference or name not in YARDSTICKS]
        peers = [PEERS[name] for name in names if not PEERS[name].missing(self.setting)]
        sources: dict[str, list[entries.Source]] = {}
        for tree in case.trees if peers else ():
            _say(f"{case.name}: making or finding the tree {tree}")
            command = [sys.executable, "-m", "benchmarks.harness.trees", tree]
            command += [str(self.work), str(self.options.corpus.resolve())]
            subprocess.run(command, cwd=ROOT, check=True)
            folder = trees.tree_path(self.work, tree)
            sources[tree] = entries.read_manifest(trees.manifest_path(self.work, tree), folder)
            if not case.filled:  # nothing is read
                pagecache.warm(sources[tree])
        return [
            Lane(peer, tree, flavors, sources[tree])
            for peer in peers
            for tree in case.trees
            for flavors in case.flavors
        ]

    def _run(self, case: Case, lane: Lane, cache: str, number: int, *, timed: bool) -> None:
        """One run: prepare, measure, check, record, tidy."""
        home = self.work / "out" / (f"filled-{lane.tree}" if case.filled else "fresh")
        thumbnails = home / "cache" / "thumbnails"
        if not case.filled:
            shutil.rmtree(home, ignore_errors=True)
        thumbnails.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.sync()
        if cache == "cold":
            pagecache.drop(lane.sources)
            if self.options.cold_by == "drop-caches":
                pagecache.drop_everything()
        resident = pagecache.resident_share(lane.sources[:: len(lane.sources) // _LOOKED_AT + 1])
        load = os.getloadavg()[0]
        log = Path(os.devnull) if lane.peer.quiet else self.work / "out" / f"{lane.peer.name}.log"
        if not lane.peer.quiet:
            log.write_bytes(b"")
        python = lane.peer.pregen_python(self.setting) if lane.peer.pregen_python else ""
        program = measure.Program(
            lane.peer.command(
                self.setting, trees.tree_path(self.work, lane.tree), thumbnails, lane.flavors
            ),
            environment(self.setting, home),
            self.work if lane.peer.pregen_python else ROOT,
            log,
            lane.peer.terminal,
        )
        started, since_ns = datetime.now(UTC), time.time_ns()
        taken = measure.run(program, self.options.timeout, watch_memory=not timed)
        counts = self._count(lane, thumbnails, since_ns, changed=not case.filled)
        sample = samples.Sample(
            case=case.name,
            peer=lane.peer.name,
            tree=lane.tree,
            cache=cache,
            round=number,
            timed=timed,
            wall_s=taken.wall_s,
            user_s=taken.user_s,
            system_s=taken.system_s,
            exit_code=taken.exit_code,
            timed_out=taken.timed_out,
            left_running=taken.left_running,
            sources=len(lane.sources),
            source_bytes=sum(source.size_bytes for source in lane.sources),
            resident_before=resident,
            expected=counts.expected,
            gnome=counts.gnome,
            everywhere=counts.everywhere,
            pictures=counts.pictures,
            pictures_bytes=counts.size_bytes,
            new_pictures=counts.new,
            tree_pss_bytes=taken.memory.tree_pss_bytes,
            process_rss_bytes=taken.memory.process_rss_bytes,
            root_rss_bytes=taken.memory.root_rss_bytes,
            load_before=load,
            started=started.isoformat(timespec="seconds"),
            flavors=",".join(lane.flavors),
            code=pregen_digest(python) if python else "",
        )
        samples.append(self.folder / "samples.jsonl", sample)
        if not case.filled:
            shutil.rmtree(home, ignore_errors=True)
        if taken.exit_code:
            _say(f"{lane.peer.name} ended with {taken.exit_code}: see {log}")
        what = f"round {number}" if timed else "warm-up"
        _say(
            f"{case.name} {cache} {what}: {lane}: {taken.wall_s:.2f} s, "
            f"{counts.gnome} of {counts.expected} accepted, {counts.pictures} pictures"
        )


def _setting(options: argparse.Namespace) -> Setting:
    """What the command lines are made of."""
    work: Path = options.work.resolve()
    return Setting(work, options.workers, options.pregen_python, options.before)


def _say(text: str) -> None:
    """Tell the person who waits."""
    print(text, file=sys.stderr, flush=True)


def _new_folder() -> Path:
    """runs/<date>-<machine>, with a number when that exists."""
    name = f"{datetime.now(UTC).date().isoformat()}-{machine.slug()}"
    runs = ROOT / "benchmarks" / "runs"
    taken = {path.name for path in runs.glob(f"{name}*")}
    names = [name, *(f"{name}-{number}" for number in range(2, len(taken) + 3))]
    return runs / next(free for free in names if free not in taken)


def default_work() -> Path:
    """Where generated sources and the peers' environments live between runs."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(cache) if cache.startswith("/") else Path(tempfile.gettempdir())
    return base / "pregen-bench"


def _names(text: str) -> list[str]:
    """Split a list of names at commas."""
    return [name for name in text.split(",") if name]


def _options() -> argparse.Namespace:
    """Read the command line."""
    about, _blank, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="benchmarks.run",
        description=about,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--cases", type=_names, help="comma-separated; default: all but those for trying")
    add("--peers", type=_names, help="comma-separated; default: what each case is for")
    add("--rounds", type=int, default=10, help="default: 10")
    add("--workers", type=int, default=2, help="processes or threads of each program; default: 2")
    add("--work", type=Path, default=default_work(), help="sources, peers, scratch; kept")
    add("--corpus", type=Path, default=ROOT.parent / "shared" / "corpus", help="real photos")
    add("--out", type=Path, help="default: benchmarks/runs/<date>-<machine>")
    add("--cache", choices=["auto", "warm", "cold"], default="auto", help="default: auto")
    add("--cold-by", choices=list(_COLD_BY), default="fadvise", help="default: fadvise")
    add("--timeout", type=float, default=3600, help="seconds per run; default: 3600")
    add("--pregen-python", default=sys.executable, help="interpreter with the pregen to measure")
    add("--before", default="", metavar="PYTHON", help="interpreter with a pregen to compare with")
    add("--list", action="store_true", help="list cases and programs, run nothing")
    add("--write-readme", type=Path, metavar="RUN", help="put a run's tables into the README")
    options = parser.parse_args()
    for given, known in ((options.cases, CASES), (options.peers, PEERS)):
        unknown = sorted(set(given or ()) - set(known))
        if unknown:
            parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    if options.cold_by == "drop-caches" and not pagecache.may_drop_everything():
        parser.error("--cold-by drop-caches needs root; use fadvise")
    return options


def _list(options: argparse.Namespace) -> None:
    """Show what could be run."""
    setting = _setting(options)
    for case in CASES.values():
        print(f"{case.name:20}{' '.join(case.fairness.split())}\n")
    for peer in PEERS.values():
        why = peer.missing(setting)
        print(f"{peer.name:18}{peer.what}; {why or peer.version(setting)}")


def main() -> None:
    """Run what was asked for."""
    options = _options()
    if options.list:
        _list(options)
        return
    if options.write_readme:
        report.write_readme(ROOT / "benchmarks" / "README.md", options.write_readme)
        return
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit("stopped"))
    bench = Bench(options)
    bench.start()
    for case in CASES.values():
        if case.name in (options.cases or ()) or (not options.cases and case.by_default):
            bench.run_case(case)
    _say(f"summary: {bench.folder / 'summary.md'}")


if __name__ == "__main__":
    main()

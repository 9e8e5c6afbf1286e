"""The programs measured over a share, each over a fresh mount and into an empty cache."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.harness import entries, measure, trees
from benchmarks.harness.programs import ROOT, Setting, environment, pregen_digest
from benchmarks.shares import record
from benchmarks.shares.share import Speed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.shares.share import Share

#: A run that takes longer is no result: the slowest cell is 25 s of link.
_TIMEOUT_S = 600


class Pregen(NamedTuple):
    """A pregen that is compared."""

    lane: str
    python: str
    """The interpreter of its environment."""
    flags: tuple[str, ...] = ()


class Case(NamedTuple):
    """What is read, and what reads it as fast as the link lets."""

    name: str
    tree: str
    link: tuple[str, ...]
    """A program that reads all below the folder it is given as its last word."""


class Course:
    """Measures the lanes of a case, at any speed."""

    def __init__(self, case: Case, share: Share, work: Path, pregens: Sequence[Pregen]) -> None:
        self.case = case
        self._share = share
        self._work = work
        self._point = work / "share"
        self._first = pregens[0]
        self._pregens = {pregen.lane: pregen for pregen in pregens}
        self._digests = {p.lane: pregen_digest(p.python) for p in pregens}
        tree = trees.manifest_path(work, case.tree)
        self._local = entries.read_manifest(tree, trees.tree_path(work, case.tree))
        # SFTP knows whole seconds only
        self._mounted = [
            source._replace(mtime_ns=source.mtime_ns // 10**9 * 10**9)
            for source in entries.read_manifest(tree, self._point)
        ]
        self._point.mkdir(exist_ok=True)

    @property
    def lanes(self) -> list[str]:
        """What there is to measure."""
        return [record.LINK, record.LOCAL, *self._pregens]

    def _setting(self, pregen: Pregen) -> Setting:
        return Setting(self._work, len(os.sched_getaffinity(0)), pregen.python)

    def measure(self, lane: str, speed: Speed, number: int) -> record.Sample:
        """Measure a lane once."""
        return self._measure(lane, self._pregens.get(lane, self._first), speed, number)

    def warm_up(self, pregen: Pregen) -> None:
        """Run over the local folder once: modules are compiled then, and libraries in memory."""
        self._measure(record.LOCAL, pregen, Speed(0, 1000), 0)

    def _measure(self, lane: str, pregen: Pregen, speed: Speed, number: int) -> record.Sample:
        home = self._work / "out" / "share"
        shutil.rmtree(home, ignore_errors=True)
        thumbnails = home / "cache" / "thumbnails"
        thumbnails.mkdir(parents=True, mode=0o700)
        makes = lane != record.LINK
        self._share.slow(speed)
        with ExitStack() as stack:
            folder, sources = trees.tree_path(self._work, self.case.tree), self._local
            if over := lane != record.LOCAL:
                folder, sources = (
                    stack.enter_context(self._share.mounted(self._point)),
                    self._mounted,
                )
            command = [*self.case.link, str(folder)]
            if makes:
                command = [pregen.python, "-m", "pregen", "run", str(folder), *pregen.flags]
            program = measure.Program(
                command,
                self._environment(pregen, home),
                self._work if makes else ROOT,
                home / "log",
            )
            load, since_ns = os.getloadavg()[0], time.time_ns()
            before = self._share.processor_s()
            self._share.traffic()
            taken = measure.run_apart(program, _TIMEOUT_S)
            down_bytes = self._share.traffic().down_bytes
            after = self._share.processor_s()
        counts = entries.count(thumbnails, sources if makes else (), since_ns)
        shutil.rmtree(home, ignore_errors=True)
        return record.Sample(
            case=self.case.name,
            rtt_ms=speed.rtt_ms,
            rate_mb_s=speed.rate_mb_s,
            round=number,
            lane=lane,
            wall_s=taken.wall_s,
            cpu_s=taken.cpu_s,
            carriers_s={name: round(after[name] - before[name], 3) for name in after if over},
            down_bytes=down_bytes,
            files=len(sources),
            size_bytes=sum(source.size_bytes for source in sources),
            exit_code=taken.exit_code,
            expected=counts.expected,
            right=counts.gnome,
            pictures=counts.pictures,
            load_before=load,
            code=self._digests[pregen.lane] if makes else "",
        )

    def _environment(self, pregen: Pregen, home: Path) -> dict[str, str]:
        """As a user has it: with compiled modules, which the warm-up leaves behind."""
        known = environment(self._setting(pregen), home)
        known.pop("PYTHONDONTWRITEBYTECODE", None)
        return known

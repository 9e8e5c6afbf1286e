"""Runs pregen over thousands of damaged files and holds it to its promises.

For `scripts/soak-mutations`, and in short for the suite.

Every file has exactly one outcome, of a kind that blames the file; the run ends by itself with 0
or 3; nothing outlives its deadline; no worker's memory passes its limit; what is in the cache is
whole, and no temp is left. Anything else is a violation, and its file is kept.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.faults.mutations import mutate
from tests.support.files import sound_files
from tests.support.judges import png_walk
from tests.support.running.program import PREGEN, path_of
from tests.support.trials.memory_watch import MemoryWatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.support.faults.mutations import Mutant

_BATCH = 1000
#: Time for one file; `--timeout` of the run. A damaged file is small, so the deadline is this.
_TIMEOUT_S = 20.0
#: After its deadline a worker is asked to end, then killed; both take a moment on a busy machine.
_GRACE_S = 15.0
#: Kinds that blame the file, or nobody.
_EXPECTED = frozenset(
    {
        "made", "small", "not-a-picture", "needs-extra", "unsupported", "invalid", "truncated",
        "too-large", "crashed", "timed-out", "out-of-memory", "disturbed",
    }
)  # fmt: skip
#: Outcomes that are allowed, and that somebody should look at.
_REMARKABLE = frozenset({"crashed", "timed-out", "out-of-memory", "disturbed", "error"})


@dataclass
class Findings:
    """What came of a soak."""

    kinds: dict[str, Counter[str]] = field(default_factory=dict)
    """By format."""
    violations: list[str] = field(default_factory=list)
    remarkable: list[str] = field(default_factory=list)
    longest_s: float = 0.0
    """That one file took, as far as its worker measured it."""
    most_resident_bytes: int = 0
    most_of_limit: float = 0.0
    workers: int = 0
    entries: int = 0

    @property
    def total(self) -> Counter[str]:
        """Kinds over all formats."""
        return sum(self.kinds.values(), Counter())


class Soak:
    """One soak below a scratch folder."""

    def __init__(self, scratch: Path, keep: Path, workers: int) -> None:
        self._scratch = scratch
        self._keep = keep
        self._workers = workers
        self.findings = Findings()

    def run(self, sound: Mapping[str, Sequence[bytes]], seed: int, count: int) -> None:
        """Run over `count` mutations of the sound files of each format."""
        self.findings.kinds |= {name: Counter() for name in sound}
        mutants = _mutants(sound, seed, count)
        for number in itertools.count():
            folder = self._scratch / f"batch-{number}"
            folder.mkdir(parents=True)
            for name, mutant in itertools.islice(mutants, _BATCH):
                (folder / name).write_bytes(mutant.data)
            files = {os.fsencode(path) for path in folder.iterdir()}
            if not files:
                break
            self._batch(folder, files)
            shutil.rmtree(folder)
            done = self.findings.total
            sys.stderr.write(f"{done.total()} files: {dict(done.most_common())}\n")

    def _batch(self, folder: Path, files: set[bytes]) -> None:
        cache, state = self._scratch / "cache", self._scratch / "state"
        env = {**os.environ, "XDG_CACHE_HOME": str(cache), "XDG_STATE_HOME": str(state)}
        command = [*PREGEN, "run", "--json", "-v", "--workers", str(self._workers)]
        command += ["--timeout", str(_TIMEOUT_S), str(folder)]
        # Every file might use up its deadline twice: a strike, and the try alone.
        patience_s = 120 + len(files) * 2 * (_TIMEOUT_S + _GRACE_S) / self._workers
        process = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        with MemoryWatch(process.pid) as watch:
            try:
                out, err = process.communicate(timeout=patience_s)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                self._violation(folder, "a run hangs")
        self._take_memory(watch)
        if process.returncode not in {0, 3} or "Traceback" in err:
            self._violation(folder, f"exit {process.returncode}: {err[-2000:]}")
        self._take_outcomes(files, out)
        self._look_at(cache, folder)
        shutil.rmtree(cache, ignore_errors=True)
        shutil.rmtree(state, ignore_errors=True)

    def _take_memory(self, watch: MemoryWatch) -> None:
        found = self.findings
        found.workers += len(watch.workers)
        found.most_resident_bytes = max(found.most_resident_bytes, watch.most_resident_bytes)
        found.most_of_limit = max(found.most_of_limit, watch.most_of_limit)
        if watch.most_of_limit > 1:
            found.violations.append(f"a worker took {watch.most_of_limit:.0%} of its limit")

    def _take_outcomes(self, files: set[bytes], out: str) -> None:
        records: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
        if not records or records[-1]["type"] != "summary":
            self.findings.violations.append("no summary at the end")
        outcomes = Counter[bytes]()
        for record in records:
            if record["type"] == "outcome":
                outcomes[path_of(record)] += 1
                self._take_outcome(record)
            for worker in record.get("workers", ()):
                if worker["busy_s"] > _TIMEOUT_S + _GRACE_S:
                    self.findings.violations.append(f"past its deadline: {worker}")
        if outcomes.keys() != files or set(outcomes.values()) != {1}:
            wrong = [path for path in files | outcomes.keys() if outcomes[path] != 1]
            self.findings.violations.append(f"not one outcome each: {wrong[:5]}")

    def _take_outcome(self, record: dict[str, Any]) -> None:
        kind = record["kind"]
        self.findings.kinds[record["path"].rpartition(".")[2]][kind] += 1
        spent_s = sum(record["ns"].values()) / 1e9
        self.findings.longest_s = max(self.findings.longest_s, spent_s)
        words = f"{record['path']}: {kind}: {record['message']}"
        if spent_s > _TIMEOUT_S + _GRACE_S:
            self.findings.violations.append(f"{spent_s:.0f} s: {words}")
        if kind in _REMARKABLE:
            self.findings.remarkable.append(words)
            self._keep_file(Path(record["path"]))
        if kind not in _EXPECTED:
            self._violation(Path(record["path"]), words)

    def _look_at(self, cache: Path, folder: Path) -> None:
        """Everything in the cache is a whole PNG in its place."""
        for path in (cache / "thumbnails").glob("*/**/*"):
            if path.is_dir():
                continue
            self.findings.entries += 1
            try:
                png_walk.chunks(path.read_bytes())
            except ValueError as error:
                self._violation(folder, f"{path}: {error}")
            if path.suffix != ".png" or len(path.stem) != 32:
                self._violation(folder, f"left behind: {path}")

    def _violation(self, place: Path, words: str) -> None:
        self.findings.violations.append(words)
        self._keep_file(place)

    def _keep_file(self, path: Path) -> None:
        if path.is_dir():
            shutil.copytree(path, self._keep / path.name, dirs_exist_ok=True)
        elif path.exists():
            self._keep.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, self._keep / path.name)


def _mutants(
    sound: Mapping[str, Sequence[bytes]], seed: int, count: int
) -> Iterator[tuple[str, Mutant]]:
    """Yield file names and mutations, all formats in turn; each has a random series of its own."""
    chances = {name: random.Random(f"{seed}/{name}") for name in sound}  # noqa: S311 - damage, not secrets
    for number in range(count):
        for name, chance in chances.items():
            mutant = mutate(chance.choice(sound[name]), chance.choice(sound[name]), chance)
            yield f"{number:05}-{mutant.how}.{name}", mutant


def table(findings: Findings) -> Iterator[str]:
    """Yield the lines of a report: kinds by format, then the figures of the whole."""
    kinds = [kind for kind, _ in findings.total.most_common()]
    names = [*findings.kinds, "all"]
    rows = [*findings.kinds.values(), findings.total]
    wide = [max(len(kind), 6) for kind in kinds]
    head = "  ".join(kind.rjust(width) for kind, width in zip(kinds, wide, strict=True))
    yield f"{'format':8}  {'files':>6}  {head}"
    for name, row in zip(names, rows, strict=True):
        cells = (str(row[kind] or "-").rjust(w) for kind, w in zip(kinds, wide, strict=True))
        yield f"{name:8}  {row.total():6}  {'  '.join(cells)}"
    yield ""
    yield f"entries and fail records, all whole: {findings.entries}"
    yield f"longest time for one file: {findings.longest_s:.2f} s, deadline {_TIMEOUT_S:.0f} s"
    yield (
        f"workers seen: {findings.workers}; most resident memory of one "
        f"{findings.most_resident_bytes / 2**20:.0f} MiB; at most {findings.most_of_limit:.0%} of "
        "its limit of address space"
    )
    for words in findings.remarkable[:50]:
        yield f"look at: {words}"
    for words in findings.violations[:50]:
        yield f"VIOLATION: {words}"
    yield f"violations: {len(findings.violations)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, print the table, and return 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="scripts/soak-mutations", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=2000, help="files of each format")
    parser.add_argument("--formats", help="names as pregen has them, with commas; default: all")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--made", action="store_true", help="use no file of the corpus")
    parser.add_argument(
        "--keep", type=Path, default=Path("build/soak"), help="for files to look at"
    )
    chosen = parser.parse_args(arguments)
    sound = sound_files.by_format(with_corpus=not chosen.made)
    names = chosen.formats.split(",") if chosen.formats else list(sound)
    if unknown := set(names) - set(sound):
        parser.error(
            f"no sound files of {', '.join(sorted(unknown))}; there are {', '.join(sound)}"
        )
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pregen-soak-") as scratch:
        soak = Soak(Path(scratch), chosen.keep, chosen.workers)
        soak.run({name: sound[name] for name in names}, chosen.seed, chosen.count)
    lines = [*table(soak.findings), f"seed {chosen.seed}, {time.monotonic() - begun_s:.0f} s"]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if soak.findings.violations else 0


if __name__ == "__main__":
    sys.exit(main())

"""A long run, compressed: very many small sources in one run, while its processes are measured.

For `scripts/soak long`. Nothing may grow with the number of sources: not the run's own memory
(20 MB after the first tenth are allowed), not its open files, not those of its workers, and not the
memory of a worker, which is replaced after some 20,000 jobs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

from tests.support.files.pictures import jpeg, put
from tests.support.files.source_trees import MTIME_NS
from tests.support.running.program import PREGEN, environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_MIB = 1 << 20
_PERIOD_S = 1.0
#: What the run may grow by after its first tenth, whatever the number of sources.
GROWTH_LIMIT_BYTES = 20 * _MIB
#: A worker's memory at its end against that early in its life; libraries' caches fill meanwhile.
WORKER_LIMIT_BYTES = 64 * _MIB
_IN_A_FOLDER = 1000
_PICTURES = 40
_ROWS = 20


class Sample(NamedTuple):
    """The processes of a run at one moment."""

    done: int
    parent_bytes: int
    """Memory that is the run's alone (USS)."""
    parent_fds: int
    workers: dict[int, tuple[int, int]]
    """Private memory and open files of each process below the run, by number."""


def make_sources(folder: Path, count: int) -> None:
    """Make a library of small pictures: links to a few, which cost a name each."""
    pictures = [
        put(folder / "of" / f"{n}.jpg", jpeg(160 + n, 120, seed=n), MTIME_NS + n)
        for n in range(_PICTURES)
    ]
    for number in range(count - _PICTURES):
        inside = folder / f"{number // _IN_A_FOLDER:04}"
        if number % _IN_A_FOLDER == 0:
            inside.mkdir()
        os.link(pictures[number % _PICTURES], inside / f"{number:06}.jpg")


def watch(sources: Path, scratch: Path, arguments: Sequence[str] = ()) -> tuple[int, list[Sample]]:
    """Run pregen over the sources; return its exit code and what was measured."""
    command = [*PREGEN, "run", "--json", "--flavors", "normal", *arguments, str(sources)]
    done = 0
    samples: list[Sample] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env=environment(scratch / "cache", None)
    ) as run:

        def count(lines: Iterable[bytes]) -> None:
            nonlocal done
            for line in lines:
                done += b'"type":"outcome"' in line

        assert run.stdout is not None
        reader = threading.Thread(target=count, args=(run.stdout,))
        reader.start()
        parent = psutil.Process(run.pid)
        while reader.is_alive():
            reader.join(_PERIOD_S)
            if (sample := _sample(parent, done)) is not None:
                samples.append(sample)
    samples[-1] = samples[-1]._replace(done=done)
    return run.returncode, samples


def _sample(parent: psutil.Process, done: int) -> Sample | None:
    below: dict[int, tuple[int, int]] = {}
    try:
        for process in parent.children(recursive=True):
            try:
                below[process.pid] = process.memory_full_info().uss, process.num_fds()
            except (psutil.Error, OSError):
                continue  # it ended meanwhile
        used = parent.memory_full_info().uss
        return Sample(done, used, parent.num_fds(), below) if used else None  # 0: it has ended
    except (psutil.Error, OSError):
        return None


def findings(samples: list[Sample], count: int) -> Iterator[str]:
    """Yield what grew though it must not."""
    if not samples or samples[-1].done != count:
        done = samples[-1].done if samples else 0
        yield f"{done} outcomes for {count} sources"
        return
    settled = [sample for sample in samples if count // 10 <= sample.done]
    growth = max(sample.parent_bytes for sample in settled) - settled[0].parent_bytes
    if growth > GROWTH_LIMIT_BYTES:
        yield f"the run grew by {growth / _MIB:.1f} MB after its first tenth"
    if max(sample.parent_fds for sample in settled) > settled[0].parent_fds + 4:
        yield f"the run's open files grew from {settled[0].parent_fds}"
    for pid, life in _lives(samples).items():
        early = life[min(len(life) - 1, 5)]
        memory = max(used for used, _ in life) - early[0]
        if memory > WORKER_LIMIT_BYTES:
            yield f"process {pid} grew by {memory / _MIB:.1f} MB"
        if max(fds for _, fds in life) > early[1] + 8:
            yield f"process {pid} opened more and more files, from {early[1]}"


def _lives(samples: list[Sample]) -> dict[int, list[tuple[int, int]]]:
    lives: dict[int, list[tuple[int, int]]] = {}
    for sample in samples:
        for pid, facts in sample.workers.items():
            lives.setdefault(pid, []).append(facts)
    return lives


def table(samples: list[Sample]) -> Iterator[str]:
    """Yield lines: a row for each twentieth of the run."""
    yield "    done  run MB  run fds  below it: MB (fds)"
    step = max(1, len(samples) // _ROWS)
    for sample in [*samples[:-1:step], samples[-1]]:
        below = "  ".join(f"{used / _MIB:6.1f} ({fds})" for used, fds in sample.workers.values())
        memory = sample.parent_bytes / _MIB
        yield f"{sample.done:8}  {memory:6.1f}  {sample.parent_fds:7}  {below}"


def main(count: int, folder: str | None, arguments: Sequence[str]) -> int:
    """Make the sources, run, print the table and the verdict."""
    scratch = Path(tempfile.mkdtemp(prefix="pregen-soak-", dir=folder))
    try:
        sources = scratch / "sources"
        make_sources(sources, count)
        began_s = time.monotonic()
        code, samples = watch(sources, scratch, arguments)
        elapsed_s = time.monotonic() - began_s
        found = list(findings(samples, count))
        sys.stdout.write("\n".join(table(samples)) + "\n")
        settled = [sample for sample in samples if sample.done >= count // 10] or samples
        growth = max(sample.parent_bytes for sample in settled) - settled[0].parent_bytes
        processes = len(_lives(samples))
        sys.stdout.write(
            f"{count} sources in {elapsed_s:.0f} s, exit {code}, {processes} processes below the"
            f" run; growth of the run after its first tenth: {growth / _MIB:.1f} MB\n"
        )
        sys.stdout.writelines(f"FOUND: {line}\n" for line in found)
        sys.stdout.write("flat\n" if not found and code == 0 else "not as promised\n")
        return int(bool(found) or code != 0)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)

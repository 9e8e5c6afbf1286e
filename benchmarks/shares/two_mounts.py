"""Two shares in one run, one of which stops answering: the other's files must not wait for it.

The run is given the share that dies first and the sound one behind it. Once the dying one has some
entries its server is stopped (SIGSTOP: connections stay, nothing is answered). Measured is when the
last entry of the sound one is there, beside a run over the sound one alone in the same round.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, NamedTuple

import psutil

from benchmarks.harness import entries, trees
from benchmarks.harness.programs import Setting, environment
from benchmarks.shares.share import Share, Speed
from pregen.filesystems.shares import SILENT_WORDS

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.shares.lanes import Pregen

SOUND, DYING = "share", "share-few"
_SPEED = Speed(10, 60)
#: The dying server is stopped when so many of its files are done.
_DONE_FIRST = 4
#: What a file may take, and how long a share may say nothing: shorter than by default, so that the
#: case takes no hours.
TIMEOUT_S, READ_TIMEOUT_S = 5, 10
#: A run that goes on so long waits for the dead.
_PATIENCE_S = 240.0
_LOOK_EVERY_S = 0.05


class DeadMount(NamedTuple):
    """What became of a run over both, and of one over the sound share alone."""

    lane: str
    round: int
    alone_s: float
    """The run over the sound share alone, whole."""
    sound_s: float | None
    """From the start until the last entry of the sound share; None when some never came."""
    stopped_s: float | None
    """When the server was stopped; None when the run ended before."""
    ended_s: float | None
    """When the run ended by itself; None when it did not."""
    exit_code: int | None
    sound_right: int
    sound_expected: int
    dead_right: int
    dead_files: int
    dead_told: int
    """Files of which it is told that their share does not answer."""


def measure(work: Path, pregen: Pregen, number: int) -> DeadMount:
    """Measure once; both trees are there."""
    with ExitStack() as stack:
        shares, points = [], []
        for name in (DYING, SOUND):
            point = work / name
            point.mkdir(exist_ok=True)
            shares.append(stack.enter_context(Share(trees.tree_path(work, name))))
            shares[-1].slow(_SPEED)
            points.append(point)
        dying, sound = (_sources(work, *pair) for pair in zip((DYING, SOUND), points, strict=True))
        with shares[1].mounted(points[1]):
            alone = _Run(work, pregen, points[1:])
            alone_s = alone.wait(_PATIENCE_S)
            alone.end()
        for share, point in zip(shares, points, strict=True):
            stack.enter_context(share.mounted(point))
        run = _Run(work, pregen, points)
        stopper = _Stopper(shares[0], run, dying)
        try:
            ended_s = run.wait(_PATIENCE_S)
        finally:
            stopper.finish()  # whoever still waits for the dead is freed, or could not end
            exit_code = run.end()
        right = entries.count(run.thumbnails, sound, 0)
        last_s = _last_s(run, sound) if right.gnome == right.expected else None
        dead = entries.count(run.thumbnails, dying, 0)
        told = run.silent({os.fsencode(source.path) for source in dying})
    shutil.rmtree(run.home, ignore_errors=True)
    return DeadMount(
        lane=pregen.lane,
        round=number,
        alone_s=alone_s or _PATIENCE_S,
        sound_s=last_s,
        stopped_s=stopper.stopped_s,
        ended_s=ended_s,
        exit_code=exit_code if ended_s is not None else None,
        sound_right=right.gnome,
        sound_expected=right.expected,
        dead_right=dead.gnome,
        dead_files=len(dying),
        dead_told=told,
    )


def table(found: list[DeadMount]) -> str:
    """Return what was measured, in Markdown."""
    columns = ["pregen", "round", "sound alone s", "sound beside the dead s", "stopped at s"]
    columns += ["ended at s", "exit code", "sound entries", "dead: entries", "files told"]
    lines = ["### two-mounts: one server is stopped in the middle", ""]
    lines += ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for one in found:
        cells = [one.lane, str(one.round), f"{one.alone_s:.2f}", _seconds(one.sound_s)]
        cells += [_seconds(one.stopped_s), _seconds(one.ended_s)]
        cells += ["none" if one.exit_code is None else str(one.exit_code)]
        cells += [f"{one.sound_right} of {one.sound_expected}"]
        cells += [str(one.dead_right), f"{one.dead_told} of {one.dead_files}"]
        lines.append("| " + " | ".join(cells) + " |")
    lines.append(
        f"\n{_SPEED.rtt_ms:g} ms, {_SPEED.rate_mb_s:g} MB/s each; --timeout {TIMEOUT_S}, "
        f"--read-timeout {READ_TIMEOUT_S}; a run is given up after {_PATIENCE_S:.0f} s.\n"
    )
    return "\n".join(lines)


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f}"


def _sources(work: Path, name: str, point: Path) -> list[entries.Source]:
    return [
        source._replace(mtime_ns=source.mtime_ns // 10**9 * 10**9)
        for source in entries.read_manifest(trees.manifest_path(work, name), point)
    ]


def _last_s(run: _Run, sources: list[entries.Source]) -> float:
    newest_ns = max(
        (run.thumbnails / flavor / source.entry_name).stat().st_mtime_ns
        for source in sources
        for flavor in entries.FLAVORS
    )
    return newest_ns / 1e9 - run.began_s


class _Run:
    """A pregen at work."""

    def __init__(self, work: Path, pregen: Pregen, points: list[Path]) -> None:
        self.home = work / "out" / "two-mounts"
        shutil.rmtree(self.home, ignore_errors=True)
        self.thumbnails = self.home / "cache" / "thumbnails"
        self.thumbnails.mkdir(parents=True, mode=0o700)
        known = environment(Setting(work, 0, pregen.python), self.home)
        known.pop("PYTHONDONTWRITEBYTECODE", None)
        command = [pregen.python, "-m", "pregen", "run", *map(str, points), *pregen.flags]
        command += ["--timeout", str(TIMEOUT_S), "--read-timeout", str(READ_TIMEOUT_S)]
        command += ["--json", "-v"]
        with (self.home / "log").open("wb") as log:
            self.began_s = time.clock_gettime(time.CLOCK_REALTIME)
            self._process = subprocess.Popen(
                command, cwd=work, env=known, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def wait(self, patience_s: float) -> float | None:
        """Wait for the end; return when that was, or None when it did not come."""
        began_s = time.monotonic()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience_s)
            return time.monotonic() - began_s
        return None

    def silent(self, paths: set[bytes]) -> int:
        """Return how many of these were told to lie on a share that does not answer."""
        lines = (self.home / "log").read_bytes().splitlines()
        records = [json.loads(line) for line in lines if line.startswith(b"{")]
        return sum(
            SILENT_WORDS in str(each.get("message")) and os.fsencode(each["path"]) in paths
            for each in records
        )

    def end(self) -> int:
        """End what is left of it."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()


class _Stopper:
    """Stops a share's server when some of its sources are done, and lets it go on at the end."""

    def __init__(self, share: Share, run: _Run, sources: list[entries.Source]) -> None:
        self._share = share
        self._run = run
        self._folder = run.thumbnails / "large"
        self._names = {source.entry_name for source in sources}
        self._over = threading.Event()
        self._stopped: list[psutil.Process] = []
        self.stopped_s: float | None = None
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Let the server go on."""
        self._over.set()
        self._thread.join()
        for process in self._stopped:
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            with suppress(FileNotFoundError):
                if len(self._names.intersection(os.listdir(self._folder))) >= _DONE_FIRST:
                    break
        if not self._over.is_set():
            self._stopped = self._share.sessions()
            for process in self._stopped:
                process.suspend()
            self.stopped_s = time.clock_gettime(time.CLOCK_REALTIME) - self._run.began_s

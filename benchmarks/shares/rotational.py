"""Photos on a disk that spins (simulated, see `spinning`), in a folder whose names are shuffled.

The names say nothing of where the files lie: as after years of importing, renaming and deleting.
Plain readers, in the order of names and in that of inodes (which is how they lie), show what order
is worth; pregen is measured beside them. Needs root and a free loop device.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.harness import entries, measure, trees
from benchmarks.harness.programs import ROOT, Setting, environment
from benchmarks.harness.samples import spread
from benchmarks.shares.companion import Companion

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.shares.lanes import Pregen

#: Photos, and small files, where finding one takes longer than reading it.
TREES = ("share", "share-small")
_NEEDED = {"losetup": "mount", "mkfs.ext4": "e2fsprogs", "mount": "mount"}
#: Room for the file system itself, and between the files.
_SPARE = 1.3
_TIMEOUT_S = 600
_READERS = [(order, count) for order in ("name", "inode") for count in (1, 4)]


class Spun(NamedTuple):
    """One program over the disk."""

    tree: str
    lane: str
    round: int
    wall_s: float
    cpu_s: float
    seeks: int
    busy_s: float
    """How long the disk was at work."""
    exit_code: int
    right: int
    expected: int


def missing() -> list[str]:
    """Return what is needed and is not here."""
    lacking = [f"{name} (Debian: {_NEEDED[name]})" for name in _NEEDED if not shutil.which(name)]
    return lacking + ["root, to mount a loop device"] * (os.geteuid() != 0)


class Disk:
    """The image of the disk; `spinning` gives it to the kernel, freshly each time."""

    def __init__(self, work: Path, tree: str) -> None:
        self.tree = tree
        self._work = work
        self._manifest = trees.manifest_path(work, tree)
        self._image = self._manifest.with_suffix(".img")
        self.point = work / "spinning"
        self._server: Companion
        self.point.mkdir(exist_ok=True)

    def make(self) -> None:
        """Write the photos one behind the other, in the order of no names; unless that is done."""
        if self._image.exists():
            return
        sources = self._originals()
        part = self._image.with_suffix(".part")
        with part.open("wb") as made:
            made.truncate(int(_SPARE * sum(source.size_bytes for source in sources)) >> 20 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(part)], check=True)
        names = [f"photo-{number:04}.jpg" for number in range(len(sources))]
        random.Random(0).shuffle(names)  # noqa: S311 - no secret
        with _mounted(["-o", "loop", str(part)], self.point):
            for name, source in zip(names, sources, strict=True):
                shutil.copyfile(source.path, self.point / name)
                with (self.point / name).open("rb+") as written:
                    os.fsync(written.fileno())  # now it has its place
        part.replace(self._image)

    def _originals(self) -> list[entries.Source]:
        return entries.read_manifest(self._manifest, trees.tree_path(self._work, self.tree))

    @contextmanager
    def turning(self) -> Iterator[None]:
        """Mount it, with nothing of it in memory."""
        with ExitStack() as stack:
            raw = self._work / "spinning-raw"
            raw.mkdir(exist_ok=True)
            self._server = Companion("spinning", str(raw), str(self._image))
            stack.callback(self._server.end)
            stack.callback(subprocess.run, ["umount", "-l", str(raw)], check=False)
            losetup = ["losetup", "-r", "--direct-io=on", "-f", "--show", str(raw / "disk")]
            found = subprocess.run(losetup, capture_output=True, text=True, check=True)
            loop = found.stdout.strip()
            stack.callback(subprocess.run, ["losetup", "-d", loop], check=False)
            queue = Path("/sys/block", Path(loop).name, "queue")
            # what the kernel has for a disk that spins: an elevator, and a usual readahead
            (queue / "rotational").write_text("1")
            (queue / "scheduler").write_text("mq-deadline")
            (queue / "read_ahead_kb").write_text("128")
            stack.enter_context(_mounted(["-o", "ro,noload", loop], self.point))
            self.turned()
            yield

    def turned(self) -> tuple[int, float]:
        """Return seeks, and seconds of work, since this was last called."""
        said = json.loads(self._server.ask(""))
        return said["seeks"], said["busy_s"]

    def sources(self) -> list[entries.Source]:
        """Return the photos, while it turns; long edges are those of the tree, by size."""
        edges = {source.size_bytes: source.long_edge_px for source in self._originals()}
        found = []
        for path in sorted(self.point.glob("photo-*")):
            facts = path.stat()
            found.append(
                entries.Source(str(path), facts.st_size, facts.st_mtime_ns, edges[facts.st_size])
            )
        return found


def one_round(disk: Disk, work: Path, pregens: Sequence[Pregen], number: int) -> Iterator[Spun]:
    """Measure everything once."""
    for order, count in _READERS:
        command = [sys.executable, "-m", "benchmarks.shares.readers", str(count), str(disk.point)]
        lane = f"{count} reader{'s' * (count > 1)}, by {order}"
        with disk.turning():
            yield _measured(disk, work, lane, number, [*command, order], None)
    for pregen in pregens:
        with disk.turning():
            command = [pregen.python, "-m", "pregen", "run", str(disk.point), *pregen.flags]
            yield _measured(disk, work, pregen.lane, number, command, pregen)


def _measured(
    disk: Disk, work: Path, lane: str, number: int, command: Sequence[str], pregen: Pregen | None
) -> Spun:
    home = work / "out" / "spinning"
    shutil.rmtree(home, ignore_errors=True)
    thumbnails = home / "cache" / "thumbnails"
    thumbnails.mkdir(parents=True, mode=0o700)
    setting = Setting(work, 0, pregen.python if pregen else sys.executable)
    known = environment(setting, home)
    known.pop("PYTHONDONTWRITEBYTECODE", None)
    program = measure.Program(command, known, work if pregen else ROOT, home / "log")
    since_ns = time.time_ns()
    taken = measure.run_apart(program, _TIMEOUT_S)
    seeks, busy_s = disk.turned()
    counts = entries.count(thumbnails, disk.sources() if pregen else (), since_ns)
    shutil.rmtree(home, ignore_errors=True)
    return Spun(
        tree=disk.tree,
        lane=lane,
        round=number,
        wall_s=taken.wall_s,
        cpu_s=taken.cpu_s,
        seeks=seeks,
        busy_s=busy_s,
        exit_code=taken.exit_code,
        right=counts.gnome,
        expected=counts.expected,
    )


def table(spun: Sequence[Spun]) -> str:
    """Return what was measured, in Markdown."""
    rounds = len({one.round for one in spun})
    lines = [f"### rotational, {spun[0].tree}: a simulated disk of 7200 turns a minute, "]
    lines[0] += f"{rounds} rounds"
    lines.append("")
    columns = ["program", "seconds", "disk at work s", "seeks", "entries"]
    lines += ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for lane in dict.fromkeys(one.lane for one in spun):
        those = [one for one in spun if one.lane == lane]
        cells = [lane, spread([one.wall_s for one in those]).text()]
        cells += [spread([one.busy_s for one in those]).text()]
        cells += [f"{spread([one.seeks for one in those]).median:.0f}"]
        right = min(one.right for one in those)
        cells += [f"{right} of {those[0].expected}" if those[0].expected else ""]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


@contextmanager
def _mounted(what: Sequence[str], point: Path) -> Iterator[None]:
    subprocess.run(["mount", *what, str(point)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(point)], check=False)

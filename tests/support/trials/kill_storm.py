"""A run that is killed at random moments, again and again, while others work in the same cache.

For `scripts/soak kills`, and in short for the suite. Half of the kills end the whole process group
(and another run is started), half of them one process below the run, which has to go on. Beside it
tumblerd makes entries of the same files, a second program writes entries (of these files and of its
own), and files are replaced by other pictures. After that one run has to bring everything in order:
every entry whole, of the picture that is there now, none missing, those of others as they were, no
stray file, and a sound journal. `pregen verify` is asked, too, and no source may have been blamed
for what the storm did (`blame`): the last run does not retry, so it could not hide that.

Each version of a source has a colour of its own, so that pixels of another version are told, and a
size of its own: two versions of one second and one size are the same to the standard, and nobody
can tell of which one an entry is that another program began with the old and stored with the new.
"""

from __future__ import annotations

import io
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil
from PIL import Image, PngImagePlugin

from tests.support.faults.blamed_sources import Blame
from tests.support.files import foreign_entries
from tests.support.files.pictures import put
from tests.support.judges import desktops, png_walk
from tests.support.judges.leaks import wait_until_gone
from tests.support.running.program import PREGEN, environment, run_pregen

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A kill comes between now and this many times what a run takes to its first entry.
_SPREAD = 1.4
#: ... and this, where it is the next of one run.
_SPREAD_NEXT = 0.5
#: So many kills come at any moment of a run, its end included, for which it takes this much time.
_LATE, _SPREAD_LATE = 0.3, 1.2
_ONE_PROCESS = 0.6
#: Flat pictures: JPEG and reduction move a sample by so much at most.
_TOLERANCE = 4
_FLAVORS = {"normal": 128, "large": 256}
_REPLACED_AT_ONCE = 40
_LOOK_EVERY = 50
_OWN_ENTRIES = 20
_IN_A_FOLDER = 50
_SOME_FAILED = 3
#: More than a picture takes, less than a comment in a JPEG holds.
_SIZES = range(5_000, 65_000)


def _picture(rng: random.Random, size_bytes: int) -> bytes:
    colour = (rng.randrange(256), rng.randrange(256), rng.randrange(256))
    out = io.BytesIO()
    Image.new("RGB", (480, 360), colour).save(out, "JPEG", quality=95)
    data = out.getvalue()
    comment = bytes(size_bytes - len(data) - 4)
    return data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:]


def _colour(picture: Image.Image) -> tuple[int, ...]:
    pixel = picture.convert("RGB").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return pixel


def _replace(path: Path, data: bytes) -> None:
    """Put another file under a name, as editors do."""
    other = path.with_name(".new-" + path.name)
    other.write_bytes(data)
    other.replace(path)


class OtherWriter:
    """A program that writes entries as GNOME does: a temp of its own, then a rename. A thread."""

    def __init__(self, cache: Path, sources: list[Path], own: list[Path], seed: int) -> None:
        self._cache, self._sources, self._own = cache, sources, own
        self._rng = random.Random(seed)  # noqa: S311 - to be the same again
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._write_on, daemon=True)
        self.kept: dict[Path, bytes] = {}
        """Entries of files that nobody else knows, as they were written."""
        self.written = 0

    def __enter__(self) -> Self:
        for path in self._own:
            entry = desktops.entry_path(self._cache, "normal", desktops.glib_uri(path))
            self._write(path)
            self.kept[entry] = entry.read_bytes()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _write_on(self) -> None:
        while not self._end.wait(0.02):
            self._write(self._rng.choice(self._sources))

    def _write(self, path: Path) -> None:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            picture = Image.open(file)
            picture.thumbnail((128, 128))
        texts = PngImagePlugin.PngInfo()
        texts.add_text("Thumb::URI", desktops.glib_uri(path))
        texts.add_text("Thumb::MTime", str(facts.st_mtime_ns // 10**9))
        texts.add_text("Thumb::Size", str(facts.st_size))
        texts.add_text("Software", "another program")
        entry = desktops.entry_path(self._cache, "normal", desktops.glib_uri(path))
        entry.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temp = entry.with_name(f"other-{threading.get_ident()}.part")
        picture.save(temp, "PNG", pnginfo=texts)
        temp.chmod(0o600)
        temp.replace(entry)
        self.written += 1


class Tumbler:
    """tumblerd, asked for entries of random files all the time. A thread; counts its rounds."""

    def __init__(self, cache: Path, sources: list[Path], seed: int) -> None:
        self._cache, self._sources = cache, sources
        self._rng = random.Random(seed)  # noqa: S311 - to be the same again
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask_on, daemon=True)
        self.rounds = self.refused = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _ask_on(self) -> None:
        while not self._end.wait(0.2):
            some = self._rng.sample(self._sources, min(20, len(self._sources)))
            try:
                desktops.tumbler(self._cache, self._rng.choice([*_FLAVORS]), some)
            except desktops.OracleError:
                self.refused += 1
            else:
                self.rounds += 1


class Storm:
    """A library, a cache, and what happens to them."""

    def __init__(self, folder: Path, sources: int, seed: int) -> None:
        self._rng = random.Random(seed)  # noqa: S311 - to be the same again
        self._sizes = cycle(_SIZES)
        self.cache, self.library = folder / "cache", folder / "photos"
        self._journal = folder / "cache-state" / "pregen" / "journal.sqlite3"
        self._blame = Blame(self.cache, self._journal)
        self._killed: list[int] = []
        """Workers of this run that were killed one by one."""
        self.sources = [
            put(self.library / f"{n // _IN_A_FOLDER}" / f"{n:04}.jpg", self._picture())
            for n in range(sources)
        ]
        self.own = [put(folder / "own" / f"{n}.jpg", self._picture()) for n in range(_OWN_ENTRIES)]
        self._mark = ("PYTHON_TEST_STORM", f"{os.getpid()}-{id(self)}")
        self.tally: Counter[str] = Counter()
        self.torn: list[str] = []
        """What was found wrong on the way."""
        self._seen: set[Path] = set()
        self._first_entry_s = self._whole_run_s = 1.0

    def _picture(self) -> bytes:
        return _picture(self._rng, next(self._sizes))

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a run in a process group of its own."""
        env = {"PYTHONDONTWRITEBYTECODE": "", self._mark[0]: self._mark[1]}
        self.tally["runs"] += 1
        self._killed = []
        return subprocess.Popen(
            [*PREGEN, "run", "-q", *arguments, str(self.library)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment(self.cache, env),
            start_new_session=True,
        )

    def measure(self) -> None:
        """Make all entries once, and learn how long a run takes, and how long to the first."""
        began_s = time.monotonic()
        with self.start() as run:
            while run.poll() is None and not any(self.cache.glob("thumbnails/normal/*.png")):
                time.sleep(0.01)
            self._first_entry_s = time.monotonic() - began_s
            _, errors = run.communicate()
            self._whole_run_s = time.monotonic() - began_s
        assert run.returncode == 0, errors

    def rage(self, kills: int, trouble_every: int = 2) -> None:
        """Kill so many times."""
        run, spread = self.start(), _SPREAD
        while self.tally["kills"] < kills:
            self._change_some(trouble_every)
            late = self._rng.random() < _LATE
            most_s = _SPREAD_LATE * self._whole_run_s if late else spread * self._first_entry_s
            time.sleep(self._rng.uniform(0, most_s))
            spread = _SPREAD
            if run.poll() is not None:
                self._ended(run)
                run = self.start(*self._rng.choice([(), ("--force",), ("--workers", "3")]))
            elif self._rng.random() < _ONE_PROCESS and self._kill_one(run.pid):
                spread = _SPREAD_NEXT
                self.tally["one process"] += 1
                self.tally["kills"] += 1
            else:
                os.killpg(run.pid, signal.SIGKILL)
                self._ended(run)
                self.tally["whole groups"] += 1
                self.tally["kills"] += 1
                if self.tally["whole groups"] % _LOOK_EVERY == 0:
                    self.look()
                    sys.stderr.write(f"{self.tally['kills']} kills, {len(self.torn)} wrong\n")
                run = self.start(*self._rng.choice([(), ("--force",), ("--workers", "3")]))
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
        self._ended(run)

    def _ended(self, run: subprocess.Popen[bytes]) -> None:
        _, errors = run.communicate()
        self.tally[f"ended with {run.returncode}"] += 1
        if run.returncode not in {0, 3, -signal.SIGKILL} or b"Traceback" in errors:
            said = errors.decode(errors="replace")[-3000:]
            self.torn.append(f"a run ended with {run.returncode}: {said}")
        if wait_until_gone(self._mark, 10):
            self.torn.append("processes outlived their run")
        before = self._blame.found
        self.torn += self._blame.look(self._killed)
        if run.returncode == _SOME_FAILED and self._blame.found == before:
            self.torn.append("a run ended with 3, and its journal knows no failure")

    def _kill_one(self, pid: int) -> bool:
        try:
            below = psutil.Process(pid).children(recursive=True)
            if not below:
                return False
            chosen = self._rng.choice(below)
            if chosen.ppid() != pid:  # no worker: the fork server, or what serves it
                self._killed.append(chosen.pid)
            chosen.kill()
        except psutil.NoSuchProcess:
            return False
        return True

    def _change_some(self, one_in: int) -> None:
        if self._rng.randrange(one_in) == 0:
            for path in self._rng.sample(self.sources, min(_REPLACED_AT_ONCE, len(self.sources))):
                _replace(path, self._picture())
                self.tally["files replaced"] += 1

    def look(self) -> None:
        """Read every entry whole, while the others write; none that was there may be gone."""
        there = {path for path in foreign_entries.files(self.cache) if path.suffix == ".png"}
        expected = {entry for path in self.sources for entry, _ in self._entries_of(path)}
        self._seen |= there & expected
        self.torn += [f"lost: {path}" for path in self._seen - there]
        for path in there & expected:
            self.tally["entries read on the way"] += 1
            self.torn += [f"{path}: {wrong}" for wrong in _broken(path)]

    def _entries_of(self, source: Path) -> Iterator[tuple[Path, int]]:
        """Yield where the entries of a source are, and their box."""
        uri = desktops.glib_uri(source)
        for flavor, box_px in _FLAVORS.items():
            yield desktops.entry_path(self.cache, flavor, uri), box_px

    def flaws_of(self, source: Path) -> list[str]:
        """Return what is wrong with the entries of a source."""
        return [
            f"{entry} of {source}: {what}"
            for entry, box_px in self._entries_of(source)
            for what in flaws(entry, source, box_px)
        ]

    def verify(self, writer: OtherWriter, *how: str) -> list[str]:
        """Have one run bring all in order; return what is not. `how`: options for `verify`."""
        _, errors = (run := self.start("--check", "full")).communicate()
        wrong = [*self.torn, *self._blame.look(())]
        if run.returncode:
            wrong.append(f"the last run ended with {run.returncode}: {errors.decode()}")
        known = {*writer.kept, *(e for path in self.sources for e, _ in self._entries_of(path))}
        wrong += [what for path in self.sources for what in self.flaws_of(path)]
        wrong += [
            f"another program's entry changed: {path}"
            for path, data in writer.kept.items()
            if not path.is_file() or path.read_bytes() != data
        ]
        lock = self.cache / "thumbnails" / ".pregen.lock"
        wrong += [
            f"stray: {path}"
            for path in foreign_entries.files(self.cache)
            if path not in {*known, lock}
        ]
        wrong += [f"set aside: {path}" for path in self._journal.parent.glob("*corrupt*")]
        with closing(sqlite3.connect(self._journal)) as database:
            [answer] = database.execute("PRAGMA integrity_check").fetchone()
        if answer != "ok":
            wrong.append(f"journal: {answer}")
        self.tally["entries at the end"] = len(known)
        self.tally |= self._blame.tally
        return [*wrong, *self._verified(len(known), how)]

    def _verified(self, expected: int, how: tuple[str, ...]) -> Iterator[str]:
        """Yield what `pregen verify` finds, or does not look at."""
        done = run_pregen("verify", "--json", *how, cache=self.cache)
        if done.code:
            yield f"pregen verify: {done}"
        states = done.summary["source_states"]
        if done.summary["entries"] != expected or states != {"there": expected}:
            yield f"pregen verify looked at {done.summary}, not at {expected} entries"


def _broken(entry: Path) -> Iterator[str]:
    try:
        data = entry.read_bytes()
        png_walk.chunks(data)
        Image.open(io.BytesIO(data)).load()
    except (OSError, ValueError, SyntaxError, AssertionError) as error:
        yield f"not whole: {error!r}"


def flaws(entry: Path, source: Path, box_px: int) -> Iterator[str]:
    """Yield what keeps an entry from being that of this source as it is."""
    if not entry.is_file():
        yield "lost"
        return
    if broken := [*_broken(entry)]:
        yield from broken
        return
    data, facts = entry.read_bytes(), source.stat()
    picture = Image.open(io.BytesIO(data))
    wanted = {
        "Thumb::URI": desktops.glib_uri(source),
        "Thumb::MTime": str(facts.st_mtime_ns // 10**9),
        "Thumb::Size": str(facts.st_size),
    }
    for key, value in wanted.items():
        if (found := png_walk.text_of(data, key)) != value:
            yield f"{key} is {found}, not {value}"
    if max(picture.size) != box_px:
        yield f"{picture.size} px"
    expected = _colour(Image.open(source))
    if any(abs(a - b) > _TOLERANCE for a, b in zip(_colour(picture), expected, strict=True)):
        yield "the pixels are those of another version"
    if entry.stat().st_mode & 0o777 != 0o600:
        yield "others may read it"


def main(kills: int, seed: int, folder: str | None) -> int:
    """Kill, verify, and print the tally; 1 when a promise was broken."""
    scratch = Path(tempfile.mkdtemp(prefix="pregen-soak-", dir=folder))
    began_s = time.monotonic()
    storm = Storm(scratch, 600, seed)
    storm.measure()
    tumbler = Tumbler(storm.cache, storm.sources, seed + 1)
    with OtherWriter(storm.cache, storm.sources, storm.own, seed + 2) as writer, tumbler:
        storm.rage(kills)
    wrong = storm.verify(writer, "--deep")
    storm.tally |= Counter({"written by another program": writer.written})
    storm.tally |= Counter({"rounds of tumblerd": tumbler.rounds, "refused": tumbler.refused})
    sys.stdout.writelines(f"{count:8} {name}\n" for name, count in sorted(storm.tally.items()))
    sys.stdout.writelines(f"WRONG: {what}\n" for what in wrong[:50])
    sys.stdout.write(f"{len(wrong)} wrong, in {time.monotonic() - began_s:.0f} s (seed {seed})\n")
    if wrong:
        sys.stdout.write(f"to look at: {scratch}\n")
    else:
        shutil.rmtree(scratch, ignore_errors=True)
    return int(bool(wrong))

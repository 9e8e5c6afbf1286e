"""Runs with a journal that was damaged, by a seed: each has to end as if there were none.

For `scripts/soak journal`, and in short for the suite. Every seed damages the journal of one and
the same finished run in another way, takes some entries away, and runs again: the run ends with 0
or 3, says no more than a sentence or two, and every entry is right; then every verb that opens the
journal has to end in order, and the run after that has nothing to say.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pregen.journal import Journal
from tests.support.files.pictures import jpeg, put
from tests.support.files.source_trees import MTIME_NS
from tests.support.judges import desktops, png_walk
from tests.support.running.forked import ForkServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from random import Random
    from typing import Self

    from tests.support.running.program import Finished

_PAGE_BYTES = 4096
#: Sources, of which one fails, one is small, one is no picture and one moves.
_PHOTOS = 6
_TABLES = (
    "runs", "sources", "folders", "fingerprints", "surveys", "file_systems", "vaults", "salts",
    "known_files", "listings",
)  # fmt: skip
#: What another program may leave in any column.
_VALUES: tuple[object, ...] = (
    None, 0, -1, 2**63 - 1, -(2**63), 1.5, "", "text", "{", "[1, 2", '{"made": "many"}', "[" * 5000,
    b"", b"\0", b"/\0/x", b"\xff" * 100, b"relative",
)  # fmt: skip


class JournalTrial:
    """As a context: a library with cache and journal as a first run left them, in a folder."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._server = ForkServer(scratch)
        self.photos = scratch / "photos"
        self._made = scratch / "made"
        for number in range(_PHOTOS):
            put(self.photos / f"{number}.jpg", jpeg(300, 200, seed=number), MTIME_NS + number)
        put(self.photos / "small.jpg", jpeg(60, 40), MTIME_NS)
        put(self.photos / "bad.jpg", jpeg(300, 200)[:150], MTIME_NS)
        put(self.photos / "notes.txt", b"not a picture\n" * 20, MTIME_NS)
        moving = put(self.photos / "before.jpg", jpeg(320, 200, seed=77), MTIME_NS + 99)
        self._moving = moving

    def __enter__(self) -> Self:
        self._server.__enter__()
        first = self._server.run("run", self.photos, cache=self._made)
        assert first.code == 3, first
        journal = Journal.open(bytes(_journal_of(self._made)), sys.exit)
        journal.note_vaults([b"/vault"])
        journal.close()
        self._moving.rename(self.photos / "after.jpg")
        whole = self._scratch / "whole"
        assert self._server.run("run", "--no-reuse", self.photos, cache=whole).code == 3
        self._right = _pictures(whole, self.photos)
        assert len(self._right) == 2 * (_PHOTOS + 1)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()

    def run(self, seed: int) -> tuple[str, list[str]]:
        """Damage, run, look; return how it was damaged, and what was wrong."""
        chance = random.Random(seed)  # noqa: S311 - damage, not secrets
        cache = self._scratch / f"cache-{seed}"
        state = Path(f"{cache}-state")
        shutil.copytree(self._made, cache)
        shutil.copytree(Path(f"{self._made}-state"), state)
        journal = _journal_of(cache)
        how = damage(journal, chance)
        for number in chance.sample(range(_PHOTOS), 2):
            uri = desktops.glib_uri(self.photos / f"{number}.jpg")
            desktops.entry_path(cache, "large", uri).unlink()
        try:
            wrong = [*self._look(cache, chance)]
        except subprocess.TimeoutExpired as hang:
            wrong = [str(hang)]
        shutil.rmtree(cache)
        shutil.rmtree(state)
        return how, wrong

    def _look(self, cache: Path, chance: Random) -> Iterator[str]:
        verb = chance.choice(_VERBS)
        if chance.random() < 0.5:  # as the first to meet the damage, or after a run has
            yield from _judged(
                self._server.run(*verb, cwd=self._scratch, cache=cache), {0, 2, 3, 4}, verb
            )
        yield from _judged(self._server.run("run", self.photos, cache=cache), {0, 3}, ("run",))
        if _pictures(cache, self.photos) != self._right:
            yield "an entry is missing or wrong"
        yield from self._verb(verb, cache)
        # What is left of the damage may be met only by the second run, at most.
        runs = [self._server.run("run", self.photos, cache=cache) for _ in range(2)]
        for last in runs:
            yield from _judged(last, {0, 3}, ("run",))
        last = runs[-1]
        if "journal" in last.err and "newer pregen" not in last.err:
            yield f"the journal is still not mended: {last!r}"

    def _verb(self, verb: tuple[str, ...], cache: Path) -> Iterator[str]:
        return _judged(self._server.run(*verb, cwd=self._scratch, cache=cache), {0, 2, 3, 4}, verb)


#: Those that open the journal.
_VERBS: Sequence[tuple[str, ...]] = (
    ("status",), ("status", "--json"), ("failures",), ("failures", "--json"),
    ("show", "photos/0.jpg"), ("report", "-o", "-"), ("verify",), ("run", "--dry-run", "photos"),
)  # fmt: skip


def _journal_of(cache: Path) -> Path:
    return Path(f"{cache}-state") / "pregen" / "journal.sqlite3"


def _judged(done: Finished, codes: set[int], verb: tuple[str, ...]) -> Iterator[str]:
    words = " ".join(verb)
    if done.code not in codes or "Traceback" in done.err + done.out:
        yield f"{words}: {done!r}"
    elif done.err.count("The journal ") > 2:
        yield f"{words} says too much: {done.err}"


def _pictures(cache: Path, photos: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for source in photos.iterdir():
        for flavor in ("normal", "large"):
            path = desktops.entry_path(cache, flavor, desktops.glib_uri(source))
            with suppress(FileNotFoundError):
                data = path.read_bytes()
                texts = {text.key: text.value for text in png_walk.texts(data)}
                facts = (texts["Thumb::URI"], texts["Thumb::MTime"], texts["Thumb::Size"])
                found[f"{flavor}/{source.name}"] = f"{facts} {png_walk.pixels_digest(data)}"
    return found


def damage(journal: Path, chance: Random) -> str:
    """Damage a journal that a run has closed in one of the ways; return which."""
    how = chance.choice([*_DAMAGES])
    _DAMAGES[how](journal, chance)
    return how


def _flip(path: Path, chance: Random, begin: int, end: int, number: int) -> None:
    data = bytearray(path.read_bytes())
    end = min(end, len(data))
    for _ in range(number):
        data[chance.randrange(begin, end)] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def _bits(path: Path, chance: Random) -> None:
    _flip(path, chance, 0, path.stat().st_size, chance.choice((1, 1, 3, 30, 300)))


def _header(path: Path, chance: Random) -> None:
    _flip(path, chance, 0, 100, chance.choice((1, 1, 2)))


def _schema(path: Path, chance: Random) -> None:
    _flip(path, chance, 100, _PAGE_BYTES, chance.choice((1, 20, 100)))


def _names(path: Path, chance: Random) -> None:
    """Damage a name in the schema, so that SQLite's own words are no UTF-8."""
    data = bytearray(path.read_bytes())
    names = [name.encode() for name in (*_TABLES, "size_bytes", "kind", "libraries", "TABLE")]
    at = data.find(chance.choice(names), 100, _PAGE_BYTES)
    data[at + chance.randrange(4)] ^= 0x80
    path.write_bytes(data)


def _page(path: Path, chance: Random) -> None:
    data = bytearray(path.read_bytes())
    page = chance.randrange(1, len(data) // _PAGE_BYTES) * _PAGE_BYTES
    body = chance.choice((bytes(_PAGE_BYTES), chance.randbytes(_PAGE_BYTES), data[:_PAGE_BYTES]))
    data[page : page + _PAGE_BYTES] = body
    path.write_bytes(data)


def _cut(path: Path, chance: Random) -> None:
    os.truncate(path, chance.randrange(path.stat().st_size))


def _log(path: Path, chance: Random) -> None:
    """Leave a log and its index as a run that was killed does, and damage them."""
    with closing(sqlite3.connect(path, isolation_level=None)) as one:
        one.execute("UPDATE sources SET message = message || 'x'")
        parts = [path.with_name(path.name + end) for end in ("-wal", "-shm")]
        kept = [part.read_bytes() for part in parts]
    for part, data in zip(parts, kept, strict=True):
        part.write_bytes(data)
    hurt = chance.choice(parts)
    if chance.random() < 0.3:
        os.truncate(hurt, chance.randrange(hurt.stat().st_size))
    else:
        _flip(hurt, chance, 0, hurt.stat().st_size, chance.choice((1, 20, 500)))


def _rows(path: Path, chance: Random) -> None:
    """Write what SQLite takes and pregen never wrote."""
    with closing(sqlite3.connect(path, isolation_level=None)) as one:
        for _ in range(chance.choice((1, 3, 10))):
            table = chance.choice(_TABLES)
            columns = [row[1] for row in one.execute(f"PRAGMA table_info({table})")]
            value = chance.choice(_VALUES)
            with suppress(sqlite3.Error):  # a constraint
                one.execute(f"UPDATE {table} SET {chance.choice(columns)} = ?", (value,))  # noqa: S608 - names


def _column(path: Path, chance: Random) -> None:
    """Have another program change the tables."""
    changes = [f"DROP TABLE {table}" for table in _TABLES]
    changes += ["ALTER TABLE runs RENAME COLUMN counts TO numbers", "PRAGMA user_version = 2"]
    changes += ["PRAGMA user_version = -5", "PRAGMA user_version = 70000"]
    changes += ["PRAGMA application_id = 7", "CREATE UNIQUE INDEX one ON sources (mime)"]
    with closing(sqlite3.connect(path, isolation_level=None)) as one, suppress(sqlite3.Error):
        one.execute(chance.choice(changes))


def _noise(path: Path, chance: Random) -> None:
    begin = chance.choice((b"", b"SQLite format 3\0"))
    path.write_bytes(begin + chance.randbytes(chance.randrange(20_000)))


_DAMAGES: dict[str, Callable[[Path, Random], None]] = {
    "bits": _bits,
    "header": _header,
    "schema": _schema,
    "names": _names,
    "page": _page,
    "cut": _cut,
    "log": _log,
    "rows": _rows,
    "tables": _column,
    "noise": _noise,
}


def main(count: int, first: int, folder: str | None) -> int:
    """Run so many seeds; 1 when a promise was broken."""
    damages: Counter[str] = Counter()
    broken = 0
    with (
        tempfile.TemporaryDirectory(dir=folder) as scratch,
        JournalTrial(Path(scratch)) as trial,
    ):
        for seed in range(first, first + count):
            how, wrong = trial.run(seed)
            damages[how] += 1
            broken += bool(wrong)
            for words in wrong:
                sys.stdout.write(f"seed {seed}, {how}: {words}\n")
            if damages.total() % 50 == 0:
                sys.stderr.write(f"{damages.total()} journals, {broken} broke a promise\n")
    sys.stdout.write(f"{damages.total()} journals: {dict(damages)}; {broken} broke a promise\n")
    return 1 if broken else 0

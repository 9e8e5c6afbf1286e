"""Takes entries over many at once in C, under sanitizers, and one by one in Python: alike.

    python -m tests.support.trials.batch_twins FOLDER ROUNDS [SEED]

FOLDER takes a compiled module, some files and two caches, whose entries are damaged in every round
in the same way. Ends with 1 where they are not the same afterwards, or something else is told.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from pregen.cache.store import Cache
from pregen.filesystems.bounded import BoundedFiles
from pregen.model import Action, Flavor, Job, SameFile, Step
from pregen.reuse import batch
from pregen.reuse.same_file import Adopter
from pregen.thumbspec import fingerprint, pngbuild, uri
from pregen.thumbspec.naming import entry_name, key
from tests.support.trials.sanitized import sanitized

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pregen.model import Outcome

MODULE = "pregen.reuse._batch"
#: Of all sources: with a fraction, which an iTXt tells.
_MTIME_NS = 1_700_000_000_123_456_789
FLAVORS = (Flavor.NORMAL, Flavor.LARGE)
#: Sources of a round, and how many of their entries are left as they are.
_SOURCES, _SOUND_SHARE = 6, 0.5


class Moved:
    """Sources that were moved, and a cache with the entries of their former names.

    Args:
        base: a folder for both.
        count: of sources.
        together: many at once; else one by one.
    """

    def __init__(self, base: Path, count: int, *, together: bool) -> None:
        self.root = base / "cache"
        self._together = together
        self.sources = [base / "photos" / f"ä {number}.jpg" for number in range(count)]
        self.sources[0].parent.mkdir(parents=True)
        self.jobs: list[Job] = []
        for number, source in enumerate(self.sources):
            source.write_bytes(b"x" * (100 + number))
            os.utime(source, ns=(_MTIME_NS, _MTIME_NS))
            there = source.stat()
            facts = pngbuild.SourceFacts(
                uri.file_uri(os.fsencode(f"/was/here/{number}.jpg")),
                there.st_mtime_ns,
                there.st_size,
                "image/x-pixels",
                400,
                300,
                extra=((fingerprint.KEY, f"{number + 1:016x}{number:016x}:{there.st_size}"),),
            )
            for flavor in FLAVORS:
                path = self.path(flavor, facts.uri)
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                path.write_bytes(entry(facts, flavor, number))
            new = uri.file_uri(os.fsencode(source))
            same = SameFile(
                key(facts.uri),
                there.st_ino,
                there.st_ctime_ns,
                fingerprint.brief(facts.extra[0][1]),
            )
            steps = tuple(Step(Action.MAKE, flavor, new) for flavor in FLAVORS)
            self.jobs.append(
                Job(
                    number,
                    os.fsencode(source),
                    there.st_size,
                    there.st_mtime_ns,
                    (new,),
                    steps,
                    device=there.st_dev,
                    same=same,
                )
            )

    def path(self, flavor: Flavor, entry_uri: str) -> Path:
        """Return where an entry is kept."""
        return self.root / flavor.directory / entry_name(entry_uri)

    def old(self, number: int, flavor: Flavor) -> Path:
        """Return where the entry of a source's former name is."""
        same = self.jobs[number].same
        assert same is not None
        return self.root / flavor.directory / f"{same.key}.png"

    def new(self, number: int, flavor: Flavor) -> Path:
        """Return where its entry is to be."""
        return self.path(flavor, self.jobs[number].uris[0])

    def fail_record(self, number: int) -> Path:
        """Make a fail record of a source; return where."""
        with Cache(os.fsencode(self.root)) as cache:
            cache.write_fail(self.jobs[number].uris[0], b"record")
            folder = Path(os.fsdecode(cache.fail_folder.path))
        return folder / entry_name(self.jobs[number].uris[0])

    def adopt(self) -> list[Outcome | None]:
        """Take all over."""
        cache, files = Cache(os.fsencode(self.root)), BoundedFiles()
        adopter = Adopter(cache, FLAVORS, files, unpack=False)
        try:
            if self._together:
                return adopter.adopt_all(self.jobs)
            return [adopter.adopt(job) for job in self.jobs]
        finally:
            adopter.close()
            files.close()

    def told(self, outcomes: Sequence[Outcome | None]) -> list[object]:
        """Return what of outcomes does not depend on where and when they came about."""
        return [
            outcome
            and (
                outcome.kind,
                outcome.entries_written,
                outcome.fingerprint,
                [stamp.size_bytes for stamp in outcome.stamps],
            )
            for outcome in outcomes
        ]

    def entries(self) -> dict[str, bytes | str]:
        """Return what is in the cache, by name: of links where they lead to.

        New entries hold where their sources are; so names are numbers, and URIs without folders.
        """
        names = {entry_name(job.uris[0]): f"new {job.job_id}" for job in self.jobs}
        found: dict[str, bytes | str] = {}
        for path in sorted(self.root.rglob("*")):
            name = f"{path.parent.name}/{names.get(path.name, path.name)}"
            if path.is_symlink():
                found[name] = os.readlink(path)
            elif path.is_file():
                found[name] = _anonymous(path.read_bytes())
        return found


def _anonymous(png: bytes) -> bytes:
    """Return an entry without its URI, whose length and CRC depend on it."""
    said = pngbuild.uri_of(png)
    at = png.find(b"tEXtThumb::URI")
    end = at + 4 + len(b"Thumb::URI") + 1 + len(said)
    whole = not said or zlib.crc32(png[at:end]) == int.from_bytes(png[end : end + 4], "big")
    return png[: at - 4] + png[end + 4 :] if said and whole else png


def entry(facts: pngbuild.SourceFacts, flavor: Flavor, seed: int) -> bytes:
    """Return an entry with a picture of noise."""
    width_px, height_px = flavor.box_px, flavor.box_px * 3 // 4
    noise = random.Random(seed).randbytes(4 * width_px)  # noqa: S311 - a picture
    idat = zlib.compress((b"\0" + noise) * height_px, 1)
    return pngbuild.assemble(width_px, height_px, pngbuild.entry_chunks(facts), idat)


def _damages(random_: random.Random) -> Iterator[tuple[int, Flavor, int, float, int]]:
    """Yield entries to be damaged: which, how, where in it (0 to 1), and with what."""
    for number in range(_SOURCES):
        if random_.random() > _SOUND_SHARE:
            where = random_.choice((random_.random(), random_.random() * 0.01))
            yield (
                number,
                random_.choice(FLAVORS),
                random_.randrange(6),
                where,
                random_.randrange(256),
            )


def _damage(path: Path, how: int, where: float, byte: int) -> None:
    data = bytearray(path.read_bytes())
    at = int(where * len(data))
    match how:
        case 0:
            data[at] = byte
        case 1:
            del data[at:]
        case 2:
            data[at:at] = bytes([byte]) * (1 + byte)
        case 3:
            data += bytes([byte]) * (1 + byte)
        case 4:
            data[at : at + 4] = b"\xff\xff\xff\xff"
        case _:
            path.unlink()
            path.symlink_to("elsewhere")
            return
    path.write_bytes(data)


def main(base: Path, rounds: int, seed: int) -> int:
    """Take entries over in both ways `rounds` times; return the exit code."""
    # the one with sanitizers
    vars(batch).update(_batch=sanitized(base, MODULE), COMPILED=True)
    random_ = random.Random(seed)  # noqa: S311 - damages, not secrets
    for number in range(rounds):
        folder = base / "round"
        twins = [Moved(folder / name, _SOURCES, together=name == "c") for name in ("c", "p")]
        for which, flavor, how, where, byte in _damages(random_):
            for twin in twins:
                _damage(twin.old(which, flavor), how, where, byte)
        one, two = ((twin.told(twin.adopt()), twin.entries()) for twin in twins)
        if one != two:
            sys.stdout.write(f"round {number} of seed {seed}: {one[0]} {two[0]}\n")
            return 1
        shutil.rmtree(folder)
    sys.stdout.write(f"{rounds} alike\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int([*sys.argv, "0"][3])))

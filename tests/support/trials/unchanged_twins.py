"""Looks at a folder in C, under sanitizers, and in Python, by rows of the journal that are damaged.

    python -m tests.support.trials.unchanged_twins FOLDER ROUNDS [SEED]

FOLDER takes a compiled module and some files. Ends with 1 where the two say different things.
"""

from __future__ import annotations

import os
import random
import struct
import sys
from pathlib import Path

from pregen.walk.unchanged import EntryFolders, RememberedFolder, in_python
from tests.support.trials.sanitized import sanitized

MODULE = "pregen.walk._unchanged"
_FILES = 300
#: Of rows so long that two threads share them; of names that are left alone; of rows cut short.
_MANY_SHARE, _SOUND_SHARE, _CUT_SHARE = 0.01, 0.95, 0.1
_NAMES = (b"a", b"\xff", b"..", b".", b"", b"../a", b"n" * 255, b".hidden", b"a\nb")


def _folders(base: Path) -> tuple[int, tuple[int, int]]:
    folders = [base / name for name in ("photos", "normal", "large")]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    for number in range(_FILES):
        (folders[0] / f"p{number}.jpg").write_bytes(b"x" * number)
        for folder in folders[1:]:
            (folder / f"{number:032x}.png").write_bytes(b"entry")
    (folders[0] / ".hidden").write_bytes(b"")
    (folders[0] / "link").symlink_to("p1.jpg")
    (folders[0] / "dead").symlink_to("nowhere")
    (folders[0] / "folder").mkdir(exist_ok=True)
    photos, *entries = (os.open(folder, os.O_RDONLY) for folder in folders)
    return photos, (entries[0], entries[1])


def _facts(base: Path) -> list[bytes]:
    """Return what is so of each file and its entries."""
    found = []
    for number in range(_FILES):
        there = (base / "photos" / f"p{number}.jpg").stat()
        packed = struct.pack("<qq16s", there.st_size, there.st_mtime_ns, number.to_bytes(16))
        for folder in ("normal", "large"):
            there = (base / folder / f"{number:032x}.png").stat()
            packed += struct.pack("<Qqq", there.st_ino, there.st_mtime_ns, there.st_size)
        found.append(packed)
    return found


def _row(known: list[bytes], random_: random.Random) -> RememberedFolder:
    """Return a row of some files, damaged here and there."""
    most = 290 if random_.random() < _MANY_SHARE else random_.choice((1, 2, 7, 20))
    numbers = random_.sample(range(_FILES), most)
    # a file that has entries under several keys stands there more than once
    numbers += random_.choices(numbers, k=random_.choice((0, 0, 1, most)))
    names = [
        b"p%d.jpg" % number if random_.random() < _SOUND_SHARE else random_.choice(_NAMES)
        for number in numbers
    ]
    blobs = [bytearray(b"\0".join(names)), bytearray(b"".join(map(known.__getitem__, numbers)))]
    for _ in range(random_.choice((0, 0, 1, 3, 30))):
        blob = random_.choice(blobs)
        if blob:
            blob[random_.randrange(len(blob))] = random_.choice((0, 1, 47, 127, 128, 255))
    if random_.random() < _CUT_SHARE:
        blob = random_.choice(blobs)
        del blob[random_.randrange(len(blob) + 1) :]
    return RememberedFolder(*map(bytes, blobs))


def main(base: Path, rounds: int, seed: int) -> int:
    """Ask both `rounds` times; return the exit code."""
    compiled = sanitized(base, MODULE)
    random_ = random.Random(seed)  # noqa: S311 - damages, not secrets
    photos, entries = _folders(base)
    device = os.fstat(photos).st_dev
    known = _facts(base)
    for number in range(rounds):
        facts = _row(known, random_)
        others = ((bytearray(random_.randbytes(4)), 27),) if random_.random() < 0.2 else ()
        hidden, most = random_.random() < 0.5, random_.choice((0, 5, 400, 10_000))
        asked = EntryFolders(entries, others)
        one = compiled.unchanged(photos, device, *facts, *asked, hidden, most)
        two = in_python(photos, device, facts, asked, hidden=hidden, most_rest=most)
        told = None if one is None else (one[0], sorted(one[1]))
        if told != (None if two is None else (two.fresh, sorted(two.rest))):
            sys.stdout.write(f"round {number} of seed {seed}: {told} {two} {facts}\n")
            return 1
    sys.stdout.write(f"{rounds} alike\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int([*sys.argv, "0"][3])))

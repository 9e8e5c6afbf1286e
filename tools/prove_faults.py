"""Takes a safety away from a copy of pregen, and shows that what guards it turns red.

    scripts/prove-faults [FILE ...]

One after the other: the rename at the end of a commit, the clean-up of temps after a failure and
of dead runs, the look at the source after decoding, the one right after opening: the fault table
has to notice. Then the bounds and the strictness of the C decoder: the short run of libFuzzer has
to (needs clang). FILE: only what is taken from it, as `imaging/c/bits.h`. More than 0 when
something stays green without one of them, or is not green with all of them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
FILES = "temp,entry,source"
FAULT_TABLE = ("tests.support.faults.fault_table", "--files", FILES)
#: As short as the suite's.
FUZZ = ("tests.support.trials.main", "fuzz", "--count", "20000")
FUZZ_CURSORS = (*FUZZ, "--target", "cursors")
FUZZ_BOXES = (*FUZZ, "--target", "boxed")


class Sabotage(NamedTuple):
    """A change of one file, and the module that has to notice, with its arguments."""

    name: str
    file: str
    old: str
    new: str
    judge: tuple[str, ...] = FAULT_TABLE


SABOTAGES = (
    Sabotage("nothing", "cache/atomic.py", "commit", "commit"),
    Sabotage(
        "the rename at the end (rename first, then write)",
        "cache/atomic.py",
        "            stamp = _fill(fd, data, give, system)\n"
        "            system.replace(temp, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)\n",
        "            system.replace(temp, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)\n"
        "            stamp = _fill(fd, data, give, system)\n",
    ),
    Sabotage(
        "the clean-up of a failed commit",
        "cache/atomic.py",
        "        system.unlink(temp, dir_fd=dir_fd)\n",
        "        pass\n",
    ),
    Sabotage(
        "the sweep of dead runs' temps",
        "cache/store.py",
        "            removed += folder.delete(name)\n",
        "            removed += 0\n",
    ),
    Sabotage(
        "the look at the source after decoding",
        "source_file.py",
        "            return facts_of(self.fd) != self.facts\n",
        "            return False\n",
    ),
    Sabotage(
        "the look whether what was opened is still there",
        "source_file.py",
        "        if not now.st_nlink and not _is_at(path, now, folder_fd):\n",
        "        if False:\n",
    ),
    Sabotage("nothing of the decoder", "imaging/c/jpeg.h", "decoder", "decoder", FUZZ),
    Sabotage(
        "the room that is left in a window",
        "imaging/c/bits.h",
        "size < room ? size : room",
        "size < 2 * room ? size : 2 * room",
        FUZZ_CURSORS,
    ),
    Sabotage(
        "the number of a block where two cursors meet",
        "imaging/c/cursors.h",
        "            if (apart % index->cycle == 0) {\n",
        "            if (apart % index->cycle != 1) {\n",
        FUZZ_CURSORS,
    ),
    Sabotage(
        "the end of a restart interval that is read with others",
        "imaging/c/indexed.h",
        "|| end > stop ||",
        "||",
        FUZZ_CURSORS,
    ),
    Sabotage(
        "the limit of a DC, where libjpeg-turbo shows something else",
        "imaging/c/blocks.h",
        "    return MOST_MEAN + 4 * quantiser;\n",
        "    return 32 * MOST_MEAN + 4 * quantiser;\n",
        FUZZ,
    ),
    Sabotage(
        "the end of a block",
        "imaging/c/blocks.h",
        "    return place + places < BLOCK ? place + places : -1;\n",
        "    return place + places < 2 * BLOCK ? place + places : -1;\n",
        FUZZ,
    ),
    Sabotage(
        "a coefficient in the table of steps",
        "imaging/c/huffman.h",
        "            places += run + 1;\n",
        "            places += run + (size != 3);\n",
        FUZZ,
    ),
    Sabotage(
        "the sequence of progressive scans",
        "imaging/c/segments.h",
        " && in_sequence(scan);\n",
        " && (in_sequence(scan) || true);\n",
        FUZZ,
    ),
    Sabotage("nothing of the rows", "imaging/c/rows.h", "rows", "rows", FUZZ_BOXES),
    Sabotage(
        "the end of a string of LZW",
        "imaging/c/lzw.h",
        "            if (from.length > size - made)\n",
        "            if (from.length > size - made + 1)\n",
        FUZZ_BOXES,
    ),
    Sabotage(
        "the order in which Paeth prefers",
        "imaging/c/rows.h",
        "                  : to_upper <= to_corner                     ? upper\n",
        "                  : to_upper < to_corner                      ? upper\n",
        FUZZ_BOXES,
    ),
)


def main() -> int:
    """Try each; return the number of surprises."""
    surprises = 0
    for sabotage in SABOTAGES:
        if sys.argv[1:] and sabotage.file not in sys.argv[1:]:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            for part in ("pregen", "tests"):
                shutil.copytree(ROOT / part, Path(scratch) / part)
            file = Path(scratch) / "pregen" / sabotage.file
            text = file.read_text()
            if sabotage.old not in text:
                sys.exit(f"{sabotage.file} is not as this script knows it: {sabotage.old!r}")
            file.write_text(text.replace(sabotage.old, sabotage.new))
            command = [sys.executable, "-m", *sabotage.judge]
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
        as_hoped = (done.returncode == 0) == (sabotage.old == sabotage.new)
        surprises += not as_hoped
        said = (done.stdout.splitlines() or [done.stderr])[-1]
        sys.stdout.write(f"without {sabotage.name}: {said}{'' if as_hoped else '  SURPRISE'}\n")
        sys.stdout.flush()
    return surprises


if __name__ == "__main__":
    sys.exit(main())

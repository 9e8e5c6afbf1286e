"""Takes a safety away from a copy of pregen, and shows that the fault table turns red.

    scripts/prove-faults

One after the other: the rename at the end of a commit, the clean-up of temps after a failure and
of dead runs, the look at the source after decoding, the one right after opening. 1 when the table
stays green without one of them, or is not green with all of them.
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


class Sabotage(NamedTuple):
    """A change of one file, and the cells that have to notice."""

    name: str
    file: str
    old: str
    new: str


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
        "            return _facts(os.fstat(self.fd)) != self.facts\n",
        "            return False\n",
    ),
    Sabotage(
        "the look whether what was opened is still there",
        "source_file.py",
        "        if not now.st_nlink and not _is_at(path, now, folder_fd):\n",
        "        if False:\n",
    ),
)


def main() -> int:
    """Try each; return the number of surprises."""
    surprises = 0
    for sabotage in SABOTAGES:
        with tempfile.TemporaryDirectory() as scratch:
            for part in ("pregen", "tests"):
                shutil.copytree(ROOT / part, Path(scratch) / part)
            file = Path(scratch) / "pregen" / sabotage.file
            text = file.read_text()
            if sabotage.old not in text:
                sys.exit(f"{sabotage.file} is not as this script knows it: {sabotage.old!r}")
            file.write_text(text.replace(sabotage.old, sabotage.new))
            command = [sys.executable, "-m", "tests.support.faults.fault_table", "--files", FILES]
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
        as_hoped = (done.returncode == 0) == (sabotage.name == "nothing")
        surprises += not as_hoped
        said = (done.stdout.splitlines() or [done.stderr])[-1]
        sys.stdout.write(f"without {sabotage.name}: {said}{'' if as_hoped else '  SURPRISE'}\n")
        sys.stdout.flush()
    return surprises


if __name__ == "__main__":
    sys.exit(main())

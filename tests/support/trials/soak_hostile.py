"""What is too long for the suite: a folder of a million names, and bombs that end by a limit.

For `scripts/soak-hostile`. Each part prints its figures; 1 when one broke a promise.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.files.bombs import BOMBS, SLOW_BOMBS
from tests.support.files.pictures import put
from tests.support.files.source_trees import few
from tests.support.running.program import PREGEN
from tests.support.trials.memory_watch import MemoryWatch, peak_resident_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

#: One name in so many is a picture's, and damaged: it becomes a job.
_PICTURE_EVERY = 10
#: What the parent may take for a folder of a million names.
_PARENT_BYTES = 400 << 20
_DEADLINE_S = 10.0


class _Run:
    """One run to its end, watched."""

    def __init__(self, folder: Path, scratch: Path, *more: str) -> None:
        env = {
            **os.environ,
            "XDG_CACHE_HOME": str(scratch / "cache"),
            "XDG_STATE_HOME": str(scratch / "state"),
        }
        begun_s = time.monotonic()
        with tempfile.TemporaryFile() as out:
            process = subprocess.Popen(
                [*PREGEN, "run", "--json", *more, folder], env=env, stdout=out
            )
            self.parent_bytes = 0
            with MemoryWatch(process.pid) as watch:
                while process.poll() is None:
                    self.parent_bytes = max(self.parent_bytes, peak_resident_bytes(process.pid))
                    time.sleep(0.1)
            out.seek(0)
            self.records = [json.loads(line) for line in out]
        self.code = process.returncode
        self.worker_bytes = watch.most_resident_bytes
        self.took_s = time.monotonic() - begun_s


def names(scratch: Path, count: int) -> bool:
    """Run over a folder of `count` names; tell whether it went well."""
    folder = scratch / "names"
    few(folder, 3)
    pictures = count // _PICTURE_EVERY
    for number in range(count):
        kind = "jpg" if number % _PICTURE_EVERY == 0 else "txt"
        os.close(os.open(folder / f"{number:07}.{kind}", os.O_CREAT | os.O_WRONLY))
    run = _Run(folder, scratch)
    summary = run.records[-1]
    sys.stdout.write(
        f"{count} names in one folder: exit {run.code}, {run.took_s:.0f} s, {summary['kinds']}, "
        f"{summary['passed_over']} passed over; parent {run.parent_bytes >> 20} MiB\n"
    )
    return (
        run.code == 3
        and summary["kinds"] == {"made": 3, "invalid": pictures}
        and summary["passed_over"] == count - pictures
        and run.parent_bytes < _PARENT_BYTES
    )


def bombs(scratch: Path) -> bool:
    """Run over each bomb alone; tell whether each had one outcome in time."""
    fine = True
    for name, make in {**BOMBS, **SLOW_BOMBS}.items():
        path = put(scratch / name, make())
        run = _Run(path, scratch, "-v", "--timeout", str(_DEADLINE_S))
        outcomes = [record for record in run.records if record["type"] == "outcome"]
        good = run.code in {0, 3} and len(outcomes) == 1 and run.took_s < 4 * _DEADLINE_S
        fine = fine and good
        outcome = outcomes[0] if outcomes else {"kind": "none", "message": ""}
        sys.stdout.write(
            f"{'' if good else 'VIOLATION: '}{name:14} {path.stat().st_size:9} bytes "
            f"{run.took_s:5.1f} s {run.worker_bytes >> 20:5} MiB  {outcome['kind']:13} "
            f"{outcome['message'][:60]}\n"
        )
        sys.stdout.flush()
    return fine


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both parts."""
    parser = argparse.ArgumentParser(prog="scripts/soak-hostile", description=__doc__)
    parser.add_argument("--names", type=int, default=1_000_000)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="pregen-hostile-") as scratch:
        fine = [names(Path(scratch), chosen.names), bombs(Path(scratch))]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())

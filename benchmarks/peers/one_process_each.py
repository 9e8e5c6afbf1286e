"""What the peers that need a process per picture share: a few threads that start processes."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from benchmarks.peers import common

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def run_all(commands: Callable[[common.Picture, common.Request], Iterable[list[str]]]) -> None:
    """Run the commands of every picture of the tree, WORKERS pictures at a time."""
    asked = common.request()
    common.make_folders(asked)

    def make(path: str) -> bool:
        lines = commands(common.picture(path), asked)
        return all(subprocess.run(line, check=False).returncode == 0 for line in lines)

    with ThreadPoolExecutor(asked.workers) as threads:
        made = sum(threads.map(make, common.files(asked.tree)))
    print(f"{made} pictures", file=sys.stderr)

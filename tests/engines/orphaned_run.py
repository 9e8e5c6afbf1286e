"""A run that gets stuck in every worker, to be killed from outside.

Usage: python -m tests.engines.orphaned_run HOW ...; prints the workers' process ids when all of
them are stuck.
"""

from __future__ import annotations

import sys
import threading
import time

from pregen.config import EngineConfig
from pregen.engines.base import Stop
from pregen.engines.local.engine import LocalEngine
from tests.support.faults import harmful_work


def main(hows: list[str]) -> None:
    """Let one worker do each of `hows`."""
    jobs = [harmful_work.job(number, how.encode()) for number, how in enumerate(hows)]
    engine = LocalEngine(
        harmful_work.make_saboteur,
        harmful_work.CONFIG,
        EngineConfig(workers=len(jobs), timeout_s=1000),
    )

    def announce() -> None:
        while sum(view.path is not None for view in engine.workers()) < len(jobs):
            time.sleep(0.01)
        print(*(view.pid for view in engine.workers()), flush=True)  # noqa: T201 - its purpose

    threading.Thread(target=announce, daemon=True).start()
    list(engine.run(iter(jobs), Stop()))


if __name__ == "__main__":
    main(sys.argv[1:])

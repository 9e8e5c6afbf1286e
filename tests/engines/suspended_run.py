"""A run with one job and a deadline of two seconds, to be suspended from outside."""

from __future__ import annotations

import threading
import time

from pregen.config import EngineConfig
from pregen.engines.base import Stop
from pregen.engines.local.engine import LocalEngine
from tests.support.faults import harmful_work


def main(go: str) -> None:
    """Print the worker's process id when it waits for the file `go`; then what became of it."""
    engine = LocalEngine(
        harmful_work.make_saboteur, harmful_work.CONFIG, EngineConfig(workers=1, timeout_s=2)
    )

    def announce() -> None:
        while not any(view.path for view in engine.workers()):
            time.sleep(0.01)
        print(engine.workers()[0].pid, flush=True)  # noqa: T201 - its purpose

    thread = threading.Thread(target=announce)
    thread.start()
    waiting = harmful_work.job(0, b"wait-for-file")._replace(uris=(go,))
    (outcome,) = engine.run(iter([waiting]), Stop())
    thread.join()
    print(outcome.kind.value, outcome.worker_pid, flush=True)  # noqa: T201 - its purpose

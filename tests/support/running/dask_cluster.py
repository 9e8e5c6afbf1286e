"""A real Dask cluster on loopback: a scheduler and worker processes, as a site would start them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from distributed import Client

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DASK = str(Path(sys.executable).with_name("dask"))
_START_S = 60


class DaskCluster:
    """Started with the block, killed with it; no nannies, so that a dead worker stays dead."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.file = folder / "scheduler.json"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0"
        )
        until_s = time.monotonic() + _START_S
        while not self._address():
            assert self.scheduler.poll() is None, "the scheduler ended"
            assert time.monotonic() < until_s, "no scheduler file"
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(10)

    @property
    def address(self) -> str:
        """Where the scheduler listens."""
        address = self._address()
        assert address
        return address

    def _address(self) -> str:
        try:
            return str(json.loads(self.file.read_text())["address"])
        except (FileNotFoundError, json.JSONDecodeError):
            return ""

    def add_workers(
        self, count: int, env: Mapping[str, str] | None = None, prefix: Sequence[str] = ()
    ) -> None:
        """Start worker processes of one thread each, and wait until the scheduler has them."""
        options = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"]
        for _ in range(count):
            started = self._start("worker", *options, env=env, prefix=prefix)
            self.workers.append(started)
        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(len(self.workers), timeout=_START_S)

    def _start(
        self,
        what: str,
        *options: str,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> subprocess.Popen[bytes]:
        local = ["--local-directory", str(self._folder)] if what == "worker" else []
        process = subprocess.Popen(
            [*prefix, _DASK, what, "--scheduler-file", str(self.file), *options, *local],
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._processes.append(process)
        return process


def other_version(folder: Path, version: str) -> dict[str, str]:
    """Return an environment in which this pregen calls itself by another version."""
    import pregen  # noqa: PLC0415 - the one that is tested

    source = Path(str(pregen.__file__)).parent
    copy = folder / "other" / "pregen"
    shutil.copytree(source, copy)
    init = copy / "__init__.py"
    text = init.read_text()
    assert f'"{pregen.__version__}"' in text
    init.write_text(text.replace(f'"{pregen.__version__}"', f'"{version}"'))
    return {"PYTHONPATH": str(copy.parent)}

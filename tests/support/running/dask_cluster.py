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

from distributed import Client, Security

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DASK = str(Path(sys.executable).with_name("dask"))
_START_S = 60


class DaskCluster:
    """Started with the block, killed with it; no nannies, so that a dead worker stays dead."""

    def __init__(
        self, folder: Path, env: Mapping[str, str] | None = None, protocol: str = "tcp"
    ) -> None:
        self._folder = folder
        self._env = dict(env or {})
        self._protocol = protocol
        self.file = folder / "scheduler.json"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0",
            "--protocol", self._protocol,
        )  # fmt: skip
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
        options += ["--protocol", self._protocol]
        for _ in range(count):
            started = self._start("worker", *options, env=env, prefix=prefix)
            self.workers.append(started)
        with Client(self.address, security=self._security(), set_as_default=False) as client:
            client.wait_for_workers(len(self.workers), timeout=_START_S)

    def _security(self) -> Security | None:
        if not self._env:
            return None
        tls = "DASK_DISTRIBUTED__COMM__TLS__"
        return Security(
            tls_ca_file=self._env[f"{tls}CA_FILE"],
            tls_client_cert=self._env[f"{tls}CLIENT__CERT"],
            tls_client_key=self._env[f"{tls}CLIENT__KEY"],
            require_encryption=True,
        )

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
            env={**os.environ, **self._env, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._processes.append(process)
        return process


def certificates(folder: Path) -> dict[str, str]:
    """Make an authority and one certificate of it; return Dask's settings that name them."""
    folder.mkdir()
    key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    made = [
        f"req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority -days 2",
        f"req {key} -keyout node.key -out node.csr -subj /CN=localhost",
        "x509 -req -in node.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out node.pem -days 2",
    ]
    for arguments in made:
        subprocess.run(["openssl", *arguments.split()], cwd=folder, check=True, capture_output=True)
    names = {"DASK_DISTRIBUTED__COMM__TLS__CA_FILE": str(folder / "ca.pem")}
    for who in ("SCHEDULER", "WORKER", "CLIENT"):
        names[f"DASK_DISTRIBUTED__COMM__TLS__{who}__CERT"] = str(folder / "node.pem")
        names[f"DASK_DISTRIBUTED__COMM__TLS__{who}__KEY"] = str(folder / "node.key")
    return names | {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True"}


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

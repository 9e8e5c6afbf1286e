"""`--engine dask` on a real cluster: the same entries, whatever happens to its nodes."""

from __future__ import annotations

import os
import re
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from pregen.config import DaskConfig
from pregen.engines.dask.cluster import is_exposed, scheduler_address
from tests.support.files import foreign_entries
from tests.support.files.pictures import jpeg
from tests.support.files.source_trees import few
from tests.support.running.capabilities import Capability, needs
from tests.support.running.dask_cluster import DaskCluster, certificates, other_version
from tests.support.running.program import Finished, Running, run_pregen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.slow]

#: Enough for nodes to be lost in the middle of.
COUNT = 2000
#: Several batches for each of two nodes.
_COLLECTED = 300
#: Small ones: what is tested is who does them.
_KINDS = 8


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    fill(folder, COUNT)
    return folder


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("broken") / "broken.jpg"
    file.write_bytes(jpeg(330, 260)[:2000])
    return file


@pytest.fixture(scope="module")
def by_local(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Every file of the cache that the local engine makes."""
    cache = tmp_path_factory.mktemp("local")
    done = run_pregen("run", "--json", photos, cache=cache)
    assert done.code == 0, done
    return contents(cache)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    with DaskCluster(tmp_path / "cluster") as cluster:
        yield cluster


def fill(folder: Path, count: int) -> None:
    """Make small pictures of a few kinds."""
    folder.mkdir(exist_ok=True)
    pictures = [jpeg(330 + 10 * seed, 260, seed=seed) for seed in range(_KINDS)]
    for number in range(count):
        (folder / f"{number:04}.jpg").write_bytes(pictures[number % _KINDS])


def contents(cache: Path) -> dict[str, bytes]:
    root = cache / "thumbnails"
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*.png")
        if path.is_file()
    }


def on(cluster: DaskCluster, photos: Path, cache: Path, *more: str | Path) -> Finished:
    where = ["--engine", "dask", "--scheduler", cluster.address, "--node-timeout", "3"]
    return run_pregen("run", "--json", "-v", *where, *more, photos, cache=cache)


def test_two_nodes_lost_in_mid_run_cost_no_source(
    cluster: DaskCluster, photos: Path, by_local: dict[str, bytes], tmp_path: Path
) -> None:
    cluster.add_workers(3)
    how = ["--engine", "dask", "--scheduler-file", str(cluster.file), "--node-timeout", "3"]
    with Running("run", "--json", "-v", *how, photos, cache=tmp_path) as running:
        running.wait_for_outcomes(50)
        os.kill(cluster.workers[0].pid, signal.SIGKILL)
        os.kill(cluster.workers[1].pid, signal.SIGSTOP)
        done = running.end()
    assert done.code == 0, done
    assert len(done.outcomes) == COUNT
    assert done.summary["kinds"] == {"made": COUNT}
    assert contents(tmp_path) == by_local
    assert not foreign_entries.leftovers(tmp_path)
    assert not list((tmp_path / "thumbnails").glob(".pregen-probe*"))


def test_entries_come_back_from_nodes_without_the_cache(
    cluster: DaskCluster, broken: Path, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    fill(photos, _COLLECTED)
    local = run_pregen("run", "--json", photos, broken, cache=tmp_path / "local")
    assert local.code == 3, local
    cluster.add_workers(2)
    done = on(cluster, photos, tmp_path / "collected", "--collect", broken)
    assert done.code == 3, done
    assert contents(tmp_path / "collected") == contents(tmp_path / "local")
    again = on(cluster, photos, tmp_path / "collected", "--collect", broken)
    assert again.summary["kinds"] == {"fresh": _COLLECTED, "failed-before": 1}
    assert again.code == 0


def test_a_stop_brings_home_what_is_in_flight(
    cluster: DaskCluster, photos: Path, tmp_path: Path
) -> None:
    cluster.add_workers(1)
    how = ["--engine", "dask", "--scheduler", cluster.address]
    with Running("run", "--json", "-v", *how, photos, cache=tmp_path) as running:
        running.wait_for_outcomes(5)
        running.send(signal.SIGINT)
        done = running.end()
    assert done.code == 130, done
    made = [path for path, record in done.outcomes.items() if record["kind"] == "made"]
    assert 0 < len(made) < COUNT
    assert len(list((tmp_path / "thumbnails" / "large").iterdir())) == len(made)


def test_the_display_shows_the_workers_of_the_nodes(
    cluster: DaskCluster, photos: Path, tmp_path: Path
) -> None:
    cluster.add_workers(1)
    how = ["--engine", "dask", "--scheduler", cluster.address]
    with Running("run", "--json", *how, photos, cache=tmp_path) as running:
        (pid, *_) = running.wait_for_workers()
    assert pid != running.process.pid


@needs(Capability.OPENSSL)
def test_a_cluster_with_certificates_is_reached_by_tls_and_by_nobody_else(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    fill(photos, _KINDS)
    mine, others = certificates(tmp_path / "mine"), certificates(tmp_path / "others")
    with DaskCluster(tmp_path / "cluster", env=mine, protocol="tls") as cluster:
        cluster.add_workers(1)
        assert cluster.address.startswith("tls://")

        def run(env: dict[str, str]) -> Finished:
            where = ["--engine", "dask", "--scheduler", cluster.address]
            return run_pregen("run", "--json", *where, photos, cache=tmp_path / "cache", env=env)

        for env in ({}, others):
            refused = run(env)
            assert refused.code == 13, refused
            assert "Traceback" not in refused.err
        assert not list(tmp_path.glob("cache/**/*.png"))
        done = run(mine)
        assert done.code == 0, done
        assert done.summary["kinds"] == {"made": _KINDS}
        assert "encrypted" not in done.err


@pytest.mark.parametrize(
    ("address", "exposed"),
    [
        ("tcp://192.0.2.7:8786", True),
        ("nas.example:8786", True),
        ("ws://192.0.2.7:8786", True),
        ("tls://192.0.2.7:8786", False),
        ("tcp://127.0.0.1:8786", False),
        ("tcp://[::1]:8786", False),
        ("localhost:8786", False),
        ("local:2", False),
    ],
)
def test_a_connection_that_others_can_join_is_told_from_one_they_cannot(
    address: str,
    exposed: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert is_exposed(address) is exposed


def test_an_address_without_a_port_has_that_of_dask() -> None:
    assert scheduler_address(DaskConfig(scheduler="host")) == "tcp://host:8786"
    assert scheduler_address(DaskConfig(scheduler="tls://[::1]:99")) == "tls://[::1]:99"


def test_orders_that_anybody_could_give_are_warned_of(tmp_path: Path) -> None:
    """The warning comes before the connection, which here cannot be made."""
    few(tmp_path / "photos", 1)
    where = ["--engine", "dask", "--scheduler", "tcp://192.0.2.7:1", "--node-timeout", "2"]
    done = run_pregen("run", *where, tmp_path / "photos", cache=tmp_path / "cache")
    assert done.code == 13, done
    assert "neither encrypted nor authenticated" in done.err


# --- what cannot work -----------------------------------------------------------------------------


def test_no_scheduler_is_said_with_its_address(tmp_path: Path) -> None:
    few(tmp_path / "photos", 1)
    where = ["--engine", "dask", "--scheduler", "tcp://127.0.0.1:1", "--node-timeout", "2"]
    done = run_pregen("run", *where, tmp_path / "photos", cache=tmp_path / "cache")
    assert done.code == 13, done
    assert "tcp://127.0.0.1:1" in done.err
    assert "Traceback" not in done.err


def test_a_scheduler_without_workers_is_said(
    cluster: DaskCluster, photos: Path, tmp_path: Path
) -> None:
    done = on(cluster, photos, tmp_path)
    assert done.code == 13, done
    assert "has no workers" in done.err


@pytest.mark.parametrize("address", ["local:0", "local:many", "nonsense://host", "host:port:x"])
def test_an_address_that_is_none_is_a_usage_error(address: str, tmp_path: Path) -> None:
    few(tmp_path / "photos", 1)
    where = ["--engine", "dask", "--scheduler", address]
    done = run_pregen("run", *where, tmp_path / "photos", cache=tmp_path / "cache")
    assert done.code == 2, done
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "flags",
    [
        ["--engine", "dask"],
        ["--scheduler", "local:2"],
        ["--collect"],
        ["--engine", "dask", "--scheduler", "local:1", "--scheduler-file", "x"],
    ],
)
def test_flags_that_do_not_go_together(flags: list[str], tmp_path: Path) -> None:
    done = run_pregen("run", *flags, tmp_path, cache=tmp_path / "cache")
    assert done.code == 2, done


def test_without_the_extra_the_command_that_gets_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "distributed.py").write_text(
        "raise ModuleNotFoundError(name='distributed')\n"
    )
    few(tmp_path / "photos", 1)
    done = run_pregen(
        "run", "--engine", "dask", "--scheduler", "local:1", tmp_path / "photos",
        cache=tmp_path / "cache", env={"PYTHONPATH": str(tmp_path / "blocked")},
    )  # fmt: skip
    assert done.code == 11, done
    assert re.search(r"--with dask|\[dask\]", done.err)
    assert "Install it with: " in done.err


def test_a_node_with_another_version_is_refused(
    cluster: DaskCluster, photos: Path, tmp_path: Path
) -> None:
    cluster.add_workers(1, env=other_version(tmp_path, "9.9.9"))
    done = on(cluster, photos, tmp_path / "cache")
    assert done.code == 13, done
    assert "9.9.9" in done.err
    assert "same version" in done.err
    assert not list((tmp_path / "cache" / "thumbnails").rglob("*.png"))


@needs(Capability.MOUNT)
@pytest.mark.parametrize("hidden", ["sources", "cache"])
def test_a_node_that_does_not_see_the_same_is_refused(
    cluster: DaskCluster, tmp_path: Path, hidden: str
) -> None:
    photos, cache = tmp_path / "photos", tmp_path / "cache"
    few(photos, 3)
    (cache / "thumbnails").mkdir(parents=True, mode=0o700)
    place = {"sources": photos, "cache": cache}[hidden]
    elsewhere = f'mount -t tmpfs none "{place}" && exec "$@"'
    cluster.add_workers(1, prefix=["unshare", "-m", "sh", "-c", elsewhere, "sh", sys.executable])
    done = on(cluster, photos, cache)
    assert done.code == 13, done
    assert {"sources": "cannot see", "cache": "--collect"}[hidden] in done.err
    assert not list(cache.rglob("*.png"))
    if hidden == "cache":
        collected = on(cluster, photos, cache, "--collect")
        assert collected.summary["kinds"]["made"] == 3

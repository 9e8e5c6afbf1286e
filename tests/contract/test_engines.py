"""Every engine keeps the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pregen.config import DaskConfig, EngineConfig
from pregen.engines.base import make_engine
from pregen.engines.local.supervisor import MOST_AHEAD
from tests.contract.engine_contract import EngineContract
from tests.support.faults import harmful_work

if TYPE_CHECKING:
    from pregen.engines.base import Engine, WorkFactory


class TestSerial(EngineContract):
    """The reference."""

    most_ahead = 1

    def make(self, factory: WorkFactory, **config: Any) -> Engine:
        return make_engine("serial", factory, harmful_work.CONFIG, EngineConfig(**config))


class _Local(EngineContract):
    workers: int

    def make(self, factory: WorkFactory, **config: Any) -> Engine:
        settings = EngineConfig(workers=self.workers, **config)
        preload = ("tests.support.faults.harmful_work",)
        return make_engine("local", factory, harmful_work.CONFIG, settings, preload)


@pytest.mark.xdist_group("faults")
class TestLocalWithOneWorker(_Local):
    """The smallest."""

    workers = 1
    most_ahead = workers * MOST_AHEAD


@pytest.mark.xdist_group("faults")
class TestLocalWithTwoWorkers(_Local):
    """As many as the smallest machine has cores."""

    workers = 2
    most_ahead = workers * MOST_AHEAD


@pytest.mark.xdist_group("faults")
class TestLocalWithEightWorkers(_Local):
    """More than there are cores, and more than there are jobs."""

    workers = 8
    most_ahead = workers * MOST_AHEAD


@pytest.mark.xdist_group("faults")
class TestDask(EngineContract):
    """Two nodes in this process, each with a program of its own."""

    most_ahead = 2 * 2 * 2 * 256  # nodes, threads, depth, batch

    def make(self, factory: WorkFactory, **config: Any) -> Engine:
        cluster = DaskConfig(scheduler="local:2", collect=True)
        settings = EngineConfig(dask=cluster, **config)
        return make_engine(
            "dask", factory, harmful_work.CONFIG, settings, ("tests.support.faults.harmful_work",)
        )

"""Engines by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pregen.config import EngineConfig
from pregen.engines.base import DEFAULT_ENGINE, ENGINES, EngineEntry, make_engine
from pregen.engines.dask.engine import DaskEngine
from pregen.engines.local.engine import LocalEngine
from pregen.engines.serial import SerialEngine
from pregen.errors import MissingLibraryError, UsageError
from tests.support.faults import harmful_work


def test_every_name_makes_its_engine() -> None:
    made = {
        name: type(make_engine(name, harmful_work.make_noop, harmful_work.CONFIG, EngineConfig()))
        for name in ENGINES
    }
    assert made == {"dask": DaskEngine, "local": LocalEngine, "serial": SerialEngine}
    assert DEFAULT_ENGINE in ENGINES


def test_an_unknown_name_is_a_usage_error_that_names_the_others() -> None:
    with pytest.raises(UsageError, match="dask, local, serial"):
        make_engine("cluster", harmful_work.make_noop, harmful_work.CONFIG, EngineConfig())


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "far", EngineEntry("no_such_library.engine", "FarEngine", "far"))
    with pytest.raises(MissingLibraryError, match=r"no_such_library.*(--with far|\[far\])"):
        make_engine("far", harmful_work.make_noop, harmful_work.CONFIG, EngineConfig())


def test_asking_for_names_imports_no_engine() -> None:
    program = (
        "import sys, pregen.engines.base\n"
        "print([name for name in sys.modules if 'multiprocessing' in name or 'local' in name])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "pregen.engines.local" not in ran.stdout
    assert "multiprocessing" not in ran.stdout

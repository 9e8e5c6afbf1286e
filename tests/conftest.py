"""Rules every test lives under: its own home, capabilities by probe, no process left behind."""

from __future__ import annotations

import os
import signal
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from tests.support.judges.leaks import Leaks
from tests.support.running.capabilities import Capability, probe_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

settings.register_profile("ci", derandomize=True, deadline=None, max_examples=200, print_blob=True)
settings.register_profile("dev", deadline=None, max_examples=50)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "dev")

CAPABLE = pytest.StashKey[dict[str, bool]]()
_XDG = ("CACHE", "CONFIG", "DATA", "STATE")
#: They change what a display looks like; xdist gives its workers COLUMNS.
_LOOKS = frozenset({"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"})


def pytest_configure(config: pytest.Config) -> None:
    """Probe the machine once; workers of xdist are handed the answers."""
    # Ignored where the suite was started in the background; programs started here inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line(
        "markers", "needs(*capabilities): skipped where a probe finds them missing"
    )
    handed_down: dict[str, Any] | None = getattr(config, "workerinput", None)
    config.stash[CAPABLE] = handed_down["capable"] if handed_down else probe_all()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the probes' answers to a worker of xdist."""
    node.workerinput["capable"] = node.config.stash[CAPABLE]


def _shares_a_module(item: pytest.Item) -> bool:
    """Tell whether a test uses what is made once for its module."""
    if not isinstance(item, pytest.Function):
        return False
    fixtures = item._fixtureinfo.name2fixturedefs
    return any(made.scope == "module" for several in fixtures.values() for made in several)


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In processes of xdist, make nothing twice, and keep long tests from being the last.

    xdist begins with the groups, the largest first; then come single tests in this order.
    """
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        if item.get_closest_marker("xdist_group") is None and _shares_a_module(item):
            item.add_marker(pytest.mark.xdist_group(str(item.path.relative_to(config.rootpath))))
    items.sort(
        key=lambda item: (
            item.get_closest_marker("slow") is None
            or item.get_closest_marker("xdist_group") is not None
        )
    )


def pytest_report_header(config: pytest.Config) -> str:
    """Say what this machine can test against."""
    capable = config.stash[CAPABLE]
    there = [name.lower() for name, works in capable.items() if works]
    absent = [name.lower() for name, works in capable.items() if not works]
    return f"tests against: {', '.join(there)}; missing: {', '.join(absent) or 'nothing'}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine cannot show."""
    for marker in item.iter_markers("needs"):
        for name in marker.args:
            if not item.config.stash[CAPABLE][name]:
                pytest.skip(Capability[name].missing)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name what was not tested here; skips come back as reports, so xdist's workers count too."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    )
    missing = {c.missing: reasons[c.missing] for c in Capability if reasons[c.missing]}
    if missing:
        terminalreporter.section("not tested here")
        for reason, skipped in missing.items():
            terminalreporter.write_line(f"{skipped} test{'s'[: skipped > 1]} skipped: {reason}")


def _move_home(monkeypatch: pytest.MonkeyPatch, fresh: Path) -> None:
    fresh.mkdir()
    for name in os.environ:
        if name.startswith("PREGEN_") or name in _LOOKS:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(fresh))
    for name in _XDG:
        monkeypatch.setenv(f"XDG_{name}_HOME", str(fresh / name.lower()))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(fresh / "runtime"))
    monkeypatch.setenv("SYSFS_PATH", str(fresh / "sys"))  # no screens


@pytest.fixture(scope="session", autouse=True)
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[Path]]:
    """Give fixtures of a module or the session a home apart, and every test the next one."""
    base = tmp_path_factory.mktemp("homes")
    with pytest.MonkeyPatch.context() as monkeypatch:
        _move_home(monkeypatch, base / "shared")
        yield (base / str(number) for number in count())


@pytest.fixture(autouse=True)
def home(_homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test an empty home with XDG folders (not made yet) and no PREGEN_* settings."""
    fresh = next(_homes)
    _move_home(monkeypatch, fresh)
    return fresh


@pytest.fixture(scope="session")
def capable(pytestconfig: pytest.Config) -> dict[str, bool]:
    """Tell what this machine can test against, by the names of `Capability`."""
    return pytestconfig.stash[CAPABLE]


@pytest.fixture
def no_leaks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Leaks]:
    """Fail a test that leaves a process (orphans too) or an open file behind."""
    leaks = Leaks()
    monkeypatch.setenv(*leaks.mark)
    yield leaks
    leaks.check()


#: An identifier of more is a file or a text, which no person reads and no two processes make alike.
_LONGEST_ID = 60


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name long parameters by their argument; pytest numbers those of the same name."""
    return argname if isinstance(val, bytes | str) and len(val) > _LONGEST_ID else None

"""What a decoder that was taken over cannot do from inside a confined worker."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import count
from typing import TYPE_CHECKING

import pytest

from pregen import __version__
from pregen.cache.store import Cache
from pregen.config import EngineConfig, Sandbox, WorkConfig
from pregen.engines.base import Stop
from pregen.engines.local.engine import LocalEngine
from pregen.model import Action, Flavor, Job, Kind, Step
from tests.support.faults.sandbox_escape import (
    Targets,
    allowed,
    attempts,
    hopeless,
    make_jailbreaker,
    targets_file,
)
from tests.support.files import pictures
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.xdist_group("faults")]

#: Of what is refused when it is asked for, not when it is used.
_NONE = Targets("", "", "", "", 0, 0)


@pytest.fixture
def targets(tmp_path: Path) -> Iterator[Targets]:
    photos = tmp_path / "photos"
    original = pictures.put(photos / "original.jpg", pictures.jpeg(300, 200))
    secret = pictures.put(tmp_path / "private" / "secret", b"secret")
    (photos / "original.jpg.link").symlink_to(secret)
    root = tmp_path / "cache" / "thumbnails"
    with Cache(bytes(root), __version__) as cache:
        cache.prepare((Flavor.NORMAL, Flavor.LARGE))
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    ) as stranger:
        found = Targets(
            str(secret), str(secret.parent), str(original), str(root), os.getpid(), stranger.pid
        )
        targets_file(photos, found)
        yield found


def _tried(
    names: Iterable[str], targets: Targets, folder: Path, sandbox: Sandbox
) -> dict[str, str]:
    """Return how each attempt ended, made by a decoder in a worker."""
    photos = folder / "photos"
    number = count()
    jobs: list[Job] = []
    for name in names:
        path = pictures.put(photos / f"p.{name}.jpg", pictures.jpeg(300, 200))
        facts = path.stat()
        uri = path.as_uri()
        steps = (Step(Action.MAKE, Flavor.NORMAL, uri),)
        jobs.append(Job(next(number), bytes(path), facts.st_size, facts.st_mtime_ns, (uri,), steps))
    config = WorkConfig(os.fsencode(targets.cache), __version__, folders=(bytes(photos),))
    engine = LocalEngine(make_jailbreaker, config, EngineConfig(sandbox=sandbox))
    outcomes = list(engine.run(iter(jobs), Stop()))
    assert not [outcome for outcome in outcomes if outcome.kind is not Kind.INVALID]
    return {
        os.fsdecode(outcome.path).rpartition("/p.")[2].removesuffix(".jpg"): outcome.message
        for outcome in outcomes
    }


@needs(Capability.SANDBOX)
def test_nothing_a_decoder_tries_gets_it_out_of_its_worker(
    targets: Targets, tmp_path: Path
) -> None:
    names = [*attempts(_NONE), *hopeless(_NONE)]
    found = _tried(names, targets, tmp_path, Sandbox.REQUIRE)
    escaped = {name: how for name, how in found.items() if not how.startswith("refused")}
    assert not escaped, found
    assert found.keys() == set(names)


@needs(Capability.SANDBOX)
def test_what_decoding_needs_is_still_allowed(targets: Targets, tmp_path: Path) -> None:
    found = _tried(allowed(_NONE), targets, tmp_path, Sandbox.REQUIRE)
    assert found == dict.fromkeys(allowed(_NONE), "done")


def test_the_same_attempts_succeed_without_the_sandbox(targets: Targets, tmp_path: Path) -> None:
    names = [*attempts(_NONE), *allowed(_NONE)]
    names.remove("trace")  # it stops at its next signal, until its tracer is gone
    found = _tried(names, targets, tmp_path, Sandbox.OFF)
    refused = {name: how for name, how in found.items() if how != "done"}
    assert not refused

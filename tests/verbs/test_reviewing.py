"""Entries are decoded behind the walls, and what happens there happens to nobody else."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from PIL import Image

from pregen.verbs.reviewing import Reviewers
from tests.support.files.pictures import encode, image, jpeg, put
from tests.support.files.source_trees import MTIME_NS
from tests.support.judges import desktops
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import PREGEN, run_pregen

PICTURE = encode(image(128, 96), "PNG")


def process_of(reviewers: Reviewers) -> int:
    [reviewer] = reviewers._all
    assert reviewer._process is not None
    return reviewer._process.pid


def test_it_answers_as_the_decoder_does() -> None:
    with Reviewers() as reviewers:
        assert reviewers.refusal(PICTURE) == ""
        assert "cannot identify" in reviewers.refusal(b"no picture")
        assert reviewers.difference(PICTURE, PICTURE, exact=False) == ""
        turned = encode(image(128, 96).transpose(Image.Transpose.ROTATE_90), "PNG")
        assert "96x128" in reviewers.difference(turned, PICTURE, exact=False)
        seen = reviewers.luminance(PICTURE)
        assert seen is not None
        assert 20 < seen.mean < 235
        assert reviewers.luminance(b"no picture") is None
        small = reviewers.small_jpeg(PICTURE, 64)
        assert small is not None
        assert small[:3] == b"\xff\xd8\xff"
        assert reviewers.small_jpeg(b"no picture", 64) is None


@needs(Capability.SANDBOX)
def test_the_process_is_behind_the_walls() -> None:
    with Reviewers() as reviewers:
        assert reviewers.refusal(PICTURE) == ""
        status = Path(f"/proc/{process_of(reviewers)}/status").read_text(encoding="ascii")
        limits = Path(f"/proc/{process_of(reviewers)}/limits").read_text(encoding="ascii")
        told = Path(f"/proc/{process_of(reviewers)}/environ").read_bytes()
    facts = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    assert facts["Seccomp"].strip() == "2"
    assert facts["NoNewPrivs"].strip() == "1"
    assert facts["Threads"].strip() == "1"
    [space] = [line for line in limits.splitlines() if line.startswith("Max address space")]
    assert "unlimited" not in space
    assert b"PYTEST_CURRENT_TEST" in bytes(str(os.environ), "utf-8")
    assert b"PYTEST_CURRENT_TEST" not in told


def test_one_that_dies_or_hangs_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with Reviewers() as reviewers:
        assert reviewers.refusal(PICTURE) == ""
        first = process_of(reviewers)
        os.kill(first, signal.SIGKILL)
        assert reviewers.refusal(PICTURE) == ""
        assert process_of(reviewers) != first
        os.kill(process_of(reviewers), signal.SIGSTOP)
        monkeypatch.setattr("pregen.verbs.reviewing._TRIES", 1)
        monkeypatch.setattr("pregen.verbs.reviewing._PATIENCE_S", 0.2)
        assert "more than 0.2 seconds" in reviewers.refusal(PICTURE)
        monkeypatch.setattr("pregen.verbs.reviewing._PATIENCE_S", 60.0)
        assert reviewers.refusal(PICTURE) == ""


@pytest.mark.parametrize("verb", [["verify"], ["report", "-o", "-"]])
def test_the_verb_itself_decodes_no_entry(tmp_path: Path, verb: list[str]) -> None:
    source = put(tmp_path / "photos" / "a.jpg", jpeg(600, 400), MTIME_NS)
    cache = tmp_path / "cache"
    assert run_pregen("run", source, cache=cache).code == 0
    assert desktops.entry_path(cache, "large", desktops.glib_uri(source)).exists()
    python, *program = PREGEN
    told = run_pregen(*verb, cache=cache, program=(python, "-X", "importtime", *program))
    assert told.code == 0, told
    imported = {line.rpartition("|")[2].strip() for line in told.err.splitlines() if "|" in line}
    assert "pregen.verbs.reviewing" in imported
    assert "pregen.imaging.review" not in imported
    if verb == ["verify"]:  # the charts of a report bring Pillow along
        assert not imported & {"PIL", "numpy", "pyvips"}

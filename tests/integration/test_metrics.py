"""`--metrics-file`: read with Prometheus' own parser, while a run goes on and after it."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.files.pictures import jpeg, put
from tests.support.files.source_trees import few, many_slow
from tests.support.running.program import Running, run_pregen

if TYPE_CHECKING:
    from pathlib import Path


def figures(file: Path) -> dict[str, float]:
    """Every sample of the file, by name and labels."""
    found = {}
    for family in text_string_to_metric_families(file.read_text()):
        assert family.documentation
        for sample in family.samples:
            labels = ",".join(sample.labels.values())
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_a_run_leaves_the_figures_of_its_summary(tmp_path: Path) -> None:
    few(tmp_path / "photos", 4)
    put(tmp_path / "photos" / "broken.jpg", jpeg()[:2000])
    file = tmp_path / "pregen.prom"
    done = run_pregen(
        "run", "--json", "--metrics-file", file, tmp_path / "photos", cache=tmp_path / "cache"
    )
    assert done.code == 3, done
    told, summary = figures(file), done.summary
    assert told["pregen_sources_total{made}"] == 4
    assert told["pregen_sources_total{truncated}"] == 1
    assert told["pregen_read_bytes_total"] == summary["bytes_read"]
    assert told["pregen_entries_total"] == summary["entries_written"] == 8
    assert told["pregen_stage_seconds_total{decode}"] == pytest.approx(
        summary["ns"]["decode"] / 1e9
    )
    assert told["pregen_run_running"] == 0
    assert told["pregen_run_exit_code"] == 3
    assert [path.name for path in tmp_path.glob("*.prom*")] == ["pregen.prom"]


def test_the_file_grows_while_the_run_goes_on_and_tells_how_it_was_ended(tmp_path: Path) -> None:
    many_slow(tmp_path / "photos", 400)
    file = tmp_path / "pregen.prom"
    arguments = ["run", "--json", "--metrics-file", str(file), str(tmp_path / "photos")]
    with Running(*arguments, cache=tmp_path / "cache") as running:
        running.wait_for_outcomes(3)
        begun = figures(file)
        running.send(signal.SIGTERM)
        done = running.end()
    assert begun["pregen_run_running"] == 1
    assert "pregen_run_exit_code" not in begun
    assert done.code == 143, done
    assert figures(file)["pregen_run_exit_code"] == 143
    assert figures(file)["pregen_sources_total{made}"] == done.summary["kinds"]["made"]


def test_a_file_that_cannot_be_written_ends_it_before_it_began(tmp_path: Path) -> None:
    few(tmp_path / "photos", 1)
    where = tmp_path / "missing" / "pregen.prom"
    done = run_pregen("run", "--metrics-file", where, tmp_path / "photos", cache=tmp_path / "cache")
    assert done.code == 2, done
    assert str(where) in done.err
    assert not (tmp_path / "cache").exists()


def test_a_folder_that_goes_away_in_mid_run_costs_the_metrics_only(tmp_path: Path) -> None:
    few(tmp_path / "photos", 3)
    folder = tmp_path / "metrics"
    folder.mkdir()
    arguments = ["run", "--metrics-file", str(folder / "x.prom"), str(tmp_path / "photos")]
    with Running(*arguments, cache=tmp_path / "cache") as running:
        while not (folder / "x.prom").exists():
            assert running.process.poll() is None
        (folder / "x.prom").unlink()
        folder.rmdir()
        done = running.end()
    assert done.code == 0, done
    assert len(list((tmp_path / "cache" / "thumbnails" / "large").iterdir())) == 3


def test_without_the_extra_its_command_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "prometheus_client.py").write_text(
        "raise ModuleNotFoundError(name='prometheus_client')\n"
    )
    done = run_pregen(
        "run", "--metrics-file", tmp_path / "x.prom", tmp_path,
        cache=tmp_path / "cache", env={"PYTHONPATH": str(blocked)},
    )  # fmt: skip
    assert done.code == 11, done
    assert re.search(r"--with metrics|\[metrics\]", done.err)

"""A journal with any damage: the run goes on (scripts/soak journal tries it a thousand times)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.running.program import run_pregen
from tests.support.trials.damaged_journal import JournalTrial

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JournalTrial]:
    with JournalTrial(tmp_path_factory.mktemp("journal")) as trial:
        yield trial


#: 40 of them; among these every way of damaging that the trial knows.
@pytest.mark.parametrize("seeds", [range(first, first + 5) for first in range(1, 41, 5)])
def test_no_damage_of_the_journal_stops_a_run(trial: JournalTrial, seeds: range) -> None:
    for seed in seeds:
        how, wrong = trial.run(seed)
        assert not wrong, f"seed {seed}, {how}: {wrong}"


def test_a_damaged_journal_is_one_sentence_and_kept_beside_a_new_one(
    tmp_path: Path, trial: JournalTrial
) -> None:
    cache = tmp_path / "cache"
    assert run_pregen("run", trial.photos, cache=cache).code == 3
    [journal] = (tmp_path / "cache-state" / "pregen").glob("journal.sqlite3")
    data = journal.read_bytes()
    at = data.index(b"tablefolders") + len(b"table")  # SQLite's own words are no UTF-8 then
    journal.write_bytes(data[:at] + bytes([data[at] ^ 0x80]) + data[at + 1 :])
    done = run_pregen("run", trial.photos, cache=cache)
    assert done.code == 0, done
    assert done.err.count("The journal ") == 1
    assert "is damaged" in done.err
    [kept] = journal.parent.glob("journal.sqlite3.corrupt-*Z")
    assert journal.exists()
    assert str(kept) in "".join(done.err.split("\n  "))
    assert "damaged" not in run_pregen("run", trial.photos, cache=cache).err

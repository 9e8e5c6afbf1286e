"""Damaged files of every format: a short soak (scripts/soak-mutations runs long ones)."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.support.faults.mutations import mutate, parts
from tests.support.files import sound_files
from tests.support.trials.soak_mutations import Soak, main, table

if TYPE_CHECKING:
    from pathlib import Path

_EACH = 24
#: Every soak of the suite has the same files.
_SEED = 7


def test_damaged_files_of_every_format_cost_themselves_only(tmp_path: Path) -> None:
    sound = sound_files.by_format(with_corpus=False)
    soak = Soak(tmp_path / "scratch", tmp_path / "keep", 2)
    soak.run(sound, _SEED, _EACH)
    found = soak.findings
    assert not found.violations, "\n".join(table(found))
    assert {name: kinds.total() for name, kinds in found.kinds.items()} == dict.fromkeys(
        sound, _EACH
    )
    assert {"made", "invalid", "truncated"} <= found.total.keys()
    assert found.entries > found.total["made"]
    assert found.workers >= 2
    assert 0 < found.most_of_limit <= 1


def test_what_breaks_a_promise_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A run that answers for one file only, and leaves a temp and half an entry behind.
    liar = tmp_path / "liar"
    liar.write_text(
        "import os, pathlib, sys\n"
        "cache = pathlib.Path(os.environ['XDG_CACHE_HOME'], 'thumbnails', 'large')\n"
        "cache.mkdir(parents=True)\n"
        "(cache / '.temp').write_bytes(b'')\n"
        "(cache / ('0' * 32 + '.png')).write_bytes(b'\\x89PNG')\n"
        "path = min(pathlib.Path(sys.argv[-1]).iterdir())\n"
        'print(\'{"type":"outcome","path":"%s","kind":"error",\'\n'
        '      \'"message":"a bug","ns":{}}\' % path)\n'
        "sys.exit(1)\n"
    )
    monkeypatch.setattr("tests.support.trials.soak_mutations.PREGEN", ("python3", str(liar)))
    soak = Soak(tmp_path / "scratch", tmp_path / "keep", 1)
    soak.run({"gif": sound_files.by_format(with_corpus=False)["gif"]}, 1, 3)
    told = "\n".join(soak.findings.violations)
    for words in ("exit 1", "no summary", "not one outcome each", "a bug", "left behind", "no PNG"):
        assert words in told
    assert list((tmp_path / "keep").iterdir())


def test_a_format_without_files_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--formats", "jpeg,wav", "--made"])
    assert "no sound files of wav" in capsys.readouterr().err


def test_the_same_seed_gives_the_same_damage_and_no_other_does() -> None:
    data = sound_files.by_format(with_corpus=False)["png"][0]

    def series(seed: int) -> list[bytes]:
        chance = Random(seed)  # noqa: S311 - damage, not secrets
        return [mutate(data, data, chance).data for _ in range(20)]

    assert series(1) == series(1)
    assert series(1) != series(2)
    assert sum(mutant != data for mutant in series(1)) >= 15


@pytest.mark.parametrize(("name", "at_least"), [("png", 3), ("jpeg", 5), ("webp", 1), ("avif", 5)])
def test_files_are_cut_where_their_parts_meet(name: str, at_least: int) -> None:
    data = sound_files.by_format(with_corpus=False)[name][0]
    found = parts(data)
    assert len(found) >= at_least
    assert all(0 <= part.begin < part.end <= len(data) for part in found)
    assert {data[part.begin] for part in found} <= ({0xFF} if name == "jpeg" else set(range(256)))

"""What is stored of damaged files shows most of the picture, as far as anybody can tell damage."""

from __future__ import annotations

import pytest

from tests.support.trials import damage_table

_COUNT, _SEED = 40, 1


@pytest.fixture(scope="module")
def sound() -> dict[str, bytes]:
    return damage_table.samples()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", damage_table.KINDS)
def test_too_little_of_a_picture_is_refused(kind: str, sound: dict[str, bytes]) -> None:
    found = damage_table.row(sound[kind], _COUNT, _SEED)
    assert not found.wrong
    assert found.verdicts.total() == _COUNT

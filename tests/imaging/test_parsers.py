"""No bytes make a parser of ours raise anything but its own error, read out of bounds, or loop.

The inputs kept in `finds` came from `scripts/fuzz-parsers`.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.faults.mutations import mutate
from tests.support.trials.fuzz_parsers import FINDS, Fuzzer, finds, smallest
from tests.support.trials.parsers import OURS, PARSERS, EndlessError, Parser, traced

_EVERY = pytest.mark.parametrize("name", PARSERS)


@_EVERY
def test_what_a_parser_understands_it_reads_without_an_error(name: str) -> None:
    samples = PARSERS[name].samples()
    assert samples
    assert all(traced(PARSERS[name], data) for data in samples)


@_EVERY
def test_what_was_found_once_stays_mended(name: str) -> None:
    kept = finds(name)
    assert kept
    for path in kept:
        traced(PARSERS[name], path.read_bytes())


def test_every_find_belongs_to_a_parser_and_is_small() -> None:
    for path in FINDS.iterdir():
        assert path.name.rpartition("-")[0] in PARSERS
        assert path.stat().st_size <= 8192


@_EVERY
@given(data=st.binary(max_size=400))
def test_any_bytes_at_all(name: str, data: bytes) -> None:
    traced(PARSERS[name], data)


@_EVERY
@settings(max_examples=100)
@given(which=st.integers(0, 1000), head=st.integers(0, 600), tail=st.binary(max_size=300))
def test_a_right_beginning_and_any_bytes(name: str, which: int, head: int, tail: bytes) -> None:
    samples = PARSERS[name].samples()
    sample = samples[which % len(samples)]
    traced(PARSERS[name], sample[:head] + tail)
    traced(PARSERS[name], sample[:head] + tail + sample[head + len(tail) :])


@_EVERY
@settings(max_examples=100)
@given(which=st.integers(0, 1000), seed=st.integers(0, 2**32))
def test_damage_of_every_kind(name: str, which: int, seed: int) -> None:
    samples = PARSERS[name].samples()
    sample, other = samples[which % len(samples)], samples[seed % len(samples)]
    traced(PARSERS[name], mutate(sample, other, Random(seed)).data)  # noqa: S311 - damage, not secrets


def _planted(body: str) -> Parser:
    """Return a parser that counts as ours, and starts from an input that does not hurt it."""
    scope: dict[str, object] = {}
    exec(compile(body, f"{OURS}planted.py", "exec"), scope)  # noqa: S102 - made for this test
    run = scope["run"]
    assert callable(run)
    return Parser(run, lambda: [b"0" * 12])


_HIDDEN = """
def run(data):
    if data[0:1] == b"0":
        if len(data) > 5 and data[5] > 0x80:
            if data[2] > 0x80:
                {}
"""


@pytest.mark.parametrize(
    ("harm", "error"), [("data[1000]", "IndexError"), ("while True: len(data)", "EndlessError")]
)
def test_the_search_finds_what_lies_behind_conditions(harm: str, error: str) -> None:
    fuzzer = Fuzzer("planted", _planted(_HIDDEN.format(harm)), seed=1)
    assert not fuzzer.failures
    while not fuzzer.failures:  # the suite's own time-out ends what finds nothing
        fuzzer.search(0.2)
    ((where, data),) = fuzzer.failures.items()
    assert where.startswith(error)
    assert len(data) == 6
    assert data[0:1] == b"0"
    assert min(data[2], data[5]) > 0x80


def test_a_parser_that_never_ends_is_stopped() -> None:
    with pytest.raises(EndlessError):
        traced(_planted("def run(data):\n    while True: len(data)"), b"")


@given(st.binary(max_size=200))
def test_the_smallest_input_still_does_it(data: bytes) -> None:
    wanted = bytes(sorted(set(data))[:2])

    def still(less: bytes) -> bool:
        return all(value in less for value in wanted)

    assert sorted(smallest(data, still)) == sorted(wanted)

"""What an exit status and a dump tell about a death."""

from __future__ import annotations

import signal

import pytest

from pregen.engines.local.deaths import cause_of, innermost, signal_words
from pregen.model import Kind

DUMP = b"""Fatal Python error: Segmentation fault

Current thread 0x00007f (most recent call first):
  File "/usr/lib/pregen/imaging/decoders/vips.py", line 12 in load
  File "/usr/lib/pregen/work.py", line 3 in work
"""


@pytest.mark.parametrize(
    ("exitcode", "kind", "words", "external"),
    [
        (-signal.SIGSEGV, Kind.CRASHED, "segmentation fault (SIGSEGV)", False),
        (-signal.SIGABRT, Kind.CRASHED, "aborted (SIGABRT)", False),
        (-signal.SIGTERM, Kind.CRASHED, "terminated (SIGTERM)", True),
        (0, Kind.CRASHED, "it exited with status 0", False),
        (7, Kind.CRASHED, "it exited with status 7", False),
    ],
)
def test_the_cause_is_named(exitcode: int, kind: Kind, words: str, external: bool) -> None:  # noqa: FBT001 - a column of the table
    death = cause_of(exitcode)
    assert (death.kind, death.words, death.external) == (kind, words, external)


def test_an_unsent_sigkill_is_most_likely_the_kernels() -> None:
    death = cause_of(-signal.SIGKILL)
    assert death.kind is Kind.OUT_OF_MEMORY
    assert "out-of-memory killer" in death.words


def test_a_signal_without_a_name_has_its_number() -> None:
    assert signal_words(signal.SIGRTMIN + 3) == f"signal {signal.SIGRTMIN + 3}"


def test_the_innermost_line_is_named() -> None:
    assert innermost(DUMP) == "load (vips.py:12)"
    assert cause_of(-11, DUMP).where == "load (vips.py:12)"


@pytest.mark.parametrize("words", [b"", b"Fatal Python error: Segmentation fault\n", b"\xff\0"])
def test_without_a_dump_no_line_is_named(words: bytes) -> None:
    assert innermost(words) == ""

"""One measured run as a record, how it is stored, and the statistics over many of them."""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


class Sample(NamedTuple):
    """One run of one program. Times count only where `timed` is true."""

    case: str
    peer: str
    tree: str
    cache: str
    """"warm" or "cold": whether the sources were in the page cache."""
    round: int
    timed: bool
    """False: the run that warms up and watches memory."""
    wall_s: float
    user_s: float
    system_s: float
    exit_code: int
    timed_out: bool
    left_running: bool
    sources: int
    source_bytes: int
    resident_before: float
    """Share of the sources' pages in memory before the run."""
    expected: int
    gnome: int
    everywhere: int
    pictures: int
    pictures_bytes: int
    new_pictures: int
    tree_pss_bytes: int
    process_rss_bytes: int
    root_rss_bytes: int
    load_before: float
    """Load average of the last minute before the run: what else the machine was doing."""
    started: str
    """UTC, ISO 8601."""
    flavors: str = "normal,large"
    """What the program was asked for."""
    code: str = ""
    """Of pregen's runs: the digest of the code that ran."""

    @property
    def cpu_s(self) -> float:
        """Processor time of the whole process tree."""
        return self.user_s + self.system_s


class Spread(NamedTuple):
    """Median and range of some numbers."""

    median: float
    low: float
    high: float

    def text(self, digits: int = 2) -> str:
        """Median, and the range in brackets."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}-{self.high:.{digits}f})"


def spread(values: Sequence[float]) -> Spread:
    """Summarise; a benchmark's noise is one-sided, so no mean and no deviation."""
    return Spread(statistics.median(values), min(values), max(values))


def ratios(those: Iterable[Sample], to: Iterable[Sample]) -> list[float]:
    """Wall time of `those` over that of `to`, pair by pair within a round."""
    wall_s = {sample.round: sample.wall_s for sample in to}
    return [s.wall_s / wall_s[s.round] for s in those if s.round in wall_s]


def append(path: Path, sample: Sample) -> None:
    """Add a sample to the file, at once: an aborted run keeps what it has."""
    with path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(sample._asdict()) + "\n")


def read(path: Path) -> list[Sample]:
    """Read all samples of a run."""
    with path.open(encoding="utf-8") as lines:
        records: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return [Sample(**record) for record in records]

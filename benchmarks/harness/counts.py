"""Instruction counts: what a profile says, what a job took, and now against the record.

Pure but for `load` and `save`. Runs nothing: that is `benchmarks.instructions`' work.
"""

from __future__ import annotations

import json
import re
import statistics
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

#: A picture that takes this many times the recorded instructions is slower. Of the same code the
#: counts differ by less than 0.1 %, in another folder and with other files around, too.
LIMIT = 1.01

#: The line of a callgrind profile that sums up its only event, instructions.
_TOTALS = re.compile(r"^totals: (\d+)$", re.MULTILINE)


class Record(NamedTuple):
    """Counts, and all that they depend on besides pregen."""

    made_with: dict[str, str]
    """Versions, processor, and a digest of the pictures."""
    instructions: dict[str, int]
    """Of one job, by picture."""


class Row(NamedTuple):
    """One picture, recorded and now; None where there is no number."""

    picture: str
    recorded: int | None
    now: int | None

    @property
    def ratio(self) -> float | None:
        """Now over recorded."""
        return self.now / self.recorded if self.now and self.recorded else None

    @property
    def slower(self) -> bool:
        """True when it takes more than `LIMIT` allows."""
        return self.ratio is not None and self.ratio > LIMIT


def instructions_of(profile: str) -> int:
    """The instructions in a callgrind profile.

    Raises:
        ValueError: the text is no whole profile.
    """
    found = _TOTALS.search(profile)
    if found is None:
        raise ValueError("a profile without a line of totals")
    return int(found[1])


def marked(parts: Sequence[int], jobs: int) -> list[int]:
    """What each job took, of the parts of a profile that was cut before and after every job.

    Raises:
        ValueError: it was not cut that often, so that nobody knows which part is what.
    """
    if len(parts) != 2 * jobs + 1:
        raise ValueError(f"{jobs} jobs should leave {2 * jobs + 1} parts, not {len(parts)}")
    return list(parts[1::2])


def settled(jobs: Sequence[int]) -> int:
    """What a job takes once everything is imported: the mean without the first one.

    Raises:
        ValueError: there is only the first.
    """
    return round(statistics.fmean(jobs[1:]))


def by_picture(parts: Sequence[int], pictures: Sequence[str], repeats: int) -> dict[str, int]:
    """What one job takes, by picture, when each was done `repeats` times in a row.

    Raises:
        ValueError: as `marked`.
    """
    jobs = marked(parts, repeats * len(pictures))
    return {
        picture: settled(jobs[number * repeats : (number + 1) * repeats])
        for number, picture in enumerate(pictures)
    }


def compare(recorded: Mapping[str, int], now: Mapping[str, int]) -> list[Row]:
    """One row for every picture of either."""
    return [Row(name, recorded.get(name), now.get(name)) for name in {**now, **recorded}]


def differences(recorded: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """Say what the record was made with that is not the same now."""
    for name in sorted({*recorded, *now}):
        was, is_now = recorded.get(name, "nothing"), now.get(name, "nothing")
        if was != is_now:
            yield f"{name}: recorded with {was}, now {is_now}"


def table(rows: Sequence[Row]) -> str:
    """The rows for people, in millions of instructions."""
    lines = [f"{'millions of instructions':26}{'recorded':>10}{'now':>10}{'ratio':>9}"]
    for row in rows:
        ratio = "-" if row.ratio is None else f"{row.ratio:.4f}"
        remark = "  slower" if row.slower else ""
        cells = f"{_millions(row.recorded):>10}{_millions(row.now):>10}{ratio:>9}"
        lines.append(f"{row.picture:26}{cells}{remark}")
    return "\n".join(lines)


def load(path: Path) -> Record:
    """Read a record."""
    return Record(**json.loads(path.read_text(encoding="utf-8")))


def save(path: Path, record: Record) -> None:
    """Write a record."""
    path.write_text(json.dumps(record._asdict(), indent=2) + "\n", encoding="utf-8")


def _millions(count: int | None) -> str:
    """A count to three places, or that there is none."""
    return "-" if count is None else f"{count / 1e6:.3f}"

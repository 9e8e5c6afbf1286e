"""What was measured over a share, and what it says: samples, limits, ratios, tables. Pure.

The limit of a round is the longer of two times, both measured in it: what the link took for the
same bytes alone, and the processor time that the work takes at least, on all cores. That is the
processor time of a run over the same files on the local disk, and of ssh, sshd and the link, while
the same bytes went through them. What sshfs itself takes is recorded, and not part of the limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from benchmarks.harness.samples import Spread, spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: The lanes of every cell besides pregen's: parallel readers over the mount, and pregen without it.
LINK, LOCAL = "link", "local"
#: Programs without which no byte comes over the share, however well it is read.
CARRIERS = ("ssh", "sshd", "link")


class Sample(NamedTuple):
    """One lane of one cell in one round."""

    case: str
    rtt_ms: float
    rate_mb_s: float
    round: int
    lane: str
    wall_s: float
    cpu_s: float
    """Processor time of the measured program, all processes."""
    carriers_s: dict[str, float]
    """Processor time meanwhile of what carries the bytes; empty where nothing does."""
    down_bytes: int
    """From the server, over the link, with all that protocols add."""
    files: int
    size_bytes: int
    exit_code: int
    expected: int
    """Entries there should be; 0 where none are made."""
    right: int
    """Entries that GLib accepts, of the right size."""
    pictures: int
    """PNG files of any name."""
    load_before: float
    code: str
    """Digest of the pregen that ran."""

    @property
    def whole(self) -> bool:
        """True when it did the whole work."""
        read = self.down_bytes >= self.size_bytes or self.lane == LOCAL
        done = self.expected == self.right == self.pictures
        return self.exit_code == 0 and done and (read or self.expected > 0)


class Limit(NamedTuple):
    """What no program could be faster than in a round."""

    link_s: float
    processors_s: float

    @property
    def s(self) -> float:
        """The longer of the two."""
        return max(self)


class Cell(NamedTuple):
    """Samples of one case over one link."""

    case: str
    rtt_ms: float
    rate_mb_s: float
    samples: tuple[Sample, ...]

    def lane(self, name: str) -> list[Sample]:
        """Return the samples of a lane, one a round."""
        return [sample for sample in self.samples if sample.lane == name]

    @property
    def lanes(self) -> list[str]:
        """The pregens that were measured."""
        names = dict.fromkeys(sample.lane for sample in self.samples)
        return [name for name in names if name not in {LINK, LOCAL}]

    def limits(self, cores: int) -> dict[int, Limit]:
        """Return the limit of each round that is complete."""
        links = {sample.round: sample for sample in self.lane(LINK)}
        return {
            local.round: Limit(
                links[local.round].wall_s,
                (local.cpu_s + sum(links[local.round].carriers_s.get(c, 0) for c in CARRIERS))
                / cores,
            )
            for local in self.lane(LOCAL)
            if local.round in links
        }

    def ratios(self, lane: str, cores: int) -> list[float]:
        """Return how much longer than its round's limit each run of a lane took."""
        limits = self.limits(cores)
        runs = self.lane(lane)
        return [run.wall_s / limits[run.round].s for run in runs if run.round in limits]


def cells(samples: Iterable[Sample]) -> list[Cell]:
    """Return the cells in the order in which they were first measured."""
    found: dict[tuple[str, float, float], list[Sample]] = {}
    for sample in samples:
        found.setdefault((sample.case, sample.rtt_ms, sample.rate_mb_s), []).append(sample)
    return [Cell(*key, tuple(those)) for key, those in found.items()]


def summary(samples: Sequence[Sample], cores: int) -> list[dict[str, object]]:
    """Return a record of each cell: medians, and the range of every ratio."""
    return [_cell_record(cell, cores) for cell in cells(samples)]


def _cell_record(cell: Cell, cores: int) -> dict[str, object]:
    limits = list(cell.limits(cores).values())
    first = cell.samples[0]
    return {
        "case": cell.case,
        "rtt_ms": cell.rtt_ms,
        "rate_mb_s": cell.rate_mb_s,
        "files": first.files,
        "bytes": first.size_bytes,
        "rounds": len(limits),
        "link_s": _median([limit.link_s for limit in limits]),
        "processors_s": _median([limit.processors_s for limit in limits]),
        "local_s": _median([sample.wall_s for sample in cell.lane(LOCAL)]),
        "lanes": {
            name: {
                "wall_s": _median([sample.wall_s for sample in cell.lane(name)]),
                "cpu_s": _median([sample.cpu_s for sample in cell.lane(name)]),
                "down_bytes": _median([sample.down_bytes for sample in cell.lane(name)]),
                "ratio": spread(found)._asdict() if (found := cell.ratios(name, cores)) else None,
            }
            for name in cell.lanes
        },
        "incomplete": sum(not sample.whole for sample in cell.samples),
    }


def _median(values: Sequence[float]) -> float | None:
    return round(spread(values).median, 3) if values else None


def table(samples: Sequence[Sample], cores: int) -> str:
    """Return a table for each case, in Markdown."""
    parts = []
    for case in dict.fromkeys(sample.case for sample in samples):
        those = [cell for cell in cells(samples) if cell.case == case]
        lanes = list(dict.fromkeys(lane for cell in those for lane in cell.lanes))
        first = those[0].samples[0]
        rounds = max(len(cell.limits(cores)) for cell in those)
        columns = ["RTT ms", "MB/s", "link s", "processors s", "local run s"]
        columns += [column for lane in lanes for column in (f"{lane} s", f"{lane} / limit")]
        lines = [f"### {case}: {first.files} files, {first.size_bytes / 1e6:.0f} MB"]
        lines[0] += f", {rounds} rounds"
        lines += ["", "| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
        lines += ["| " + " | ".join(_row(cell, lanes, cores)) + " |" for cell in those]
        lines += [*_remarks([sample for cell in those for sample in cell.samples]), ""]
        parts.append("\n".join(lines))
    return "\n".join(parts)


def _row(cell: Cell, lanes: Sequence[str], cores: int) -> list[str]:
    limits = list(cell.limits(cores).values())
    link, processors = ([limit[part] for limit in limits] for part in (0, 1))
    bound = sum(limit.link_s >= limit.processors_s for limit in limits) * 2 >= len(limits)
    row = [f"{cell.rtt_ms:g}", f"{cell.rate_mb_s:g}"]
    row += [_bold(_text(link), bound), _bold(_text(processors), not bound)]
    row.append(_text([sample.wall_s for sample in cell.lane(LOCAL)]))
    for lane in lanes:
        row += [_text([sample.wall_s for sample in cell.lane(lane)])]
        row += [_text(cell.ratios(lane, cores))]
    return row


def _bold(text: str, chosen: bool) -> str:  # noqa: FBT001 - it is what is decided
    return f"**{text}**" if chosen and text else text


def _text(values: Sequence[float]) -> str:
    found: Spread | None = spread(values) if values else None
    return found.text() if found else ""


def _remarks(samples: Sequence[Sample]) -> Iterable[str]:
    for sample in samples:
        if not sample.whole:
            yield (
                f"\nNo result: {sample.lane} in round {sample.round} at {sample.rtt_ms:g} ms and "
                f"{sample.rate_mb_s:g} MB/s: exit code {sample.exit_code}, {sample.right} of "
                f"{sample.expected} entries right, {sample.pictures} pictures, "
                f"{sample.down_bytes} of {sample.size_bytes} bytes."
            )
    loads = [sample.load_before for sample in samples]
    yield f"\nLoad average before a run: {min(loads):.1f} to {max(loads):.1f}."

"""Turns the samples of a run into the summary that people read, and into the README's table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from benchmarks.harness import samples as records
from benchmarks.harness.cases import CASES, Case
from benchmarks.harness.entries import BOXES_PX
from benchmarks.harness.programs import PEERS
from benchmarks.harness.samples import Sample, spread

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_MB = 1e6
_BEGIN, _END = "<!-- table: begin -->", "<!-- table: end -->"


def summary(folder: Path) -> str:
    """The whole summary of a run folder, as Markdown."""
    machine: dict[str, Any] = json.loads((folder / "machine.json").read_text(encoding="utf-8"))
    samples = records.read(folder / "samples.jsonl")
    parts = [f"# Benchmark run {folder.name}\n", _machine(machine), tables(samples), _notes()]
    return "\n".join(parts)


def tables(samples: list[Sample]) -> str:
    """A table per case and state of the page cache, in the order of the cases."""
    parts = []
    for case in CASES.values():
        for cache in ("warm", "cold"):
            those = [s for s in samples if s.case == case.name and s.cache == cache]
            if any(s.timed for s in those):
                parts.append(_table(case, cache, those))
    return "\n".join(parts)


def write_readme(readme: Path, folder: Path) -> None:
    """Replace what stands between the README's table marks."""
    text = readme.read_text(encoding="utf-8")
    before, _mark, rest = text.partition(_BEGIN)
    _old, mark, after = rest.partition(_END)
    if not mark:
        raise SystemExit(f"{readme.name} has no line {_BEGIN} followed by {_END}")
    machine: dict[str, Any] = json.loads((folder / "machine.json").read_text(encoding="utf-8"))
    body = _machine(machine) + "\n" + tables(records.read(folder / "samples.jsonl"))
    origin = f"From `runs/{folder.name}`.\n"
    readme.write_text(f"{before}{_BEGIN}\n{origin}\n{body}\n{_END}{after}", encoding="utf-8")


def _machine(machine: dict[str, Any]) -> str:
    """Machine, versions and what was left out."""
    where = (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"{machine['file_system']}; {machine['system']}, Linux {machine['kernel']}, "
        f"Python {machine['python']}, libvips {machine['libvips']}; "
        f"{machine['workers']} workers; commit {machine['commit'] or 'unknown'}."
    )
    lines = [
        where,
        f"Cold means: {machine['cold_by']}.",
        "",
        "Versions: " + "; ".join(dict.fromkeys(machine["versions"].values())) + ".",
    ]
    left_out = "; ".join(f"{name} ({why})" for name, why in machine["missing"].items())
    lines += [f"Left out: {left_out}."] if left_out else []
    return "\n".join(lines) + "\n"


def _notes() -> str:
    """What the columns mean, and the cases' fairness notes."""
    columns = (
        "Times are medians over the rounds, with the range in brackets. Ratios are taken pair by "
        "pair within a round before their median is. Memory comes from a run of its own, whose "
        "times do not count: `tree` is the largest sum over all processes at one moment (PSS), "
        "`first` the process that was started and `other` the largest of the rest (RSS, which "
        "counts shared pages for each). `GNOME accepts` counts entries that GLib calls valid, "
        "`Xfce too` those that tumbler accepts as well.\n"
    )
    notes = ["## How to read this\n", columns]
    notes += [f"- **{case.name}**: {' '.join(case.fairness.split())}" for case in CASES.values()]
    return "\n".join(notes) + "\n"


def _table(case: Case, cache: str, samples: list[Sample]) -> str:
    """One Markdown table."""
    first = next(s for s in samples if s.timed)
    rounds = len({s.round for s in samples if s.timed})
    title = f"### {case.name}, {cache}: {first.sources} files, {first.source_bytes / _MB:.0f} MB"
    columns = [
        "program",
        "seconds",
        f"x {case.reference}",
        "pregen / it",
        "CPU s",
        "files/s",
        "MB tree",
        "MB first",
        "MB other",
        "GNOME accepts",
        "Xfce too",
        "pictures",
    ]
    if _is_compared(case):
        columns.insert(4, f"/ {case.beside}")
    lines = [f"{title}, {rounds} rounds", ""]
    lines += ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for peer in dict.fromkeys([*PEERS, *(s.peer for s in samples)]):
        for place in _places(case):
            lane = [s for s in samples if _same(s, peer, place)]
            if any(s.timed for s in lane):
                lines.append("| " + " | ".join(_row(case, lane, samples)) + " |")
    lines += [*_remarks(case, samples), ""]
    return "\n".join(lines)


def _row(case: Case, lane: list[Sample], samples: list[Sample]) -> list[str]:
    """The cells of one program on one tree."""
    timed = [s for s in lane if s.timed]
    last = timed[-1]
    place = last.tree, last.flavors
    name = last.peer
    name += f", {last.tree}" if len(case.trees) > 1 else ""
    name += f", {_sizes(last.flavors)}" if len(case.flavors) > 1 else ""
    reference = [s for s in samples if s.timed and _same(s, case.reference, place)]
    pregen = [s for s in samples if s.timed and _same(s, "pregen", place)]
    cells = [
        name,
        spread([s.wall_s for s in timed]).text(),
        _ratio(timed, reference),
        _ratio(pregen, timed),
        f"{spread([s.cpu_s for s in timed]).median:.2f}",
        f"{last.sources / spread([s.wall_s for s in timed]).median:.0f}",
        *(
            _peak(lane, field)
            for field in ("tree_pss_bytes", "root_rss_bytes", "process_rss_bytes")
        ),
    ]
    if _is_compared(case):
        baseline = [s for s in samples if s.timed and _same(s, last.peer, _places(case)[0])]
        cells.insert(4, _ratio(timed, baseline))
    if last.peer in PEERS and not PEERS[last.peer].writes_entries:
        return [*cells, "writes none", "", ""]
    gnome, everywhere, pictures = (
        min(getattr(s, field) for s in timed) for field in ("gnome", "everywhere", "pictures")
    )
    return [*cells, f"{gnome} of {last.expected}", str(everywhere), str(pictures)]


def _places(case: Case) -> list[tuple[str, str]]:
    """Tree and flavors of the case's lanes."""
    return [(tree, ",".join(flavors)) for tree in case.trees for flavors in case.flavors]


def _is_compared(case: Case) -> bool:
    """Whether a program has several lanes."""
    return len(_places(case)) > 1


def _sizes(flavors: str) -> str:
    """Flavors by their boxes."""
    return ", ".join(str(BOXES_PX[flavor]) for flavor in flavors.split(",")) + " px"


def _same(sample: Sample, peer: str, place: tuple[str, str]) -> bool:
    return (sample.peer, sample.tree, sample.flavors) == (peer, *place)


def _ratio(those: list[Sample], to: list[Sample]) -> str:
    """Median and range of the pairwise ratios, or nothing when one of them did not run."""
    found = records.ratios(those, to)
    return spread(found).text() if found else ""


def _peak(lane: list[Sample], field: str) -> str:
    """Largest value of a memory field over the runs that watched it."""
    peak = max((int(getattr(s, field)) for s in lane), default=0)
    return f"{peak / _MB:.0f}" if peak else ""


def _remarks(case: Case, samples: list[Sample]) -> Iterable[str]:
    """What would otherwise go unnoticed: failures, left-over processes, disturbed runs."""
    for peer in dict.fromkeys(s.peer for s in samples):
        those = [s for s in samples if s.peer == peer]
        codes = sorted({s.exit_code for s in those} - {0})
        if codes:
            yield f"\n{peer} ended with exit code {', '.join(map(str, codes))}."
        new = max((s.new_pictures for s in those if s.timed), default=0)
        if case.filled and new:
            yield f"\n{peer} wrote {new} entries in what should have been an unchanged re-run."
        if any(s.timed_out for s in those):
            yield f"\n{peer} was killed at the time limit: its times are no result."
        if any(s.left_running for s in those):
            yield f"\n{peer} left processes running."
    if len({s.code for s in samples if s.code and s.peer != "pregen-before"}) > 1:
        yield "\nThe code of pregen changed between its runs: its times are no result."
    residence = [s.resident_before for s in samples if s.timed]
    loads = [s.load_before for s in samples if s.timed]
    yield (
        f"\nSources in memory before a run: {min(residence):.0%} to {max(residence):.0%}. "
        f"Load average before a run: {min(loads):.1f} to {max(loads):.1f}."
    )

"""Findings in words and as records. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from pregen.doctor.findings import Severity
from pregen.progress.records import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pregen.doctor.findings import Finding
    from pregen.errors import ExitCode

_COLOURS = {Severity.PROBLEM: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def finding_lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield what a person reads: each finding with its commands, indented to be copied."""
    if all(finding.severity is Severity.NOTE for finding in findings):
        yield click.style("Nothing to do.", fg="green")
        if findings:
            yield ""
    for number, finding in enumerate(findings):
        if number:
            yield ""
        name = finding.severity.name.lower()
        label = click.style(name, fg=_COLOURS[finding.severity], bold=True)
        yield f"{label}  {click.style(finding.about, bold=True)}"
        yield f"  {finding.why}"
        for command in finding.mend:
            yield f"    {command}"


def finding_record(finding: Finding) -> dict[str, Any]:
    """Return the object of one finding."""
    return {
        "v": VERSION,
        "type": "finding",
        "severity": finding.severity.name.lower(),
        "code": finding.code,
        "about": finding.about,
        "why": finding.why,
        "mend": list(finding.mend),
    }


def summary_record(findings: Sequence[Finding], code: ExitCode) -> dict[str, Any]:
    """Return the last object: how many there are of each severity."""
    counts = Counter(finding.severity for finding in findings)
    numbers = {f"{each.name.lower()}s": counts[each] for each in reversed(Severity)}
    return {"v": VERSION, "type": "summary", **numbers, "exit_code": int(code)}

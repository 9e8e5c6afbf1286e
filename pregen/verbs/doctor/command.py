"""`pregen doctor`: why a desktop would not show what pregen made, and what mends it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from pregen.argument_types import raw_bytes
from pregen.commandline import Command, print_lines, print_record, under
from pregen.display.records import VERSION
from pregen.errors import ExitCode
from pregen.options import option
from pregen.session import Session, cache_option
from pregen.verbs.doctor.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pregen.verbs.doctor.findings import Finding

_COLOURS = {Severity.PROBLEM: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


@click.pass_obj
def _doctor(session: Session, /, *, paths: tuple[bytes, ...], json: bool) -> ExitCode:
    """Find out why existing thumbnails are not shown, and the command that fixes it.

    Checks the settings of GNOME, Cinnamon, MATE, KDE, Xfce, LXDE and LXQt, the cache, its
    disk and its owner, other caches of yours, and how shares with pictures are mounted. With
    PATHs it also counts the pictures there and checks whether there is space for all of them.
    Changes nothing.

    Exit code: 0 when there is nothing to do, 4 when there is. Notes do not count.

    Example: pregen doctor ~/Pictures
    """
    from pregen.originals.mounts import is_below_any  # noqa: PLC0415 - no --help needs it
    from pregen.verbs.doctor.readers.machine import gather  # noqa: PLC0415 - likewise
    from pregen.verbs.doctor.rules import diagnose  # noqa: PLC0415 - likewise

    allowed = tuple(map(session.clean, session.run_values()["allow_encrypted"]))
    with session.journal() as journal:
        places = session.private_places(journal)

    def private(path: bytes) -> bytes | None:
        return None if is_below_any(path, allowed) and allowed else places.place_of(path)

    facts = gather(
        session.environ,
        session.home,
        session.cache_root,
        paths,
        private if places.any_known else None,
    )
    findings = diagnose(facts)
    sick = any(finding.severity > Severity.NOTE for finding in findings)
    code = ExitCode.BAD_ENTRIES if sick else ExitCode.DONE
    if json:
        for record in (*map(finding_record, findings), summary_record(findings, code)):
            print_record(record)
    else:
        print_lines(finding_lines(findings))
    return code


doctor = Command(
    "doctor",
    callback=_doctor,
    params=[
        click.Argument(["paths"], metavar="[PATH]...", type=raw_bytes, nargs=-1),
        *under(
            "Options",
            cache_option(),
            option("json", help="Write a JSON object for each finding, and a final summary."),
        ),
    ],
    help=_doctor.__doc__,
)


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
        **finding._asdict(),
        "severity": finding.severity.name.lower(),
    }


def summary_record(findings: Sequence[Finding], code: ExitCode) -> dict[str, Any]:
    """Return the last object: how many there are of each severity."""
    counts = Counter(finding.severity for finding in findings)
    numbers = {f"{each.name.lower()}s": counts[each] for each in reversed(Severity)}
    return {"v": VERSION, "type": "summary", **numbers, "exit_code": int(code)}

"""`pregen doctor`: why a desktop would not show what pregen made, and what fixes it."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from pregen.argument_types import raw_bytes
from pregen.commandline import Command, Option, agreed, print_lines, print_record, under
from pregen.display.records import VERSION
from pregen.display.text import Verbatim, plural, printable
from pregen.errors import ExitCode, UsageError
from pregen.options import option
from pregen.session import Session, cache_option
from pregen.verbs.doctor.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pregen.config import FlavorChoice
    from pregen.verbs.doctor.findings import Finding

_COLOURS = {Severity.PROBLEM: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


@click.pass_obj
def _doctor(
    session: Session, /, *, paths: tuple[bytes, ...], fix: bool, yes: bool, json: bool
) -> ExitCode:
    """Find out why existing thumbnails are not shown, and the command that fixes it.

    Checks the settings of GNOME, Cinnamon, MATE, KDE, Xfce, LXDE and LXQt, their thumbnailer
    plugins, the sizes that your screens need, the cache, its disk and its owner, other caches of
    yours, and how shares with pictures are mounted. With PATHs it also counts the pictures there
    and checks whether there is space for all of them. Changes nothing without --fix.

    Exit code: 0 when there is nothing to do, 4 when there is. Notes do not count.

    Examples: pregen doctor ~/Pictures; pregen doctor --fix
    """
    if yes and not fix:
        raise UsageError("--yes answers the questions of --fix: give both, or neither.")
    if fix and not yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "nothing was changed: there is no terminal to ask on. Use --yes to fix everything "
            "without a question, or leave out --fix to see what is wrong."
        )
    seen = examine(session, paths)
    findings = left = seen.findings
    answers: list[FixResult] = []
    if fix:
        answers = fix_all(session, findings, yes=yes, json=json)
        if any(answer.tried for answer in answers):
            left = examine(session, paths).findings
            answers = [
                answer._replace(fixed=answer.tried and not _is_among(finding, left))
                for finding, answer in zip(findings, answers, strict=True)
            ]
    sick = any(finding.severity > Severity.NOTE for finding in left)
    code = ExitCode.BAD_ENTRIES if sick else ExitCode.DONE
    if json:
        for record in records(findings, answers, left):
            print_record(record)
        fixed = {"fixed": sum(answer.fixed for answer in answers)} if answers else {}
        print_record({**summary_record(left, code, seen.sizes), **fixed})
    else:
        print_lines(left_lines(left, answers) if answers else finding_lines(left))
        if seen.sizes is not None:
            print_lines([click.style(f"{_capital(seen.sizes.told)}.", dim=True), ""])
        print_lines([verdict_line(left, session.cache_flag, asked=fix)])
    return code


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _is_among(finding: Finding, findings: Sequence[Finding]) -> bool:
    """Tell whether the same is found; numbers may differ."""
    same = finding.code, finding.about, finding.fix
    return any((each.code, each.about, each.fix) == same for each in findings)


doctor = Command(
    "doctor",
    callback=_doctor,
    params=[
        click.Argument(["paths"], metavar="[PATH]...", type=raw_bytes, nargs=-1),
        *under(
            "Options",
            Option(
                ["--fix"],
                is_flag=True,
                help="Fix what can be fixed: asks about each finding. Old settings files are kept.",
            ),
            Option(["-y", "--yes"], is_flag=True, help="Fix without asking."),
            cache_option(),
            option("json", help="Write a JSON object for each finding, and a final summary."),
        ),
    ],
    help=_doctor.__doc__,
)


#: Commands on the cache.
_OURS = ("pregen clean", "pregen run")


class Examination(NamedTuple):
    """What was found."""

    findings: list[Finding]
    """The worst first."""
    sizes: FlavorChoice | None
    """What a run makes here; None: the user's settings name it."""


def examine(session: Session, paths: Sequence[bytes]) -> Examination:
    """Return what is wrong.

    Raises:
        PregenError: the cache cannot be listed, or a path does not exist.
    """
    from pregen.originals.mounts import is_below_any  # noqa: PLC0415 - no --help needs it
    from pregen.screens.choice import choose  # noqa: PLC0415 - likewise
    from pregen.verbs.doctor.readers.machine import gather  # noqa: PLC0415 - likewise
    from pregen.verbs.doctor.rules import diagnose  # noqa: PLC0415 - likewise

    values = session.run_values()
    allowed = tuple(map(session.clean, values["allow_encrypted"]))
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
        values["flavors"],
    )
    sizes = choose(facts.screens) if facts.screens and not facts.named_flavors else None
    findings = [_with_cache(each, session.cache_flag) for each in diagnose(facts)]
    return Examination(findings, sizes)


def _with_cache(finding: Finding, cache_flag: str) -> Finding:
    """Return a finding whose commands work on the cache that was looked at."""
    mend = (f"{each}{cache_flag}" if each.startswith(_OURS) else each for each in finding.mend)
    return finding._replace(mend=tuple(mend))


class FixResult(NamedTuple):
    """What came of a finding with `--fix`."""

    tried: bool = False
    fixed: bool = False
    """It is not found any more."""
    said: str = ""
    """What a person should know: where the old file is, or why it could not be done."""


def fix_all(
    session: Session, findings: Sequence[Finding], *, yes: bool, json: bool
) -> list[FixResult]:
    """Ask about each finding that can be fixed, and fix it; return what came of each."""
    from pregen.verbs.doctor.mending import FixError, Mender  # noqa: PLC0415 - seldom needed

    mender = Mender(session.environ, session.home)
    answers = []
    for finding in findings:
        if finding.fix is None:
            answers.append(FixResult())
            continue
        if not json:
            print_lines(_lines(finding))
        if not yes and not agreed(finding.fix.question):
            answers.append(FixResult())
            continue
        try:
            said = mender.do(finding.fix, asked=not yes)
            style, words = "green", "Done"
        except FixError as error:
            said, style, words = str(error), "yellow", "Not done"
        if not json:
            end = f": {printable(said)}." if said else "."
            print_lines([click.style(f"  {words}{end}", fg=style), ""])
        answers.append(FixResult(tried=True, said=said))
    return answers


# What it tells a person. Pure


def left_lines(left: Sequence[Finding], answers: Sequence[FixResult]) -> Iterator[str]:
    """Yield what a person reads after the fixes."""
    fixed = sum(answer.fixed for answer in answers)
    if fixed:
        yield click.style(f"Fixed: {fixed}.", fg="green")
    if left:
        yield click.style("Left:", bold=True)
        yield ""
    yield from finding_lines(left)


def finding_lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield what a person reads: each finding with its commands, indented to be copied."""
    for finding in findings:
        yield from _lines(finding)
        yield ""


def verdict_line(left: Sequence[Finding], cache_flag: str, *, asked: bool) -> str:
    """Return the last line: how much there is to do; with `--fix` (`asked`) without naming that."""
    counts = Counter(finding.severity for finding in left)
    kinds = (Severity.PROBLEM, Severity.WARNING)
    found = [plural(counts[kind], kind.name.lower()) for kind in kinds if counts[kind]]
    if not found:
        return click.style("Nothing to do.", fg="green")
    fixable = any(finding.fix and finding.severity > Severity.NOTE for finding in left)
    how = f" Fix what can be fixed: pregen doctor{cache_flag} --fix" if fixable else ""
    how = "" if asked else how
    return click.style(f"Found {' and '.join(found)}.{how}", fg="yellow")


def _lines(finding: Finding) -> Iterator[str]:
    name = finding.severity.name.lower()
    label = click.style(name, fg=_COLOURS[finding.severity], bold=True)
    yield f"{label}  {click.style(finding.about, bold=True)}"
    yield f"  {finding.why}"
    for command in finding.mend:
        yield Verbatim(f"    {command}")


# What `--json` writes. Pure. Scripts rely on it: add keys, never rename


def records(
    findings: Sequence[Finding], answers: Sequence[FixResult], left: Sequence[Finding]
) -> Iterator[dict[str, Any]]:
    """Yield an object for each finding, with `--fix` what came of it.

    Args:
        findings: before anything was fixed.
        answers: to each of them; none without `--fix`.
        left: what is found now.
    """
    for number, finding in enumerate(findings):
        yield finding_record(finding, answers[number] if answers else None)
    for finding in left:
        if not _is_among(finding, findings):
            yield finding_record(finding, FixResult() if answers else None)


def finding_record(finding: Finding, answer: FixResult | None = None) -> dict[str, Any]:
    """Return the object of one finding."""
    fields = finding._asdict()
    fixable = fields.pop("fix") is not None
    came = {} if answer is None else {"fixed": answer.fixed, "message": answer.said or None}
    return {
        "v": VERSION,
        "type": "finding",
        **fields,
        "severity": finding.severity.name.lower(),
        "fixable": fixable,
        **came,
    }


def summary_record(
    findings: Sequence[Finding], code: ExitCode, sizes: FlavorChoice | None
) -> dict[str, Any]:
    """Return the last object: how many there are of each severity, and what a run makes here."""
    counts = Counter(finding.severity for finding in findings)
    numbers = {f"{each.name.lower()}s": counts[each] for each in reversed(Severity)}
    chosen = {} if sizes is None else {
        "flavors": [flavor.directory for flavor in sizes.flavors],
        "flavors_because": sizes.why,
    }  # fmt: skip
    return {"v": VERSION, "type": "summary", **numbers, **chosen, "exit_code": int(code)}

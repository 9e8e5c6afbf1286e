"""`pregen doctor`: why a desktop would not show what pregen made, and what mends it."""

from __future__ import annotations

import click

from pregen.commands.paramtypes import raw_bytes
from pregen.commands.style import Command, Option
from pregen.errors import ExitCode


def _doctor(paths: tuple[bytes, ...], *, json: bool) -> ExitCode:
    """Tell why thumbnails that are there would not be seen, and which command mends it.

    Looks at the settings of GNOME, Cinnamon, MATE, KDE, Xfce, LXDE and LXQt, at the cache, its
    disk and its owner, and at other caches of yours. With PATHs it also counts the pictures there
    and tells whether there is room for all of them. Changes nothing.

    Exit code: 0 when there is nothing to do, 4 when there is. Notes do not count.

    Example: pregen doctor ~/Pictures
    """
    import os  # noqa: PLC0415 - --help needs none of it

    from pregen.commands.doctor_text import finding_lines, finding_record, summary_record  # noqa: PLC0415 - likewise
    from pregen.commands.style import print_lines, print_record  # noqa: PLC0415 - likewise
    from pregen.doctor.findings import Severity  # noqa: PLC0415 - likewise
    from pregen.doctor.readers.gather import gather  # noqa: PLC0415 - likewise
    from pregen.doctor.rules import diagnose  # noqa: PLC0415 - likewise

    findings = diagnose(gather(os.environ, os.path.expanduser("~"), paths))
    sick = any(finding.severity > Severity.NOTE for finding in findings)
    code = ExitCode.BAD_ENTRIES if sick else ExitCode.DONE
    if json:
        for finding in findings:
            print_record(finding_record(finding))
        print_record(summary_record(findings, code))
    else:
        print_lines(finding_lines(findings))
    return code


doctor = Command(
    "doctor",
    callback=_doctor,
    params=[
        click.Argument(["paths"], metavar="[PATH]...", type=raw_bytes, nargs=-1),
        Option(["--json"], is_flag=True, help="Write a JSON object for each finding, and a last."),
    ],
    help=_doctor.__doc__,
)

"""`pregen verify`: tells every entry that is not as it should be. Parses and hands over."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from pregen.commands.paramtypes import raw_bytes
from pregen.commands.style import Command, Option
from pregen.originals.examiner import DEFAULT_TIMEOUT_S

if TYPE_CHECKING:
    from pregen.errors import ExitCode


def _verify(**flags: Any) -> ExitCode:
    """Check every entry of the thumbnail cache, of any program, against the standard and its file.

    With PATHs: only the entries of files there. Every entry is read to its last byte by code that
    did not write it: chunks, checksums, picture, texts, name, size, age, modes. What another
    program does differently but rightly is not called bad. Entries whose file is gone or not
    there now are counted only: `pregen clean` is for those.

    Exit code 0: all is well. 4: something is not, or could not be mended.
    """
    from pregen.commands.verify_session import VerifyFlags, verify_session  # noqa: PLC0415 - --help needs none of it

    return verify_session(VerifyFlags(**flags))


_WHAT = (
    Option(
        ["--deep"],
        is_flag=True,
        help="Also decode every file anew, and compare pictures: finds an entry that shows "
        "another file, or shows it turned. Takes as long as making all of them.",
    ),
    Option(
        ["--sample"],
        metavar="NUMBER",
        type=click.IntRange(1),
        help="As --deep, but compare this many entries only, others each time.",
    ),
)
_HOW = (
    Option(
        ["--repair"],
        is_flag=True,
        help="Remove what is bad and make it anew; mend modes. An entry that can be shown stays "
        "when its file is not there now.",
    ),
    Option(["--wait"], is_flag=True, help="When a run fills this cache, wait for its end."),
    Option(
        ["--mount-timeout"],
        metavar="SECONDS",
        type=click.FloatRange(0, min_open=True),
        default=f"{DEFAULT_TIMEOUT_S:g}",
        show_default=True,
        help="How long a mount may take to answer; its files count as not there when it does not.",
    ),
)
_OUTPUT = (
    Option(
        ["--json"],
        is_flag=True,
        help="Write a JSON object per line: everything that is bad, at last a summary.",
    ),
)
_PANELS = {"What": _WHAT, "How": _HOW, "Output": _OUTPUT}

verify = Command(
    "verify",
    callback=_verify,
    params=[
        click.Argument(["paths"], metavar="[PATH]...", type=raw_bytes, nargs=-1),
        *chain.from_iterable(_PANELS.values()),
    ],
    help=_verify.__doc__,
    epilog="Examples: `pregen verify`; `pregen verify ~/Pictures --sample 500`; "
    "`pregen verify --repair`.",
)
verify.panels = _PANELS

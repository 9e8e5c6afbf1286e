"""`pregen failures`: what failed, when and why. Parses and hands over; no work of its own."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from pregen.commands.paramtypes import raw_bytes
from pregen.commands.style import Command, Option
from pregen.failures.model import GROUPS
from pregen.originals.examiner import DEFAULT_TIMEOUT_S

if TYPE_CHECKING:
    from pregen.errors import ExitCode


def _failures(**flags: Any) -> ExitCode:
    """Tell which files have no thumbnail because something went wrong: what, when, and what to do.

    With PATHs: only files there. Known from the journal of all runs, and from the fail records in
    the cache: ours, and those of other programs, which do not say why. A failure is forgotten
    when the file has got its thumbnail.
    """
    from pregen.commands.failures_session import FailuresFlags, failures_session  # noqa: PLC0415 - --help needs none of it

    return failures_session(FailuresFlags(**flags))


_WHICH = (
    Option(
        ["--kind"],
        type=click.Choice(GROUPS),
        multiple=True,
        metavar="KIND",
        help=f"Only failures of this kind; may be repeated. {', '.join(GROUPS)}.",
    ),
    Option(
        ["--program"],
        metavar="NAME",
        multiple=True,
        help="Only files with a fail record of a program whose name begins like this.",
    ),
)
_WHAT = (
    Option(["--retry"], is_flag=True, help="Try them again: a run over these files."),
    Option(
        ["--forget"],
        is_flag=True,
        help="Delete what is remembered of them, pregen's fail records too, so that the next run "
        "tries them. Records of other programs only with --program.",
    ),
    Option(["--paths", "only_paths"], is_flag=True, help="Write the paths alone, one on a line."),
    Option(["-0", "--null"], is_flag=True, help="As --paths, with a zero byte behind each."),
    Option(["--wait"], is_flag=True, help="When a run fills this cache, wait for its end."),
    Option(
        ["--mount-timeout"],
        metavar="SECONDS",
        type=click.FloatRange(0, min_open=True),
        default=f"{DEFAULT_TIMEOUT_S:g}",
        show_default=True,
        help="How long a mount may take to answer.",
    ),
)
_OUTPUT = (
    Option(["--json"], is_flag=True, help="Write a JSON object per line: failures, a summary."),
    Option(["-v", "--verbose"], is_flag=True, help="Name all files, not some of each kind."),
)
_PANELS = {"Which": _WHICH, "What to do": _WHAT, "Output": _OUTPUT}

failures = Command(
    "failures",
    callback=_failures,
    params=[
        click.Argument(["paths"], metavar="[PATH]...", type=raw_bytes, nargs=-1),
        *chain.from_iterable(_PANELS.values()),
    ],
    help=_failures.__doc__,
    epilog="Examples: `pregen failures ~/Pictures`; `pregen failures --kind timed-out --retry`; "
    "`pregen failures --kind truncated -0 | xargs -0 ls -l`; `pregen failures --program gnome "
    "--forget`; `pregen failures --kind timed-out -0 | pregen run --files-from - -0 --retry-failed "
    "--timeout 600`.",
)
failures.panels = _PANELS

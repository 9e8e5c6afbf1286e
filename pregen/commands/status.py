"""`pregen status`: what the cache holds, what the last runs did, what failed."""

from __future__ import annotations

import click

from pregen.commands.style import Command, Option
from pregen.errors import ExitCode

#: A week of nightly runs, and they fit on a screen with the rest.
_RUNS = 7


def _status(*, runs: int, json: bool) -> ExitCode:
    """Show the entries and bytes of each flavor, the last runs, and what failed.

    Looks at the names and sizes in the cache and at the journal; whether entries are up to date
    is for `pregen show FILE` and `pregen run --dry-run` to tell.
    """
    from pregen.commands.status_facts import gather  # noqa: PLC0415 - --help needs none of it
    from pregen.commands.status_record import status_record  # noqa: PLC0415 - likewise
    from pregen.commands.status_text import status_lines  # noqa: PLC0415 - likewise
    from pregen.commands.style import print_lines, print_record  # noqa: PLC0415 - likewise

    facts = gather(runs)
    if json:
        print_record(status_record(facts))
    else:
        print_lines(status_lines(facts))
    return ExitCode.DONE


status = Command(
    "status",
    callback=_status,
    params=[
        Option(
            ["--runs"],
            metavar="NUMBER",
            type=click.IntRange(0),
            default=_RUNS,
            show_default=True,
            help="How many of the last runs to show.",
        ),
        Option(["--json"], is_flag=True, help="Write one JSON object."),
    ],
    help=_status.__doc__,
    epilog="Example: pregen status --runs 20",
)

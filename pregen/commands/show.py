"""`pregen show FILE...`: what the cache holds for a file, and what each desktop makes of it."""

from __future__ import annotations

import click

from pregen.commands.paramtypes import raw_bytes
from pregen.commands.style import Command, Option
from pregen.errors import ExitCode


def _show(files: tuple[bytes, ...], *, json: bool) -> ExitCode:
    """Show what the thumbnail cache holds for FILEs.

    URIs and keys, entries with their text, whether they are up to date, what each desktop would
    say, and the fail records of any program. A FILE may be gone: its entries are shown all the
    same. The exit code is 3 when a FILE is gone and nothing is known of it.
    """
    from pregen.commands.inspection import inspect_all  # noqa: PLC0415 - --help needs none of it
    from pregen.commands.show_record import file_record  # noqa: PLC0415 - likewise
    from pregen.commands.show_text import file_lines  # noqa: PLC0415 - likewise
    from pregen.commands.style import print_lines, print_record  # noqa: PLC0415 - likewise

    all_known = True
    for number, facts in enumerate(inspect_all(files)):
        all_known = all_known and facts.known
        if json:
            print_record(file_record(facts))
        else:
            print_lines([""] * bool(number))
            print_lines(file_lines(facts))
    return ExitCode.DONE if all_known else ExitCode.SOME_FAILED


show = Command(
    "show",
    callback=_show,
    params=[
        click.Argument(["files"], metavar="FILE...", type=raw_bytes, nargs=-1, required=True),
        Option(["--json"], is_flag=True, help="Write a JSON object for each FILE."),
    ],
    help=_show.__doc__,
    epilog="Example: pregen show ~/Pictures/cat.jpg",
)

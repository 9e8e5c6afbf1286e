"""Which printer a run gets, by its flags and by what standard error is."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from pregen.progress.jsonl import JsonPrinter
from pregen.progress.output import Output
from pregen.progress.plain import PlainPrinter
from pregen.progress.quiet import QuietPrinter

if TYPE_CHECKING:
    from collections.abc import Callable

    from pregen.commands.session import SessionFlags
    from pregen.progress.base import Printer


def make_printer(flags: SessionFlags, on_results_lost: Callable[[OSError], None]) -> Printer:
    """Return the printer. Only a terminal's imports rich.

    Args:
        flags: of the run.
        on_results_lost: called once when standard output takes no more records.
    """
    if flags.json:
        return json_printer(on_results_lost, verbose=flags.verbose)
    people = Output(sys.stderr)
    if flags.quiet:
        return QuietPrinter(people)
    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown"}:
        from rich.console import Console  # noqa: PLC0415 - nobody else shall wait for rich

        from pregen.progress.tty import TtyPrinter, terminal_size  # noqa: PLC0415 - likewise

        console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        return TtyPrinter(people, console, terminal_size, verbose=flags.verbose)
    return PlainPrinter(people, verbose=flags.verbose)


def json_printer(
    on_results_lost: Callable[[OSError], None] = lambda _error: None, *, verbose: bool = False
) -> JsonPrinter:
    """Return the printer of `--json`: records to standard output, notes to standard error."""
    return JsonPrinter(Output(sys.stdout, on_results_lost), Output(sys.stderr), verbose=verbose)

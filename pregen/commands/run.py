"""`pregen run`: the main job. Parses and hands over; no work of its own."""

from __future__ import annotations

from typing import Any

import click

from pregen.commands.options import OPTIONS, PANELS, PATHS, RunFlags
from pregen.commands.run_settings import checked_config
from pregen.commands.settings import ConfiguredCommand
from pregen.errors import ExitCode, UsageError


class RunCommand(ConfiguredCommand):
    """A command that tells its refusal as a summary too, where `--json` promised one."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Parse; what is wrong is told twice: for a program, and by what is raised for people."""
        json = "--json" in args
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            self._refuse(error.format_message(), json=json)
            raise
        except UsageError as error:
            self._refuse(str(error), json=json)
            raise

    def _refuse(self, message: str, *, json: bool) -> None:
        if json:
            from pregen.commands.printers import json_printer  # noqa: PLC0415 - rarely needed
            from pregen.progress.watch import Watch  # noqa: PLC0415 - likewise

            Watch(json_printer()).finish(ExitCode.USAGE, message)


def _run(**flags: Any) -> ExitCode:
    """Fill the thumbnail cache for the pictures in PATHs: folders are walked, files are taken.

    Run it again at any time: entries that are up to date are left alone.
    """
    from pregen.commands.session import Extras, run_session  # noqa: PLC0415 - --help needs none of it

    parsed = RunFlags(**flags)
    extras = Extras(parsed.metrics_file, parsed.log, parsed.nice, parsed.idle)
    return run_session(parsed, lambda: checked_config(parsed), extras)


run = RunCommand(
    "run",
    callback=_run,
    params=[PATHS, *OPTIONS],
    help=_run.__doc__,
    epilog="Each flag can be set in the environment (--max-pixels is PREGEN_MAX_PIXELS) and in "
    '$XDG_CONFIG_HOME/pregen/config.toml (max-pixels = "1G"). The command line goes before the '
    "environment, the environment before the file. Several globs in a variable are separated by "
    "spaces.\n\nExamples: `pregen run ~/Pictures`; `pregen run ~/Pictures --dry-run`; "
    "`pregen run /mnt/nas --order newest --workers 8`.",
)
run.panels = PANELS

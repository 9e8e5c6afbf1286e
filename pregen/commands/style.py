"""How commands show themselves: help by rich-click, imported when help is asked for and not before.

Commands are plain click. For help, a twin of the command is made of rich-click's classes from the
same parameters: the import of rich takes longer than the start of everything else.
"""

from __future__ import annotations

import json
import os
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich_click import RichCommand, RichContext


class Option(click.Option):
    """An option that is also set by `PREGEN_<NAME>`, which a message about it then names."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.variable = f"PREGEN_{str(self.name).upper()}"
        self.envvar = self.variable

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Return what a message calls this option."""
        hint = super().get_error_hint(ctx)
        return f"{hint} (${self.variable})" if os.environ.get(self.variable) else hint


class Command(click.Command):
    """A command whose help is shown by rich-click, its options in panels."""

    #: Options by the panel they stand in; the others get one of their own.
    panels: Mapping[str, Sequence[click.Option]] = MappingProxyType({})

    def get_help(self, ctx: click.Context) -> str:
        """Return the whole help page."""
        from rich_click import RichCommand  # noqa: PLC0415 - see the module

        twin = RichCommand(name=self.name, params=self.params, help=self.help, epilog=self.epilog)
        names = {name: [each.opts[-1] for each in options] for name, options in self.panels.items()}
        if names:
            names[list(names)[-1]].append("--help")
        groups = [{"name": name, "options": options} for name, options in names.items()]
        look = {**_look(), "option_groups": {ctx.command_path: groups}}
        return twin.get_help(_rich_context(twin, ctx, look)).rstrip()


class LazyGroup(click.Group):
    """A group that knows its commands by `module:attribute` and imports the one that is called."""

    def __init__(self, *args: Any, lazy: Mapping[str, str], **kw: Any) -> None:
        super().__init__(*args, **kw)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of the commands, in the order given."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import and return a command; None when there is no such verb."""
        if cmd_name not in self._lazy:
            return None
        module, attribute = self._lazy[cmd_name].split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def get_help(self, ctx: click.Context) -> str:
        """Return the whole help page."""
        from rich_click import RichGroup  # noqa: PLC0415 - see the module

        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        twin = RichGroup(
            name=self.name,
            commands={name: command for name, command in commands.items() if command},
            params=self.params,
            help=self.help,
            epilog=self.epilog,
        )
        return twin.get_help(_rich_context(twin, ctx, _look())).rstrip()


def _rich_context(twin: RichCommand, ctx: click.Context, look: dict[str, Any]) -> RichContext:
    from rich_click import RichContext  # noqa: PLC0415 - see the module

    return RichContext(
        twin,
        ctx.parent,
        ctx.info_name,
        rich_help_config=look,
        help_option_names=ctx.help_option_names,
    )


def _look() -> dict[str, Any]:
    return {
        "style_options_panel_border": "dim",
        "style_commands_panel_border": "dim",
        "options_table_column_types": ["opt_short", "opt_long_metavar", "help"],
        "max_width": 100,
    }


def print_lines(lines: Iterable[str]) -> None:
    """Write lines to standard output; their colours only where they are wanted."""
    colour = False if os.environ.get("NO_COLOR") else None
    for line in lines:
        click.echo(line, color=colour)


def print_record(record: Mapping[str, Any]) -> None:
    """Write one JSON object as a line to standard output."""
    click.echo(json.dumps(record, separators=(",", ":")))

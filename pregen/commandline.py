"""How commands show themselves: help by rich-click, imported when help is asked for and not before.

Commands are plain click. For help, a twin of the command is made of rich-click's classes from the
same parameters: the import of rich takes longer than the start of everything else.
"""

from __future__ import annotations

import json
import os
import re
from datetime import datetime, timedelta
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from pregen.config import Shard
from pregen.model import ALL_FLAVORS, Flavor
from pregen.thumbspec.naming import prefix_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from click.shell_completion import CompletionItem
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


# --- What a flag's text must look like: functions from text to value, for click's `type=`
#
# They refuse with click.BadParameter, whose message says what would be right.


_FACTORS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
_BYTES = {**_FACTORS, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kMGT]|[KMGT]i)?B?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_AGE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhdw])")
_SHARD = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
#: The first "=" that a URI follows: a folder's name may hold others.
_PUBLICATION = re.compile(r"(.+?)=([A-Za-z][A-Za-z0-9+.-]*:.*)", re.DOTALL)
_PIXELS = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kMG]?)")


class _RawBytes(click.ParamType):  # type: ignore[type-arg] # generic in new versions of click only
    """A path or a pattern as the bytes the shell gave; nothing is looked up."""

    name = "path"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> bytes:
        """Return the bytes; BadParameter when there are none."""
        if not value:
            self.fail("must not be empty.", param, ctx)
        return os.fsencode(value)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002 - likewise
        incomplete: str,
    ) -> list[CompletionItem]:
        """Leave it to the shell, which knows files and quoting better."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - no run needs it

        return [CompletionItem(incomplete, type="file")]


raw_bytes = _RawBytes()


def flavors(text: str) -> tuple[Flavor, ...]:
    """Return the flavors of `normal,large`, each once, small to large."""
    names = [name.strip() for name in text.split(",")]
    known = [flavor.directory for flavor in ALL_FLAVORS]
    for name in names:
        if name not in known:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(known)}.")
    return tuple(flavor for flavor in ALL_FLAVORS if flavor.directory in names)


def pixels(text: str | int) -> int:
    """Return the number of `500M` or `500000000`."""
    match = _PIXELS.fullmatch(str(text).strip())
    number = int(float(match[1]) * _FACTORS[match[2]]) if match else 0
    if number < 1:
        raise click.BadParameter(f"{text!r} is no number of pixels; write 500M or 500000000.")
    return number


def size_bytes(text: str | int) -> int:
    """Return the bytes of `2G` (decimal, as disks are sold) or `2Gi`."""
    match = _SIZE.fullmatch(str(text).strip())
    if match is None:
        raise click.BadParameter(f"{text!r} is no size; write 2G or 500M.")
    return int(float(match[1]) * _BYTES[match[2] or ""])


def shard(text: str | Shard) -> Shard:
    """Return the share of `2/3`."""
    if isinstance(text, Shard):
        return text  # click converts defaults once more
    match = _SHARD.fullmatch(text.strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise click.BadParameter(f"{text!r} is no share; write 1/3 on the first of three machines.")
    return Shard(int(match[1]), int(match[2]))


def publication(text: str | tuple[bytes, str]) -> tuple[bytes, str]:
    """Return folder and prefix of `/srv/photos=smb://nas/photos`."""
    if isinstance(text, tuple):
        return text  # click converts defaults once more
    match = _PUBLICATION.fullmatch(text)
    prefix = prefix_of(match[2]) if match else None
    if match is None or prefix is None:
        raise click.BadParameter(
            f"{text!r} is not DIR=URI; write /srv/photos=smb://nas/photos, with what a URI cannot "
            "hold escaped (%20 for a space)."
        )
    return os.fsencode(match[1]), prefix


def age_s(text: str | float) -> float:
    """Return the seconds of `30d`, `12h` or `4w`."""
    if isinstance(text, float):
        return text  # click converts defaults once more
    match = _AGE.fullmatch(str(text).strip())
    if match is None:
        raise click.BadParameter(f"{text!r} is no time; write 30d, 4w or 12h.")
    return float(match[1]) * _SECONDS[match[2]]


def next_time(text: str | datetime) -> datetime:
    """Return the next moment at which clocks here show `06:30`."""
    if isinstance(text, datetime):
        return text  # click converts defaults once more
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        raise click.BadParameter(f"{text!r} is no time of day; write 06:30 or 23:00.")
    now = datetime.now().astimezone()
    moment = now.replace(hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0)
    if moment <= now:
        moment += timedelta(days=1)
    # the clock may be set by an hour in between: what counts is what it shows then
    return moment.replace(tzinfo=None).astimezone()

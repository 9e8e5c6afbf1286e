"""Commands, their options and help, what they print, and how a flag's text becomes a value.

Commands are click's. For the help of one, a twin is made of rich-click's classes from the same
parameters: the import of rich takes longer than the start of everything else.
"""

from __future__ import annotations

import os
import re
from datetime import datetime, timedelta
from importlib import import_module
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from pregen.config import Shard, declared, variable
from pregen.errors import UsageError
from pregen.model import ALL_FLAVORS, Flavor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from click.shell_completion import CompletionItem

#: For modules that only word what a verb prints.
style = click.style


class Option(click.Option):
    """An option with its place in the help, and a variable `PREGEN_<NAME>` if it is a setting.

    Args:
        heading: where it stands in the help; empty: "Options".
        setting: it is also set in the environment, and a message about it then says so. Others
            say what one call does: a variable of their name is refused.
        debug: only `--help-all` shows it.
    """

    def __init__(
        self, *args: Any, heading: str = "", setting: bool = False, debug: bool = False, **kw: Any
    ) -> None:
        super().__init__(*args, **kw)
        self.heading = heading
        self.debug = debug
        self.flag = next(each for each in self.opts if each.startswith("--"))
        self.variable = variable(self.flag[2:])
        if setting:
            self.envvar = self.variable

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Return what a message calls this option."""
        hint = super().get_error_hint(ctx)
        given = self.envvar and os.environ.get(self.variable)
        return f"{hint} (${self.variable})" if given else hint


def under(heading: str, *options: Option) -> tuple[Option, ...]:
    """Return options that stand under a heading in the help."""
    for option in options:
        option.heading = heading
    return options


_HELP = frozenset({"-h", "--help", "--help-all"})
#: In a context's `meta`: the help is to show debugging options too.
_ALL = "pregen.help-all"


def asks_for_help(args: Iterable[str]) -> bool:
    """Tell whether these arguments ask for help, which is shown whatever the settings are."""
    return not _HELP.isdisjoint(args)


class Command(click.Command):
    """A command whose help is shown by rich-click, its options in panels."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        if any(option.debug for option in self._options()):
            self.params.append(
                Option(
                    ["--help-all"],
                    is_flag=True,
                    is_eager=True,
                    expose_value=False,
                    callback=_show_all,
                    heading=list(self._panels())[-1],
                    help="Show all options, also those for debugging.",
                )
            )

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Parse; refuse variables that would do what only a command line may ask for."""
        if not (asks_for_help(args) or extra.get("resilient_parsing")):
            self._refuse_variables()
        return super().make_context(info_name, args, parent, **extra)

    def get_help(self, ctx: click.Context) -> str:
        """Return the whole help page."""
        from rich_click import RichCommand, RichContext  # noqa: PLC0415 - see the module

        everything = bool(ctx.meta.get(_ALL))
        params = [each for each in self.params if everything or not getattr(each, "debug", False)]
        twin = RichCommand(name=self.name, params=params, help=self.help, epilog=self.epilog)
        panels = self._panels()
        if panels:
            list(panels.values())[-1].append("--help")
        groups = [{"name": name, "options": options} for name, options in panels.items()]
        look = {
            "style_options_panel_border": "dim",
            "options_table_column_types": ["opt_short", "opt_long_metavar", "help"],
            "max_width": 100,
            "option_groups": {ctx.command_path: groups},
        }
        shown = RichContext(
            twin,
            ctx.parent,
            ctx.info_name,
            rich_help_config=look,
            help_option_names=ctx.help_option_names,
        )
        return twin.get_help(shown).rstrip()

    def _panels(self) -> dict[str, list[str]]:
        """Return the options by the heading they stand under."""
        panels: dict[str, list[str]] = {}
        for option in self._options():
            if option.heading and not option.hidden:
                panels.setdefault(option.heading, []).append(option.flag)
        return panels

    def _options(self) -> Iterator[Option]:
        return (each for each in self.params if isinstance(each, Option))

    def _refuse_variables(self) -> None:
        for option in self._options():
            if option.envvar or not os.environ.get(option.variable):
                continue
            if option.variable in {each.variable for each in declared() if not each.flag.action}:
                continue  # a setting of a run that has the same name
            raise UsageError(
                f"{option.variable} is set, but {option.flag} is not a setting: it says what one "
                f"call does. Unset {option.variable}, and write {option.flag} on the command line "
                "where you mean it."
            )


def _show_all(ctx: click.Context, _option: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's signature
    if value and not ctx.resilient_parsing:
        ctx.meta[_ALL] = True
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


class Verb(NamedTuple):
    """A verb of the program, which is imported when it is called."""

    place: str
    """As `module:attribute`."""
    heading: str
    summary: str
    """One line."""


class LazyGroup(click.Group):
    """A group that knows where its verbs are, and imports the one that is called."""

    def __init__(self, *args: Any, verbs: Mapping[str, Verb], **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of the commands, in the order given."""
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import and return a command; None when there is no such verb."""
        if cmd_name not in self.verbs:
            return None
        module, attribute = self.verbs[cmd_name].place.split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the verbs under their headings; imports none of them, and no rich."""
        width = max(map(len, self.verbs))
        for heading, group in groupby(self.verbs.items(), lambda each: each[1].heading):
            with formatter.section(heading):
                formatter.write_dl([(f"{name:<{width}}", verb.summary) for name, verb in group])


def print_lines(lines: Iterable[str]) -> None:
    """Write lines to standard output; their colours only where they are wanted."""
    colour = False if os.environ.get("NO_COLOR") else None
    for line in lines:
        click.echo(line, color=colour)


def print_record(record: Mapping[str, Any]) -> None:
    """Write one JSON object as a line to standard output."""
    import json  # noqa: PLC0415 - no --help needs it

    click.echo(json.dumps(record, separators=(",", ":")))


# What a flag's text must look like: functions from text to value, for click's `type=`. They refuse
# with click.BadParameter, whose message says what would be right.

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
        raise click.BadParameter(f"{text!r} is not a number of pixels: use 500M or 500000000.")
    return number


def size_bytes(text: str | int) -> int:
    """Return the bytes of `2G` (decimal, as disks are sold) or `2Gi`."""
    match = _SIZE.fullmatch(str(text).strip())
    if match is None:
        raise click.BadParameter(f"{text!r} is not a size: use 2G or 500M.")
    return int(float(match[1]) * _BYTES[match[2] or ""])


def shard(text: str | Shard) -> Shard:
    """Return the share of `2/3`."""
    if isinstance(text, Shard):
        return text  # click converts defaults once more
    match = _SHARD.fullmatch(text.strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise click.BadParameter(
            f"{text!r} is not a share: use 1/3 on the first of three machines."
        )
    return Shard(int(match[1]), int(match[2]))


def publication(text: str | tuple[bytes, str]) -> tuple[bytes, str]:
    """Return folder and prefix of `/srv/photos=smb://nas/photos`."""
    if isinstance(text, tuple):
        return text  # click converts defaults once more
    from pregen.thumbspec.naming import prefix_of  # noqa: PLC0415 - no --help needs it

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
        raise click.BadParameter(f"{text!r} is not a time: use 30d, 4w or 12h.")
    return float(match[1]) * _SECONDS[match[2]]


def next_time(text: str | datetime) -> datetime:
    """Return the next moment at which clocks here show `06:30`."""
    if isinstance(text, datetime):
        return text  # click converts defaults once more
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        raise click.BadParameter(f"{text!r} is not a time of day: use 06:30 or 23:00.")
    now = datetime.now().astimezone()
    moment = now.replace(hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0)
    if moment <= now:
        moment += timedelta(days=1)
    # the clock may be set by an hour in between: what counts is what it shows then
    return moment.replace(tzinfo=None).astimezone()

"""Commands, their options and help, what they print, and how a flag's text becomes a value.

Commands are click's. For the help of one, a twin is made of rich-click's classes from the same
parameters: the import of rich takes longer than the start of everything else.
"""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TextIO

import click

from pregen.display.text import Verbatim, folded
from pregen.errors import ResultsLostError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

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
        from pregen.config import variable  # noqa: PLC0415 - the program's own options need none

        self.flag = next(each for each in self.opts if each.startswith("--"))
        self.variable = variable(self.flag[2:])
        if setting:
            self.envvar = self.variable

    def get_error_hint(self, ctx: click.Context | None) -> str:  # noqa: ARG002 - click's signature
        """Return what a message calls this option."""
        given = self.envvar and os.environ.get(self.variable)
        return f"{self.flag} (${self.variable})" if given else self.flag


def under(heading: str, *options: Option) -> tuple[Option, ...]:
    """Return options that stand under a heading in the help."""
    for option in options:
        option.heading = heading
    return options


_HELP = frozenset({"-h", "--help", "--help-all"})
#: In a context's `meta`: the help is to show debugging options too.
_ALL = "pregen.help-all"
#: Likewise: nothing is asked but the version.
_VERSION = "pregen.version"


def asks_for_help(args: Iterable[str]) -> bool:
    """Tell whether these arguments ask for help, which is shown also with wrong settings."""
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
        called = f"{parent.command_path} {info_name}" if parent else str(info_name)
        try:
            ctx = super().make_context(info_name, args, parent, allow_extra_args=True, **extra)
        except click.UsageError as error:
            raise UsageError(in_plain_words(error, self, called)) from None
        if ctx.args and not ctx.resilient_parsing:
            raise UsageError(f"Unexpected argument: {ctx.args[0]}. {self.get_usage(ctx)}")
        return ctx

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
            "append_metavars_help_string": "<{}>",
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
        from pregen.config import declared  # noqa: PLC0415 - as for an option

        for option in self._options():
            if option.envvar or not os.environ.get(option.variable):
                continue
            if option.variable in {each.variable for each in declared() if not each.flag.action}:
                continue  # a setting of a run that has the same name
            raise UsageError(
                f"{option.variable} is set, but {option.flag} is not a setting. "
                f"Unset {option.variable} and give {option.flag} on the command line."
            )
        given = [name for name in os.environ if name.startswith("PREGEN_")]
        if given:
            refuse_misspelt(given, [each.variable for each in declared()])


def refuse_misspelt(given: Iterable[str], settings: Sequence[str]) -> None:
    """Refuse variables that are spelt nearly like a setting: they would be ignored."""
    from difflib import get_close_matches  # noqa: PLC0415 - seldom needed

    start = len("PREGEN_")
    names = [setting[start:] for setting in settings]
    for name in given:
        near = get_close_matches(name[start:], names, 1, 0.8)
        if near and name not in settings:
            raise UsageError(f"There is no setting {name}. Did you mean PREGEN_{near[0]}?")


def in_plain_words(error: click.UsageError, command: click.Command, called: str) -> str:
    """Return what is wrong with a command line, and what to do, as pregen says it.

    Args:
        error: what click found.
        command: whose arguments they are.
        called: the words it is called by: `pregen run`.
    """
    ctx = click.Context(command)
    params = command.get_params(ctx)
    flags = {name: each for each in params for name in (*each.opts, *each.secondary_opts)}
    if isinstance(error, click.NoSuchOption):
        name, near = error.option_name, _nearest(error.option_name, flags)
        hint = f"Did you mean {near}?" if near else f"`{called} --help` lists the flags."
        if isinstance(command, LazyGroup):
            hint = command.about_flag(ctx, name)
        return f"Unknown flag {name}. {hint}"
    if isinstance(error, click.BadOptionUsage):
        name, option = error.option_name, flags.get(error.option_name)
        if not isinstance(option, click.Option) or option.is_flag:
            return f"{name} takes no value."
        return f"{name} needs a value: {name} {option.make_metavar(ctx)}"
    if isinstance(error, click.MissingParameter) and error.param is not None:
        example = _EXAMPLE.search(f"{command.help}\n{command.epilog}")
        words = f" Example: {example[1] or example[2]}" if example else ""
        return f"{_name(error.param, ctx)} is missing.{words}"
    if isinstance(error, click.BadParameter) and error.param is not None:
        name, message = _name(error.param, ctx), error.message
        if isinstance(error.param.type, click.types.BoolParamType):  # of a variable
            message = f"{message.partition(' is not ')[0]} is not true or false."
        return f"{name}: {message}" if _WORD.fullmatch(name) else message
    return error.format_message()


#: With why, of standard output.
LOST: Final = "standard output cannot be written ({}): something of it is lost."
#: The first one in the help of a verb.
_EXAMPLE = re.compile(r"Examples?:\s+(?:`([^`]+)`|([^;\n]+))")
#: Names a value: a flag, or an argument such as FILE. Not: "bash|zsh|fish".
_WORD = re.compile(r"-.+|[A-Z]+")


def _name(param: click.Parameter, ctx: click.Context) -> str:
    if isinstance(param, click.Option):
        return param.get_error_hint(ctx)
    return param.make_metavar(ctx).strip("[].")


def _nearest(name: str, flags: Mapping[str, click.Parameter]) -> str:
    """Return the flag that is spelt like this or begins with it; empty: there is none."""
    from difflib import get_close_matches  # noqa: PLC0415 - seldom needed

    known = {
        flag.lstrip("-"): flag
        for flag, each in flags.items()
        if flag.startswith("--") and not getattr(each, "hidden", False)
    }
    given = name.lstrip("-")
    longer = [word for word in known if word.startswith(given) and name.startswith("--")]
    near = [*longer, *get_close_matches(given, known, 1, 0.7)]
    return known[near[0]] if near else ""


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
    """A group that knows where its verbs are, and imports the one that is called.

    Args:
        verbs: by name, in the order of the help.
        own: makes the options of the program itself, which cost more than all else that
            `--version` needs.
    """

    def __init__(
        self, *args: Any, verbs: Mapping[str, Verb], own: Callable[[], list[Option]], **kw: Any
    ) -> None:
        super().__init__(*args, **kw)
        self.verbs = verbs
        self._own = own

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the program's own options before click's, unless it is only to say its version."""
        more = [] if ctx.meta.get(_VERSION) else self._own()
        return [*more, *super().get_params(ctx)]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what stands before the verb; `help VERB` is `VERB --help`."""
        ctx.meta[_VERSION] = args == ["--version"]
        if args[:1] == ["help"]:
            args = [*args[1:2], "--help"]
        return super().parse_args(ctx, args)

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

    def about_flag(self, ctx: click.Context, flag: str) -> str:
        """Return what helps who gave a flag before the verb: the first verb that has it, if any."""
        for name in self.verbs:
            verb = self.get_command(ctx, name)
            if verb and any(flag in (*each.opts, *each.secondary_opts) for each in verb.params):
                return f"Flags of a verb stand after it: pregen {name} {flag} ..."
        return "`pregen help` lists the verbs, `pregen help VERB` the flags of one."

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; of one that there is not, say which one is spelt like it."""
        name = args[0]
        if name not in self.verbs and not name.startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches  # noqa: PLC0415 - seldom needed

            near = get_close_matches(name, [*self.verbs, "help", "--version"], n=1)
            if "/" in name or name in {".", ".."}:
                near = [f"run {name}"]
            hint = f"Did you mean `pregen {near[0]}`?" if near else "`pregen help` lists all verbs."
            ctx.fail(f"There is no verb {name!r}. {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the verbs under their headings; imports none of them, and no rich."""
        width = max(map(len, self.verbs))
        for heading, group in groupby(self.verbs.items(), lambda each: each[1].heading):
            with formatter.section(heading):
                formatter.write_dl([(f"{name:<{width}}", verb.summary) for name, verb in group])


def print_lines(lines: Iterable[str]) -> None:
    """Write lines to standard output: folded on a terminal, coloured where that is wanted."""
    colour = False if os.environ.get("NO_COLOR") else None
    width = terminal_columns()
    for line in lines:
        for part in folded(line, width) if width and not isinstance(line, Verbatim) else [line]:
            _echo(part, colour)


def _echo(line: str, colour: bool | None = None) -> None:  # noqa: FBT001 - click's three values
    """Write a line. Raises ResultsLostError, and BrokenPipeError where its reader is gone."""
    try:
        click.echo(line, color=colour)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ResultsLostError(LOST.format(error.strerror)) from error


def agreed(question: str) -> bool:
    """Ask on the terminal; only a yes is one. Raises click.Abort: Ctrl-C, or the input ended."""
    while True:
        answer = click.prompt(f"{question} [y/N]", "", show_default=False, err=True)
        if answer.strip().lower() in {"y", "yes"}:
            return True
        if answer.strip().lower() in {"", "n", "no", "q", "quit"}:
            return False
        click.echo("Answer y or n.", err=True)


def terminal_columns(stream: TextIO | None = None) -> int:
    """Return how wide the terminal of a stream (standard output) is; 0: it leads elsewhere."""
    stream = stream or sys.stdout
    try:
        return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    except (OSError, ValueError):
        return 0


def print_record(record: Mapping[str, Any]) -> None:
    """Write one JSON object as a line to standard output."""
    import json  # noqa: PLC0415 - no --help needs it

    _echo(json.dumps(record, separators=(",", ":")))

"""Writes man/pregen.1 and docs/reference.md from the same source as the help: the tree of commands.

    scripts/man [FILE]

Without FILE the committed pages are written; FILE gets the man page, - is standard output.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pregen import __version__
from pregen.cli import program
from pregen.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ROOT = Path(__file__).resolve().parent.parent
PAGE = _ROOT / "man" / "pregen.1"
REFERENCE = _ROOT / "docs" / "reference.md"
EXIT_CODES = tuple(
    (str(code), f"{code.meaning[0].upper()}{code.meaning[1:]}.") for code in ExitCode
)
ENVIRONMENT = (
    (
        "PREGEN_<NAME>",
        (
            "Sets a setting of `run`: --max-pixels is PREGEN_MAX_PIXELS. The command line takes "
            "precedence over it, and it takes precedence over the configuration file. Actions and "
            "limits of one verb (--force, --yes, --repair, --forget, --under) have no variable: "
            "pregen refuses one that is set."
        ),
    ),
    ("PREGEN_CACHE", "The thumbnails folder that every verb works on, as --cache."),
    ("XDG_CACHE_HOME", "Where the cache is, in its folder thumbnails; otherwise ~/.cache."),
    ("XDG_STATE_HOME", "Where the journal is, in its folder pregen; otherwise ~/.local/state."),
    ("XDG_CONFIG_HOME", "Where the configuration is; otherwise ~/.config."),
    ("NO_COLOR", "No colours when it is set."),
)
FILES = (
    ("~/.cache/thumbnails", "The thumbnail cache, shared by all programs of the desktop."),
    ("~/.local/state/pregen", "The journal of all runs. Losing it costs only time."),
    ("~/.config/pregen/config.toml", 'Defaults of flags: max-pixels = "1G".'),
    (".sh_thumbnails", "Thumbnails beside the pictures, as `pregen share` writes them."),
)
EXAMPLES = (
    ("pregen run ~/Pictures", "Fill the cache for a photo library."),
    ("pregen run ~/Pictures --dry-run", "Show what would be done and an estimate of the time."),
    ("pregen clean --dry-run", "Show the thumbnails of deleted files."),
    ("pregen doctor ~/Pictures", "Find out why a desktop does not show existing thumbnails."),
    (
        "pregen failures --kind timed-out -0 | pregen run --files-from - -0 --retry-failed",
        "Retry the files that exceeded the time limit.",
    ),
)


def plain(text: str) -> str:
    """Escape what roff would take for its own: backslash, dash, quotes, a control character."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("^", "\\(ha")
    text = text.replace("~", "\\(ti").replace("'", "\\(aq").replace('"', "\\(dq")
    text = re.sub(r"`([^`]+)`", r"\\fB\1\\fP", text).replace("`", "\\(ga")
    return "\\&" + text if text.startswith(".") else text


def prose(text: str) -> Iterator[str]:
    """Yield the paragraphs of a help text."""
    for number, part in enumerate(re.split(r"\n\s*\n", inspect.cleandoc(text))):
        if number:
            yield ".PP"
        yield plain(" ".join(part.split()))


def pairs(rows: tuple[tuple[str, str], ...]) -> Iterator[str]:
    """Yield a list of terms and what they mean."""
    for term, meaning in rows:
        yield from (".TP", f"\\fB{plain(term)}\\fP", plain(meaning))


def flag(option: click.Option, ctx: click.Context) -> Iterator[str]:
    """Yield an option as in the help, with its default."""
    for names, meaning in described(option, ctx):
        yield from (".TP", f"\\fB{plain(names)}\\fP", plain(" ".join(meaning.split())))


def described(option: click.Option, ctx: click.Context) -> Iterator[tuple[str, str]]:
    """Yield names and help of an option that is shown. Bounds are in words: 1 to 4096."""
    record = option.get_help_record(ctx)
    if record is not None:
        bounds = re.sub(r"([0-9.]+)<=x<=([0-9.]+)\]$", r"\1 to \2]", record[1])
        bounds = re.sub(r"x>=?([0-9.]+)\]$", _at_least, bounds)
        yield record[0], bounds


def _at_least(found: re.Match[str]) -> str:
    return f"{'at least' if '=' in found[0] else 'above'} {found[1]}]"


def verb(command: click.Command, ctx: click.Context) -> Iterator[str]:
    """Yield the section of a verb."""
    pieces = " ".join(command.collect_usage_pieces(ctx))
    yield f".SS {plain(command.name or '')}"
    yield f"\\fB{plain(f'pregen {command.name}')}\\fP {plain(pieces)}"
    yield ".PP"
    yield from prose(command.help or "")
    for option in command.get_params(ctx):
        if isinstance(option, click.Option):
            yield from flag(option, ctx)
    if command.epilog:
        yield ".PP"
        yield from prose(command.epilog)


def page() -> str:
    """Return the whole page."""
    ctx = click.Context(program, info_name="pregen", **program.context_settings)
    summary, _, more = inspect.cleandoc(program.help or "").partition("\n")
    lines = [
        '.\\" Written by scripts/man; change the help texts, not this file.',
        f'.TH PREGEN 1 "" "pregen {__version__}" "User Commands"',
        *(".SH NAME", f"pregen \\- {plain(summary[0].lower() + summary[1:].rstrip('.'))}"),
        *(".SH SYNOPSIS", "\\fBpregen\\fP \\fIVERB\\fP [\\fIOPTIONS\\fP] [\\fIARGUMENTS\\fP]"),
        *(".SH DESCRIPTION", *prose(more)),
        ".SH VERBS",
    ]
    for command, its_context in verbs(ctx):
        lines += verb(command, its_context)
    sections = (("EXIT STATUS", EXIT_CODES), ("ENVIRONMENT", ENVIRONMENT), ("FILES", FILES))
    for title, rows in (*sections, ("EXAMPLES", EXAMPLES)):
        lines += [f".SH {title}", *pairs(rows)]
    return "\n".join(line for line in lines if line) + "\n"


def verbs(ctx: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """Yield every verb with its context."""
    for name in program.list_commands(ctx):
        command = program.get_command(ctx, name)
        if command is None:
            sys.exit(f"scripts/man: no command {name}; see pregen/cli.py")
        settings = command.context_settings
        yield command, click.Context(command, parent=ctx, info_name=name, **settings)


def _cell(text: str) -> str:
    """Escape what Markdown would take for its own within a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "\\<").replace("*", "\\*")


def _table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield from (f"| {head[0]} | {head[1]} |", "|---|---|")
    for term, meaning in rows:
        yield f"| `{term.replace('|', chr(92) + '|')}` | {_cell(meaning)} |"
    yield ""


def reference() -> str:
    """Return the page of the manual that lists everything."""
    ctx = click.Context(program, info_name="pregen", **program.context_settings)
    lines = ["# Reference", "", "<!-- Written by scripts/man; change the help texts. -->", ""]
    lines += ["## Verbs", ""]
    for command, its_context in verbs(ctx):
        pieces = " ".join(command.collect_usage_pieces(its_context))
        lines += [f"### {command.name}", "", f"`pregen {command.name} {pieces}`", ""]
        for part in re.split(r"\n\s*\n", inspect.cleandoc(command.help or "")):
            lines += [" ".join(part.split()).replace("*", "\\*"), ""]
        records = [
            record
            for option in command.get_params(its_context)
            if isinstance(option, click.Option)
            for record in described(option, its_context)
        ]
        lines += _table(("option", "meaning"), records) if records else []
    for title, head, rows in (
        ("Exit codes", ("code", "meaning"), EXIT_CODES),
        ("Environment", ("variable", "meaning"), ENVIRONMENT),
        ("Files", ("file", "meaning"), FILES),
    ):
        lines += [f"## {title}", "", *_table(head, rows)]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Write the pages."""
    where = sys.argv[1] if len(sys.argv) > 1 else str(PAGE)
    if where == "-":
        sys.stdout.write(page())
        return
    Path(where).write_text(page(), encoding="utf-8")
    if where == str(PAGE):
        REFERENCE.write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()

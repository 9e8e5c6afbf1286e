"""`pregen desktop install|remove|status`, and what the menus of file managers call."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import get_completion_class

from pregen.argument_types import raw_bytes
from pregen.commandline import Command, Option, print_lines, under
from pregen.display import text
from pregen.display.text import shown
from pregen.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pregen.session import Session
    from pregen.verbs.desktop.installer import Places, State

_SHELLS = ("bash", "zsh", "fish")
_COLOURS = {"installed": "green", "outdated": "yellow", "missing": "yellow"}


@click.pass_context
def _desktop(
    ctx: click.Context, /, *, action: str, files: tuple[bytes, ...], prefix: str | None
) -> ExitCode:
    """Add pregen to your desktop, or remove it again.

    install puts two entries into the menus of the file managers that are installed here (Nautilus,
    Nemo, Caja, Thunar, Dolphin, PCManFM-Qt): "Create thumbnails here" and "Why is there no
    thumbnail?". It also installs the man page, completion for bash, zsh and fish, an icon, and
    systemd units for nightly runs, which you enable yourself. remove deletes all of it. status
    shows what is installed. The menus call make and why, with FILEs.
    """
    from pregen.verbs.desktop import installer, terminal  # noqa: PLC0415 - no --help needs it

    session: Session = ctx.obj
    if prefix is None:
        places = installer.places_in_home(session.environ, Path(session.home))
    else:
        places = installer.places_below(Path(prefix).absolute())
    if action in {"make", "why"}:
        return terminal.open_action(installer.program_of(places), action, files)
    if files:
        raise UsageError(f"pregen desktop {action} takes no files.")
    scripts = _completions(ctx)
    if action == "status":
        found = list(installer.states(places, scripts))
        print_lines(_status_lines(found))
        return ExitCode.DONE
    if action == "remove":
        deleted = installer.remove(places, scripts)
        print_lines([f"Deleted {shown(bytes(path))}" for path in deleted])
        words = f"Deleted {text.plural(len(deleted), 'file')}."
        print_lines([words if deleted else "Nothing was installed."])
        return ExitCode.DONE
    print_lines(_installed_lines(installer.install(places, scripts), places))
    return ExitCode.DONE


desktop = Command(
    "desktop",
    callback=_desktop,
    params=[
        click.Argument(
            ["action"],
            metavar="install|remove|status",
            type=click.Choice(["install", "remove", "status", "make", "why"]),
        ),
        click.Argument(["files"], metavar="[FILE]...", type=raw_bytes, nargs=-1),
        *under(
            "Options",
            Option(
                ["--prefix"],
                metavar="FOLDER",
                help="Install below FOLDER, such as /usr, for all users; for packages.",
            ),
        ),
    ],
    help=_desktop.__doc__,
    epilog="Example: pregen desktop install",
)


def _completions(ctx: click.Context) -> dict[str, str]:
    found = {}
    for shell in _SHELLS:
        kind = get_completion_class(shell)
        if kind is not None:
            script = kind(ctx.find_root().command, {}, "pregen", "_PREGEN_COMPLETE").source()
            found[shell] = script.strip() + "\n"
    return found


def _status_lines(found: Sequence[State]) -> Iterator[str]:
    from pregen.verbs.desktop.installer import NOT_NEEDED  # noqa: PLC0415 - no --help needs it

    needed = [each for each in found if each.state != NOT_NEEDED]
    width = max((len(each.state) for each in needed), default=0)
    for state in sorted(needed, key=lambda each: (each.file.serves, each.path)):
        label = click.style(f"{state.state:<{width}}", fg=_COLOURS.get(state.state))
        yield f"{label}  {state.file.serves}: {shown(bytes(state.path))}"
    others = sorted({each.file.serves for each in found if each.state == NOT_NEEDED})
    if others:
        yield f"Not on this machine, and nothing to install for them: {', '.join(others)}."
    yield ""
    yield _status_verdict(Counter(state.state for state in found))


def _status_verdict(states: Counter[str]) -> str:
    installed = states["installed"]
    lacking = states["missing"] + states["outdated"]
    if not installed and not states["outdated"]:
        return "Nothing is installed: pregen desktop install"
    words = f"{text.plural(installed, 'file')} installed"
    if lacking:
        return f"{words}, {lacking} missing or outdated: pregen desktop install"
    return f"{words}, all up to date."


def _installed_lines(found: Sequence[State], places: Places) -> Iterator[str]:
    ordered = sorted(found, key=lambda each: each.file.serves)
    for serves, group in groupby(ordered, key=lambda each: each.file.serves):
        yield f"{serves}: {', '.join(shown(bytes(state.path)) for state in group)}"
    yield ""
    if places.is_home:
        yield "Restart open file managers to see the new menu entries."
        yield "Every night: systemctl --user enable --now pregen.timer"
    undo = " To remove them: pregen desktop remove" if places.is_home else ""
    yield f"Installed {text.plural(len(found), 'file')}.{undo}"

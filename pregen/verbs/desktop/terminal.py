"""What a menu of a file manager starts: pregen in a terminal, or with a notification at its end."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.display.text import printable
from pregen.errors import ExitCode, UsageError, meaning

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Terminal(NamedTuple):
    """A terminal emulator and how it takes a command."""

    program: str
    before: tuple[str, ...]
    """What stands between it and the command."""
    one_word: bool = False
    """The command is one argument, quoted for a shell."""


#: Those that the user or the distribution chose, then those of the desktops.
_TERMINALS: Final = (
    Terminal("xdg-terminal-exec", ()),
    Terminal("x-terminal-emulator", ("-e",)),  # Debian policy 11.8.3
    Terminal("gnome-terminal", ("--",)),
    Terminal("ptyxis", ("--",)),
    Terminal("kgx", ("--",)),
    Terminal("konsole", ("-e",)),
    Terminal("xfce4-terminal", ("-x",)),
    Terminal("mate-terminal", ("-x",)),
    Terminal("qterminal", ("-e",), one_word=True),
    Terminal("lxterminal", ("-e",), one_word=True),
    Terminal("foot", ()),
    Terminal("kitty", ()),
    Terminal("alacritty", ("-e",)),
    Terminal("wezterm", ("start", "--")),
    Terminal("xterm", ("-e",)),
)
#: Keeps the window until its text is read.
_WAIT: Final = (
    '"$@"; code=$?; printf "\\nPress Enter to close this window. "; read -r _; exit "$code"'
)


def in_terminal(
    command: Sequence[str], environ: Mapping[str, str], which: Callable[[str], str | None]
) -> list[str] | None:
    """Return the command that opens a terminal with a command in it; None where there is none.

    Args:
        command: in words.
        environ: $TERMINAL is asked first; nothing is opened without a display.
        which: finds a program.
    """
    if not (environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")):
        return None
    own = environ.get("TERMINAL", "")
    known = {terminal.program: terminal for terminal in _TERMINALS}
    chosen = [known.get(os.path.basename(own), Terminal(own, ("-e",)))] if own else []
    for terminal in (*chosen, *_TERMINALS):
        place = which(own if terminal in chosen else terminal.program)
        if place:
            words = ["sh", "-c", _WAIT, "pregen", *command]
            return [place, *terminal.before, *([shlex.join(words)] if terminal.one_word else words)]
    return None


def open_action(program: Sequence[str], key: str, names: Sequence[bytes]) -> ExitCode:
    """Do what a menu's entry is for, with the selected files and folders.

    Raises:
        UsageError: none is selected.
    """
    if not names:
        raise UsageError(f"pregen desktop {key} needs files or folders.")
    commands = _commands(program, key, names)
    joined = (
        ["sh", "-c", "; ".join(map(shlex.join, commands))] if len(commands) > 1 else commands[0]
    )
    opened = in_terminal(joined, os.environ, shutil.which)
    if opened:
        subprocess.Popen(opened, start_new_session=True)  # noqa: S603 - a terminal of the user's
        return ExitCode.DONE
    done = subprocess.run(joined, check=False, capture_output=True)  # noqa: S603 - ourselves
    _notify((done.stdout + done.stderr).decode(errors="replace"), done.returncode)
    return ExitCode.DONE if done.returncode == 0 else ExitCode.SOME_FAILED


def _commands(program: Sequence[str], key: str, names: Sequence[bytes]) -> list[list[str]]:
    texts = [os.path.abspath(os.fsdecode(name)) for name in names]
    if key == "make":
        return [[*program, "run", "--", *texts]]
    folders = [text for text in texts if os.path.isdir(text)]
    files = [text for text in texts if text not in folders]
    return [
        [*program, verb, "--", *which]
        for verb, which in (("show", files), ("doctor", folders))
        if which
    ]


def _notify(said: str, code: int) -> None:
    """Show how it ended, where notifications can be shown; in words that fit into one."""
    sender = shutil.which("notify-send")
    lines = [printable(line) for line in said.splitlines() if line.strip()]
    if sender is None:
        print(*lines, sep="\n")  # noqa: T201 - for a log; there is no screen
        return
    text = "\n".join(lines[-4:]) or meaning(code)
    subprocess.run([sender, "--icon=pregen", "pregen", text], check=False)  # noqa: S603 - found on PATH

"""`pregen completion`: the script with which a shell completes verbs, flags and files."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from pregen.commandline import Command
from pregen.errors import ExitCode, UsageError

_SHELLS = ("bash", "zsh", "fish")


@click.pass_context
def _completion(ctx: click.Context, *, shell: str) -> ExitCode:
    """Print the script that lets a shell complete pregen's verbs, flags and files.

    The script asks pregen itself, so it stays correct when pregen is updated.
    Permanently: bash: put `eval "$(pregen completion bash)"` into ~/.bashrc; zsh: put
    `eval "$(pregen completion zsh)"` into ~/.zshrc, after compinit; fish: write the output to
    ~/.config/fish/completions/pregen.fish.
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"there is no completion for {shell}; choose one of {', '.join(_SHELLS)}")
    script = kind(ctx.find_root().command, {}, "pregen", "_PREGEN_COMPLETE").source()
    click.echo(script.strip())
    return ExitCode.DONE


completion = Command(
    "completion",
    callback=_completion,
    params=[click.Argument(["shell"], metavar="bash|zsh|fish", type=click.Choice(_SHELLS))],
    help=_completion.__doc__,
    epilog='Example: eval "$(pregen completion bash)"',
)

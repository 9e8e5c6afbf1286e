"""`pregen completion`: real answers of the program, and the script in a real bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest

from pregen.cli import program
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from pathlib import Path


def complete(words: str) -> set[str]:
    """Return what the program offers for the last word, as bash asks for it."""
    count = len(words.split(" ")) - 1
    asked = {"_PREGEN_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(count)}
    done = run_pregen(env=asked)
    assert done.code == 0, done
    assert done.err == "", done
    return set(done.out.split())


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("pregen ver", {"plain,verify"}),
        ("pregen clean --older", {"plain,--older-than"}),
        ("pregen run --engine s", {"plain,serial"}),
        ("pregen completion f", {"plain,fish"}),
        ("pregen nonsense --o", set()),
    ],
)
def test_verbs_flags_and_choices_are_offered(words: str, offered: set[str]) -> None:
    assert complete(words) == offered


@pytest.mark.parametrize("verb", ["run", "share", "clean", "verify", "failures"])
def test_the_options_offered_are_those_of_the_command_tree(verb: str) -> None:
    command = program.get_command(click.Context(program), verb)
    assert command is not None
    shown = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    names = {name for each in shown for name in (*each.opts, *each.secondary_opts)}
    wanted = {f"plain,{name}" for name in (*names, "--help") if name.startswith("--")}
    assert complete(f"pregen {verb} --") == wanted


@pytest.mark.parametrize("words", ["pregen run ./", "pregen clean --under ./", "pregen import ./"])
def test_where_a_path_belongs_the_shell_completes_files(words: str) -> None:
    assert complete(words) == {"file,./"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_the_program(shell: str) -> None:
    done = run_pregen("completion", shell)
    assert done.code == 0, done
    assert f"_PREGEN_COMPLETE={shell}_complete" in done.out


def test_a_shell_nobody_knows_is_a_usage_error() -> None:
    assert run_pregen("completion", "tcsh").code == 2


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_a_real_bash_completes_with_the_script(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(run_pregen("completion", "bash").out)
    program = tmp_path / "pregen"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pregen "$@"\n')
    program.chmod(0o755)
    ask = (
        f". {script}\n"
        "complete -p pregen\n"
        "words=$(complete -p pregen); call=${words#*-F }; call=${call%% *}\n"
        "COMP_WORDS=(pregen verify --rep); COMP_CWORD=2\n"
        '"$call" pregen --rep verify\n'
        'printf "offered %s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", ask],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.splitlines()[-1] == "offered --repair", done

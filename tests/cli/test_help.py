"""The help of every verb, and the man page that is made from it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from pregen.cli import program
from pregen.errors import exit_codes
from tests.support.running.program import run_pregen

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "man" / "pregen.1"
REFERENCE = ROOT / "docs" / "reference.md"
CONTEXT = click.Context(program, info_name="pregen")
VERBS = program.list_commands(CONTEXT)


def command(verb: str) -> click.Command:
    found = program.get_command(CONTEXT, verb)
    assert found is not None
    return found


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_an_example_of_itself(verb: str) -> None:
    text = f"{command(verb).help}\n{command(verb).epilog}"
    _, word, examples = text.rpartition("Example")
    assert word, text
    assert f"pregen {verb}" in examples


def test_the_program_lists_its_verbs_in_order_of_use_on_a_line_each() -> None:
    out = run_pregen("--help", env={"COLUMNS": "80"}).out
    headings = [out.index(f"\n{name}:\n") for name in ("Fill", "Look", "Keep", "Measure")]
    assert headings == sorted(headings)
    listed = re.findall(r"^  ([a-z]+)  +\S.*\.$", out[headings[0] :], re.MULTILINE)
    assert listed == VERBS
    assert VERBS[0] == "run"


@pytest.mark.parametrize("verb", VERBS)
def test_no_flag_is_without_help(verb: str) -> None:
    options = [each for each in command(verb).params if isinstance(each, click.Option)]
    assert [each.opts for each in options if not each.help] == []
    assert run_pregen(verb, "--help").code == 0


@pytest.mark.skipif(not (ROOT / "tools").exists(), reason="not a checkout")
def test_the_man_page_is_what_the_script_makes() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "tools.man", "-"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert made.stdout == PAGE.read_bytes(), "run scripts/man and commit man/pregen.1"


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff here")
@pytest.mark.skipif(not PAGE.exists(), reason="not a checkout")
def test_groff_renders_the_man_page_without_a_warning() -> None:
    shown = subprocess.run(
        ["groff", "-man", "-Tascii", "-P-cbou", "-ww", PAGE],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert shown.stderr == ""
    lines = shown.stdout.splitlines()
    for verb in VERBS:
        assert f"   {verb}" in lines
        for option in command(verb).params:
            if isinstance(option, click.Option) and not option.hidden:
                assert re.search(rf"{re.escape(option.opts[0])}\b", shown.stdout), option.opts


@pytest.mark.skipif(not REFERENCE.exists(), reason="not a checkout")
def test_the_manual_is_what_the_script_makes() -> None:
    # In a process of its own: click remembers how a help was asked for.
    command = [sys.executable, "-c", "from tools.man import reference; print(reference(), end='')"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert made.stdout == REFERENCE.read_text(), "run scripts/man and commit docs/reference.md"


@pytest.mark.skipif(not REFERENCE.exists(), reason="not a checkout")
def test_the_manual_names_every_verb() -> None:
    pages = [page.read_text() for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))]
    texts = "\n".join(page for page in pages if not page.startswith("# Reference"))
    assert [verb for verb in VERBS if f"pregen {verb}" not in texts] == []


def test_the_help_tells_the_exit_codes() -> None:
    assert exit_codes() in " ".join(run_pregen("--help").out.split())

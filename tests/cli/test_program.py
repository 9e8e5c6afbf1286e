"""The program from outside: exit codes, messages, help, what it imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import IO, TYPE_CHECKING

import pytest

from pregen import __version__
from pregen.cli import program
from tests.support.files.pictures import jpeg, put
from tests.support.running.program import PREGEN, environment, run_pregen

if TYPE_CHECKING:
    from pathlib import Path


def test_the_version_is_told() -> None:
    done = run_pregen("--version")
    assert (done.code, done.out, done.err) == (0, f"pregen {__version__}\n", "")


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_alone_it_prints_help_that_names_every_command(arguments: tuple[str, ...]) -> None:
    done = run_pregen(*arguments)
    assert done.code == 0
    for verb in ("run", "show", "status"):
        assert f" {verb} " in done.out


@pytest.mark.parametrize("verb", ["run", "desktop"])
def test_help_of_a_verb_is_its_help(verb: str) -> None:
    assert run_pregen("help", verb).out == run_pregen(verb, "--help").out
    assert run_pregen("help").out == run_pregen("--help").out


@pytest.mark.parametrize("verb", ["run", "show", "status"])
def test_every_command_has_help(verb: str, home: Path) -> None:
    put(home / "config" / "pregen" / "config.toml", b"broken = = =")
    done = run_pregen(verb, "--help")
    assert done.code == 0, done
    assert f"pregen {verb} " in done.out
    assert "\x1b" not in done.out


def test_help_all_lists_every_flag_of_run_and_help_all_but_those_for_debugging() -> None:
    from pregen.options import all_options  # noqa: PLC0415 - imports the command line

    everything = run_pregen("run", "--help-all", env={"COLUMNS": "80"})
    usual = run_pregen("run", "--help", env={"COLUMNS": "80"})
    for option in all_options():
        for name in (*option.opts, *option.secondary_opts):
            assert (f"{name} " in everything.out or f"{name}/" in everything.out) != option.hidden
            if option.debug:
                assert name not in usual.out
            elif not option.hidden:
                assert name in usual.out
    assert "--help-all" in usual.out
    assert len(usual.out.splitlines()) <= 88, "two screens"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run"], "pregen run ~/Pictures"),
        (["run", "--bad", "x"], "--bad"),
        (["run", "--workers", "0", "x"], "--workers"),
        (["run", "--flavors", "huge", "x"], "one of normal, large, x-large, xx-large, or auto."),
        (["run", "--engine", "quantum", "x"], "local"),
        (["run", "--timeout", "-1", "x"], "--timeout"),
        (["run", "-0", "x"], "--files-from"),
        (["run", "--force", "--missing-only", "x"], "choose one"),
        (["run", "-q", "-v", "x"], "choose one"),
        (["run", "/does/not/exist"], "/does/not/exist"),
        (["run", "--files-from", "/does/not/exist"], "/does/not/exist"),
        (["frobnicate"], "`pregen help` lists all verbs"),
        (["rnu"], "Did you mean `pregen run`?"),
        (["/home/ann/Pictures"], "Did you mean `pregen run /home/ann/Pictures`?"),
        (["help", "faliures"], "Did you mean `pregen failures`?"),
        (["run", "--wrkers", "3", "x"], "Unknown flag --wrkers. Did you mean --workers?"),
        (["clean", "--older", "3d"], "Did you mean --older-than?"),
        (["clean", "--reason"], "Unknown flag --reason. `pregen clean --help` lists the flags."),
        (["--json", "run", "x"], "Flags of a verb stand after it: pregen run --json ..."),
        (["--repair"], "Flags of a verb stand after it: pregen verify --repair ..."),
        (["--nope"], "`pregen help` lists the verbs, `pregen help VERB` the flags of one."),
        (["status", "--cache", "/dev/null"], "the cache /dev/null is not a folder."),
        (["run", "--workers"], "--workers needs a value: --workers NUMBER"),
        (["run", "--force=3", "x"], "--force takes no value."),
        (["run", "--max-rate", "fast", "x"], "--max-rate: 'fast' is not a rate: use 20M for 20 MB"),
        (["run", "--timeout", "nan", "x"], "--timeout: 'nan' is not a number above 0."),
        (["run", "--memory-limit", "2", "x"], "--memory-limit 2 B: one worker alone takes"),
        (["report", "abc"], "RUN: 'abc' is not a whole number of at least 1."),
        (["status", "x"], "Unexpected argument: x. Usage: pregen status [OPTIONS]"),
        (["show"], "FILE is missing. Example: pregen show ~/Pictures/cat.jpg"),
        (["export", "a.tar"], "--to is missing. Example: pregen export --to thumbs.tar"),
        (["desktop"], "install|remove|status is missing. Example: pregen desktop install"),
        (["--cache"], "--cache needs a value: --cache DIR"),
    ],
)
def test_a_wrong_call_says_what_is_wrong_and_does_nothing(
    arguments: list[str], says: str, home: Path
) -> None:
    done = run_pregen(*arguments)
    assert done.code == 2, done
    assert says in done.err
    assert done.out == ""
    assert done.err.startswith("pregen: ")
    assert done.err.count("\n") == 1
    assert not (home / "cache").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--json"],
        ["run", "--json", "/does/not/exist"],
        ["run", "--workers", "many", "--json", "x"],
    ],
)
def test_json_ends_with_a_summary_also_when_the_call_was_wrong(arguments: list[str]) -> None:
    done = run_pregen(*arguments)
    assert done.code == 2
    (summary,) = done.records
    assert summary["type"] == "summary"
    assert summary["exit_code"] == 2
    assert summary["error"] in done.err


def test_what_was_not_started_is_told_alike_by_run_and_status(tmp_path: Path) -> None:
    for number in range(4):
        put(tmp_path / "photos" / f"{number}.jpg", jpeg(300, 200))
    done = run_pregen("run", "--limit", "1", tmp_path / "photos", cache=tmp_path / "cache")
    assert "  3  not started  when the run ended\n" in done.out
    (status,) = run_pregen("status", "--json", cache=tmp_path / "cache").records
    assert status["runs"][0]["kinds"] == {"made": 1, "interrupted": 3}


def test_a_dry_run_names_what_it_skips(tmp_path: Path) -> None:
    put(tmp_path / "photos" / "a.jpg", jpeg(300, 200))
    (tmp_path / "photos" / "more").symlink_to(tmp_path)
    done = run_pregen("run", "--dry-run", tmp_path / "photos", cache=tmp_path / "cache")
    assert "1  skipped  for the reasons above" in done.out
    assert f"Skipped: {tmp_path}/photos/more: a symbolic link to a folder" in done.out
    assert done.out.splitlines()[-1].startswith("Nothing was written.")


def test_a_link_that_leads_nowhere_is_told_with_its_target(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("nothing.jpg")
    done = run_pregen("run", link, cache=tmp_path / "cache")
    assert done.code == 2
    words = f"No such file or folder: {link} (a link to nothing.jpg). Check the spelling"
    assert done.err.startswith(f"pregen: {words}")


def test_a_dry_run_answers_on_standard_output(tmp_path: Path) -> None:
    put(tmp_path / "photos" / "a.jpg", jpeg(300, 200))
    arguments = ("run", "--dry-run", "--flavors", "large", tmp_path / "photos")
    people = run_pregen(*arguments, cache=tmp_path / "cache")
    assert (people.code, people.err) == (0, "")
    assert "decode at most 1 file" in people.out
    assert "write at most 1 thumbnail" in people.out
    program = run_pregen(*arguments, "--json", cache=tmp_path / "cache")
    assert program.code == 0
    assert program.summary["would"] == {
        "decode": 1,
        "bytes_to_read": (tmp_path / "photos" / "a.jpg").stat().st_size,
        "entries": {"large": 1},
        "bytes_to_write": 101_000,
        "recheck": 0,
        "refit": 0,
        "remove": 0,
        "seconds": None,
    }


def test_a_name_that_the_locale_cannot_write_is_escaped(tmp_path: Path) -> None:
    put(tmp_path / "photos" / "caf\u00e9.jpg", b"\xff\xd8\xff\xe0 broken")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for command in ("run", "show"):
        target = tmp_path / "photos" if command == "run" else tmp_path / "photos" / "caf\u00e9.jpg"
        done = run_pregen(command, target, cache=tmp_path / "cache", env=ascii_only)
        assert "Traceback" not in done.err, done
        assert "caf" in done.out + done.err


def test_a_broken_configuration_file_is_a_wrong_call(home: Path) -> None:
    file = put(home / "config" / "pregen" / "config.toml", b"worker = 3\n")
    done = run_pregen("run", home)
    assert done.code == 2
    assert f"{file}: unknown key `worker`. Did you mean `workers`?" in done.err
    assert "Traceback" not in done.err


def test_a_hostile_path_in_a_message_cannot_drive_the_terminal() -> None:
    for command in (["run"], ["show"], ["run", "--files-from"]):
        done = run_pregen(*command, b"/no\x1b[31m\xff\n\xe2\x80\xae")
        assert "\x1b" not in done.out + done.err, done
        assert "\u202e" not in done.out + done.err, done


def run_into(
    stdout: IO[bytes] | int,
    *arguments: str | Path,
    cache: Path | None = None,
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run pregen with a certain standard output."""
    return subprocess.run(
        [*PREGEN, *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=environment(cache, env),
        check=False,
        timeout=60,
    )


def test_a_reader_that_left_is_no_traceback() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    for arguments in (["--version"], ["run", "--help"], ["show", "/nothing"], ["run", "--json"]):
        done = run_into(write_end, *arguments)
        assert done.returncode in {141, 2}, (arguments, done)
        assert b"Traceback" not in done.stderr
        assert b"Exception ignored" not in done.stderr
    os.close(write_end)


def test_a_full_disk_behind_standard_output_is_told(tmp_path: Path) -> None:
    put(tmp_path / "photos" / "a.jpg", jpeg(300, 200))
    with open("/dev/full", "wb") as full:
        done = run_into(full, "run", "--json", tmp_path / "photos", cache=tmp_path / "cache")
    assert done.returncode == 141
    assert b"the records are incomplete" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@pytest.mark.parametrize("unbuffered", ["1", ""])
def test_what_a_full_disk_does_not_take_is_no_traceback(tmp_path: Path, unbuffered: str) -> None:
    photo = put(tmp_path / "a.jpg", jpeg(300, 200))
    env = {"PYTHONUNBUFFERED": unbuffered}
    cache = tmp_path / "cache"
    assert run_pregen("path", photo, cache=cache).code == 0
    for arguments in (
        ["status"],
        ["verify", "--help"],
        ["path", photo],
        ["export", "--to", "-"],
        ["run", "--dry-run", photo],
    ):
        with open("/dev/full", "wb") as full:
            done = run_into(full, *arguments, cache=cache, env=env)
        assert done.returncode == 141, (arguments, done)
        assert done.stderr == (
            b"pregen: standard output cannot be written (No space left on device): something of "
            b"it is lost.\n"
        )


def test_closed_streams_are_no_traceback(tmp_path: Path) -> None:
    put(tmp_path / "photos" / "a.jpg", jpeg(300, 200))
    cache = tmp_path / "cache"
    for arguments in (f"run {tmp_path}/photos", "status", "verify --json"):
        command = f"exec {' '.join(PREGEN)} {arguments} <&- >&- 2>&-"
        done = subprocess.run(
            ["sh", "-c", command], env=environment(cache, None), check=False, timeout=60
        )
        assert done.returncode == 0, arguments
    assert run_pregen("status", "--json", cache=cache).records[0]["runs"][0]["kinds"] == {"made": 1}


_STREAMS_OF_A_CHILD = """
import os, subprocess, sys
from pregen.entry_point import open_closed_streams
open_closed_streams()
subprocess.run([sys.executable, "-c", '''
import os, sys
said = [os.fstat(number).st_rdev == os.stat(os.devnull).st_rdev for number in range(3)]
with open(sys.argv[1], "w") as file:
    file.write(str(said))
''', sys.argv[1]], check=True)
"""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_leads_nowhere_in_what_is_started_too(tmp_path: Path, closed: str) -> None:
    others = "</dev/null >/dev/null 2>/dev/null"
    command = f'exec {sys.executable} -c "$0" {tmp_path}/said {others} {closed}'
    subprocess.run(
        ["sh", "-c", command, _STREAMS_OF_A_CHILD],
        env=environment(None, None),
        check=True,
        timeout=60,
    )
    assert (tmp_path / "said").read_text() == str([True] * 3)


_IMPORTED = """
import json, sys
from pregen import cli
code = cli.run(json.loads(sys.argv[1]))
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


def _modules(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED, json.dumps(arguments)],
        capture_output=True,
        env=environment(None, None),
        check=True,
        timeout=60,
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done
    return set(modules)


_HEAVY = ("psutil", "pyvips", "PIL", "numpy", "sqlite3", "watchfiles", "distributed", "jinja2")


def test_the_version_imports_no_command() -> None:
    modules = _modules("--version")
    assert not modules & {*_HEAVY, "rich", "rich_click"}
    assert "pregen.verbs.run" not in modules


def test_the_help_of_the_program_imports_no_verb_and_no_rich() -> None:
    modules = _modules("--help")
    assert not modules & {*_HEAVY, "rich", "rich_click"}
    assert not [name for name in modules if name.startswith("pregen.verbs")]


@pytest.mark.parametrize("verb", list(program.verbs))
def test_the_help_of_a_verb_imports_none_of_its_work(verb: str) -> None:
    work = {"pregen.pipeline", "pregen.work", "pregen.walk", "pregen.journal", "pregen.imaging"}
    assert not _modules(verb, "--help") & {*_HEAVY, *work}


def test_a_piped_run_imports_neither_rich_nor_picture_libraries(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", jpeg(300, 200))
    modules = _modules("run", str(tmp_path))
    assert not modules & {"rich", "rich_click", "pyvips", "PIL", "numpy", "isal"}


def test_help_is_what_rich_click_is_for() -> None:
    assert "rich_click" in _modules("run", "--help")

"""What a person sees: live on a terminal, lines in a pipe, objects for a program."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.files.pictures import put
from tests.support.files.source_trees import few, many_slow
from tests.support.judges.terminal import Terminal
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import PREGEN, environment, run_pregen

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.usefixtures("no_leaks"), pytest.mark.xdist_group("timing")]

ESCAPE = "\x1b"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    # Slow enough for a screen that is polled: some five seconds on two cores.
    many_slow(folder, 60, megapixels=24)
    return folder


def terminal(cache: Path, *arguments: object, columns: int = 80, rows: int = 24) -> Terminal:
    command = [*PREGEN, *(str(argument) for argument in arguments)]
    env = {**environment(cache, None), "TERM": "screen-256color", "LC_ALL": "C.UTF-8"}
    return Terminal(command, env, columns, rows)


def moving(screen: str) -> bool:
    """Whether a screen shows a run under way: a count of several done, and a speed."""
    return bool(re.search(r"images/s", screen)) and bool(
        re.search(r"\b[1-9]\d*\s*/\s*60\b", screen)
    )


@needs(Capability.TMUX)
def test_a_terminal_shows_the_run_live_and_keeps_the_summary(photos: Path, cache: Path) -> None:
    with terminal(cache, "run", photos) as screen:
        live = screen.wait_for(moving)
        assert all(len(line) <= 80 for line in live.splitlines())
        end = screen.wait_for("exit code")
        assert "exit code 0" in end
        assert "60" in end
        assert "Done in" in end
        # The bar is gone: what is left is for reading.
        assert not re.search(r"[━█]{5}", end)


@needs(Capability.TMUX)
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_display_fits_a_terminal_of_any_width(photos: Path, cache: Path, columns: int) -> None:
    with terminal(cache, "run", photos, columns=columns) as screen:
        live = screen.wait_for(lambda shown: bool(re.search(r"\d\s*/\s*60", shown)))
        bars = [line for line in live.splitlines() if re.search(r"\d\s*/\s*60", line)]
        assert len(bars) == 1, "a display that wraps repeats itself"
        screen.press("C-c")
        screen.wait_for("exit code 130")


@needs(Capability.TMUX)
def test_the_display_survives_a_resize(photos: Path, cache: Path) -> None:
    with terminal(cache, "run", photos) as screen:
        screen.wait_for(moving)
        screen.resize(60, 12)
        screen.resize(120, 40)
        end = screen.wait_for("exit code")
        assert "exit code 0" in end
        assert "Traceback" not in screen.history()


@needs(Capability.TMUX)
def test_control_c_on_a_terminal_drains_and_says_how_to_go_on(photos: Path, cache: Path) -> None:
    with terminal(cache, "run", photos) as screen:
        screen.wait_for(moving)
        screen.press("C-c")
        end = screen.wait_for("exit code")
        assert "exit code 130" in end
        assert "Stopped after" in end
        assert "Traceback" not in screen.history()


@needs(Capability.TMUX)
def test_control_c_twice_on_a_terminal_ends_it_and_leaves_the_cursor_visible(
    photos: Path, cache: Path
) -> None:
    with terminal(cache, "run", photos) as screen:
        screen.wait_for(moving)
        screen.press("C-c")
        screen.wait_for(lambda shown: "again" in shown or "exit code" in shown)
        screen.press("C-c")
        assert "exit code 130" in screen.wait_for("exit code")
        assert screen.cursor_visible()


@needs(Capability.SCRIPT)
def test_under_script_the_display_is_live(photos: Path, cache: Path, tmp_path: Path) -> None:
    sources = sorted(photos.iterdir())[:20]
    log = tmp_path / "typescript"
    command = " ".join([*PREGEN, "run", *(str(source) for source in sources)])
    env = {**environment(cache, None), "TERM": "xterm-256color"}
    subprocess.run(
        ["script", "-qec", command, log], env=env, check=True, capture_output=True, timeout=60
    )
    shown = log.read_text(errors="replace")
    assert ESCAPE in shown
    assert "images/s" in shown


@needs(Capability.SCRIPT)
@pytest.mark.parametrize("variable", ["NO_COLOR", "TERM"])
def test_a_terminal_that_wants_no_colours_gets_none(
    photos: Path, cache: Path, tmp_path: Path, variable: str
) -> None:
    source = min(photos.iterdir())
    log = tmp_path / "typescript"
    value = {"NO_COLOR": "1", "TERM": "dumb"}[variable]
    env = {**environment(cache, None), "TERM": "xterm-256color", variable: value}
    command = " ".join([*PREGEN, "run", str(source)])
    subprocess.run(
        ["script", "-qec", command, log], env=env, check=True, capture_output=True, timeout=60
    )
    colours = re.findall(r"\x1b\[[0-9;]*m", log.read_text(errors="replace"))
    assert [code for code in colours if re.search(r"3[0-7]|38;|4[0-7]", code)] == []


def test_in_a_pipe_progress_is_on_stderr_and_the_summary_on_stdout(
    photos: Path, cache: Path
) -> None:
    done = run_pregen("run", photos, cache=cache)
    assert done.code == 0
    assert ESCAPE not in done.out + done.err
    assert "\r" not in done.out + done.err
    assert done.out.splitlines()[-1].startswith("Done in")
    assert "60  created" in done.out
    assert "Done in" not in done.err


def test_a_summary_that_standard_output_refuses_is_on_stderr(tmp_path: Path, cache: Path) -> None:
    few(tmp_path / "photos")
    command = [*PREGEN, "run", str(tmp_path / "photos")]
    env = environment(cache, None)
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, env=env, stdout=full, stderr=subprocess.PIPE, check=True)
    assert b"4  created" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr


@needs(Capability.TMUX)
def test_a_terminal_keeps_the_verdict_of_a_summary_that_goes_to_a_file(
    tmp_path: Path, cache: Path
) -> None:
    few(tmp_path / "photos")
    put(tmp_path / "photos" / "broken.jpg", b"\xff\xd8\xff\xe0 broken")
    command = " ".join([*PREGEN, "run", str(tmp_path / "photos"), ">", str(tmp_path / "told")])
    env = {**environment(cache, None), "TERM": "screen-256color", "LC_ALL": "C.UTF-8"}
    with Terminal(["sh", "-c", command], env) as screen:
        shown = screen.wait_for("exit code 3")
    told = (tmp_path / "told").read_text()
    assert "broken.jpg" in told
    assert ESCAPE not in told
    assert told.splitlines()[-1] in shown
    assert "broken.jpg" not in shown


def test_json_is_one_object_a_line_and_ends_with_the_summary(tmp_path: Path, cache: Path) -> None:
    few(tmp_path / "photos")
    put(tmp_path / "photos" / "broken.jpg", b"\xff\xd8\xff\xe0 broken")
    latin = os.fsdecode(b"caf\xe9.jpg")
    (tmp_path / "photos" / latin).write_bytes((tmp_path / "photos" / "00.jpg").read_bytes())
    done = run_pregen("run", "--json", "-v", tmp_path / "photos", cache=cache)
    assert done.code == 3
    assert all(record["v"] == 1 for record in done.records)
    assert [record["type"] for record in done.records].count("summary") == 1
    assert done.summary["kinds"] == {"made": 5, "invalid": 1}
    assert bytes(tmp_path / "photos" / latin) in done.outcomes
    assert ESCAPE not in done.out


@needs(Capability.JQ)
def test_jq_reads_every_line(tmp_path: Path, cache: Path) -> None:
    few(tmp_path / "photos")
    done = run_pregen("run", "--json", "-v", tmp_path / "photos", cache=cache)
    filtered = subprocess.run(
        ["jq", "-r", 'select(.type == "summary") | .kinds.made'],
        input=done.out,
        capture_output=True,
        text=True,
        check=True,
    )
    assert filtered.stdout == "4\n"
    every = subprocess.run(
        ["jq", "-c", "."], input=done.out, capture_output=True, text=True, check=True
    )
    assert [json.loads(line) for line in every.stdout.splitlines()] == done.records


def test_quiet_says_nothing_when_all_is_well_and_names_failures(
    tmp_path: Path, cache: Path
) -> None:
    few(tmp_path / "photos")
    done = run_pregen("run", "--quiet", tmp_path / "photos", cache=cache)
    assert (done.code, done.out, done.err) == (0, "", "")
    put(tmp_path / "photos" / "broken.jpg", b"\xff\xd8\xff\xe0 broken")
    done = run_pregen("run", "--quiet", tmp_path / "photos", cache=cache)
    assert done.code == 3
    assert "broken.jpg" in done.err


def test_the_summary_names_failed_files_with_a_reason(tmp_path: Path, cache: Path) -> None:
    few(tmp_path / "photos")
    put(tmp_path / "photos" / "broken.jpg", b"\xff\xd8\xff\xe0 broken")
    put(tmp_path / "photos" / "bell\x07\x1b[31m.jpg", b"\xff\xd8\xff\xe0 broken")
    done = run_pregen("run", tmp_path / "photos", cache=cache)
    assert done.code == 3
    assert "broken.jpg" in done.out
    assert ESCAPE not in done.out + done.err, "a file name may not drive the terminal"
    assert "Traceback" not in done.err

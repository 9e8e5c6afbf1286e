"""`pregen desktop`: files that the desktops' own tools accept and run, and nothing left behind."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pregen.verbs.desktop.files import desktop_files, thunar_file, without_thunar_actions
from pregen.verbs.desktop.terminal import in_terminal
from tests.support.files.pictures import jpeg
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.running.program import Finished

BASH_COMPLETION = Path("/usr/share/bash-completion/bash_completion")
MANAGERS = ("nautilus", "nemo", "caja", "thunar", "dolphin", "pcmanfm-qt")
#: What a shell, Exec= and printf make something else of.
ODD = "my $pictures & 100 % 'é'"
OTHERS = """<?xml version="1.0" encoding="UTF-8"?>
<actions>
<action>
\t<icon>utilities-terminal</icon>
\t<name>Open Terminal Here</name>
\t<unique-id>1700000000-1</unique-id>
\t<command>exo-open --launch TerminalEmulator</command>
\t<patterns>*</patterns>
\t<directories/>
</action>
</actions>
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return an empty home, with all file managers on its PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in MANAGERS:
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def environment(home: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "PATH": f"{home.parent / 'bin'}:{os.environ['PATH']}",
        "XDG_CONFIG_DIRS": str(home.parent / "no-defaults"),
        **dict.fromkeys(("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "DISPLAY"), ""),
        "WAYLAND_DISPLAY": "",
    }


def desktop(home: Path, *words: str, env: Mapping[str, str] | None = None) -> Finished:
    return run_pregen("desktop", *words, env={**environment(home), **(env or {})})


def everything(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_install_and_remove_leave_the_home_as_it_was(home: Path) -> None:
    own = home / ".config/Thunar/uca.xml"
    own.parent.mkdir(parents=True)
    own.write_text(OTHERS)
    (home / ".local/share").mkdir(parents=True)
    (home / ".local/share/keep").write_text("mine")
    before = everything(home)
    for _ in range(2):
        assert desktop(home, "install").code == 0
        status = desktop(home, "status")
        *rows, verdict = filter(None, status.out.splitlines())
        assert {line.split()[0] for line in rows} == {"installed"}, status
        assert verdict == f"{len(rows)} files installed, all up to date."
    assert OTHERS.partition("</actions>")[0] in own.read_text()
    done = desktop(home, "remove")
    assert done.code == 0, done
    assert everything(home) == before
    assert "Nothing was installed" in desktop(home, "remove").out


@pytest.mark.skipif(shutil.which("man") is None, reason="no man here (Debian: man-db)")
def test_man_finds_the_page_of_a_program_in_the_home(home: Path) -> None:
    programs = home / ".local" / "bin"
    programs.mkdir(parents=True)
    env = {**environment(home), "PATH": f"{programs}:{os.environ['PATH']}"}
    assert desktop(home, "install", env=env).code == 0
    asked = subprocess.run(
        ["man", "-w", "pregen"], env=env, capture_output=True, text=True, check=True
    )
    assert asked.stdout == f"{home}/.local/share/man/man1/pregen.1\n"


@pytest.mark.skipif(not BASH_COMPLETION.exists(), reason="no bash-completion here")
def test_bash_loads_the_completion_when_it_is_first_asked_for(home: Path, tmp_path: Path) -> None:
    """As an interactive bash has it from its system-wide file (Debian: bash-completion)."""
    assert desktop(home, "install").code == 0
    program = tmp_path / "bin" / "pregen"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m pregen "$@"\n')
    program.chmod(0o755)
    # What Tab calls: a loader for every program that has none yet, which ends with 124.
    ask = (
        f". {BASH_COMPLETION}\n"
        "loader=$(complete -p -D); loader=${loader##*-F }; loader=${loader%% *}\n"
        '"$loader" pregen; echo "loaded $?"\n'
        "complete -p pregen\n"
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", ask],
        env=environment(home),
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.match(r"loaded 124\ncomplete .* pregen\n", done.stdout), done


def test_only_file_managers_that_are_here_get_entries(home: Path) -> None:
    for name in MANAGERS:
        if name != "nemo":
            (home.parent / "bin" / name).unlink()
    desktop(home, "install")
    found = {name.lower() for name in everything(home)}
    assert any("nemo" in name for name in found)
    others = ("nautilus", "caja", "thunar", "kio", "file-manager")
    assert not [name for name in found for other in others if other in name]


def test_what_a_user_changed_is_told_and_what_others_put_there_stays(home: Path) -> None:
    desktop(home, "install")
    menu = home / ".local/share/nemo/actions/pregen-make.nemo_action"
    menu.write_text(menu.read_text().replace("Create thumbnails here", "Go"))
    (menu.parent / "other.nemo_action").write_text("theirs")
    assert f"outdated   Nemo: {menu}" in desktop(home, "status").out
    desktop(home, "remove")
    assert everything(home / ".local/share/nemo") == {
        "actions": None,
        "actions/other.nemo_action": b"theirs",
    }


def test_a_file_of_thunar_that_is_none_is_left_alone(home: Path) -> None:
    own = home / ".config/Thunar/uca.xml"
    own.parent.mkdir(parents=True)
    own.write_text("<actions><action>")
    done = desktop(home, "install")
    assert done.code == 2
    assert "Thunar/uca.xml is not a file of Thunar's actions" in done.err
    assert own.read_text() == "<actions><action>"


def test_thunars_own_changes_are_kept() -> None:
    """It writes all actions anew, in its own order of lines, when one is edited."""
    ours = thunar_file(["pregen"], OTHERS).text
    rewritten = ours.replace("\t<icon>pregen</icon>\n", "").replace("\t", "  ")
    assert without_thunar_actions(rewritten).split() == OTHERS.split()
    again = thunar_file(["pregen"], rewritten).text
    assert again.count("<unique-id>pregen-") == 2
    assert again.count("<action>") == 3


def test_a_folder_that_cannot_be_written_is_named(home: Path) -> None:
    (home / ".local").write_text("a file")
    done = desktop(home, "install")
    assert done.code == 2
    assert str(home / ".local") in done.err


def test_a_package_gets_everything_below_its_prefix(home: Path, tmp_path: Path) -> None:
    done = desktop(home, "install", "--prefix", str(tmp_path / "usr"))
    assert done.code == 0, done
    found = everything(tmp_path / "usr")
    assert "share/applications/pregen.desktop" in found
    assert "share/man/man1/pregen.1" in found
    assert b"ExecStart=pregen run" in (found["lib/systemd/user/pregen.service"] or b"")
    assert everything(home) == {}
    assert desktop(home, "remove", "--prefix", str(tmp_path / "usr")).code == 0
    assert not [path for path in (tmp_path / "usr").rglob("*") if path.is_file()]


@needs(Capability.VALIDATORS)
def test_what_is_installed_is_valid(home: Path) -> None:
    desktop(home, "install")
    data = home / ".local/share"
    for command in (
        ["desktop-file-validate", str(data / "applications/pregen.desktop")],
        ["appstreamcli", "validate", "--no-net", *map(str, (data / "metainfo").iterdir())],
        ["xmllint", "--noout", str(data / "icons/hicolor/scalable/apps/pregen.svg")],
        ["xmllint", "--noout", str(home / ".config/Thunar/uca.xml")],
        ["bash", "-n", str(data / "bash-completion/completions/pregen")],
        *(["sh", "-n", str(script)] for script in (data / "nautilus/scripts").iterdir()),
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, "error" in done.stdout) == (0, False), done


def words_of(manager: str, home: Path, folder: Path) -> list[str]:
    """Return what a file manager runs for "Create thumbnails here" on a folder."""
    data = home / ".local/share"
    name = "Create thumbnails here"
    if manager == "gio":
        return ["gio", "launch", str(data / "applications/pregen.desktop"), str(folder)]
    if manager == "nautilus":
        return [str(data / "nautilus/scripts" / name), folder.name]
    if manager == "caja":
        return [str(home / ".config/caja/scripts" / name)]  # in the folder, nothing selected
    place = {
        "thunar": home / ".config/Thunar/uca.xml",
        "nemo": data / "nemo/actions/pregen-make.nemo_action",
        "nemo, nothing selected": data / "nemo/actions/pregen-make-folder.nemo_action",
        "dolphin": data / "kio/servicemenus/pregen.desktop",
        "pcmanfm-qt": data / "file-manager/actions/pregen-make.desktop",
    }[manager]
    start = "\t<command>" if manager == "thunar" else "Exec="
    (line, *_) = [line for line in place.read_text().splitlines() if line.startswith(start)]
    command = line.removeprefix(start).removesuffix("</command>")
    for code in ("%F", "%P"):
        command = command.replace(code, shlex.quote(str(folder)))
    return shlex.split(command)


@needs(Capability.GIO)
@pytest.mark.parametrize(
    "manager",
    [
        *("gio", "nautilus", "caja", "thunar", "nemo", "nemo, nothing selected", "dolphin"),
        "pcmanfm-qt",
    ],
)
def test_what_a_menu_starts_creates_thumbnails(manager: str, home: Path) -> None:
    folder = home / ODD
    folder.mkdir()
    (folder / "a photo.jpg").write_bytes(jpeg())
    desktop(home, "install")
    words = words_of(manager, home, folder)
    where = folder if manager == "caja" else home
    env = {**os.environ, **environment(home)}
    done = subprocess.run(words, cwd=where, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    assert len(list((home / ".cache/thumbnails").rglob("*.png"))) == 2, done


@needs(Capability.GIO)
def test_a_program_in_an_odd_place_is_started(tmp_path: Path) -> None:
    """GLib reads the line as file managers do. It finds no program with a percent sign."""
    program = tmp_path / 'o"d`d $place\\ é' / "pregen"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$OUT"\n')
    program.chmod(0o755)
    templates = dict.fromkeys(("pregen.service", "pregen.timer"), "[Unit]")
    templates |= dict.fromkeys(("pregen-watch.service", "pregen.metainfo.xml"), "[Unit]")
    shells = dict.fromkeys(("bash", "zsh", "fish"), "")
    files = desktop_files([str(program)], {**templates, "pregen.svg": ""}, shells, "")
    (text,) = [file.text for file in files if file.name == "applications/pregen.desktop"]
    entry = tmp_path / "pregen.desktop"
    entry.write_text(text)
    out = tmp_path / "out"
    subprocess.run(
        ["gio", "launch", entry, tmp_path], env={**os.environ, "OUT": str(out)}, check=True
    )
    for _ in range(100):
        if out.exists() and out.read_text().count("\n") == 3:
            break
        subprocess.run(["sleep", "0.1"], check=True)
    assert out.read_text().splitlines() == ["desktop", "make", str(tmp_path)]


def test_a_terminal_shows_the_run_and_waits(home: Path) -> None:
    terminal = home.parent / "bin" / "x-terminal-emulator"
    terminal.write_text(
        '#!/bin/sh\nshift\n"$@" </dev/null >"$HOME/screen" 2>&1\ntouch "$HOME/end"\n'
    )
    terminal.chmod(0o755)
    (home / "xdg-terminal-exec").touch()  # not executable, not on PATH
    (home / "photo.jpg").write_bytes(jpeg())
    done = desktop(home, "make", str(home / "photo.jpg"), env={"DISPLAY": ":9"})
    assert done.code == 0, done
    for _ in range(300):
        if (home / "end").exists():
            break
        subprocess.run(["sleep", "0.1"], check=True)
    screen = (home / "screen").read_text()
    assert "created" in screen
    assert "Press Enter to close this window." in screen


@pytest.mark.parametrize(
    ("installed", "environ", "wanted"),
    [
        ({"xterm"}, {}, None),
        (set(), {"DISPLAY": ":0"}, None),
        ({"xterm", "konsole"}, {"DISPLAY": ":0"}, ["/konsole", "-e", "sh"]),
        ({"xterm"}, {"WAYLAND_DISPLAY": "w", "TERMINAL": "xterm"}, ["/xterm", "-e", "sh"]),
        ({"xterm", "foot"}, {"DISPLAY": ":0", "TERMINAL": "gone"}, ["/foot", "sh", "-c"]),
    ],
)
def test_the_terminal_is_one_that_is_here(
    installed: set[str], environ: dict[str, str], wanted: list[str] | None
) -> None:
    opened = in_terminal(["pregen"], environ, lambda name: f"/{name}" * (name in installed) or None)
    assert (opened and opened[:3]) == wanted


def test_a_terminal_that_takes_one_word_gets_it_quoted() -> None:
    def only(name: str) -> str | None:
        return f"/{name}" if name == "lxterminal" else None

    opened = in_terminal(["pregen", "a b"], {"DISPLAY": ":0"}, only)
    assert opened
    assert shlex.split(opened[2])[-2:] == ["pregen", "a b"]


def test_make_without_files_says_so(home: Path) -> None:
    done = desktop(home, "make")
    assert (done.code, done.out) == (2, "")
    assert "needs files or folders" in done.err

"""The files that bring pregen to a desktop: where each lies, and what stands in it. Pure.

The formats are those of each file manager: Desktop Entry Specification 1.5 (applications), KIO's
service menus (KF 5.85 and later), sample.nemo_action of Nemo 5.6, DES-EMA 0.15 (PCManFM-Qt, LXDE),
scripts of Nautilus and Caja, and `thunar_uca_model` of Thunar 4.18, which keeps all actions in one
file that belongs to the user.
"""

from __future__ import annotations

import re
import shlex
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from pregen.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: What a template says instead of the program's place.
_PROGRAM: Final = "%h/.local/bin/pregen"


class Base(Enum):
    """The folder that a file's place begins at."""

    DATA = "data"
    """$XDG_DATA_HOME, or PREFIX/share."""
    CONFIG = "config"
    """$XDG_CONFIG_HOME. Packages install nothing there."""
    UNITS = "units"
    """Of systemd's user manager: $XDG_DATA_HOME/systemd/user, or PREFIX/lib/systemd/user."""
    BIN = "bin"
    """~/.local/bin, or PREFIX/bin."""


class DesktopFile(NamedTuple):
    """One file to be installed."""

    base: Base
    name: str
    """Below the base."""
    text: str
    serves: str
    """What it is for, as a person calls it."""
    programs: tuple[str, ...] = ()
    """It is of use where one of them is installed; always, where none is named."""
    executable: bool = False


class MenuEntry(NamedTuple):
    """An entry in the menu of a file manager."""

    key: str
    """What `pregen desktop` is called with."""
    name: str
    comment: str


ACTIONS: Final = (
    MenuEntry("make", "Create thumbnails here", "Create the thumbnails of these files and folders"),
    MenuEntry("why", "Why is there no thumbnail?", "Show what the thumbnail cache holds for these"),
)
_THUNAR: Final = ("thunar", "Thunar")
_UCA: Final = "Thunar/uca.xml"
_EMPTY_UCA: Final = '<?xml version="1.0" encoding="UTF-8"?>\n<actions>\n</actions>\n'
_OUR_ACTION: Final = re.compile(
    r"\s*<action>(?:(?!</action>).)*<unique-id>pregen-(?:(?!</action>).)*</action>", re.DOTALL
)


def desktop_files(
    program: Sequence[str], templates: Mapping[str, str], completions: Mapping[str, str], man: str
) -> Iterator[DesktopFile]:
    """Yield all files but Thunar's.

    Args:
        program: the command that starts pregen, in words.
        templates: of `data`, by file name.
        completions: the script of each shell.
        man: the man page; empty where this installation has none.
    """
    yield from _menus(program)
    yield DesktopFile(
        Base.DATA, "icons/hicolor/scalable/apps/pregen.svg", templates["pregen.svg"], "icon"
    )
    metainfo = "metainfo/org.pregen.pregen.metainfo.xml"
    yield DesktopFile(Base.DATA, metainfo, templates["pregen.metainfo.xml"], "software centres")
    if man:
        yield DesktopFile(Base.DATA, "man/man1/pregen.1", man, "man page")
    for shell, place in (
        ("bash", "bash-completion/completions/pregen"),
        ("zsh", "zsh/site-functions/_pregen"),
        ("fish", "fish/vendor_completions.d/pregen.fish"),
    ):
        yield DesktopFile(Base.DATA, place, completions[shell], f"completion in {shell}")
    for name in ("pregen.service", "pregen.timer", "pregen-watch.service"):
        unit = _without_head(templates[name]).replace(_PROGRAM, _for_systemd(program))
        yield DesktopFile(Base.UNITS, name, unit, "systemd")


def _without_head(text: str) -> str:
    """Return a unit without the comment that says how to install it by hand."""
    return text[text.index("[Unit]") :]


def _menus(program: Sequence[str]) -> Iterator[DesktopFile]:
    start = _for_exec(program)
    text = _desktop_entry(start)
    yield DesktopFile(Base.DATA, "applications/pregen.desktop", text, "Open With")
    dolphin = ("dolphin", "konqueror", "krusader")
    place = "kio/servicemenus/pregen.desktop"
    # KIO asks for the executable bit of menus in a home.
    yield DesktopFile(Base.DATA, place, _service_menu(start), "Dolphin", dolphin, executable=True)
    for action in ACTIONS:
        for suffix, selection, names in (("", "notnone", "%F"), ("-folder", "none", "%P")):
            yield DesktopFile(
                Base.DATA,
                f"nemo/actions/pregen-{action.key}{suffix}.nemo_action",
                _nemo_action(action, start, selection, names),
                "Nemo",
                ("nemo",),
            )
        yield DesktopFile(
            Base.DATA,
            f"file-manager/actions/pregen-{action.key}.desktop",
            _des_ema(action, start),
            "PCManFM-Qt",
            ("pcmanfm-qt", "pcmanfm"),
        )
        script = _script(action, program)
        for base, name, serves in (
            (Base.DATA, "nautilus/scripts", "Nautilus"),
            (Base.CONFIG, "caja/scripts", "Caja"),
        ):
            yield DesktopFile(
                base, f"{name}/{action.name}", script, serves, (serves.lower(),), executable=True
            )


def _desktop_entry(start: str) -> str:
    return f"""[Desktop Entry]
Type=Application
Name=Create thumbnails
Comment={ACTIONS[0].comment}
Exec={start} desktop make %F
Icon=pregen
Terminal=false
NoDisplay=true
MimeType=inode/directory;
Categories=Graphics;
"""


def _service_menu(start: str) -> str:
    lines = [
        "[Desktop Entry]",
        "Type=Service",
        "Name=pregen",
        "X-KDE-ServiceTypes=KonqPopupMenu/Plugin",
        "MimeType=inode/directory;image/*;video/*;",
        "Actions=" + "".join(f"{action.key};" for action in ACTIONS),
        "X-KDE-Submenu=Thumbnails",
        "Icon=pregen",
    ]
    for action in ACTIONS:
        lines += ["", f"[Desktop Action {action.key}]", f"Name={action.name}", "Icon=pregen"]
        lines.append(f"Exec={start} desktop {action.key} %F")
    return "\n".join([*lines, ""])


def _nemo_action(action: MenuEntry, start: str, selection: str, names: str) -> str:
    """Return an action of Nemo. A folder in which nothing is selected needs one of its own."""
    return f"""[Nemo Action]
Name={action.name}
Comment={action.comment}
Exec={start} desktop {action.key} {names}
Icon-Name=pregen
Selection={selection}
Extensions=any;
"""


def _des_ema(action: MenuEntry, start: str) -> str:
    return f"""[Desktop Entry]
Type=Action
Name={action.name}
Tooltip={action.comment}
Icon=pregen
Profiles=all;

[X-Action-Profile all]
MimeTypes=inode/directory;image/*;video/*;
Exec={start} desktop {action.key} %F
"""


def _script(action: MenuEntry, program: Sequence[str]) -> str:
    return f"""#!/bin/sh
# {action.comment}. File managers give the selected names; without any it is this folder.
[ $# -gt 0 ] || set -- .
exec {shlex.join(program)} desktop {action.key} "$@"
"""


def _for_exec(program: Sequence[str]) -> str:
    """Return words as Exec= takes them (Desktop Entry Specification, The Exec key)."""
    return " ".join(map(_exec_word, program))


def _exec_word(word: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_./+:@-]+", word):
        return word
    # Twice: a string's backslashes, and those within quotes.
    quoted = re.sub(r'(["`$\\])', r"\\\1", word).replace("\\", "\\\\")
    return f'"{quoted.replace("%", "%%")}"'


def _for_systemd(program: Sequence[str]) -> str:
    """Return words as ExecStart= takes them (systemd.service, Command lines)."""
    return " ".join(
        '"' + re.sub(r'(["\\])', r"\\\1", word).replace("%", "%%").replace("$", "$$") + '"'
        if re.search(r"[^A-Za-z0-9_./+:@-]", word)
        else word
        for word in program
    )


# Thunar's own file ---------------------------------------------------------------------------


def thunar_file(program: Sequence[str], before: str | None) -> DesktopFile:
    """Return Thunar's file of actions with ours at its end, all others as they were.

    Args:
        program: the command that starts pregen, in words.
        before: the file's text, or that of the system where the user has none; None: neither.

    Raises:
        UsageError: it is not Thunar's.
    """
    text = without_thunar_actions(before) if before is not None else _EMPTY_UCA
    _checked(text)
    at = text.rindex("</actions>")
    text = text[:at].rstrip() + "\n" + "".join(_uca(each, program) for each in ACTIONS) + text[at:]
    return DesktopFile(Base.CONFIG, _UCA, text, "Thunar", _THUNAR)


def without_thunar_actions(text: str) -> str:
    """Return Thunar's file of actions without ours."""
    return _OUR_ACTION.sub("", text)


def has_thunar_actions(text: str) -> bool:
    """Tell whether our actions are in Thunar's file."""
    return _OUR_ACTION.search(text) is not None


def _checked(text: str) -> None:
    try:
        is_right = ET.fromstring(text).tag == "actions" and "</actions>" in text  # noqa: S314 - the user's own file, and only its outermost tag is asked for
    except ET.ParseError:
        is_right = False
    if not is_right:
        raise UsageError(f"{_UCA} is not a file of Thunar's actions. Move it away and run again.")


def _uca(action: MenuEntry, program: Sequence[str]) -> str:
    # `%F` becomes the selected names, each quoted for a shell.
    command = f"{shlex.join(program).replace('%', '%%')} desktop {action.key} %F"
    kinds = "".join(f"\t<{kind}-files/>\n" for kind in ("image", "video", "other"))
    return (
        "<action>\n\t<icon>pregen</icon>\n"
        f"\t<name>{escape(action.name)}</name>\n"
        f"\t<unique-id>pregen-{action.key}</unique-id>\n"
        f"\t<command>{escape(command)}</command>\n"
        f"\t<description>{escape(action.comment)}</description>\n"
        f"\t<patterns>*</patterns>\n\t<directories/>\n{kinds}</action>\n"
    )

"""Puts the files of `files` into a home or below a prefix, and takes them out again.

What was installed into a home is written down beside it, with the folders that were created: so
nothing is left behind, also by an older version whose files had other names.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.errors import UsageError
from pregen.installation import Manager, look
from pregen.verbs.desktop.files import (
    Base,
    DesktopFile,
    desktop_files,
    has_thunar_actions,
    thunar_file,
    without_thunar_actions,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_UCA: Final = "Thunar/uca.xml"
_MIME_CACHE: Final = "applications/mimeinfo.cache"
_NO_HANDLERS: Final = "[MIME Cache]"


class Places(NamedTuple):
    """Where files go."""

    bases: Mapping[Base, Path]
    is_home: bool
    """False: below a prefix, for a package."""
    data_folders: tuple[Path, ...] = ()
    """Configuration of the system, where Thunar's own actions are ($XDG_CONFIG_DIRS)."""

    @property
    def record(self) -> Path:
        """Return the file that says what was installed."""
        return self.bases[Base.DATA] / "pregen" / "desktop.json"


class Record(NamedTuple):
    """What was installed into a home."""

    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    """Created for them, outermost first."""


#: The program that would read the file is not here.
NOT_NEEDED: Final = "not needed"


class State(NamedTuple):
    """One file and how it is."""

    file: DesktopFile
    path: Path
    state: str
    """"installed", "outdated", "missing", or NOT_NEEDED."""


def places_in_home(environ: Mapping[str, str], home: Path) -> Places:
    """Return the places in the user's home (XDG Base Directory Specification)."""
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local/share")
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    system = tuple(map(Path, (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")))
    units, programs = data / "systemd/user", home / ".local/bin"
    bases = {Base.DATA: data, Base.CONFIG: config, Base.UNITS: units, Base.BIN: programs}
    return Places(bases, is_home=True, data_folders=system)


def places_below(prefix: Path) -> Places:
    """Return the places of a package."""
    share = prefix / "share"
    units = prefix / "lib/systemd/user"
    return Places({Base.DATA: share, Base.UNITS: units, Base.BIN: prefix / "bin"}, is_home=False)


def program_of(places: Places) -> list[str]:
    """Return the command that starts this pregen, in words."""
    if not places.is_home:
        return ["pregen"]
    if look().manager is Manager.CHECKOUT:
        return [str(_checkout() / "scripts" / "pregen")]
    own = Path(sys.prefix, "bin", "pregen")
    return [str(own)] if own.exists() else [sys.executable, "-P", "-m", "pregen"]


def _checkout() -> Path:
    return Path(sys.prefix).parent


def states(places: Places, completions: Mapping[str, str]) -> Iterator[State]:
    """Yield every file and how it is."""
    for file in _wanted(places, completions):
        path = places.bases[file.base] / file.name
        text = _text_of(path)
        if text == file.text:
            yield State(file, path, "installed")
        elif places.is_home and file.programs and not any(map(shutil.which, file.programs)):
            yield State(file, path, NOT_NEEDED)
        else:
            is_there = text is not None and (file.name != _UCA or has_thunar_actions(text))
            yield State(file, path, "outdated" if is_there else "missing")


def _wanted(places: Places, completions: Mapping[str, str]) -> Iterator[DesktopFile]:
    program = program_of(places)
    data = resources.files("pregen.verbs.desktop") / "data"
    templates = {item.name: item.read_text(encoding="utf-8") for item in data.iterdir()}
    for file in desktop_files(program, templates, completions, _man_page()):
        if file.base in places.bases:
            yield file
    if not places.is_home:
        return
    if look().manager is Manager.CHECKOUT:
        yield DesktopFile(
            Base.BIN, "pregen", f'#!/bin/sh\nexec {program[0]!r} "$@"\n', "shells", executable=True
        )
    before = _text_of(places.bases[Base.CONFIG] / _UCA)
    if before is None:
        texts = (_text_of(folder / _UCA) for folder in places.data_folders)
        before = next((text for text in texts if text is not None), None)
    yield thunar_file(program, before)


def _man_page() -> str:
    """Return the man page that came with this pregen; empty where there is none."""
    around = Path(__file__).parents[3] / "man" / "pregen.1"
    for path in (around, Path(sys.prefix, "share/man/man1/pregen.1")):
        if (text := _text_of(path)) is not None:
            return text
    return ""


def install(places: Places, completions: Mapping[str, str]) -> list[State]:
    """Install every file that is of use here; return what was installed or is there already.

    Raises:
        UsageError: a file cannot be written, or Thunar's is none of Thunar's.
    """
    record = _read(places)
    files, folders = list(record.files), list(record.folders)
    found = [state for state in states(places, completions) if state.state != NOT_NEEDED]
    try:
        for state in found:
            if state.state != "installed":
                folders += _write(state.path, state.file.text, executable=state.file.executable)
            files.append(str(state.path))
        if places.is_home:
            had_cache = (places.bases[Base.DATA] / _MIME_CACHE).exists()
            _update_handlers(places)
            if not had_cache:
                files.append(str(places.bases[Base.DATA] / _MIME_CACHE))
            folders += _write(places.record, "", executable=False)
            lines = {"files": sorted(set(files)), "folders": list(dict.fromkeys(folders))}
            _write(places.record, json.dumps(lines, indent=1) + "\n", executable=False)
    except OSError as error:
        raise _cannot(error) from error
    return found


def remove(places: Places, completions: Mapping[str, str]) -> list[Path]:
    """Take out all that was installed, and the folders created for it; return what was deleted.

    Raises:
        UsageError: a file cannot be deleted.
    """
    record = _read(places)
    known = {Path(name) for name in record.files}
    known |= {state.path for state in states(places, completions) if state.state == "installed"}
    cache = places.bases[Base.DATA] / _MIME_CACHE
    try:
        deleted = [path for path in sorted(known - {cache}) if _take_out(path, places)]
        if places.is_home:
            _update_handlers(places)
            if cache in known and (_text_of(cache) or "").strip() in {"", _NO_HANDLERS}:
                cache.unlink(missing_ok=True)
            places.record.unlink(missing_ok=True)
        for folder in reversed(record.folders):
            with suppress(OSError):  # others have put something into it
                os.rmdir(folder)
    except OSError as error:
        raise _cannot(error) from error
    return deleted


def _take_out(path: Path, places: Places) -> bool:
    """Delete a file, or our part of Thunar's; tell whether there was something."""
    text = _text_of(path)
    if text is None:
        return False
    if path.name == "uca.xml":
        rest = without_thunar_actions(text)
        system = [_text_of(folder / _UCA) for folder in places.data_folders]
        ours_alone = [None if one is None else without_thunar_actions(one) for one in system]
        empty = "<action>" not in rest
        if not empty and rest.split() not in [one.split() for one in ours_alone if one]:
            if rest != text:
                _write(path, rest, executable=False)
            return rest != text
    path.unlink()
    return True


def _update_handlers(places: Places) -> None:
    """Have file managers find the new entry of "Open With", which they look for in a cache."""
    folder = places.bases[Base.DATA] / "applications"
    updater = shutil.which("update-desktop-database")
    if updater and folder.is_dir():
        subprocess.run([updater, "-q", str(folder)], check=False, capture_output=True)  # noqa: S603 - found on PATH


def _write(path: Path, text: str, *, executable: bool) -> list[str]:
    """Write a file whole, by a rename; return the folders that were created for it."""
    created = []
    for folder in reversed(path.parents):
        if not folder.exists():
            folder.mkdir(mode=0o755)
            created.append(str(folder))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.chmod(0o755 if executable else 0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return created


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError:
        return ""
    except OSError as error:
        raise _cannot(error) from error


def _read(places: Places) -> Record:
    text = _text_of(places.record) if places.is_home else None
    try:
        found = json.loads(text or "{}")
        return Record(tuple(found.get("files", ())), tuple(found.get("folders", ())))
    except (ValueError, AttributeError, TypeError):
        return Record()


def _cannot(error: OSError) -> UsageError:
    return UsageError(f"{error.filename}: {error.strerror}.")

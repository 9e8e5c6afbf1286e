"""The desktops as judges of a cache: GIO, gnome-desktop, tumblerd, KIO and libfm-qt.

Each is a process of its own, to which many files go: one of this machine, or of a root with
another release of Debian (`desktop_roots`). Nothing of pregen is imported: where the desktops and
pregen agree, they do so by themselves. What a missing desktop means is
`tests.support.running.capabilities`' job.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from tests.support.files.pictures import jpeg, put
from tests.support.judges.desktop_roots import SOURCES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.support.judges.desktop_roots import DesktopRoot

#: PyGObject belongs to the distribution's Python, not to the environment the tests run in.
SYSTEM_PYTHON = "/usr/bin/python3"
FLAVORS = ("normal", "large", "x-large", "xx-large")
_TIMEOUT_S = 90


class OracleError(Exception):
    """A desktop client itself did not work: nothing can be said about the cache."""


class GioAnswer(NamedTuple):
    """What `gio info -a 'thumbnail::*'` prints for one file; None where it prints nothing."""

    uri: str
    path: bytes | None
    valid: bool | None
    failed: bool


class GnomeAnswer(NamedTuple):
    """What gnome-desktop's factory of one flavor says."""

    path: bytes | None
    failed: bool


class TumblerAnswer(NamedTuple):
    """What tumblerd did about one entry."""

    ready: bool
    error: str
    untouched: bool
    """The entry existed before, and is the same file with the same bytes."""


def glib_uri(path: Path | bytes) -> str:
    """Return the URI GLib gives an absolute path (desktop-consumers.md 1.1, all bytes checked)."""
    return "file://" + quote(os.fsencode(path), safe="!$&'()*+,:=@/~-._")


def qt_uri(path: Path | bytes) -> str:
    """Return the URI of Qt 6.8.3 and later."""
    return "file://" + quote(os.fsencode(path), safe="!$&'()*+,:=@/~-._;")


def entry_path(cache: Path, flavor: str, uri: str) -> Path:
    """Return where the standard puts the entry of a URI; `cache` is $XDG_CACHE_HOME."""
    name = hashlib.md5(uri.encode(), usedforsecurity=False).hexdigest()
    return cache / "thumbnails" / flavor / f"{name}.png"


def gio(
    cache: Path, files: Sequence[Path | bytes], root: DesktopRoot | None = None
) -> list[GioAnswer]:
    """Ask GIO about files; it looks at the largest entry of each, valid or not."""
    if not files:
        return []
    paths = [os.fsencode(file) for file in files]
    command: list[str | bytes] = ["gio", "info", "-a", "thumbnail::*", "--", *paths]
    shown = _run(command, cache, root=root).decode(errors="replace")
    blocks = re.split(r"^uri: ", shown, flags=re.MULTILINE)[1:]
    if len(blocks) != len(paths):
        raise OracleError(f"gio info spoke of {len(blocks)} files, not {len(paths)}: {shown}")
    return [_gio_answer(block) for block in blocks]


def gio_flavor(
    cache: Path, flavor: str, files: Sequence[Path | bytes], root: DesktopRoot | None = None
) -> list[GioAnswer]:
    """Ask GIO as if the cache held one flavor only."""
    with tempfile.TemporaryDirectory() as scratch:
        view = Path(scratch) / "thumbnails"
        view.mkdir()
        (view / flavor).symlink_to(cache / "thumbnails" / flavor)
        return gio(Path(scratch), files, root)


def _gio_answer(block: str) -> GioAnswer:
    found = dict(re.findall(r"^  thumbnail::([a-z-]+): (.*)$", block, flags=re.MULTILINE))
    valid = found.get("is-valid")
    return GioAnswer(
        uri=block.split("\n", 1)[0],
        path=os.fsencode(found["path"]) if "path" in found else None,
        valid=None if valid is None else valid == "TRUE",
        failed=found.get("failed") == "TRUE",
    )


def gnome_desktop(
    cache: Path, flavor: str, files: Sequence[Path | bytes], root: DesktopRoot | None = None
) -> list[GnomeAnswer]:
    """Ask gnome-desktop's factory of one flavor, with each file's true whole-second mtime."""
    wanted = [(glib_uri(file), _path(file).stat().st_mtime_ns // 10**9) for file in files]
    request = {"flavor": flavor, "files": wanted}
    answers = _ask([SYSTEM_PYTHON, _script("gnome_lookup.py", root)], request, cache, root)
    return [GnomeAnswer(os.fsencode(path) if path else None, failed) for path, failed in answers]


def tumbler(
    cache: Path, flavor: str, files: Sequence[Path | bytes], root: DesktopRoot | None = None
) -> list[TumblerAnswer]:
    """Ask tumblerd for entries of one flavor; it remakes those it does not accept.

    A fresh picture without an entry goes along as the control: tumblerd must make its entry in
    this very cache (it is removed again), or it never looked here.

    Raises:
        OracleError: The control got no entry, or tumblerd did not finish.
    """
    with tempfile.TemporaryDirectory() as scratch:
        control = put(Path(scratch) / "control.jpg", jpeg(200, 150, seed=99))
        control_entry = entry_path(cache, flavor, glib_uri(control))
        uris = [glib_uri(file) for file in files]
        entries = [entry_path(cache, flavor, uri) for uri in uris]
        before = [_identity(entry) for entry in entries]
        request = {
            "flavor": flavor,
            "uris": [*uris, glib_uri(control)],
            # A type it surely supports: what counts is whether it accepts the entry or decodes.
            "mime": "image/jpeg",
            "timeout_s": _TIMEOUT_S - 20,
        }
        command: list[str | Path] = [
            "dbus-run-session",
            "--",
            SYSTEM_PYTHON,
            _script("tumbler_queue.py", root),
        ]
        said = _ask(command, request, cache, root)
        if glib_uri(control) not in said["ready"] or not control_entry.exists():
            raise OracleError(f"tumblerd made no entry for the control: {said['errors']}")
        control_entry.unlink()
    return [
        TumblerAnswer(
            ready=uri in said["ready"],
            error=said["errors"].get(uri, ""),
            untouched=old is not None and _identity(entry) == old,
        )
        for uri, entry, old in zip(uris, entries, before, strict=True)
    ]


def tumbler_types(cache: Path) -> set[str]:
    """Ask tumblerd for the types of which it makes thumbnails."""
    command: list[str | Path] = ["dbus-run-session", "--", SYSTEM_PYTHON]
    command.append(SOURCES / "tumbler_supported.py")
    return set(_ask(command, None, cache))


def kio(
    cache: Path,
    flavor: str,
    files: Sequence[Path | bytes],
    root: DesktopRoot,
    scale: float = 1,
) -> list[bool]:
    """Ask KIO for previews as large as a flavor; tell of each whether it took the entry.

    `scale` is that of the screen: at 1.5 KIO wants 1.5 times the pixels.

    Entries have to show green in their middle, and sources something else. What it does not take
    it makes anew, in this cache.

    Raises:
        OracleError: it does not work here.
    """
    return _taken("kio_preview", cache, flavor, files, root, scale)


def libfm_qt(
    cache: Path, flavor: str, files: Sequence[Path | bytes], root: DesktopRoot
) -> list[bool]:
    """Ask libfm-qt, likewise; it reads no xx-large."""
    return _taken("libfm_qt_load", cache, flavor, files, root)


def _taken(
    name: str,
    cache: Path,
    flavor: str,
    files: Sequence[Path | bytes],
    root: DesktopRoot,
    scale: float = 1,
) -> list[bool]:
    edge_px = dict(zip(FLAVORS, ("128", "256", "512", "1024"), strict=True))[flavor]
    names = b"".join(os.fsencode(file) + b"\0" for file in files)
    with tempfile.TemporaryDirectory() as runtime:
        settings = f"XDG_RUNTIME_DIR={runtime}", f"QT_SCALE_FACTOR={scale:g}"
        command = ["env", *settings, "dbus-run-session", "--", name, edge_px]
        said = _run(command, cache, names, root).decode().split()
    if len(said) != len(files) or not set(said) <= {"taken", "made", "none"}:
        raise OracleError(f"{name} said {said}")
    return [word == "taken" for word in said]


def _script(name: str, root: DesktopRoot | None) -> Path:
    return root.script(name) if root else SOURCES / name


def _path(file: Path | bytes) -> Path:
    return Path(os.fsdecode(file))


def _identity(entry: Path) -> tuple[int, int, str] | None:
    """Inode, mtime and digest of an entry; None when there is none."""
    try:
        facts, data = entry.stat(), entry.read_bytes()
    except FileNotFoundError:
        return None
    return facts.st_ino, facts.st_mtime_ns, hashlib.sha256(data).hexdigest()


def _environment(cache: Path) -> Mapping[str, str]:
    """A bare environment in which every desktop library sees this cache and no settings."""
    nowhere = str(cache / ".oracle-home")
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": nowhere,
        "XDG_CONFIG_HOME": nowhere,
        "XDG_DATA_HOME": nowhere,
        "XDG_CACHE_HOME": str(cache),
        "GSETTINGS_BACKEND": "memory",
        "GIO_USE_VFS": "local",
        "QT_QPA_PLATFORM": "offscreen",
        "LC_ALL": "C.UTF-8",
    }


def _ask(
    command: Sequence[str | Path], request: object, cache: Path, root: DesktopRoot | None = None
) -> Any:
    return json.loads(_run(command, cache, json.dumps(request).encode(), root))


def _run(
    command: Sequence[str | bytes | Path],
    cache: Path,
    given: bytes = b"",
    root: DesktopRoot | None = None,
) -> bytes:
    try:
        done = subprocess.run(
            root.command(*command) if root else command,
            input=given,
            capture_output=True,
            env=_environment(cache),
            timeout=_TIMEOUT_S,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace")
        raise OracleError(f"{command[0]!r} ended with {error.returncode}: {said}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OracleError(str(error)) from error
    return done.stdout

"""KIO and libfm-qt as judges: small programs around their own jobs, compiled where they can be.

Built once for all processes of a suite, beside other temporary files, under a name that tells their
source. The development packages of a distribution say what is needed: KDE's and LXQt's for Qt 5
and Qt 6 lie side by side, and the newer one is taken.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

_SOURCES: Final = Path(__file__).parent / "desktop_clients"
_USR: Final = Path("/usr")
#: Headers of KDE's for Qt 5 want one that Qt's packages have beside their tools.
_QT5: Final = "lib/*/qt5/mkspecs/linux-g++"
_TIMEOUT_S: Final = 300


class _Build(NamedTuple):
    """How a program is compiled against one generation of its libraries."""

    marker: str
    """A folder of headers below /usr that is there if this can be tried."""
    includes: tuple[str, ...]
    """Patterns of folders of headers, below /usr."""
    packages: tuple[str, ...]
    """Of pkg-config."""
    libraries: tuple[str, ...]


_BUILDS: Final = {
    "kio_preview": (
        _Build(
            "include/KF6/KIOGui",
            ("include/KF6/*",),
            ("Qt6Widgets",),
            ("KF6KIOGui", "KF6KIOCore", "KF6CoreAddons"),
        ),
        _Build(
            "include/KF5/KIOWidgets",
            ("include/KF5/*", _QT5),
            ("Qt5Widgets",),
            ("KF5KIOWidgets", "KF5KIOCore", "KF5CoreAddons"),
        ),
    ),
    "libfm_qt_load": (
        _Build("include/libfm-qt6", ("include/libfm-qt6",), ("Qt6Widgets", "gio-2.0"), ("fm-qt6",)),
        _Build("include/libfm-qt", ("include/libfm-qt",), ("Qt5Widgets", "gio-2.0"), ("fm-qt",)),
    ),
}


@cache
def program(name: str) -> Path | None:
    """Return a compiled program; None: what it needs is not installed."""
    source = _SOURCES / f"{name}.cpp"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"pregen-clients-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / f"{name}-{digest}"
    if target.exists():
        return target
    for build in _BUILDS[name]:
        if (_USR / build.marker).is_dir() and _compile(source, target, build):
            return target
    return None


def _compile(source: Path, target: Path, build: _Build) -> bool:
    includes = [f"-I{folder}" for each in build.includes for folder in _USR.glob(each)]
    try:
        flags = subprocess.check_output(
            ["pkg-config", "--cflags", "--libs", *build.packages], text=True, timeout=_TIMEOUT_S
        ).split()
        temporary = f"{target}.{os.getpid()}"
        libraries = [f"-l{library}" for library in build.libraries]
        command = ["g++", "-fPIC", str(source), "-o", temporary, *includes, *flags, *libraries]
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False)
        if done.returncode:
            return False
        os.replace(temporary, target)
    except (OSError, subprocess.SubprocessError):
        return False
    return True

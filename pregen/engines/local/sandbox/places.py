"""What libraries read late: their own code, fonts, tables of the system. Never the user's files."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Programs' own files, which everybody may read; on systems that keep them elsewhere, there too.
_SYSTEM: Final = (
    "/usr", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store", "/app",
    "/etc/fonts", "/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types",
    "/var/cache/fontconfig",
    "/dev/null", "/dev/zero", "/dev/urandom", "/dev/random",
    "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/sys/devices/system/cpu",
)  # fmt: skip
#: What a process asks about itself: its own memory and limits.
_SELF: Final = ("auxv", "cgroup", "limits", "maps", "stat", "statm", "status")


def late_reads() -> Iterator[bytes]:
    """Yield the paths decoders may read besides sources. Some may not be there."""
    for each in _texts():
        yield os.fsencode(each)


def _texts() -> Iterator[str]:
    yield from _SYSTEM
    own = f"/proc/{os.getpid()}"
    yield from (f"{own}/{name}" for name in _SELF)
    for name in ("stdlib", "platstdlib", "purelib", "platlib"):
        yield sysconfig.get_path(name)
    for prefix in {sys.prefix, sys.base_prefix}:
        yield from (f"{prefix}/{below}" for below in ("lib", "lib64", "etc/fonts", "share/fonts"))
    # Of the search path only folders that packages are installed in: the first is often the
    # working directory.
    yield from filter(_holds_packages, sys.path)
    yield sys.modules["pregen"].__path__[0]
    yield from filter(_absolute, os.environ.get("LD_LIBRARY_PATH", "").split(":"))
    yield from _fonts()


def _fonts() -> Iterator[str]:
    """Yield where a user's own fonts and their index are (fonts.conf(5), XDG base directories)."""
    home = Path.home()
    yield from (f"{home}/.fonts", f"{home}/.fonts.conf")
    yield f"{os.environ.get('XDG_DATA_HOME') or f'{home}/.local/share'}/fonts"
    yield f"{os.environ.get('XDG_CONFIG_HOME') or f'{home}/.config'}/fontconfig"
    yield f"{os.environ.get('XDG_CACHE_HOME') or f'{home}/.cache'}/fontconfig"
    named = (os.environ.get(name, "") for name in ("FONTCONFIG_FILE", "FONTCONFIG_PATH"))
    yield from filter(_absolute, named)


def _absolute(path: str) -> bool:
    return path.startswith("/")


def _holds_packages(folder: str) -> bool:
    return _absolute(folder) and next(Path(folder).glob("*.dist-info"), None) is not None

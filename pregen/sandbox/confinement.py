"""What this kernel can confine a process by, and confining the one that asks for it."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.sandbox import landlock, rlimits, seccomp, syscalls
from pregen.sandbox.seccomp import rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pregen.model import AllowedFolders

_TASKS = "/proc/self/task"
#: Programs' own files, which all users may read; on systems that keep them elsewhere, there too.
_SYSTEM: Final = (
    "/usr", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store", "/app",
    "/etc/fonts", "/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types",
    "/var/cache/fontconfig",
    "/dev/null", "/dev/zero", "/dev/urandom", "/dev/random",
    "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/sys/devices/system/cpu",
)  # fmt: skip
#: What a process asks about itself: its own memory and limits.
_SELF: Final = ("auxv", "cgroup", "limits", "maps", "stat", "statm", "status")


class SandboxRefusedError(RuntimeError):
    """The kernel refused what it said it had."""


class SandboxSupport(NamedTuple):
    """What the kernel offers."""

    landlock: int
    """Version of Landlock; 0: none."""
    seccomp: bool
    """System calls can be refused, and this machine's numbers are known."""

    @property
    def complete(self) -> bool:
        """True when nothing that is promised is missing."""
        return bool(self.landlock) and self.seccomp

    def describe(self) -> str:
        """Return what there is and what is missing, for people."""
        there = [f"Landlock {self.landlock}"] * bool(self.landlock) + ["seccomp"] * self.seccomp
        missing = ["Landlock"] * (not self.landlock) + ["seccomp"] * (not self.seccomp)
        found = " and ".join(there) or "resource limits only"
        return f"{found}; this kernel has no {' and no '.join(missing)}" if missing else found


def probe() -> SandboxSupport:
    """Ask the kernel. Changes nothing."""
    if os.uname().sysname != "Linux":
        return SandboxSupport(0, seccomp=False)
    return SandboxSupport(landlock.version(), seccomp.available())


def confine(allowed: AllowedFolders, opened: Mapping[bytes, int]) -> None:
    """Confine this process by all there is; there is no way back.

    Args:
        allowed: what it may use.
        opened: descriptors of folders among these that are not to be looked at, by path.

    Raises:
        SandboxRefusedError: the kernel refuses what it said it had.
    """
    kernel = probe()
    try:
        rlimits.limit_resources()
        if not (kernel.landlock or kernel.seccomp):
            return
        if (threads := len(os.listdir(_TASKS))) != 1:
            raise SandboxRefusedError(f"{threads} threads run already and would not be sandboxed")
        os.umask(0o077)
        rlimits.drop_privileges()
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        if kernel.landlock:
            landlock.confine(_accesses(allowed), opened)
        if kernel.seccomp:
            seccomp.refuse(rules(os.getpid(), gives_rights=allowed.gives_rights))
    except OSError as error:
        raise SandboxRefusedError(
            f"the kernel refuses a sandbox feature it has ({error}): use --sandbox off, and "
            "check the rules of the container or service"
        ) from error


def _accesses(allowed: AllowedFolders) -> Iterator[tuple[bytes, int]]:
    """Yield paths and what may be done there. What is written is never executed."""
    write = landlock.WRITE | (landlock.MAKE_DIR if allowed.gives_rights else 0)
    own = f"/proc/{os.getpid()}"
    of_itself = (f"{own}/{name}" for name in _SELF)
    for path in (*map(os.fsencode, (*late_reads(), *of_itself)), *allowed.reads):
        yield path, landlock.READ
    for path in allowed.writes:
        yield path, write


@cache
def late_reads() -> tuple[str, ...]:
    """Return what libraries read late: their own code, fonts, tables of the system.

    Never a user's files but for fonts. Some may not be there. It is the same for all workers of a
    run, and takes longer to find out than all else that confines one: it is kept.
    """
    return tuple(dict.fromkeys((*_SYSTEM, *_of_libraries(), *_fonts())))


def _of_libraries() -> Iterator[str]:
    yield os.path.dirname(os.__file__)
    for prefix in {sys.prefix, sys.base_prefix}:
        yield from (f"{prefix}/{below}" for below in ("lib", "lib64", "etc/fonts", "share/fonts"))
    # Of the search path only folders that packages are installed in: the first is often the
    # working directory.
    yield from filter(_holds_packages, sys.path)
    yield sys.modules["pregen"].__path__[0]
    yield from filter(_absolute, os.environ.get("LD_LIBRARY_PATH", "").split(":"))


def _fonts() -> Iterator[str]:
    """Yield where a user's own fonts and their index are (fonts.conf(5), XDG base directories)."""
    home = os.path.expanduser("~")
    yield from (f"{home}/.fonts", f"{home}/.fonts.conf")
    yield f"{os.environ.get('XDG_DATA_HOME') or f'{home}/.local/share'}/fonts"
    yield f"{os.environ.get('XDG_CONFIG_HOME') or f'{home}/.config'}/fontconfig"
    yield f"{os.environ.get('XDG_CACHE_HOME') or f'{home}/.cache'}/fontconfig"
    named = (os.environ.get(name, "") for name in ("FONTCONFIG_FILE", "FONTCONFIG_PATH"))
    yield from filter(_absolute, named)


def _absolute(path: str) -> bool:
    return path.startswith("/")


def _holds_packages(folder: str) -> bool:
    if not _absolute(folder):
        return False
    try:
        return any(name.endswith(".dist-info") for name in os.listdir(folder))
    except OSError:
        return False


class WritableFolders:
    """The folders a worker may write in, as they are now.

    The kernel's rules are about folders, not about names. Where a cache is removed and made again
    while a run goes on, a confined worker is shut out of the new one.
    """

    def __init__(self, allowed: AllowedFolders) -> None:
        self._paths = allowed.writes
        self._then = [_identity(path) for path in allowed.writes]

    def replaced(self) -> bool:
        """Tell whether another folder has one of the names, or one has come or gone."""
        return self._then != [_identity(path) for path in self._paths]


def _identity(path: bytes) -> tuple[int, int] | None:
    try:
        there = os.stat(path)
    except OSError:
        return None
    return there.st_dev, there.st_ino

"""Which walls this kernel has, and putting them up around the process that asks for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pregen.engines.local.sandbox import landlock, limits, places, seccomp, system
from pregen.engines.local.sandbox.rules import rules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.model import Places

_TASKS = Path("/proc/self/task")


class SandboxRefusedError(RuntimeError):
    """The kernel refused a wall that it said it had."""


class Walls(NamedTuple):
    """What the kernel offers."""

    landlock: int
    """Version of Landlock; 0: none."""
    seccomp: bool
    """System calls can be refused, and this machine's numbers are known."""

    @property
    def whole(self) -> bool:
        """True when nothing that is promised is missing."""
        return bool(self.landlock) and self.seccomp

    def words(self) -> str:
        """Return what stands and what does not, for people."""
        there = [f"Landlock {self.landlock}"] * bool(self.landlock) + ["seccomp"] * self.seccomp
        missing = ["Landlock"] * (not self.landlock) + ["seccomp"] * (not self.seccomp)
        told = " and ".join(there) or "limits of resources only"
        return f"{told}; this kernel has no {' and no '.join(missing)}" if missing else told


def probe() -> Walls:
    """Ask the kernel. Changes nothing."""
    if os.uname().sysname != "Linux":
        return Walls(0, seccomp=False)
    return Walls(landlock.version(), seccomp.available())


def confine(allowed: Places) -> None:
    """Put up every wall there is around this process; there is no way back.

    Raises:
        SandboxRefusedError: one that should stand does not.
    """
    walls = probe()
    try:
        limits.limit_resources()
        if not (walls.landlock or walls.seccomp):
            return
        if (threads := len(list(_TASKS.iterdir()))) != 1:
            raise SandboxRefusedError(
                f"{threads} threads run already, which a wall would leave outside"
            )
        os.umask(0o077)
        limits.drop_privileges()
        system.prctl(system.PR_SET_NO_NEW_PRIVS, 1)
        if walls.landlock:
            landlock.confine(_accesses(allowed))
        if walls.seccomp:
            seccomp.refuse(rules(os.getpid(), gives_rights=allowed.gives_rights))
    except OSError as error:
        raise SandboxRefusedError(
            f"the kernel refuses a wall it has ({error}): run with --sandbox off, and look at the "
            "rules of the container or service this runs in"
        ) from error


def _accesses(allowed: Places) -> Iterator[tuple[bytes, int]]:
    """Yield paths and what may be done there. What is written is never executed."""
    write = landlock.WRITE | (landlock.MAKE_DIR if allowed.gives_rights else 0)
    for path in (*places.late_reads(), *allowed.reads):
        yield path, landlock.READ
    for path in allowed.writes:
        yield path, write

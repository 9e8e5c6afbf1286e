"""Clients of other releases of Debian: run in a folder that `scripts/desktop-root` has filled.

A root is entered in a mount namespace and a PID namespace of its own. Temporary files have the same
paths within; whatever a client has started ends with it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

_REPOSITORY: Final = Path(__file__).resolve().parents[3]
_SCRIPT: Final = _REPOSITORY / "scripts" / "desktop-root"
SOURCES: Final = Path(__file__).parent / "desktop_clients"
#: Where the root has this folder.
_WITHIN: Final = "/srv"
#: Read at import: every test runs without the variables of the person who started it.
_FOLDER: Final = Path(
    os.environ.get("PREGEN_DESKTOP_ROOTS")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    / "pregen-desktop-roots"
)
#: Its arguments: the root, a folder that is the same within, the scripts; then the command.
_ENTER: Final = """
set -e
root=$1 same=$2
mkdir -p "$root$same"
mount --bind "$same" "$root$same"
mount --bind "$3" "$root/srv"
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
shift 3
exec chroot "$root" "$@"
"""


class DesktopRoot(NamedTuple):
    """The root of a release of Debian, by its code name; it may not have been made."""

    release: str

    @property
    def folder(self) -> Path:
        """Where it is, if it was made of what the script and the programs are now."""
        return _FOLDER / f"{self.release}-{_made_of()}"

    def command(self, *command: str | bytes | Path) -> list[str | bytes | Path]:
        """Return a command that runs a command within; who runs it has to be root."""
        namespaces = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
        shell = ("sh", "-c", _ENTER, "sh", self.folder, tempfile.gettempdir(), SOURCES)
        return [*namespaces, *shell, *command]

    def script(self, name: str) -> Path:
        """Return where one of the scripts beside this module is within."""
        return Path(_WITHIN) / name


BOOKWORM: Final = DesktopRoot("bookworm")
TRIXIE: Final = DesktopRoot("trixie")


@cache
def _made_of() -> str:
    digest = hashlib.sha256(_SCRIPT.read_bytes())
    for source in sorted(SOURCES.glob("*.cpp")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]

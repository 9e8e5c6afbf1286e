"""Places where file systems come and go, known by where desktops and admins put them. Pure.

(standard, Deleting Thumbnails, rule 3: "heuristics which can be used")
"""

from __future__ import annotations

import re
from typing import Final

#: A medium has its folder here, and that folder goes with it. `/media/LABEL` and
#: `/media/USER/LABEL` (udisks in Debian), `/run/media/USER/LABEL` (udisks elsewhere), `/mnt/NAME`
#: by habit (FHS 3.0, 3.12: "temporarily mounted"), the rest from the fstab of older systems.
_REMOVABLE: Final = re.compile(
    rb"""(?: /(?:run/)?media(?:/[^/]+){0,2} | /mnt(?:/[^/]+)? | /(?:cdrom|floppy|zip|dvd) )
    (?=/|\Z)""",
    re.VERBOSE,
)

#: Folders in which a share or a device shows up while it is connected, and the share's own folder
#: in them: gvfs (also its old place), KIO's, autofs' customary maps, cells of AFS.
_SHARES: Final = re.compile(
    rb"""(?P<share>
        /run/user/[0-9]+/[^/]+/[^/]+
      | /(?:home|root)(?:/[^/]+)?/\.gvfs/[^/]+
      | /(?:net|misc|afs)/[^/]+
    )(?=/|\Z)""",
    re.VERBOSE,
)


def medium_of(path: bytes) -> bytes | None:
    """Return the folder of the medium on which a file lies, were one there; None: not a place."""
    found = _REMOVABLE.match(path.rpartition(b"/")[0])
    return found[0] if found else None


def share_of(path: bytes) -> bytes | None:
    """Return the folder that stands for a connected share or device on this path, or None."""
    found = _SHARES.match(path)
    return found["share"] if found else None

"""What deletes thumbnails here to keep within a limit: the settings daemons of desktops.

A run asks at its end, so what is seldom needed, or takes long, is imported and read last.
"""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING, Final

from pregen.desktop_settings import ConfigFolders, matching, read_text
from pregen.thumbspec.naming import thumbnails_root
from pregen.verbs.doctor.readers.tools import library_files, same_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What a session starts, and how that is written: in desktop files, in units of systemd.
_AUTOSTART: Final = "autostart/*ousekeeping*.desktop"
_USER_UNITS: Final = ("/usr/lib/systemd/user", "/etc/systemd/user")
_UNIT: Final = "*ousekeeping*.service"
_MSD_PLUGIN: Final = "mate-settings-daemon/libhousekeeping.so"
_EXEC: Final = re.compile(r"^(?:Try)?Exec(?:Start)?=[-@:+!]*(\S+)", re.MULTILINE)


def installed_housekeepers(config: ConfigFolders) -> frozenset[str]:
    """Return the desktops of which something is installed that deletes entries, by name.

    Found by the program or the plugin itself, and by what a session starts it with; never by
    schemas, which come with programs of any kind.
    """
    started = [
        *(path for folder in (config.own, *config.shared) for path in matching(folder, _AUTOSTART)),
        *(path for folder in _USER_UNITS for path in matching(folder, _UNIT)),
    ]
    programs = {match[1] for path in started for match in _EXEC.finditer(read_text(path))}
    there = {os.path.basename(program) for program in programs if shutil.which(program)}
    there |= {os.path.basename(os.path.dirname(path)) for path in library_files(_MSD_PLUGIN)}
    return _desktops(there)


def running_housekeepers() -> frozenset[str]:
    """Return the desktops of which something runs that deletes entries, by name."""
    import psutil  # noqa: PLC0415 - for the doctor only

    return _desktops({process.info["name"] for process in psutil.process_iter(["name"])})


def _desktops(daemons: set[str]) -> frozenset[str]:
    if not daemons:
        return frozenset()
    from pregen.verbs.doctor.facts import G_DESKTOPS  # noqa: PLC0415 - takes 4 ms

    return frozenset(desktop.name for desktop in G_DESKTOPS if desktop.daemon in daemons)


def limit_passed(environ: Mapping[str, str], home: str, root: bytes, written_bytes: int) -> str:
    """Return what a run says that brought a cache beyond a desktop's limit; else nothing.

    Args:
        environ: The environment whose desktop is meant.
        home: The user's.
        root: The run's cache; desktops delete from their own only.
        written_bytes: By the run.

    Raises:
        CacheError: The cache cannot be listed.
    """
    config = ConfigFolders(environ, home)
    housekeepers = installed_housekeepers(config)
    if (
        not written_bytes
        or not housekeepers
        or not same_folder(root, thumbnails_root(environ, home))
    ):
        return ""
    from pregen.cache.opening import OpenPolicy  # noqa: PLC0415 - seldom needed
    from pregen.cache.store import Cache  # noqa: PLC0415 - likewise
    from pregen.model import ALL_FLAVORS  # noqa: PLC0415 - likewise
    from pregen.verbs.doctor.readers.gsettings import read_gsettings  # noqa: PLC0415 - likewise
    from pregen.verbs.doctor.rules.desktops import passed_limit  # noqa: PLC0415 - likewise

    with Cache(root, policy=OpenPolicy.AS_FOUND) as cache:
        held_bytes = sum(cache.folder(flavor).count().size_bytes for flavor in ALL_FLAVORS)
    return passed_limit(housekeepers, read_gsettings(config), held_bytes, written_bytes)

"""Under which URIs the entries of a source are kept: for whom, and by which of its paths.

Looks for programs, and where links lead; of entries nothing is known here. What each program asks
by is in `thumbspec.clients`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pregen.config import RealPathKeys
from pregen.digests import blake2b
from pregen.filesystems.bounded import BoundedFiles
from pregen.filesystems.live_mounts import LiveMounts
from pregen.filesystems.mounttable import is_below
from pregen.filesystems.shares import share_at
from pregen.thumbspec.clients import (
    BY_KEY,
    COMMON_FORMS,
    AsksBy,
    Paths,
    WantedKeys,
    found,
)
from pregen.thumbspec.naming import Published, clean_path
from pregen.thumbspec.uri import all_uris

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pregen.config import PlanConfig
    from pregen.filesystems.mounttable import MountTable

#: What `--clients` takes besides the keys of the table.
AUTO: Final = "auto"
ALL: Final = "all"
NONE: Final = "none"

#: Where programs and their desktop files are. The environment is not asked: a timer's says little.
_PROGRAM_DIRS: Final = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/games")
_DATA_DIRS: Final = ("/usr/local/share", "/usr/share")
#: Programs from there have a cache of their own.
_SANDBOXED: Final = ("/flatpak/", "/snap/", "/snapd/")


def clients_here(environ: Mapping[str, str], home: str) -> tuple[str, ...]:
    """Return which clients are installed, by executables and desktop files.

    Args:
        environ: names folders.
        home: of the user.
    """
    folders = (*environ.get("PATH", "").split(":"), *_PROGRAM_DIRS)
    data_home = environ.get("XDG_DATA_HOME", "")
    data = (
        data_home if data_home.startswith("/") else f"{home}/.local/share",
        *environ.get("XDG_DATA_DIRS", "").split(":"),
        *_DATA_DIRS,
    )
    places = [(folder, "") for folder in folders]
    places += [(f"{folder}/applications", ".desktop") for folder in data]
    kept = [
        (folder, ending)
        for folder, ending in dict.fromkeys(places)
        if folder.startswith("/") and not any(part in f"{folder}/" for part in _SANDBOXED)
    ]
    return found(
        lambda name: any(os.path.isfile(f"{folder}/{name}{ending}") for folder, ending in kept)
    )


def chosen_clients(names: Iterable[str], here: Iterable[str]) -> tuple[str, ...]:
    """Return the clients that `--clients` names, in the order of the table.

    Args:
        names: as it was given: AUTO, ALL, NONE and keys.
        here: the clients of this machine.
    """
    chosen: set[str] = set()
    for name in names:
        chosen.update({AUTO: here, ALL: BY_KEY, NONE: ()}.get(name, (name,)))
    return tuple(key for key in BY_KEY if key in chosen)


def unserved_link(config: PlanConfig, roots: Iterable[bytes]) -> tuple[bytes, bytes] | None:
    """Return the first of these paths whose files some clients look for elsewhere, and in vain.

    And where it leads; on a share, which is asked for nothing, to its mount point.

    Args:
        config: of the run; it may say whether real paths count.
        roots: absolute and clean.
    """
    served = any(BY_KEY[name].asks_by is AsksBy.REAL for name in config.clients)
    if served or config.realpath_keys is not RealPathKeys.AUTO:
        return None
    mounts = LiveMounts()
    try:
        found = ((root, _leads_to(root, mounts.table)) for root in roots)
        return next(((root, real) for root, real in found if real != root), None)
    finally:
        mounts.close()


def _leads_to(root: bytes, table: MountTable) -> bytes:
    share = share_at(root, table)
    if share is None:
        real = os.path.realpath(root)
        return real if os.path.lexists(real) else root  # what is not there is told by the walk
    return root if is_below(root, share.point) else share.point


def paths_of(path: bytes, files: BoundedFiles) -> Paths:
    """Return the paths by which a file may be asked for; it need not exist."""
    return Paths(path, files.real_file(path), _link_target(path, files))


def _link_target(path: bytes, files: BoundedFiles) -> bytes:
    """Return the path that a symbolic link holds, absolute and clean; of all else its own."""
    try:
        held = files.readlink(path)
    except OSError:
        return path
    return clean_path(held, os.path.dirname(path))


class EntryKeys:
    """Names the entries of sources, as a run is set to.

    Args:
        config: of the run.
        files: looks where links lead; it stays open.
    """

    def __init__(self, config: PlanConfig, files: BoundedFiles | None = None) -> None:
        self.files = files or BoundedFiles()
        real = {RealPathKeys.AUTO: None, RealPathKeys.ALWAYS: True, RealPathKeys.NEVER: False}
        self._wanted = WantedKeys.of(config.clients, real=real[config.realpath_keys])
        self._name = self._wanted.name
        self._published = Published(config.publish) if config.publish else None
        self.follows_links = self._wanted.follows_links
        """Entries are kept under real paths, too."""
        self.served = self._served(config)
        """What a run with these keys does, in words that another run compares with its own."""
        self._plain = self._published is None and not self._wanted.askers

    @staticmethod
    def _served(config: PlanConfig) -> tuple[str, ...]:
        real = config.realpath_keys
        own = [
            client.key
            for client in map(BY_KEY.__getitem__, config.clients)
            if client.form not in COMMON_FORMS
            or (client.asks_by is not AsksBy.WALKED and real is not RealPathKeys.NEVER)
        ]
        own += ["real paths"] if real is RealPathKeys.ALWAYS else []
        return tuple(f"keys of {name}" for name in own)

    def uris(self, path: bytes) -> tuple[str, ...]:
        """Return the URIs under whose keys the entries of a source are kept.

        That of GLib's programs first: of the source's key, and of its fail record.
        """
        if self._plain:
            return all_uris(path)
        base, elsewhere = all_uris(path), path
        if self._published is not None:
            base, elsewhere = self._published.uris(path), self._published.path(path)
        if not elsewhere:
            return base
        paths = Paths(elsewhere, elsewhere, elsewhere)
        if self.follows_links:
            paths = paths_of(path, self.files)
        return tuple(dict.fromkeys((*base, *self._wanted.more(paths))))

    def place(self, folder: bytes) -> bytes:
        """Return by what a folder is remembered: a published one by what it is called elsewhere."""
        return self._published.place(folder) if self._published else folder

    def told_by(self, folder: bytes) -> str:
        """Return what tells the keys of a folder's sources from those of another run's.

        Empty: they are those that every run makes.
        """
        name = self._name
        return f"{name} {self._linked(folder)}".strip() if self.follows_links else name

    def may_be_remembered(self, path: bytes) -> bool:
        """Tell whether a source has these keys for as long as it and its folder do not change."""
        return not (self.follows_links and self.files.is_link(path))

    def _linked(self, folder: bytes) -> str:
        """Return what tells where a folder is really; empty: it is where its path says."""
        real = self.files.real_folder(folder)
        return "" if real == folder else blake2b(real, digest_size=8).hexdigest()

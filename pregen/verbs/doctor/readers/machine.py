"""All facts of this machine, for one user; among them where sandboxes and sessions have caches."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import psutil

from pregen.config import WalkConfig
from pregen.desktop_settings import ConfigFolders, matching, read_text
from pregen.installation import compile_command, is_compiled
from pregen.model import Source
from pregen.originals.mounts import read_mounts
from pregen.screens.facts import screen_facts
from pregen.thumbspec.naming import thumbnails_root
from pregen.verbs.doctor.facts import MachineFacts, OtherRoot, SessionRoot
from pregen.verbs.doctor.readers import desktops
from pregen.verbs.doctor.readers.cache import read_cache, sampled
from pregen.verbs.doctor.readers.gsettings import read_gsettings
from pregen.verbs.doctor.readers.housekeepers import (
    installed_housekeepers,
    running_housekeepers,
)
from pregen.verbs.doctor.readers.shares import read_shares
from pregen.verbs.doctor.readers.thumbnailers import TypeNames, package_manager
from pregen.verbs.doctor.readers.tools import same_folder
from pregen.walk import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pregen.model import Flavor


#: Programs whose environment is that of the login session, or that show thumbnails.
_DESKTOP: Final = re.compile(
    r"gnome-session.*|gnome-shell|nautilus|nemo|nemo-desktop|caja|cinnamon|mate-session|plasmashell"
    r"|startplasma.*|dolphin|xfce4-session|thunar|tumblerd|pcmanfm|pcmanfm-qt|lxqt-session|budgie-.*"
    r"|cosmic-.*|gsd-housekeeping",
    re.IGNORECASE,
)
_ASSIGNMENT: Final = re.compile(
    r"""^\s*(?:export\s+)?XDG_CACHE_HOME\s*(?:=|\s+DEFAULT=)\s*(["']?)([^"'#\n]+)\1""",
    re.MULTILINE,
)


def read_sandboxes(home: str, root: bytes) -> tuple[OtherRoot, ...]:
    """Return the caches of snaps and flatpaks that hold thumbnails and are not the one in use."""
    found = []
    for kind, above, below in (("snap", "snap", "common/.cache"), ("flatpak", ".var/app", "cache")):
        for folder in matching(f"{home}/{above}", "*"):
            cache_home = os.fsencode(f"{folder}/{below}")
            thumbnails = cache_home + b"/thumbnails"
            if os.path.isdir(thumbnails) and not same_folder(thumbnails, root):
                found.append(OtherRoot(kind, os.path.basename(folder), cache_home))
    return tuple(found)


def read_session(home: str, root: bytes) -> tuple[SessionRoot, ...]:
    """Return where the desktop's running programs, or the files that set it up, have the cache."""
    running = tuple(_running(home))
    found = running or tuple(_declared(home))
    return tuple(each for each in found if each.root != root and not same_folder(each.root, root))


def _running(home: str) -> Iterator[SessionRoot]:
    """Yield the desktop programs of this user that run now."""
    own = os.geteuid()
    for process in psutil.process_iter(["name", "uids"]):
        name, uids = process.info["name"] or "", process.info["uids"]
        if uids is None or uids.effective != own or not _DESKTOP.fullmatch(name):
            continue
        with suppress(psutil.Error, OSError):
            environ = process.environ()
            if environ:
                own_home = environ.get("HOME") or home
                yield SessionRoot(name, thumbnails_root(environ, own_home))


def _declared(home: str) -> Iterator[SessionRoot]:
    """Yield the files that set the variable at login."""
    files = [
        "/etc/environment",
        *matching("/etc/environment.d", "*.conf"),
        *matching(f"{home}/.config/environment.d", "*.conf"),
        f"{home}/.pam_environment",
        f"{home}/.profile",
        f"{home}/.xsessionrc",
    ]
    for path in files:
        for match in _ASSIGNMENT.finditer(read_text(path)):
            value = _expanded(match[2].strip(), home)
            if value is not None:
                yield SessionRoot(path, thumbnails_root({"XDG_CACHE_HOME": value}, home))


def _expanded(value: str, home: str) -> str | None:
    """Return a value with the user's home in it; None: it depends on more."""
    for name in ("${HOME}", "$HOME", "@{HOME}", "%h"):
        value = value.replace(name, home)
    if value == "~" or value.startswith("~/"):
        value = home + value[1:]
    return None if "$" in value or "`" in value else value


def sudo_user(environ: Mapping[str, str]) -> str:
    """Return who called this through sudo; empty: no user, or root."""
    user = environ.get("SUDO_USER", "")
    return user if os.geteuid() == 0 and user not in {"", "root"} else ""


def gather(
    environ: Mapping[str, str],
    home: str,
    root: bytes,
    paths: Sequence[bytes],
    private: Callable[[bytes], bytes | None] | None = None,
    named_flavors: tuple[Flavor, ...] = (),
) -> MachineFacts:
    """Read everything that rules ask for.

    Args:
        environ: The environment whose desktop is meant.
        home: The user's.
        root: The cache that is meant.
        paths: Pictures that shall be seen; counted by a walk, which decodes nothing.
        private: Tells where what is private begins above a path; None: nothing is.
        named_flavors: Sizes that the user's settings name.

    Raises:
        CacheError: The cache cannot be listed.
        UsageError: A path does not exist.
    """
    mounts = read_mounts(environ)
    found = walk(WalkConfig(roots=tuple(paths), cache_root=root)) if paths else iter(())
    config = ConfigFolders(environ, home)
    types = TypeNames(config)
    cache, in_cache = read_cache(root, os.fsencode(home), mounts, types, private)
    count, walked = sampled((each for each in found if isinstance(each, Source)), mounts, types)
    seen = (*in_cache, *walked)
    return MachineFacts(
        cache=cache,
        home=os.fsencode(home),
        gsettings=read_gsettings(config),
        housekeepers=installed_housekeepers(config) | running_housekeepers(),
        kde=desktops.read_kde(config),
        thunar=desktops.read_thunar(config),
        tumbler=desktops.read_tumbler(config),
        lx=desktops.read_lx(config),
        sources=seen,
        source_count=count,
        other_roots=read_sandboxes(home, root),
        session_roots=read_session(home, root),
        shares=read_shares([source.path for source in seen if source.remote]),
        sudo_user=sudo_user(environ),
        screens=screen_facts(environ, home, root),
        named_flavors=named_flavors,
        ancestors=types.ancestors({source.mime for source in seen if source.mime}),
        manager=package_manager(),
        root=os.geteuid() == 0,
        compile="" if is_compiled() else compile_command(),
    )

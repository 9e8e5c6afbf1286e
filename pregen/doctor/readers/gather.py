"""All facts of this machine, for one user."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pregen.config import WalkConfig
from pregen.doctor.facts import Facts
from pregen.doctor.readers import desktops, places
from pregen.doctor.readers.cache import CacheReader, sampled
from pregen.doctor.readers.gsettings import read_gsettings
from pregen.model import Source
from pregen.originals.system import read_mounts
from pregen.thumbspec.naming import thumbnails_root
from pregen.walk import walk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def gather(environ: Mapping[str, str], home: str, paths: Sequence[bytes]) -> Facts:
    """Read everything that rules ask for.

    Args:
        environ: The environment whose cache is meant.
        home: The user's.
        paths: Pictures that shall be seen; counted by a walk, which decodes nothing.

    Raises:
        CacheError: The cache cannot be listed.
        UsageError: A path does not exist.
    """
    root = thumbnails_root(environ, home)
    mounts = read_mounts(environ)
    found = walk(WalkConfig(roots=tuple(paths), cache_root=root)) if paths else iter(())
    cache, in_cache = CacheReader(root, mounts).read()
    count, walked = sampled((each for each in found if isinstance(each, Source)), mounts)
    config = desktops.Config(environ, home)
    return Facts(
        cache=cache,
        home=os.fsencode(home),
        gsettings=read_gsettings(environ, home),
        kde=desktops.read_kde(config),
        thunar=desktops.read_thunar(config),
        tumbler=desktops.read_tumbler(config),
        lx=desktops.read_lx(config),
        sources=(*in_cache, *walked),
        source_count=count,
        other_roots=places.read_sandboxes(home, root),
        session_roots=places.read_session(home, root),
        sudo_user=places.sudo_user(environ),
    )

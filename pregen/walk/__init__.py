"""From roots to sources: what there is to make thumbnails of. Lists folders, opens no file.

    walk(config) -> Source | Skip, one after the other, as they are found

What a rule leaves out below a root (hidden, pruned, not chosen by a pattern, a name that cannot be
a picture's) is only counted. A skip is yielded for what the user may miss: what could not be
read, what vanished, special files, and folders left out for a reason that their name does not tell.
What the user names is taken: no rule but that against thumbnails of thumbnails applies to a root
itself, whether a file or a folder (a `.nomedia` in it included).
"""

from __future__ import annotations

import os
import tempfile
from itertools import chain
from typing import TYPE_CHECKING

from pregen.config import Order
from pregen.walk.filters import Caches, Globs
from pregen.walk.order import in_order, of_shard
from pregen.walk.roots import FolderRoot, below, look_at_roots, sources_from_list, working_directory
from pregen.walk.tree import Tree, WalkContext, WalkCounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pregen.config import WalkConfig
    from pregen.model import Skip, Source

__all__ = ["WalkCounts", "below", "sources_from_list", "walk", "working_directory"]


def walk(
    config: WalkConfig,
    *,
    cwd: bytes | None = None,
    listed: Iterable[Source | Skip] = (),
    counts: WalkCounts | None = None,
    spool_dir: bytes | None = None,
) -> Iterator[Source | Skip]:
    """Yield every source below the roots, and what `listed` gives after them.

    Roots are looked at before this returns; the rest is lazy. A source is yielded once, even when
    roots overlap: a root inside another is walked when its turn comes. With another order than
    that of the walk, sources come after the walk has ended.

    Args:
        config: the roots and the rules.
        cwd: where relative roots start; by default `working_directory(os.environ)`.
        listed: from `sources_from_list`, put in order with the others.
        counts: kept up to date while the walk goes on.
        spool_dir: for the sources while they are put in order; by default the system's.

    Raises:
        UsageError: a root does not exist, or a pattern makes no sense.
    """
    globs = Globs(config.include, config.exclude)
    caches = Caches(config.cache_root)
    relative = any(not root.startswith(b"/") for root in config.roots)
    start = cwd or (working_directory(os.environ) if relative else b"/")
    roots = look_at_roots(config.roots, start, caches)
    folders = frozenset(root.path for root in roots if isinstance(root, FolderRoot))
    files = frozenset(root.path for root in roots if not isinstance(root, FolderRoot))
    context = WalkContext(config, globs, caches, folders, files, counts or WalkCounts())
    found: Iterator[Source | Skip] = chain(_sources(roots, context), listed)
    if config.shard is not None:
        found = of_shard(found, config.shard)
    if config.order is Order.WALK:
        return found
    return in_order(found, config.order, spool_dir or os.fsencode(tempfile.gettempdir()))


def _sources(
    roots: list[FolderRoot | Source | Skip], context: WalkContext
) -> Iterator[Source | Skip]:
    for root in roots:
        if isinstance(root, FolderRoot):
            yield from Tree(root.path, context)
        else:
            yield root

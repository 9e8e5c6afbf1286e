"""One tree over several machines without an engine between them: a stable split of its sources.

Each machine walks the whole tree and keeps what is its own. The shares are disjoint, together they
are everything, and a source stays with its machine whatever else comes or goes. They must all see
the tree under the same path, because the path is what decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import xxhash

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pregen.config import Shard
    from pregen.model import Skip, Source


def shard_of(path: bytes, count: int) -> int:
    """Return which of `count` shards a path belongs to, from 1 on."""
    return xxhash.xxh3_64_intdigest(path) % count + 1


def of_shard(found: Iterable[Source | Skip], shard: Shard) -> Iterator[Source | Skip]:
    """Yield what belongs to `shard`. What cannot be read is told by one machine, too."""
    for each in found:
        if shard_of(each.path, shard.total) == shard.number:
            yield each

"""How large a cache will be."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pregen.doctor.facts import Facts

#: Of entries in `normal` and `large` together: 35,000 photos took 4.5 GB (the issue), the 352 of
#: the README 45 MB.
USUAL_BYTES_PER_SOURCE = 128_000
#: A mean of fewer says little.
_ENOUGH = 100
#: An entry is a file, and there are two flavors.
INODES_PER_SOURCE = 2


def bytes_per_source(facts: Facts) -> float:
    """Return what the entries of a picture take, measured where there are enough of them."""
    cache = facts.cache
    return cache.size_bytes / cache.keys if cache.keys >= _ENOUGH else USUAL_BYTES_PER_SOURCE


def expected_bytes(facts: Facts) -> int:
    """Return what the cache will hold once all known pictures have their entries."""
    return max(facts.cache.size_bytes, round(facts.source_count * bytes_per_source(facts)))


def missing_sources(facts: Facts) -> int:
    """Return for how many pictures there is room to be found still."""
    return max(0, facts.source_count - facts.cache.keys)

"""Is there a fresh entry of one file? For who asks for single files, and makes none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pregen.thumbspec.naming import entry_name
from pregen.thumbspec.validity import HEAD_BYTES, Ending, Freshness, judge

if TYPE_CHECKING:
    from pregen.cache.folder import Folder
    from pregen.model import Flavor

_USABLE: Final = frozenset({Freshness.FRESH, Freshness.REFIT})


def has_fresh(folder: Folder, flavor: Flavor, uri: str, mtime_ns: int, size_bytes: int) -> bool:
    """Tell whether the entry of a source is of the source as it is now, and whole.

    Fresh by the standard (Detect Modifications): an entry whose texts only some desktops take
    counts too.

    Args:
        folder: of the flavor.
        flavor: likewise.
        uri: under whose key it is kept.
        mtime_ns: of the source.
        size_bytes: of the source.

    Raises:
        CacheError: the cache cannot be read: out of descriptors or memory.
    """
    name = entry_name(uri)
    found = folder.examine(name, HEAD_BYTES)
    if found is None:
        return False
    ending = Ending(found.stamp.size_bytes, found.end) if found.end else None
    judged = judge(
        found.data, flavor, uri, mtime_ns, size_bytes, whole=ending is None, ending=ending
    )
    if judged.verdict is Freshness.NEED_MORE:
        judged = judge(folder.read(name), flavor, uri, mtime_ns, size_bytes, whole=True)
    return judged.verdict in _USABLE

"""pregen: fills the freedesktop thumbnail cache for whole photo libraries.

For other programs: `uri`, `entry_path`, `lookup`, `thumbnails` (see `pregen.library`), and the
values they give. They are imported when asked for: every worker imports this module.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pregen.errors import CacheError, LockedError, MissingLibraryError, PregenError
    from pregen.library import Thumbnail, entry_path, lookup, thumbnails, uri
    from pregen.model import FAILURES, Flavor, Kind, Outcome

__version__ = "0.1.0"

__all__ = [
    "FAILURES",
    "CacheError",
    "Flavor",
    "Kind",
    "LockedError",
    "MissingLibraryError",
    "Outcome",
    "PregenError",
    "Thumbnail",
    "__version__",
    "entry_path",
    "lookup",
    "thumbnails",
    "uri",
]

_HOMES = {
    **dict.fromkeys(("FAILURES", "Flavor", "Kind", "Outcome"), "pregen.model"),
    **dict.fromkeys(
        ("CacheError", "LockedError", "MissingLibraryError", "PregenError"), "pregen.errors"
    ),
    **dict.fromkeys(("Thumbnail", "entry_path", "lookup", "thumbnails", "uri"), "pregen.library"),
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'pregen' has no attribute {name!r}")
    return getattr(import_module(home), name)

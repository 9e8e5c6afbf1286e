"""Whose an entry is that does not say so, or says it wrongly: found by its name, the key.

A key cannot be turned back into a URI. But the entries of one original have one key in all flavors,
the journal knows the sources of every run, and a user who names folders says where to look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pregen.thumbspec.naming import clean_path, key
from pregen.thumbspec.pngchunks import PngError
from pregen.thumbspec.pngtext import URI
from pregen.thumbspec.uri import all_uris, path_from_uri

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pregen.storage.inventory import ItemFolder


def by_path(keys: set[str], paths: Iterable[bytes]) -> dict[str, bytes]:
    """Return those of the paths that have one of these keys, by key."""
    found: dict[str, bytes] = {}
    for path in paths:
        for uri in all_uris(path):
            name = key(uri)
            if name in keys:
                found[name] = path
        if len(found) == len(keys):
            break
    return found


def by_siblings(keys: set[str], folders: Iterable[ItemFolder]) -> dict[str, bytes]:
    """Return the originals that sound entries of other flavors, or fail records, name, by key."""
    found: dict[str, bytes] = {}
    for folder in folders:
        for name in keys - found.keys():
            item = folder.item(name.encode() + b".png")
            if item is None:
                continue
            try:
                uris = item.head().values(URI)
            except (OSError, PngError):
                continue
            paths = [path_from_uri(uri) for uri in uris if key(uri) == name]
            if paths and paths[0] is not None:
                found[name] = clean_path(paths[0], b"/")
    return found

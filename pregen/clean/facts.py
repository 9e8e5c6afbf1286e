"""Reads what an entry says of itself, as far as a selection needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pregen.clean.selection import Facts
from pregen.thumbspec.naming import clean_path, key
from pregen.thumbspec.pngchunks import PngError
from pregen.thumbspec.pngtext import URI
from pregen.thumbspec.uri import path_from_uri

if TYPE_CHECKING:
    from pregen.storage.inventory import Item
    from pregen.thumbspec.pngtext import PngHead


def facts_of(item: Item, *, read: bool) -> Facts | None:
    """Return the facts of an entry; None: it is gone.

    Args:
        item: The entry.
        read: Also read its texts. Otherwise only what stat says is known.
    """
    found = item.stat
    facts = Facts(
        program=item.folder.program,
        size_bytes=found.st_size,
        used_ns=used_ns(item),
        written_ns=found.st_mtime_ns,
    )
    if not read:
        return facts
    try:
        head = item.head()
    except PngError as error:
        return facts._replace(damage=str(error))
    except FileNotFoundError:
        return None
    except OSError:
        return facts._replace(readable=False)
    uri = _uri(head, item.key)
    damage = "" if uri else f"does not say whose it is ({URI})"
    path = path_from_uri(uri)
    path = None if path is None else clean_path(path, b"/")
    return facts._replace(head=head, uri=uri, path=path, damage=damage)


def used_ns(item: Item) -> int:
    """Return when an entry was last read or written.

    Many file systems record reading only when it is the first after writing or once a day
    (relatime), some never: then it is the time of writing.
    """
    return max(item.stat.st_atime_ns, item.stat.st_mtime_ns)


def _uri(head: PngHead, wanted: str) -> str:
    """Return the URI of which the file's name is the key, or the first one."""
    uris = head.values(URI)
    return next((uri for uri in uris if key(uri) == wanted), uris[0]) if uris else ""

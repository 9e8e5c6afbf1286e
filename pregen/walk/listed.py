"""`--files-from`: sources from a list, one path after the other, as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from pregen.errors import UsageError
from pregen.model import Kind, Skip, Source
from pregen.thumbspec.naming import clean_path
from pregen.walk.caches import Caches
from pregen.walk.roots import Folder, look_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BLOCK_BYTES = 64 * 1024
#: Sixteen times the longest path Linux takes: no list, or the wrong delimiter.
_LONGEST_BYTES = 64 * 1024
#: Paths remembered to drop doubles: 15 MB. A double further apart is looked at twice, no harm done.
_REMEMBERED = 100_000


def sources_from_list(
    stream: BinaryIO, delimiter: bytes, cwd: bytes, cache_root: bytes = b""
) -> Iterator[Source | Skip]:
    """Yield the sources a list names; relative paths start from `cwd`.

    They were named, so no rule for hidden files, extensions or patterns applies. A missing one is
    a skip: lists age. A folder is a skip too: lists of `find` name folders along with their files.

    Raises:
        UsageError: what the stream gives is no list with this delimiter.
    """
    caches = Caches(cache_root)
    seen: set[bytes] = set()
    for item in _items(stream, delimiter):
        path = clean_path(item, cwd)
        if path in seen:
            continue
        if len(seen) >= _REMEMBERED:
            seen.clear()
        seen.add(path)
        found = look_at(path, caches)
        if isinstance(found, Folder):
            yield Skip(path, Kind.EXCLUDED, "a folder in a list of files; name it as an argument")
        else:
            yield found


def _items(stream: BinaryIO, delimiter: bytes) -> Iterator[bytes]:
    # read1 gives what a pipe holds now; read would wait until the block is full.
    read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
    rest = b""
    while block := read(_BLOCK_BYTES):
        *items, rest = (rest + block).split(delimiter)
        if len(rest) > _LONGEST_BYTES:
            raise UsageError(
                f"The list of files has no delimiter {delimiter!r} for {len(rest)} bytes. "
                "Lists made with -print0 or -z need -0, others must not have it."
            )
        yield from filter(None, items)
    if rest:
        yield rest

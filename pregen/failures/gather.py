"""Reads what failed from the journal and from the fail records of all programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pregen.failures.model import TOLD, Failed, Said, joined
from pregen.model import Kind
from pregen.originals.sight import judge
from pregen.thumbspec.naming import clean_path
from pregen.thumbspec.pngbuild import number
from pregen.thumbspec.pngchunks import PngError
from pregen.thumbspec.pngtext import MTIME, SIZE, URI
from pregen.thumbspec.uri import file_uri, path_from_uri

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.journal import Journal
    from pregen.originals.examiner import Examiner
    from pregen.storage.inventory import Inventory, Item


def gather(journal: Journal, inventory: Inventory, examiner: Examiner) -> list[Failed]:
    """Return everything that failed and has not been made since, by path.

    Raises:
        CacheError: the cache cannot be read.
    """
    said = [*_from_journal(journal), *from_records(inventory)]
    written_ns: dict[bytes, int] = {}
    for each in said:
        if each.path is not None:
            written_ns[each.path] = max(each.at_ns, written_ns.get(each.path, 0))
    sights = examiner.look(list(written_ns)) if written_ns else {}
    originals = {
        path: judge(path, sight, examiner.mounts, written_ns[path])
        for path, sight in sights.items()
    }
    return joined(said, originals)


def from_records(inventory: Inventory) -> Iterator[Said]:
    """Yield what fail records say; those that cannot be read say nothing.

    Raises:
        CacheError: the cache cannot be read.
    """
    for item in records(inventory):
        try:
            head = item.head()
        except (OSError, PngError):
            continue
        uri = head.first(URI)
        path = path_from_uri(uri)
        size = head.first(SIZE)
        seconds = number(head.first(MTIME).partition(".")[0])
        if uri:
            yield Said(
                None if path is None else clean_path(path, b"/"),
                uri,
                None,
                "",
                item.stat.st_mtime_ns,
                number(size) if size else None,
                seconds or None,
                item.folder.program,
            )


def records(inventory: Inventory) -> Iterator[Item]:
    """Yield the fail records of all programs.

    Raises:
        CacheError: the cache cannot be read.
    """
    for folder in inventory.folders():
        if folder.flavor is None:
            yield from folder.items()


def _from_journal(journal: Journal) -> Iterator[Said]:
    for row in journal.outcomes(TOLD):
        # One that was gone, or could not be looked at, has no size and no time.
        looked = row.kind not in {Kind.VANISHED, Kind.UNREADABLE}
        yield Said(
            row.path,
            file_uri(row.path),
            row.kind,
            row.message,
            row.seen_at_ns,
            row.size_bytes if looked else None,
            row.mtime_ns // 10**9 if looked else None,
        )

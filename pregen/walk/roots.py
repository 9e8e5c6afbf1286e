"""What the user named: paths made absolute and clean, looked at once, before the walk begins."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from pregen.errors import UsageError
from pregen.filesystems.bounded import BoundedFiles
from pregen.model import Kind, Skip, Source
from pregen.thumbspec.naming import clean_path
from pregen.walk.filters import Caches
from pregen.walk.tree import skip_for, source_or_special

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping


#: Of many missing roots, so many are named.
_SHOWN = 5
#: More than a person types, and every worker opens each at its start.
_MOST_FOLDERS = 1000
IN_CACHE = "in a thumbnail cache: thumbnails get no thumbnails"


class FolderRoot(NamedTuple):
    """A root to be walked."""

    path: bytes


def working_directory(environ: Mapping[str, str]) -> bytes:
    """Return the directory relative paths start from, as the user sees it.

    `$PWD` keeps the symlinks a shell went through, and file managers key thumbnails by the path
    that is browsed. It counts only while it is clean and really leads here (POSIX, `pwd -L`).

    Raises:
        UsageError: the working directory was deleted.
    """
    try:
        here = os.stat(b".")
        physical = os.getcwdb()
    except OSError as error:
        raise UsageError(
            f"The working directory cannot be used ({error.strerror}). Change to one that exists."
        ) from error
    logical = os.fsencode(environ.get("PWD", ""))
    if not logical.startswith(b"/") or {b".", b".."} & set(logical.split(b"/")):
        return physical
    try:
        return logical if os.path.samestat(os.stat(logical), here) else physical
    except OSError:
        return physical


def look_at_roots(
    roots: Iterable[bytes], cwd: bytes, caches: Caches, files: BoundedFiles
) -> list[FolderRoot | Source | Skip]:
    """Return what each root is, each path once, in the order given.

    Raises:
        UsageError: one or more of them do not exist.
    """
    paths: dict[bytes, None] = {}
    for root in roots:
        if not root:
            raise UsageError("A path is empty. Give the folders or files to process.")
        paths[clean_path(root, cwd)] = None
    found: list[FolderRoot | Source | Skip] = []
    missing: list[str] = []
    for path in paths:
        item = look_at(path, caches, files)
        if isinstance(item, Skip) and item.kind is Kind.VANISHED:
            missing.append(_named(path))
        else:
            found.append(item)
    if missing:
        names = ", ".join(missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise UsageError(f"No such file or folder: {names}{more}. Check the spelling, or mount it.")
    return found


def _named(path: bytes) -> str:
    """Return the name of what is not there; a dangling link with where it leads."""
    name = path.decode("utf-8", "backslashreplace")
    with suppress(OSError):
        return f"{name} (a link to {os.readlink(path).decode('utf-8', 'backslashreplace')})"
    return name


def folder_roots(
    roots: Iterable[bytes], cwd: bytes, files: BoundedFiles, *, of_files: bool = False
) -> tuple[bytes, ...]:
    """Return the roots that are folders, absolute, the first `_MOST_FOLDERS` of them.

    Args:
        roots: As the user gave them.
        cwd: Where relative ones start.
        files: Looks at them.
        of_files: Also the folders of those that are files.
    """
    found: dict[bytes, None] = {}
    for root in roots:
        path = clean_path(root, cwd)
        if files.is_folder(path):
            found[path] = None
        elif of_files:
            found[os.path.dirname(path)] = None
        if len(found) >= _MOST_FOLDERS:
            break
    return tuple(found)


def look_at(path: bytes, caches: Caches, files: BoundedFiles) -> FolderRoot | Source | Skip:
    """Return what is at a path the user named. It may be hidden and have any extension."""
    try:
        status = files.stat(path)
    except OSError as error:
        return skip_for(path, error, files)
    except ValueError:
        return Skip(
            path, Kind.VANISHED, "a name cannot contain a zero byte; use -0 for such a list"
        )
    is_folder = stat.S_ISDIR(status.st_mode)
    if caches.holds(path if is_folder else os.path.dirname(path)):
        return Skip(path, Kind.EXCLUDED, IN_CACHE)
    if is_folder:
        return FolderRoot(path)
    return source_or_special(path, status)


# Sources named one by one: by `--files-from`, by another verb, by another program.

_BLOCK_BYTES = 64 * 1024
#: Sixteen times the longest path Linux takes: no list, or the wrong delimiter.
_LONGEST_BYTES = 64 * 1024
#: Paths remembered to drop doubles: 15 MB. A double further apart is looked at twice, no harm done.
_REMEMBERED = 100_000


def sources_from_list(
    stream: BinaryIO,
    delimiter: bytes,
    cwd: bytes,
    cache_root: bytes = b"",
    files: BoundedFiles | None = None,
) -> Iterator[Source | Skip]:
    """Yield the sources a list names, each once; relative paths start from `cwd`.

    Raises:
        UsageError: what the stream gives is not a list with this delimiter.
    """
    paths = (clean_path(item, cwd) for item in _items(stream, delimiter))
    folder_note = "a folder in a list of files; give it as an argument"
    for found in named_sources(_once(paths), cache_root, folder_note, files):
        if isinstance(found, Skip) and found.kind is Kind.VANISHED:
            yield Skip(found.path, found.kind, _why_missing(found), listed=True)
        else:
            yield found


def _why_missing(skip: Skip) -> str:
    if skip.path.endswith(b"\r"):
        return "the line ends with a carriage return: convert the list (dos2unix)"
    return skip.message if "link" in skip.message or "zero byte" in skip.message else "no such file"


def named_sources(
    paths: Iterable[bytes],
    cache_root: bytes,
    folder_note: str = "a folder; give the files in it",
    files: BoundedFiles | None = None,
) -> Iterator[Source | Skip]:
    """Yield what is at each of these paths, absolute and clean, looked at as it is asked for.

    They were named, so no rule for hidden files, extensions or patterns applies. A missing one is
    a skip: lists age. A folder is a skip too: lists of `find` name folders along with their files.

    Args:
        paths: of files.
        cache_root: the thumbnails directory in use: nothing in it is a source.
        folder_note: what to say of a folder.
        files: looks at them; by default one of its own.
    """
    looks = files or BoundedFiles()
    try:
        caches = Caches(cache_root, looks)
        for path in paths:
            found = look_at(path, caches, looks)
            yield Skip(path, Kind.EXCLUDED, folder_note) if isinstance(found, FolderRoot) else found
    finally:
        if files is None:
            looks.close()


def _once(paths: Iterable[bytes]) -> Iterator[bytes]:
    """Leave out paths that came before, not too long ago."""
    seen: set[bytes] = set()
    for path in paths:
        if path in seen:
            continue
        if len(seen) >= _REMEMBERED:
            seen.clear()
        seen.add(path)
        yield path


def _items(stream: BinaryIO, delimiter: bytes) -> Iterator[bytes]:
    # read1 gives what a pipe holds now; read would wait until the block is full.
    read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
    rest = b""
    while block := read(_BLOCK_BYTES):
        *items, rest = (rest + block).split(delimiter)
        if len(rest) > _LONGEST_BYTES:
            raise UsageError(
                f"The list of files has no delimiter {delimiter!r} for {len(rest)} bytes. "
                "Lists made with -print0 or -z need -0; others must not use it."
            )
        yield from filter(None, items)
    if rest:
        yield rest

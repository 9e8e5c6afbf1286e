"""Turns an OSError of the cache into an error of the run whose message says what to do next.

Does not know sources: what goes wrong with one of those is a value, see `pregen.source_file`.
"""

from __future__ import annotations

import errno
import os

from pregen.errors import TOO_MANY_OPEN, CacheError, CacheFullError
from pregen.model import Kind

#: EFBIG is a limit on the size of a file (`ulimit -f`): no more room, like a quota.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_GONE = frozenset({errno.ENOENT, errno.ESTALE})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})

_MAKE_ROOM = (
    "free some space, or choose another cache (--cache, XDG_CACHE_HOME), then run again; "
    "finished thumbnails stay"
)


class FolderGoneError(CacheError):
    """The folder, or the temporary file in it, was removed during the run."""


def let_go(fd: int) -> None:
    """Close what nothing was written to. An error of close loses nothing, and it is closed."""
    try:  # noqa: SIM105 - `suppress` costs a microsecond, and a full check does this 200,000 times
        os.close(fd)
    except OSError:
        pass


def shown(path: bytes) -> str:
    """Return a path for a message; bytes that are not UTF-8 appear as hexadecimal escapes."""
    return path.decode("utf-8", "backslashreplace")


def cache_error(error: OSError, path: bytes) -> CacheError:
    """Return what to raise for an OSError met at `path`, a folder or a file of the cache."""
    where, why = shown(path), error.strerror or str(error)
    if error.errno in _FULL:
        return CacheFullError(_no_space(where, why), why)
    if error.errno in _GONE:
        return FolderGoneError(
            f"{where} disappeared while it was in use ({why}): make sure that no program cleans "
            "the cache or unmounts its disk, then run again"
        )
    return CacheError(f"{where}: {why}; {_advice(error.errno)}")


def kind_of(error: CacheError) -> Kind:
    """Return the kind of an outcome whose entry could not be stored because of this."""
    return Kind.CACHE_FULL if isinstance(error, CacheFullError) else Kind.CACHE_ERROR


def text_of(error: CacheError) -> str:
    """Return what is told of one source of which an entry could not be stored."""
    return error.brief if isinstance(error, CacheFullError) else str(error)


def error_of(kind: Kind, message: str, root: bytes) -> CacheError | None:
    """Return what ends a run because of an outcome: every further source would meet the same.

    Args:
        kind: of the outcome.
        message: its text, as `text_of` gives it, or the error's own.
        root: the cache, or where else there is no space.
    """
    if kind is Kind.CACHE_FULL:
        whole = message if _MAKE_ROOM in message else _no_space(shown(root), message)
        return CacheFullError(whole, message)
    return CacheError(message) if kind is Kind.CACHE_ERROR else None


def _no_space(where: str, why: str) -> str:
    return f"no space for another thumbnail in {where} ({why}): {_MAKE_ROOM}"


def _advice(number: int | None) -> str:
    if number in _FORBIDDEN:
        return "make it writable for your user, or choose another cache (--cache, XDG_CACHE_HOME)"
    if number == errno.EROFS:
        return "mount it writable, or choose another cache (--cache, XDG_CACHE_HOME)"
    if number in TOO_MANY_OPEN:
        return "allow more open files (ulimit -n), then run again"
    if number in {errno.ENOTDIR, errno.EISDIR, errno.ELOOP}:
        return "something else has the name of a cache folder or thumbnail: move it away"
    return "check the disk of the cache, or choose another cache (--cache, XDG_CACHE_HOME)"

"""Whether a node can do a run's work: the same pregen, the same sources, the same cache.

A mount that is missing on one node of forty would otherwise show as a fortieth of all photos
"vanished", or as thumbnails on a disk where no desktop looks for them.
"""

from __future__ import annotations

import os
import socket
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from pregen import __version__
from pregen.engines.dask.messages import NodeSetup, UnfitError
from pregen.errors import CacheError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.model import Source

_NAME: Final = b".pregen-probe-"
_S: Final = 1_000_000_000


@contextmanager
def probe_file(cache_root: bytes, token: str) -> Iterator[None]:
    """Have a file in the cache by which nodes recognise it, for as long as the run lasts.

    Raises:
        CacheError: it cannot be written.
    """
    path = _probe_path(cache_root, token)
    try:
        _create(path, token.encode())
    except OSError as error:
        raise CacheError(
            f"{path.decode(errors='replace')} cannot be written: {error.strerror}. "
            "Free some space or mend the rights of the folder, then run again."
        ) from error
    try:
        yield
    finally:
        # our own, and what nodes have put beside it; on a share that has just gone they stay
        with suppress(OSError), os.scandir(cache_root) as entries:
            for each in entries:
                if each.name.startswith(_NAME + token.encode()):
                    with suppress(OSError):
                        os.unlink(each.path)


def prove(setup: NodeSetup) -> bytes:
    """Look, on a node, at all that the run needs there; return the name of an answer in the cache.

    Raises:
        UnfitError: something is missing, or is not the same as on the client.
    """
    if setup.version != __version__:
        raise _unfit(
            f"has pregen {__version__}, this machine {setup.version}. "
            "Install the same version on both."
        )
    for sample in setup.samples:
        _same_source(sample)
    return b"" if setup.collect else _same_cache(setup.work_config.cache_root, setup.token)


def check_answer(cache_root: bytes, node: str, answer: bytes) -> None:
    """Find a node's answer in the cache, and remove it.

    Raises:
        UnfitError: it is not there.
    """
    path = os.path.join(cache_root, answer)
    if not os.path.lexists(path):
        raise UnfitError(
            f"What the node {node} writes into the cache does not arrive here. "
            "Mount the same folder on both, or have the entries sent back: --collect."
        )
    with suppress(OSError):
        os.unlink(path)


def _same_source(sample: Source) -> None:
    """A network share keeps a file's time to the second at least (FAT: to two)."""
    shown = sample.path.decode(errors="backslashreplace")
    try:
        facts = os.stat(sample.path)
    except OSError as error:
        raise _unfit(
            f"cannot see {shown}: {error.strerror}. Mount the sources there under the same path."
        ) from error
    apart_ns = abs(facts.st_mtime_ns - sample.mtime_ns)
    if facts.st_size != sample.size_bytes or apart_ns > 2 * _S:
        raise _unfit(
            f"has another file as {shown} than this machine "
            f"({facts.st_size} bytes, here {sample.size_bytes}). "
            "Mount the same sources under the same path."
        )


def _same_cache(cache_root: bytes, token: str) -> bytes:
    shown = cache_root.decode(errors="backslashreplace")
    mend = "Mount the same folder there, or have the entries sent back: --collect."
    try:
        with open(_probe_path(cache_root, token), "rb") as file:
            found = file.read()
    except OSError as error:
        raise _unfit(
            f"does not share the cache {shown} "
            f"(a file written here is not there: {error.strerror}). {mend}"
        ) from error
    if found != token.encode():
        raise _unfit(f"reads other things in {shown} than are there. {mend}")
    answer = b"%s%s.%s" % (_NAME, token.encode(), uuid.uuid4().hex.encode())
    try:
        _create(os.path.join(cache_root, answer), b"")
    except OSError as error:
        raise _unfit(f"cannot write the cache {shown}: {error.strerror}. {mend}") from error
    return answer


def _unfit(said: str) -> UnfitError:
    return UnfitError(f"The node {socket.gethostname()} {said}")


def _probe_path(cache_root: bytes, token: str) -> bytes:
    return os.path.join(cache_root, _NAME + token.encode())


def _create(path: bytes, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)

"""What a run and its clients say to each other, and where (see the package)."""

from __future__ import annotations

import os
import socket
import stat
import struct
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.digests import md5
from pregen.model import Kind
from pregen.private_folders import make_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GREETING: Final = b"pregen requests 1"
OK: Final = b"ok"
#: PATH_MAX of Linux, its NUL included: no longer name can be opened.
FIELD_BYTES: Final = 4096
READ_BYTES: Final = 1 << 16
#: Paths of one client that wait for their outcomes; it may send more when these are done.
WAITING: Final = 500
#: unix(7): so long may the path of a socket be.
_PATH_BYTES: Final = 107
_MESSAGE_CHARS: Final = 2000
_CREDENTIALS: Final = struct.Struct("3i")


class FileAnswer(NamedTuple):
    """What became of one file."""

    path: bytes
    kind: Kind
    message: str = ""
    mime: str = ""
    extra: str = ""
    entries_written: int = 0

    def encoded(self) -> bytes:
        """Return it as fields."""
        texts = (self.kind.value, str(self.entries_written), self.mime, self.extra)
        said = (*texts, self.message[:_MESSAGE_CHARS])
        fields = [text.encode("utf-8", "replace").replace(b"\0", b" ") for text in said]
        return b"\0".join([*fields, self.path, b""])

    @classmethod
    def decoded(cls, fields: Sequence[bytes]) -> FileAnswer:
        """Return what some fields say.

        Raises:
            ConnectionError: they make no sense.
        """
        kind, entries, mime, extra, message = (
            text.decode("utf-8", "replace") for text in fields[:-1]
        )
        try:
            return cls(fields[-1], Kind(kind), message, mime, extra, int(entries))
        except ValueError as error:
            raise ConnectionError from error


FIELDS: Final = 6


def socket_path(cache_root: bytes, environ: Mapping[str, str]) -> bytes | None:
    """Return where the run on a cache listens; None: there is no folder that is ours alone.

    In `$XDG_RUNTIME_DIR` (XDG Base Directory: owned by the user, mode 0700), else below the
    system's folder for temporary files. The folder is made if need be.
    """
    uid = os.geteuid()
    places = [os.path.join(os.fsencode(tempfile.gettempdir()), b"pregen-%d" % uid)]
    runtime = os.fsencode(environ.get("XDG_RUNTIME_DIR", ""))
    if runtime.startswith(b"/"):
        places.insert(0, os.path.join(runtime, b"pregen"))
    name = md5(cache_root, usedforsecurity=False).hexdigest().encode() + b".sock"
    for place in places:
        if len(place) + len(name) >= _PATH_BYTES:
            continue
        with suppress(OSError):
            make_folder(place)
            facts = os.lstat(place)
            ours = stat.S_ISDIR(facts.st_mode) and facts.st_uid == uid
            if ours and not facts.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                return os.path.join(place, name)
    return None


def peer(end: socket.socket) -> tuple[int, int]:
    """Return the process at the other end, and its user."""
    data = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process_id, uid, _ = _CREDENTIALS.unpack(data)
    return process_id, uid


def is_ours(end: socket.socket) -> bool:
    """Tell whether the other end is a process of our user."""
    try:
        return peer(end)[1] == os.geteuid()
    except OSError:
        return False

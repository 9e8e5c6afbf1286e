"""Folders and files that the kernel encrypts one by one (Documentation/filesystems/fscrypt.rst).

The policy can be read whether or not the key is there. It names the key, so two folders of one key
are open or locked together.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from typing import Final

#: <linux/fscrypt.h>: FS_IOC_GET_ENCRYPTION_POLICY_EX, with room for the larger of its two answers.
GET_POLICY_EX: Final = 0xC0096616
#: ... FS_IOC_GET_ENCRYPTION_KEY_STATUS: a key, room, the answer, room.
GET_KEY_STATUS: Final = 0xC080661A
_STATUS_BYTES: Final = 128
_STATUS_AT: Final = 64
_PRESENT: Final = 2
_BY_DESCRIPTOR: Final = 1
_BY_IDENTIFIER: Final = 2
_SIZE_BYTES: Final = 8
_POLICY_BYTES: Final = 24
_VERSION_2: Final = 2
#: Where the name of the key stands in each: `master_key_descriptor`, `master_key_identifier`.
_KEY_V1: Final = slice(4, 12)
_KEY_V2: Final = slice(8, 24)
#: The file system can encrypt; this folder is not encrypted.
_PLAIN: Final = errno.ENODATA


def key_of(descriptor: int) -> bytes | None:
    """Return the name of the key an open file or folder is encrypted with.

    Empty: it is not encrypted. None: nothing on its file system is, and there is no need to ask
    again.
    """
    answer = bytearray(_SIZE_BYTES + _POLICY_BYTES)
    answer[0] = _POLICY_BYTES
    try:
        fcntl.ioctl(descriptor, GET_POLICY_EX, answer)
    except OSError as error:
        return b"" if error.errno == _PLAIN else None
    policy = bytes(answer[_SIZE_BYTES:])
    return policy[_KEY_V2 if policy[0] == _VERSION_2 else _KEY_V1]


def key_at(path: bytes) -> bytes | None:
    """Return the same of a folder, or of a regular file; None also where it cannot be opened."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return None
    try:
        return key_of(fd)
    finally:
        os.close(fd)


def is_open(folder: bytes) -> bool:
    """Tell whether a folder is encrypted and its key is there."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        key = key_of(fd)
        if not key:
            return False
        kind = _BY_DESCRIPTOR if len(key) == _KEY_V1.stop - _KEY_V1.start else _BY_IDENTIFIER
        asked = bytearray(_STATUS_BYTES)
        struct.pack_into(f"<II{len(key)}s", asked, 0, kind, 0, key)
        fcntl.ioctl(fd, GET_KEY_STATUS, asked)
        (status,) = struct.unpack_from("<I", asked, _STATUS_AT)
    except OSError:
        return False
    finally:
        os.close(fd)
    return bool(status == _PRESENT)


def top_of(folder: bytes, key: bytes) -> bytes:
    """Return the highest folder above, or this, that is encrypted with the same key."""
    while folder != b"/":
        above = folder.rpartition(b"/")[0] or b"/"
        if key_at(above) != key:
            break
        folder = above
    return folder

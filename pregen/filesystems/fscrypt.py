"""Folders and files that the kernel encrypts one by one (Documentation/filesystems/fscrypt.rst).

The policy can be read whether or not the key is there. It names the key, so two folders of one key
are open or locked together.
"""

from __future__ import annotations

import errno
import fcntl
import os
from typing import Final

#: <linux/fscrypt.h>: FS_IOC_GET_ENCRYPTION_POLICY_EX, with room for the larger of its two answers.
GET_POLICY_EX: Final = 0xC0096616
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


def top_of(folder: bytes, key: bytes) -> bytes:
    """Return the highest folder above, or this, that is encrypted with the same key."""
    while folder != b"/":
        above = folder.rpartition(b"/")[0] or b"/"
        if key_at(above) != key:
            break
        folder = above
    return folder

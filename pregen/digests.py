"""MD5 and BLAKE2b by CPython's own modules.

`hashlib` loads OpenSSL, which takes a tenth of what `pregen path` takes beyond the interpreter.
"""

from __future__ import annotations

try:
    from _blake2 import blake2b
    from _md5 import md5  # type: ignore[import-not-found]  # CPython's own, without stubs
except ImportError:
    from hashlib import blake2b, md5

__all__ = ["blake2b", "md5"]

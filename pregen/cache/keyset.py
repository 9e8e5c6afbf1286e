"""A small memory of which keys a folder holds, so that asking for an absent one costs no call.

One bit per slot, at least 16 slots a key, a slot chosen by the key's first 32 bits: "no" is always
right, "yes" is wrong for at most one absent key in 16 and then costs one failing open. A folder
of 2 million entries takes 4 MiB here (and 8 more while it is listed), where a set of the keys
takes over 200 MiB. What is written to the folder after the listing is not known here.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: "<32 hex digits>.png" (standard, Thumbnail Saving).
_NAME_CHARS = 36
_SLOTS_PER_KEY = 16
_KEY_BITS = 32
#: Hex digits that make up `_KEY_BITS`.
_PREFIX = 8


class KeySet:
    """Tells of a key whether it may be among `names`. Other names are ignored."""

    def __init__(self, names: Iterable[str]) -> None:
        found = array("I")
        for name in names:
            if len(name) == _NAME_CHARS and name.endswith(".png"):
                try:
                    found.append(int(name[:_PREFIX], 16))
                except ValueError:
                    continue
        self.count = len(found)
        """How many entries were listed."""
        # At least a byte; never more slots than there are prefixes.
        slot_bits = min(max(3, (_SLOTS_PER_KEY * len(found) - 1).bit_length()), _KEY_BITS)
        self._shift = _KEY_BITS - slot_bits
        self._bits = bytearray(1 << (slot_bits - 3))
        bits, shift = self._bits, self._shift
        for prefix in found:
            slot = prefix >> shift
            bits[slot >> 3] |= 1 << (slot & 7)

    @property
    def table(self) -> tuple[bytearray, int]:
        """A bit for each slot, lowest first; a key's first 32 bits, shifted by this, tell it."""
        return self._bits, self._shift

    def may_hold(self, key: str) -> bool:
        """Return False only when no entry of this key was listed. A file name does as well."""
        if not self.count:
            return False
        slot = int(key[:_PREFIX], 16) >> self._shift
        return bool(self._bits[slot >> 3] & (1 << (slot & 7)))

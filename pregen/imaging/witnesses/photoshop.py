"""Which Photoshop files other libraries show as Photoshop does; they do not always know."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from pregen.imaging.witnesses.base import NoWitness

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

#: Channels, rows, columns, bits, mode.
_HEADER: Final = struct.Struct(">12xHIIHH")


def check(head: bytes, modes: Mapping[int, int], depths: Container[int]) -> None:
    """Raise NoWitness for a file with other channels than those of its mode, or of another kind.

    Args:
        head: the first bytes of the file.
        modes: those that the library knows, with how many channels they have.
        depths: in bits a sample, likewise.
    """
    if len(head) < _HEADER.size:
        raise NoWitness("it has no header")
    channels, _, _, bits, mode = _HEADER.unpack_from(head)
    if bits not in depths or modes.get(mode) != channels:
        raise NoWitness(f"PSD of mode {mode} with {channels} channels of {bits} bits")

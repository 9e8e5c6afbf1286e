"""ICC profiles made from their definitions; littleCMS makes only sRGB by itself."""

from __future__ import annotations

import struct

#: XYZ of the primaries, adapted to D50 (SMPTE EG 432-1 primaries, D65 white, Bradford).
_PRIMARIES = {
    b"rXYZ": (0.515102, 0.241182, -0.001049),
    b"gXYZ": (0.291965, 0.692236, 0.041882),
    b"bXYZ": (0.157153, 0.066582, 0.784379),
}
_D50 = (0.964203, 1.0, 0.824905)
#: sRGB's transfer curve as an ICC parametric curve of type 3: g, a, b, c, d (IEC 61966-2-1).
_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def fixed(*values: float) -> bytes:
    """Encode as s15Fixed16Number."""
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">IIIHHII", 0, 1, 12, 0x656E, 0x5553, len(encoded), 28) + encoded


def display_p3(*, linear: bool = False) -> bytes:
    """Return a matrix profile with the Display-P3 primaries, and sRGB's curve or none."""
    curve = b"para" + struct.pack(">IHH", 0, 3, 0) + fixed(*_CURVE)
    if linear:
        curve = b"curv" + struct.pack(">II", 0, 0)
    tags = {name: b"XYZ " + bytes(4) + fixed(*xyz) for name, xyz in _PRIMARIES.items()}
    return assembled(b"RGB ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def grey() -> bytes:
    """Return a profile of one channel with a gamma of 1.8, which sRGB is far from."""
    return assembled(b"GRAY", {b"kTRC": b"curv" + struct.pack(">IIH", 0, 1, round(1.8 * 256))})


def assembled(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Assemble a monitor's profile of version 4."""
    tags = {
        b"desc": _text("made here"),
        b"cprt": _text("public domain"),
        b"wtpt": b"XYZ " + bytes(4) + fixed(*_D50),
    } | tags
    offset = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        padded = data + bytes(-len(data) % 4)
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += padded
    size = offset + len(body)
    header = struct.pack(">II", size, 0) + b"\x04\x00\x00\x00mntr" + space + b"XYZ "
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(*_D50)
    return header.ljust(128, b"\0") + table + body

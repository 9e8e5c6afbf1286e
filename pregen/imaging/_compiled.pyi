from collections.abc import Sequence

from typing_extensions import Buffer

def decode(
    data: Buffer,
    out: Buffer,
    width_px: int,
    height_px: int,
    shrink: int,
    bands: int,
    range_bytes: int = ...,
    /,
) -> bool: ...
def account(data: Buffer, /) -> tuple[float, bool, list[tuple[int, int, int, int]]]: ...
def lossless(data: Buffer, width_px: int, height_px: int, /) -> tuple[bool | None, bool]: ...
def reduce(
    samples: Buffer,
    columns: int,
    rows: int,
    extent: tuple[float, float],
    orientation: int,
    sizes: Sequence[tuple[int, int]],
    /,
) -> list[tuple[int, int, bytes]]: ...
def compress(pixels: Buffer, width_px: int, height_px: int, /) -> tuple[bytes, bool]: ...
def pictures(
    data: Buffer,
    width_px: int,
    height_px: int,
    shrink: int,
    orientation: int,
    sizes: Sequence[tuple[int, int]],
    /,
) -> tuple[list[tuple[int, int, bytes, bool]], tuple[int, int, int]] | None: ...
def finish(
    samples: Buffer,
    columns: int,
    rows: int,
    extent: tuple[float, float],
    orientation: int,
    sizes: Sequence[tuple[int, int]],
    /,
) -> tuple[list[tuple[int, int, bytes, bool]], tuple[int, int, int]] | None: ...

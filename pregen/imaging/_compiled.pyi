from collections.abc import Sequence
from typing import Self

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
def unread(data: Buffer, /) -> int | None: ...
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
def unpack_lzw(data: Buffer, size: int, /) -> bytes | None: ...

class Boxes:
    def __new__(
        cls,
        width_px: int,
        height_px: int,
        bands: int,
        across: int,
        down: int,
        storing: int,
        palette: bytes,
        clear: bool,
        /,
    ) -> Self: ...
    def rows(self, data: Buffer, /) -> bool: ...
    def tile(self, data: Buffer, columns: int, rows: int, /) -> bool: ...
    def result(self) -> tuple[bytes, bool] | None: ...

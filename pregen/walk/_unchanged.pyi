from typing_extensions import Buffer

def unchanged(
    folder: int,
    device: int,
    names: bytes,
    facts: Buffer,
    entries: tuple[int, ...],
    others: tuple[tuple[Buffer, int], ...],
    hidden: bool,
    most_rest: int,
    /,
) -> tuple[int, list[bytes]] | None: ...

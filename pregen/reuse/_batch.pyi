def heads(entries: tuple[tuple[int, str], ...], /) -> list[tuple[bytes, int] | None]: ...
def write(
    temp: str,
    fails: int,
    jobs: tuple[
        tuple[
            bytes,
            int,
            int,
            int,
            int,
            int,
            str,
            tuple[tuple[int, str, int, bytes, int, str, bytes], ...],
        ],
        ...,
    ],
    /,
) -> list[tuple[tuple[int, int, int], ...] | None]: ...

"""Parts of sentences and of commands that several rules need."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from pregen.progress.text import printable, shown

if TYPE_CHECKING:
    from pregen.doctor.facts import Facts


def share(part: int, whole: int) -> str:
    """Return `all` or `12 %`."""
    return "all" if part == whole else f"{max(1, round(100 * part / whole))} %"


def remote_example(facts: Facts) -> str:
    """Return how many of the known pictures are on network file systems; empty: none is known."""
    remote = [source for source in facts.sources if source.remote]
    if not remote:
        return ""
    folder = shown(remote[0].path.rpartition(b"/")[0] or b"/")
    return f"{share(len(remote), len(facts.sources))} of your pictures are on a network: {folder}"


def quoted(path: bytes) -> str:
    """Return a path as a word for a POSIX shell; odd bytes as bash and zsh take them."""
    text = os.fsdecode(path)
    if text == printable(text):
        return shlex.quote(text)
    safe = "".join(
        chr(byte) if 0x20 <= byte < 0x7F and byte not in b"'\\" else f"\\x{byte:02x}"  # noqa: PLR2004 - printable ASCII
        for byte in path
    )
    return f"$'{safe}'"

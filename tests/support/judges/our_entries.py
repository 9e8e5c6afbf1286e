"""What pregen makes of the files of a folder, as the program is run and entries are read."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import numpy as np
from PIL import Image

from tests.support.judges.likeness import from_bytes
from tests.support.running.program import PREGEN, path_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.files.colour_spaces import Floats

#: Characters that GLib leaves alone in a file's URI (g_filename_to_uri).
_URI_SAFE = "!$&'()*+,-./:=@_~"
BOX_PX = 256
_FLAVOR = "large"


class Ours(NamedTuple):
    """One file's outcome."""

    kind: str
    message: str
    loader: str
    mime: str
    size_px: tuple[int, int]
    stored: Path | None
    """The entry; None where there is none."""

    @property
    def entry(self) -> Floats | None:
        """Read the entry: rows x columns x 4 of 0 to 1. A folder may have very many of them."""
        if self.stored is None:
            return None
        with Image.open(self.stored) as image:
            return from_bytes(np.asarray(image.convert("RGBA")))

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}" if self.message else self.kind


def made_of(
    folder: Path, scratch: Path, program: Sequence[str] = PREGEN, timeout_s: float | None = None
) -> dict[Path, Ours]:
    """Run pregen over a folder into a cache below `scratch`; return what came of each file."""
    cache, state = scratch / "cache", scratch / "state"
    env = {**os.environ, "XDG_CACHE_HOME": str(cache), "XDG_STATE_HOME": str(state)}
    command = [*program, "run", "--json", "--no-reuse", "--flavors", f"normal,{_FLAVOR}"]
    done = subprocess.run(
        [*command, str(folder)], env=env, capture_output=True, timeout=timeout_s, check=False
    )
    found = {}
    for line in done.stdout.splitlines():
        record = json.loads(line)
        if record["type"] == "outcome":
            path = path_of(record)
            found[Path(os.fsdecode(path))] = Ours(
                record["kind"], record["message"], record.get("loader", ""), record.get("mime", ""),
                (record.get("width", 0), record.get("height", 0)), _entry(cache, path),
            )  # fmt: skip
    if not found:
        raise RuntimeError(f"pregen ended with {done.returncode}: {done.stderr[-2000:]!r}")
    return found


def _entry(cache: Path, path: bytes) -> Path | None:
    uri = "file://" + quote(path, safe=_URI_SAFE)
    name = hashlib.md5(uri.encode(), usedforsecurity=False).hexdigest() + ".png"
    entry = cache / "thumbnails" / _FLAVOR / name
    return entry if entry.exists() else None

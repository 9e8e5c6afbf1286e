"""Where the journal is kept."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

JOURNAL_NAME = b"journal.sqlite3"


def state_dir(environ: Mapping[str, str], home: str) -> bytes:
    """Return pregen's state directory, absolute; it may not exist.

    `$XDG_STATE_HOME` that is unset, blank or relative counts as `~/.local/state` (XDG base
    directory specification).
    """
    state = environ.get("XDG_STATE_HOME", "")
    if not state.startswith("/"):
        state = home.rstrip("/") + "/.local/state"
    return os.fsencode(state.rstrip("/") + "/pregen")


def journal_path(environ: Mapping[str, str], home: str) -> bytes:
    """Return the path of the journal itself."""
    return state_dir(environ, home) + b"/" + JOURNAL_NAME

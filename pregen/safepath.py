"""Python that pregen starts takes no module from the current folder: it may hold files of others.

`python -c` and `python -m` put that folder first on their path, and so would `multiprocessing`,
which starts its helpers with `-c`: a `signal.py` beside the photos would run.
"""

from __future__ import annotations

import os
import sys
from typing import Final

_HOME: Final = os.path.dirname(os.path.dirname(__file__))


def command() -> list[str]:
    """Return the start of a command that runs Python."""
    return [sys.executable, "-P"] if is_wanted() else [sys.executable]


def environment() -> dict[str, str]:
    """Return what does the same for a Python whose command is another program's."""
    return {"PYTHONSAFEPATH": "1"} if is_wanted() else {}


def is_wanted() -> bool:
    """Tell whether the current folder is not to be trusted.

    It is where the running pregen itself lies in it: a copy that is run from its own folder is to
    start children of the same code, not of one that happens to be installed.
    """
    if sys.flags.safe_path:
        return True
    try:
        return not os.path.samefile(_HOME, ".")
    except OSError:  # the current folder has been deleted
        return True

"""Imported last by the fork server: it imports the picture libraries when the run says so.

Photos of cameras need none of them, so the server does not begin with them; where other pictures
come, workers forked after that share them, instead of importing each its own.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from importlib import import_module
from typing import Final

#: Its default is to do nothing, so it does no harm before there is a handler, nor in a worker.
IMPORT_SIGNAL: Final = signal.SIGURG
#: Imports all that most formats need.
_LIBRARIES: Final = "pregen.imaging.stages"


def _import_libraries(_number: int, _frame: object) -> None:
    signal.signal(IMPORT_SIGNAL, signal.SIG_IGN)
    with suppress(Exception):  # a worker that needs what is missing says so
        import_module(_LIBRARIES)


signal.signal(IMPORT_SIGNAL, _import_libraries)
# One that came meanwhile was kept: the server is started with it blocked.
signal.pthread_sigmask(signal.SIG_UNBLOCK, {IMPORT_SIGNAL})

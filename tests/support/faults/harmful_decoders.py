"""Real work on real files, in which the decoder of some files does its process harm.

`clip.segfault.mp4` is opened by the real decoder, its library loaded and its header read; where its
pixels should be decoded, the worker is killed by a bad memory access.
"""

from __future__ import annotations

import ctypes
import time
from typing import TYPE_CHECKING, Any

from pregen import work
from pregen.imaging import at_once, thumbnail

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from pregen.config import WorkConfig
    from pregen.engines.base import Ask, Work
    from pregen.imaging.decoders.base import Request
    from pregen.imaging.formats import Format
    from pregen.model import Job, Outcome

_GIB = 1 << 30


def _crash() -> None:
    ctypes.string_at(0)


def _hang() -> None:
    """Stay in C with the interpreter's lock held, as a looping library does."""
    while True:
        ctypes.PyDLL(None).sleep(1000)


def _eat() -> None:
    """Take memory as C code does, until there is none; then do what Python makes of it."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    for _ in range(1000):
        if not libc.malloc(ctypes.c_size_t(_GIB)):
            raise MemoryError
    time.sleep(1000)


HARM: dict[bytes, Callable[[], None]] = {b"segfault": _crash, b"hang": _hang, b"hog": _eat}


def make_sabotaged(config: WorkConfig) -> Work:
    """Make the work of a real run, with `decode` replaced where a file's name asks for it."""
    worker = work.make_worker(config)
    # photos are to go by their decoder, which is armed
    vars(at_once)["pictures"] = lambda *_: None
    decoder_of = thumbnail.decoder_of

    def do(job: Job, ask: Ask) -> Outcome:
        how = job.path.rpartition(b"/")[2].split(b".")[1]
        harm = HARM.get(how)
        thumbnail.decoder_of = decoder_of if harm is None else _armed(decoder_of, harm)
        return worker(job, ask)

    return do


def _armed(decoder_of: Callable[[Format], ModuleType], harm: Callable[[], None]) -> Any:
    class Armed:
        def __init__(self, found: Format) -> None:
            self._module = decoder_of(found)

        def open_picture(self, request: Request) -> Any:
            opened = self._module.open_picture(request)

            def decode(box_px: int) -> Any:
                del box_px
                harm()

            opened.decode = decode
            return opened

    return Armed

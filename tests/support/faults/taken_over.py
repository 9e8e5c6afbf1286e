"""A worker taken over by the file it decodes, with all its walls up: what it can do to the run.

`photo.cut-slot.jpg` is opened by the real decoder; where its pixels should be decoded, the attack
that its name asks for is made, with all that the worker's own memory and descriptors give. The
attack may put another outcome in place of the job's.

    python -m tests.support.faults.taken_over run --json PHOTOS

is pregen with such a decoder.
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import stat
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pregen import cli, pipeline, work
from pregen.engines.local import channel, protocol
from pregen.imaging import at_once, thumbnail
from pregen.imaging.faults import InvalidPicture
from pregen.model import Kind, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from pregen.config import WorkConfig
    from pregen.engines.base import Ask
    from pregen.imaging.decoders.base import Request
    from pregen.imaging.formats import Format
    from pregen.model import AllowedFolders, Job

#: What pip takes for an address, between "pregen[" and "]".
EVIL = "x] @ https://evil.example/y.whl #"
_DESCRIPTORS = range(3, 256)


def _loop() -> Any:
    """Return the loop of this worker, with its slot, its pipe and its jobs."""
    return next(each for each in gc.get_objects() if type(each).__name__ == "_JobLoop")


def _is_slot(descriptor: int) -> bool:
    try:
        facts = os.fstat(descriptor)
    except OSError:
        return False
    return stat.S_ISREG(facts.st_mode) and facts.st_nlink == 0


def _cut_slot() -> None:
    """Cut the memory shared with the run: whoever reads it then is killed by SIGBUS."""
    for descriptor in filter(_is_slot, _DESCRIPTORS):
        os.ftruncate(descriptor, 0)
    time.sleep(1)


def _stay(say: Callable[[Any, int], None]) -> None:
    """Go on for ever, deaf to all signals, and say what keeps the run from noticing."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    loop = _loop()
    for turn in count():
        say(loop._slot._cells, turn)
        time.sleep(0.01)


def _late(cells: Any, turn: int) -> None:
    """Say that the job has just begun."""
    del turn
    cells[channel._STARTED_NS] = time.monotonic_ns()


def _idle(cells: Any, turn: int) -> None:
    """Say that there is no job."""
    del turn
    cells[channel._JOB] = channel._NO_JOB


def _flicker(cells: Any, turn: int) -> None:
    """Say that there is none, and now and then that the job has just begun."""
    cells[channel._STARTED_NS] = time.monotonic_ns()
    cells[channel._JOB] = channel._NO_JOB if turn // 10 % 2 else _loop()._current


def _more_time() -> None:
    unlimited = resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_CPU, (unlimited, unlimited))


def _say(frame: bytes) -> None:
    """Send the run a message in the worker's name, and leave time for what follows."""
    _loop()._pipe.sendall(frame)
    time.sleep(5)


def _return_all() -> None:
    loop = _loop()
    queued = [job.job_id for job in loop._queue]
    _say(protocol.returned_frame([loop._current, *queued]))


def _flood(message: Callable[[int], bytes]) -> None:
    loop = _loop()
    for _ in range(200_000):
        loop._pipe.sendall(message(loop._current))
    time.sleep(5)


def _speak_for_another() -> None:
    made = Outcome(4, b"/nowhere", Kind.NOT_PICTURE)
    numbered = (made._replace(job_id=number) for number in range(100, 200))
    _say(protocol.report_frame(0, 0, [protocol.encode_outcome(each) for each in numbered]))


def _threads() -> None:
    """Start threads until there are no more, and stay with them."""
    threading.stack_size(32 << 10)
    for _ in range(10_000):
        with suppress(RuntimeError, MemoryError):
            threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
    time.sleep(1000)


def _environment() -> None:
    """Look for the run's secrets, also where the kernel put them when the process began."""
    seen = ctypes.CDLL(None).getenv
    seen.restype = ctypes.c_char_p
    if any("TOKEN" in name for name in os.environ) or seen(b"SOME_TOKEN"):
        time.sleep(1000)
    start, end = map(int, Path("/proc/self/stat").read_text().rpartition(")")[2].split()[47:49])
    if b"a secret" in ctypes.string_at(start, end - start):
        time.sleep(1000)


def _die_hidden() -> None:
    """Die, and say that no job was in hand."""
    _idle(_loop()._slot._cells, 0)
    os.abort()


def _die_for_another() -> None:
    """Die, and say that the next job was in hand."""
    loop = _loop()
    if loop._queue:
        loop._slot._cells[channel._DONE] += 1
        loop._slot._cells[channel._JOB] = loop._queue[0].job_id
    os.abort()


#: Attacks made while the picture is decoded, by the word in a file's name.
DECODING: dict[str, Callable[[], object]] = {
    "cut-slot": _cut_slot,
    "flicker-slot": partial(_stay, _flicker),
    "idle-slot": partial(_stay, _idle),
    "late-slot": partial(_stay, _late),
    "more-time": _more_time,
    "die-hidden": _die_hidden,
    "die-for-another": _die_for_another,
    "sick": os.abort,
    "threads": _threads,
    "environment": _environment,
    "ask-flood": partial(_flood, lambda job_id: protocol.ask_frame(job_id, 1 << 60)),
    "open-flood": partial(_flood, protocol.open_frame),
    "return-all": _return_all,
    "speak-for-another": _speak_for_another,
}

#: What is put in place of the outcome, likewise.
OUTCOMES: dict[str, Callable[[Outcome], Outcome]] = {
    "another-path": lambda made: made._replace(path=b"/../../etc/passwd"),
    "another-pid": lambda made: made._replace(worker_pid=1),
    "big-number": lambda made: made._replace(bytes_read=2**63 - 1),
    "negative-number": lambda made: made._replace(bytes_read=-(2**61)),
    "negative-time": lambda made: made._replace(stages=made.stages._replace(decode_ns=-1)),
    "much-time": lambda made: made._replace(stages=made.stages._replace(decode_ns=2**62)),
    "many-entries": lambda made: made._replace(entries_written=2**40),
    "huge-picture": lambda made: made._replace(width_px=2**40),
    "extra": lambda made: made._replace(kind=Kind.NEEDS_EXTRA, extra=EVIL),
    "verdict": lambda made: made._replace(kind=Kind.TIMED_OUT, message=EVIL),
    "loader": lambda made: made._replace(loader=EVIL),
    "mime": lambda made: made._replace(kind=Kind.UNSUPPORTED, mime=EVIL),
    "stamps": lambda made: made._replace(stamps=made.stamps * 50),
    "fingerprint": lambda made: made._replace(fingerprint=EVIL),
}


def make_taken_over(config: WorkConfig) -> _TakenOver:
    """Make the work of a real run, whose decoder makes the attack that a file's name asks for."""
    return _TakenOver(config)


class _TakenOver:
    def __init__(self, config: WorkConfig) -> None:
        self._worker = work.make_worker(config)
        # photos are to go by their decoder, which is armed
        vars(at_once)["pictures"] = lambda *_: None

    def confine(self, open_elsewhere: Callable[[int], int]) -> AllowedFolders:
        return self._worker.confine(open_elsewhere)

    def __call__(self, job: Job, ask: Ask) -> Outcome:
        name = Path(os.fsdecode(job.path)).name.split(".")[1]
        decoder_of = thumbnail.decoder_of
        if attack := DECODING.get(name):
            thumbnail.decoder_of = _arming(decoder_of, attack)
        try:
            outcome = self._worker(job, ask)
        finally:
            thumbnail.decoder_of = decoder_of
        return OUTCOMES.get(name, _same)(outcome)


def _same(outcome: Outcome) -> Outcome:
    return outcome


def _arming(decoder_of: Callable[[Format], Any], attack: Callable[[], object]) -> Any:
    return partial(_Armed, decoder_of, attack)


class _Armed:
    def __init__(
        self, decoder_of: Callable[[Format], Any], attack: Callable[[], object], found: Format
    ) -> None:
        self._module = decoder_of(found)
        self._attack = attack

    def open_picture(self, request: Request) -> Any:
        opened = self._module.open_picture(request)

        def decode(box_px: int) -> Any:
            del box_px
            self._attack()
            raise InvalidPicture("the attack is over")

        opened.decode = decode
        return opened


def main() -> int:
    """Be pregen, with workers that can be taken over."""
    vars(pipeline)["make_work"] = make_taken_over
    return cli.run()


if __name__ == "__main__":
    from tests.support.faults import taken_over  # by the name that workers know it by

    sys.exit(taken_over.main())

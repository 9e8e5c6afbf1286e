"""A worker process: it takes jobs from its pipe, does them, and reports what became of them.

It decides nothing and writes to no screen: what a decoder prints is thrown away. It leaves
when its pipe ends; should it be unable to notice, the kernel kills it when its parent is gone.
"""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import gc
import os
import select
import signal
import socket
import sys
import threading
from collections import deque
from multiprocessing import forkserver, parent_process, resource_tracker
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from pregen.config import DEADLINE_BYTES_PER_S, RETIRE_S
from pregen.engines.base import attempt, load_factory
from pregen.engines.local import broker, protocol, resources
from pregen.engines.local.channel import SharedSlot
from pregen.engines.local.deaths import FOLDERS_REPLACED
from pregen.engines.local.protocol import Tag
from pregen.model import AllowedFolders, Kind
from pregen.sandbox import confinement, rlimits, syscalls
from pregen.sandbox.confinement import WritableFolders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pregen.engines.base import Confine, SourcesAhead, StartReading, Work
    from pregen.model import Job, Outcome

#: Outcomes wait this long for company: 500 messages a second from each worker at most.
_FLUSH_NS: Final = 2_000_000
#: Looking up the resident size costs 20 us.
_RSS_EVERY_NS: Final = 250_000_000
_READ_BYTES: Final = 1 << 16
#: How often it is looked whether it is in vain to wait for a share.
_LOOK_S: Final = 0.5


def main(setup: protocol.WorkerSetup, pipe: socket.socket, outside: socket.socket | None) -> None:
    """Be a worker until the pipe ends; what it may not open comes from `outside` (`broker`)."""
    _arrange(pipe)
    slot, turns, folders = _given(pipe, len(setup.opened))
    try:
        work = load_factory(setup.factory)(setup.work_config)
        take_turns: Callable[[int], None] | None = getattr(work, "take_turns", None)
        if take_turns is not None:
            take_turns(turns)
        resources.limit_growth(setup.growth_bytes)
        loop = _JobLoop(work, pipe, outside, slot, setup)
        if setup.confined:
            loop.confine(dict(zip(setup.opened, folders, strict=True)))
        for folder in folders:
            os.close(folder)
        loop.serve()
    except (Exception, SystemExit):  # noqa: BLE001 - the run reports it, if it can be told
        import traceback  # noqa: PLC0415 - of bugs only

        with contextlib.suppress(OSError):
            pipe.sendall(protocol.frame(Tag.FAILED, traceback.format_exc().encode()))
        sys.exit(1)


def _arrange(pipe: socket.socket) -> None:
    """Arrange signals, descriptors, what is looked through for garbage, and this process's end."""
    gc.freeze()  # see `served`
    gc.enable()
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(ignored, signal.SIG_IGN)  # for the run: they come to the whole group
    signal.signal(signal.SIGURG, signal.SIG_DFL)  # `late` is for the fork server
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGURG})
    _die_with_parent()
    _leave_resource_tracker()
    resources.volunteer_for_oom_kill()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
    faulthandler.enable(pipe.fileno(), all_threads=False)
    faulthandler.register(protocol.END_SIGNAL, pipe.fileno(), all_threads=False, chain=True)


def _die_with_parent() -> None:
    """Have the kernel kill this process when its parent is gone (Linux).

    The parent is the fork server. It ends when no process holds the pipe it was given for that; the
    run is to be the only one who does.
    """
    server = vars(forkserver._forkserver)  # noqa: SLF001 - there is no public way to that pipe
    alive = server.get("_forkserver_alive_fd")
    if alive is not None:
        server["_forkserver_alive_fd"] = None
        os.close(alive)
    if resources.is_linux():
        with contextlib.suppress(OSError):
            syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = parent_process()
    if parent is not None and not parent.is_alive():
        os._exit(1)


def _leave_resource_tracker() -> None:
    """Let go of the helper that `multiprocessing` starts beside the fork server.

    It holds the run's own output and lives until the last holder of its pipe has ended. A worker
    that waits for a dead server cannot be ended, nor could then the program that reads that output.
    """
    tracker = vars(resource_tracker._resource_tracker)  # noqa: SLF001 - there is no public way to that pipe
    pipe = tracker.get("_fd")
    if pipe is not None:
        tracker["_fd"] = tracker["_pid"] = None
        os.close(pipe)


def _given(pipe: socket.socket, folders: int) -> tuple[SharedSlot, int, list[int]]:
    """Return what comes with the first byte.

    That is this worker's slot, the file that all workers lock to read from slow disks, and so many
    folders.
    """
    size, most = len(protocol.SLOT_FOLLOWS), 2 + folders
    _, (memory, turns, *opened), _, _ = socket.recv_fds(pipe, size, most)
    slot = SharedSlot(memory)
    os.close(memory)
    return slot, turns, opened


class _JobLoop:
    def __init__(
        self,
        work: Work,
        pipe: socket.socket,
        outside: socket.socket | None,
        slot: SharedSlot,
        setup: protocol.WorkerSetup,
    ) -> None:
        self._pipe = pipe
        self._outside = outside
        self._timeout_s = setup.timeout_s
        self._silence_s = setup.silence_s
        self._ahead_bytes = setup.ahead_bytes
        self._ahead: SourcesAhead | None = None
        self._waited_ns = 0
        """Between jobs."""
        self._errands_ns = 0
        """In jobs, as far as it was told already."""
        self._sending = threading.Lock()
        self._asking = threading.Lock()
        self._folders: WritableFolders | None = None
        self._size = resources.OwnSize()
        self._slot = slot
        self._work = work
        self._prefetch: Callable[[Iterable[Job]], None] | None = getattr(work, "prefetch", None)
        self._start_reading: StartReading | None = getattr(work, "read_ahead", None)
        self._frames = protocol.FrameReader()
        self._queue: deque[Job] = deque()
        self._current = -1
        self._granted = False
        self._outcomes: list[bytes] = []
        self._busy_ns = 0
        self._flushed_ns = 0
        self._flush_now = False
        self._rss_bytes = 0
        self._rss_ns = 0

    def confine(self, opened: Mapping[bytes, int]) -> None:
        """Give up what this work does not need; of `opened` folders there are descriptors."""
        confine: Confine | None = getattr(self._work, "confine", None)
        allowed = confine(self._open_elsewhere) if confine is not None else AllowedFolders((), ())
        self._folders = WritableFolders(allowed)
        confinement.confine(allowed, opened)
        rlimits.limit_cpu(RETIRE_S + self._timeout_s)

    def serve(self) -> None:
        """Do jobs until the pipe ends."""
        self._look_at_rss(monotonic_ns())
        self._send(protocol.ready_frame(self._rss_bytes))
        while self._listen():
            while self._queue:
                if self._slot.drained:
                    self._give_back()
                elif self._is_settled(self._queue[0]):
                    self._do(self._queue.popleft())
                elif not self._wait():
                    return

    def _is_settled(self, job: Job) -> bool:
        """Tell whether a job can be done now; what lies on a share is read before."""
        return not job.share or self._ahead is None or self._ahead.is_settled(job)

    def _wait(self) -> bool:
        """Wait for the source of the next job, or for word of the run; False when that is gone."""
        ahead = self._ahead
        if ahead is None:
            return True
        now_ns = monotonic_ns()
        self._flush(now_ns)
        pipe = self._pipe.fileno()
        ready, _, _ = select.select([pipe, ahead.fileno()], [], [], _LOOK_S)
        self._waited_ns += monotonic_ns() - now_ns
        ahead.settle()
        return pipe not in ready or self._listen()

    def _read_ahead(self, jobs: Iterable[Job]) -> None:
        """Have the sources of coming jobs read that lie on shares."""
        for job in jobs:
            if job.share and self._ahead is None and self._start_reading is not None:
                self._ahead = self._start_reading(self._slot, self._silence_s, self._ahead_bytes)
            if job.share and self._ahead is not None:
                self._ahead.begin(job)

    def _do(self, job: Job) -> None:
        if job.share and self._ahead is not None:
            self._hear()  # what comes next is to be read meanwhile
        began_ns = self._slot.begin(job.job_id)
        self._current = job.job_id
        if self._prefetch is not None and self._queue:
            self._prefetch(self._queue)
        if self._folders is not None:
            rlimits.allow_cpu(self._timeout_s + max(0, job.size_bytes) / DEADLINE_BYTES_PER_S)
        outcome = attempt(self._work, job, self._ask)
        if job.share:
            outcome = self._with_waiting(outcome)
        if (
            outcome.kind is Kind.CACHE_ERROR
            and self._folders is not None
            and self._folders.replaced()
        ):
            self._flush(monotonic_ns())
            os._exit(FOLDERS_REPLACED)
        self._outcomes.append(protocol.encode_outcome(outcome))
        self._slot.end()
        now_ns = monotonic_ns()
        self._busy_ns += now_ns - began_ns
        if now_ns - self._flushed_ns >= _FLUSH_NS or not self._queue or self._flush_now:
            self._flush(now_ns)

    def _with_waiting(self, outcome: Outcome) -> Outcome:
        """Return an outcome that says how long it had to be waited for its share."""
        waited_ns, self._waited_ns = self._waited_ns, 0
        if self._ahead is not None:
            waited_ns += self._ahead.waited_ns - self._errands_ns
            self._errands_ns = self._ahead.waited_ns
        return outcome._replace(waited_ns=waited_ns)

    def _flush(self, now_ns: int) -> None:
        self._flushed_ns = now_ns
        self._flush_now = False
        if self._outcomes:
            self._look_at_rss(now_ns)
            report = protocol.report_frame(self._busy_ns, self._rss_bytes, self._outcomes)
            self._outcomes.clear()
            self._busy_ns = 0
            self._send(report)

    def _give_back(self) -> None:
        """Return the jobs that have not begun."""
        self._flush(monotonic_ns())
        self._send(protocol.returned_frame(job.job_id for job in self._queue))
        for job in self._queue:
            if job.share and self._ahead is not None:
                self._ahead.drop(job)
        self._queue.clear()

    def _ask(self, size_bytes: int) -> None:
        """Wait until `size_bytes` may be used by the job in flight; until its end they are."""
        self._flush(monotonic_ns())
        self._granted = False
        self._send(protocol.ask_frame(self._current, size_bytes))
        while not self._granted:
            if not self._listen():
                os._exit(1)  # the run is gone; the job is to leave no outcome
        self._flush_now = True  # its end gives the memory back

    def _open_elsewhere(self, job_id: int) -> int:
        """Have the run open the source of a job (an `engines.base.OpenElsewhere`)."""
        try:
            with self._asking:  # answers come in the order of questions
                self._send(protocol.open_frame(job_id))
                descriptor = None if self._outside is None else broker.receive(self._outside)
        except EOFError:
            os._exit(1)  # the run is gone
        if descriptor is None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return descriptor

    def _listen(self) -> bool:
        """Wait for something from the run and take note of it; False when the pipe has ended."""
        data = self._pipe.recv(_READ_BYTES)
        self._note(data)
        return bool(data)

    def _hear(self) -> None:
        """Take note of what the run has said already."""
        with contextlib.suppress(BlockingIOError):
            self._note(self._pipe.recv(_READ_BYTES, socket.MSG_DONTWAIT))

    def _note(self, data: bytes) -> None:
        for tag, body in self._frames.feed(data):
            if tag is Tag.JOBS:
                jobs = protocol.read_jobs(body)
                self._queue.extend(jobs)
                self._read_ahead(jobs)
            elif tag is Tag.GRANT:
                self._granted = True
            elif tag is Tag.RECALL:
                self._give_back()

    def _send(self, message: bytes) -> None:
        with self._sending:  # threads that read ahead have sources opened for them
            self._pipe.sendall(message)

    def _look_at_rss(self, now_ns: int) -> None:
        if now_ns - self._rss_ns >= _RSS_EVERY_NS:
            self._rss_ns = now_ns
            self._rss_bytes = self._size.rss_bytes()

"""Runs one program from start to exit and says what it took.

Times are the whole program's: interpreter start, work, exit. Memory is watched only when asked
for, in runs whose times do not count, because looking at a process slows it. Processor time is that
of all processes, also of those that outlive the first one: they become children of the harness
(a "subreaper", Linux), which waits for them.

As a program (`python -m benchmarks.harness.measure`) it does the same for a harness that has other
children, which it must not wait for: a `Request` comes in as JSON, what was taken goes out.
"""

from __future__ import annotations

import ctypes
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Short enough to see a process that decodes one picture (tens of milliseconds).
_WATCH_EVERY_S = 0.02
#: How long processes may outlive their parent before they are called left over.
_GRACE_S = 1.0
#: From linux/prctl.h.
_PR_SET_CHILD_SUBREAPER = 36
_TERMINAL_COLUMNS_ROWS = (100, 30)


class Memory(NamedTuple):
    """Peaks of memory over a program's life, in bytes; 0 when not watched."""

    tree_pss_bytes: int = 0
    """Largest sum over all processes at one moment; shared pages count once."""
    process_rss_bytes: int = 0
    """Largest resident size any single process ever had, other than the first."""
    root_rss_bytes: int = 0
    """Largest resident size of the process that was started."""


class Taken(NamedTuple):
    """What one run took."""

    wall_s: float
    """From the start of the program to the end of the process that was started."""
    user_s: float
    """Of all its processes, as `system_s`."""
    system_s: float
    exit_code: int
    """Negative: the signal that ended it."""
    timed_out: bool
    left_running: bool
    """Some process of the program outlived it by more than a second."""
    memory: Memory

    @property
    def cpu_s(self) -> float:
        """Processor time of all its processes."""
        return self.user_s + self.system_s


class Program(NamedTuple):
    """What to start and where its output goes."""

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    terminal: bool = False
    """Give it a terminal, as a person at a desk would."""


def run(program: Program, timeout_s: float, *, watch_memory: bool = False) -> Taken:
    """Run the program to its end, or kill it and all it started after `timeout_s`."""
    _adopt_orphans()
    terminal = _Terminal(program.log) if program.terminal else None
    with program.log.open("ab") as log:
        output = terminal.slave if terminal else log.fileno()
        start_ns = time.monotonic_ns()
        process = subprocess.Popen(
            program.command,
            cwd=program.folder,
            env=dict(program.environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    watcher = _Watcher(process.pid) if watch_memory else None
    timed_out = threading.Event()

    def give_up() -> None:
        timed_out.set()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(timeout_s, give_up)
    timer.daemon = True
    timer.start()
    try:
        _pid, status, usage = os.wait4(process.pid, 0)
        wall_s = (time.monotonic_ns() - start_ns) / 1e9
    except BaseException:
        # Whoever stops the harness does not want its program to go on in its own session.
        os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    memory = watcher.finish() if watcher else Memory()
    if terminal:
        terminal.close()
    user_s, system_s, left_running = _wait_for_rest(process.pid)
    return Taken(
        wall_s=wall_s,
        user_s=usage.ru_utime + user_s,
        system_s=usage.ru_stime + system_s,
        exit_code=process.returncode,
        timed_out=timed_out.is_set(),
        left_running=left_running,
        memory=memory,
    )


def run_apart(program: Program, timeout_s: float) -> Taken:
    """Do the same in a process of its own, which alone inherits what the program leaves behind."""
    asked = {
        "command": [*program.command],
        "environment": {**program.environment},
        "folder": str(program.folder),
        "log": str(program.log),
        "timeout_s": timeout_s,
    }
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.harness.measure"],
        cwd=Path(__file__).resolve().parent.parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as helper:
        try:
            said, _ = helper.communicate(json.dumps(asked))
        except BaseException:
            helper.terminate()  # it ends its program
            raise
    if helper.returncode:
        raise OSError(f"{program.command[0]} could not be measured")
    taken = json.loads(said)
    return Taken(**{**taken, "memory": Memory(*taken["memory"])})


def _adopt_orphans() -> None:
    """Make this process the one that inherits, and so can wait for, orphaned descendants."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def _wait_for_rest(group: int) -> tuple[float, float, bool]:
    """Wait for what outlived the program: user and system seconds, and whether it stayed too long.

    Such processes are usual (a fork server that notices that its parent has gone), unless they
    stay: then they are killed.
    """
    user_s = system_s = 0.0
    left_running = False
    deadline = time.monotonic() + _GRACE_S
    while True:
        try:
            pid, _status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return user_s, system_s, left_running
        if pid:
            user_s += usage.ru_utime
            system_s += usage.ru_stime
        elif time.monotonic() < deadline:
            time.sleep(0.005)
        else:
            left_running = True
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
            deadline += _GRACE_S


class _Terminal:
    """A pseudo terminal whose output is drained into the log by a thread."""

    def __init__(self, log: Path) -> None:
        self._master, self.slave = pty.openpty()
        _set_size(self.slave)
        self._log = log
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        with self._log.open("ab") as log, suppress(OSError):
            while data := os.read(self._master, 1 << 16):
                log.write(data)

    def close(self) -> None:
        """Close our side; the reader ends when the last writer has gone."""
        os.close(self.slave)
        self._thread.join(timeout=_GRACE_S)
        os.close(self._master)


def _set_size(terminal: int) -> None:
    """Give the terminal a usual size."""
    columns, rows = _TERMINAL_COLUMNS_ROWS
    subprocess.run(["stty", "cols", str(columns), "rows", str(rows)], stdin=terminal, check=False)


class _Watcher:
    """Samples the memory of a process and all its descendants in a thread."""

    def __init__(self, pid: int) -> None:
        self._root = pid
        self._peak_pss = 0
        self._peak_rss: dict[int, int] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def finish(self) -> Memory:
        """Stop, and say what was seen."""
        self._done.set()
        self._thread.join()
        others = [rss for pid, rss in self._peak_rss.items() if pid != self._root]
        return Memory(self._peak_pss, max(others, default=0), self._peak_rss.get(self._root, 0))

    def _watch(self) -> None:
        while not self._done.wait(_WATCH_EVERY_S):
            with suppress(psutil.NoSuchProcess):
                root = psutil.Process(self._root)
                tree = [root, *root.children(recursive=True)]
                total = sum(self._look(process) for process in tree)
                self._peak_pss = max(self._peak_pss, total)

    def _look(self, process: psutil.Process) -> int:
        """Proportional size now; remembers the highest resident size the kernel knows of."""
        try:
            pss = int(process.memory_full_info().pss)
            status = _proc_status(process.pid)
        except (psutil.Error, OSError):
            return 0
        known = self._peak_rss.get(process.pid, 0)
        self._peak_rss[process.pid] = max(known, status)
        return pss


def _proc_status(pid: int) -> int:
    """The kernel's own high-water mark of a process's resident size, bytes."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as lines:
        for line in lines:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def main() -> None:
    """Run what standard input asks for, and write what it took."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit("stopped"))
    asked = json.load(sys.stdin)
    program = Program(
        asked["command"], asked["environment"], Path(asked["folder"]), Path(asked["log"])
    )
    json.dump(run(program, asked["timeout_s"])._asdict(), sys.stdout)


if __name__ == "__main__":
    main()

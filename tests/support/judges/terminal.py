"""A real terminal of a given size, with tmux: what is on the screen, and keys pressed."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_TIMEOUT_S = 60


class Terminal:
    """One command in a tmux window; the screen stays after the command has ended."""

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        columns: int = 80,
        rows: int = 24,
    ) -> None:
        self._socket = f"pregen-test-{os.getpid()}-{time.monotonic_ns()}"
        size = ("-x", str(columns), "-y", str(rows))
        # The shell outlives a Ctrl-C that ends the command; afterwards nobody minds one.
        before = "trap : INT; "
        ended = "; code=$?; trap '' INT; echo; echo exit code $code; exec cat"
        self._tmux(
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            *size,
            before + shlex.join(command) + ended,
            env=env,
        )

    def _tmux(self, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._socket, *arguments],
            capture_output=True,
            env=env,
            text=True,
            check=True,
            timeout=20,
        )
        return done.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tmux("kill-server")

    def screen(self) -> str:
        """Return what is on the screen now."""
        return self._tmux("capture-pane", "-p")

    def ansi(self) -> str:
        """Return what is on the screen now, with its colours."""
        return self._tmux("capture-pane", "-p", "-e")

    def history(self, *, colours: bool = False) -> str:
        """Return everything that scrolled by, and the screen."""
        return self._tmux("capture-pane", "-p", "-S", "-", *(["-e"] if colours else []))

    def lines(self) -> str:
        """Return the same with lines whole that the terminal has broken into rows."""
        return self._tmux("capture-pane", "-p", "-J", "-S", "-")

    def press(self, *keys: str) -> None:
        """Press keys, by tmux' names: `C-c` for Ctrl-C."""
        self._tmux("send-keys", *keys)

    def resize(self, columns: int, rows: int) -> None:
        """Make the terminal another size."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def wait_for(self, seen: str | Callable[[str], bool]) -> str:
        """Poll the screen until it shows something; return it then."""
        deadline = time.monotonic() + _TIMEOUT_S
        frames: list[str] = []
        while True:
            screen = self.screen()
            if seen in screen if isinstance(seen, str) else seen(screen):
                return screen
            if frames[-1:] != [screen]:
                frames.append(screen)
            told = "\n---\n".join(frame.rstrip() for frame in frames[-8:])
            assert "exit code" not in screen, f"ended without showing {seen}:\n{told}"
            assert time.monotonic() < deadline, f"never shown: {seen}\n{told}"
            time.sleep(0.02)

    def cursor_visible(self) -> bool:
        """Return whether the cursor shows."""
        return self._tmux("display-message", "-p", "#{cursor_flag}").strip() == "1"

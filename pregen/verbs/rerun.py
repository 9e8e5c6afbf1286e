"""Runs that another verb starts, over files it names: as the user would, or unseen."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from pregen.config import Decoder
from pregen.display.listener import Watch
from pregen.options import RunFlags, run_config
from pregen.pipeline import RunStop, run
from pregen.session import Signals
from pregen.verbs.run import run as run_command
from pregen.verbs.run import run_session

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pregen.display.printer import RunReport, View
    from pregen.errors import ExitCode
    from pregen.model import Flavor, Outcome, Skip


class NotMade(NamedTuple):
    """A file for which a run could not do what it should."""

    path: bytes
    kind: str
    message: str


def run_over(paths: Iterable[bytes], *arguments: str, json: bool = False) -> ExitCode:
    """Do a run over these files, with the user's own settings, and show it.

    Args:
        paths: Absolute.
        arguments: Flags of `pregen run` besides.
        json: Show it as records.

    Raises:
        PregenError: as `run_session`.
    """
    with _listed(paths) as name:
        flags = replace(_flags(name, *arguments), json=json)
        return run_session(flags, lambda: run_config(flags))


def run_unseen(
    paths: Iterable[bytes], *arguments: str, cache: bytes | None = None
) -> tuple[ExitCode, list[NotMade]]:
    """Do a run over these files that shows nothing; return how it ended and what failed.

    Args:
        paths: Absolute.
        arguments: Flags of `pregen run` besides.
        cache: Work on a cache of one's own below this folder, and with libvips alone: for
            comparing. None: the user's.

    Raises:
        PregenError: what ended the run before its time.
    """
    printer = _Unseen()
    stop = RunStop()
    watch = Watch(printer)
    with _listed(paths) as name, Signals(stop, watch):
        config = run_config(_flags(name, *arguments))
        if cache is not None:
            root = os.path.join(cache, b"thumbnails")
            config = replace(
                config,
                walk=replace(config.walk, cache_root=root),
                work=replace(config.work, cache_root=root, decoder=Decoder.VIPS),
                journal_path=os.path.join(cache, b"journal.sqlite3"),
            )
        code = run(config, watch, stop).exit_code
    return code, printer.failed


def flavors_flag(flavors: Iterable[Flavor]) -> str:
    """Return the flag that asks for these flavors."""
    return "--flavors=" + ",".join(flavor.directory for flavor in flavors)


def _flags(name: str, *arguments: str) -> RunFlags:
    """Return the flags of a run over a list of files: what is not given is the user's setting."""
    context = run_command.make_context(
        "run", ["--files-from", name, "--null", "--check=full", "--wait", *arguments]
    )
    flags = RunFlags(**context.params)
    return replace(
        flags,
        paths=(),
        shard=None,
        dry_run=False,
        missing_only=False,
        json=False,
        use_shared=False,
        # What is made anew because it was wrong must not come back from a copy of it.
        reuse=False,
        publish=(),
        cache=None,
    )


@contextmanager
def _listed(paths: Iterable[bytes]) -> Iterator[str]:
    with tempfile.NamedTemporaryFile(prefix="pregen-list-") as file:
        for path in paths:
            file.write(path + b"\0")
        file.flush()
        yield file.name


class _Unseen:
    """A printer that keeps what failed, and shows nothing."""

    interval_s: float | None = None

    def __init__(self) -> None:
        self.failed: list[NotMade] = []

    @property
    def verbose(self) -> bool:
        return False

    def start(self) -> None:
        """Nothing."""

    def outcome(self, outcome: Outcome) -> None:
        if outcome.failed:
            self.failed.append(NotMade(outcome.path, outcome.kind.value, outcome.message))

    def skip(self, skip: Skip) -> None:
        """Nothing."""

    def warning(self, message: str) -> None:
        """Nothing."""

    def note(self, message: str) -> None:
        """Nothing."""

    def tick(self, view: View, *, asked: bool) -> None:
        """Nothing."""

    def finish(self, report: RunReport) -> None:
        """Nothing."""

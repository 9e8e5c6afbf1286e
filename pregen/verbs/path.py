"""`pregen path FILE...`: where the thumbnail of a file is; it is made if there is no fresh one.

For previewers and scripts. Answers come in the order of the names, each as soon as it and those
before it are known. Fresh entries are found without anything that makes pictures: no worker, no
picture library, no journal.
"""

from __future__ import annotations

import os
import queue
import select
import stat
import sys
import threading
from collections import deque
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final, Self

import click

from pregen.argument_types import flavors as flavor_list
from pregen.argument_types import raw_bytes
from pregen.cache.lookup import has_fresh
from pregen.cache.store import Cache
from pregen.commandline import Command, Option, under
from pregen.config import Check, Order
from pregen.display.printer import Printer
from pregen.display.text import printable, shown
from pregen.display.words import WORDS, label
from pregen.errors import ExitCode, UsageError
from pregen.filesystems.bounded import BoundedFiles
from pregen.model import Flavor, Kind, Outcome, Skip
from pregen.session import Session, cache_option, mount_timeout_option
from pregen.thumbspec.naming import clean_path, entry_path
from pregen.thumbspec.uri import file_uri

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.config import RunConfig
    from pregen.filesystems.bounded import Status
    from pregen.pipeline import RunStop

#: Names that wait for a thumbnail to be made; more are read when these are done.
_WAITING: Final = 2000
_READ_BYTES: Final = 1 << 16


@click.pass_obj
def _path(
    session: Session,
    /,
    *,
    files: tuple[bytes, ...],
    flavor: Flavor,
    null: bool,
    mount_timeout: float,
) -> ExitCode:
    """Print where the thumbnail of each FILE is; create it if there is no up-to-date one.

    Without FILE it reads names from standard input, one per line, and prints one line for each, in
    order and as soon as possible: an empty line means that there is no thumbnail. Exit code 3: a
    file has none; standard error says why.
    """
    names = Names(
        tuple(map(session.clean, files)), sys.stdin.fileno() if not files else None, null=null
    )
    if not files and sys.stdin.isatty():
        raise UsageError("give files, or names on standard input: pregen path ~/Pictures/cat.jpg")
    with EntryMaker(session, flavor) as maker, closing(BoundedFiles(mount_timeout)) as looks:
        return answer_all(names, maker, session, flavor, looks)


class _FlavorType(click.ParamType[Flavor]):
    name = "flavor"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Flavor:
        """Return one flavor."""
        if isinstance(value, Flavor):
            return value
        found = flavor_list(str(value))
        if len(found) != 1:
            self.fail("give one size: a thumbnail has one path.", param, ctx)
        return found[0]


path = Command(
    "path",
    callback=_path,
    params=[
        click.Argument(["files"], metavar="[FILE]...", type=raw_bytes, nargs=-1),
        *under(
            "Options",
            Option(
                ["--flavor"],
                metavar="SIZE",
                type=_FlavorType(),
                default="large",
                show_default=True,
                help="normal (128 px), large (256), x-large (512) or xx-large (1024).",
            ),
            Option(
                ["--null", "-0"], is_flag=True, help="Names and answers end with NUL, not newline."
            ),
            mount_timeout_option(),
            cache_option(),
        ),
    ],
    help=_path.__doc__,
    epilog="Examples: `pregen path ~/Pictures/cat.jpg`; "
    "`find ~/Pictures -name '*.jpg' -print0 | pregen path -0`.",
)


class Names:
    """The names to answer, as they come: those of the command line, or of a stream.

    Args:
        files: of the command line, absolute and clean.
        stream: a descriptor to read names from; None: there is none.
        null: they end with NUL.
    """

    def __init__(self, files: tuple[bytes, ...], stream: int | None, *, null: bool) -> None:
        self.end = b"\0" if null else b"\n"
        self.stream = stream
        self._given = files
        self._rest = b""
        self._cwd = b""

    @property
    def over(self) -> bool:
        """Whether all names have been taken."""
        return self.stream is None and not self._given

    def take(self) -> list[bytes]:
        """Return the names that are there; waits for the stream if there are none.

        Raises:
            UsageError: a name is relative, and the working directory was deleted.
        """
        given, self._given = self._given, ()
        if given or self.stream is None:
            return list(given)
        data = os.read(self.stream, _READ_BYTES)
        if not data:
            self.stream = None
        *names, self._rest = (self._rest + data).split(self.end)
        if not data and self._rest:
            names.append(self._rest)
        return [self._clean(name) for name in names]

    def _clean(self, name: bytes) -> bytes:
        if not name.startswith(b"/") and not self._cwd:
            from pregen.walk.roots import working_directory  # noqa: PLC0415 - seldom needed

            self._cwd = working_directory(os.environ)
        return clean_path(name, self._cwd) if name else b""


class _Question:
    """One name, and its answer once it is known."""

    __slots__ = ("answer", "path", "why")

    def __init__(self, path: bytes) -> None:
        self.path = path
        self.answer: bytes | None = None
        """The path of the entry; empty: there is none. None: not known yet."""
        self.why = ""

    def give(self, answer: bytes = b"", why: str = "") -> None:
        """Answer it."""
        self.answer, self.why = answer, why


class EntryMaker:
    """Makes entries of files that have none: a run in a thread, begun at the first such file.

    It has the run that holds the cache's lock do them next, if there is one that takes them, and
    needs no lock otherwise: commits are atomic. As a context.
    """

    def __init__(self, session: Session, flavor: Flavor) -> None:
        self._session = session
        self._flavor = flavor
        self._names: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._known: queue.SimpleQueue[Outcome | Skip | BaseException] = queue.SimpleQueue()
        self._wakes, self._wake = os.pipe()
        self._thread: threading.Thread | None = None
        self._stop: RunStop | None = None

    def fileno(self) -> int:
        """Return what can be read when `outcomes` has news, for select."""
        return self._wakes

    def ask(self, path: bytes) -> None:
        """Have the entry of a file made; `news` will tell what became of it."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="pregen-path", daemon=True)
            self._thread.start()
        self._names.put(path)

    def news(self) -> Iterator[Outcome | Skip]:
        """Yield what became of files since the last time.

        Raises:
            PregenError: what ended the run.
        """
        if self._known.empty():
            return
        os.read(self._wakes, _READ_BYTES)
        with suppress(queue.Empty):
            while True:
                known = self._known.get_nowait()
                if isinstance(known, BaseException):
                    raise known
                yield known

    def tell(self, known: Outcome | Skip | BaseException) -> None:
        """Take what became of a file, or what ended the run, from the run's thread."""
        self._known.put(known)
        os.write(self._wake, b".")

    def _run(self) -> None:
        from pregen.display.listener import Watch  # noqa: PLC0415 - a fresh entry needs no run
        from pregen.pipeline import RunStop, run  # noqa: PLC0415 - likewise
        from pregen.walk import named_sources  # noqa: PLC0415 - likewise

        try:
            self._stop = stop = RunStop()
            config = self._config()
            names = iter(self._names.get, None)
            run(config, Watch(_Telling(self)), stop, named_sources(names, config.work.cache_root))
        except BaseException as error:  # noqa: BLE001 - raised by `news`, in the main thread
            self.tell(error)

    def _config(self) -> RunConfig:
        """Return the user's settings of a run, for single files."""
        from pregen.verbs.run import values_for_files  # noqa: PLC0415 - as for the run

        values = values_for_files(self._session, check=Check.QUICK, reuse=True, wait=False)
        config = self._session.run_config(values)
        flavors = config.plan.flavors
        if self._flavor not in flavors:
            flavors = (self._flavor,)
        return config._replace(
            walk=config.walk._replace(order=Order.WALK),
            plan=config.plan._replace(flavors=flavors),
            work=config.work._replace(flavors=flavors),
            governor=None,
            sweep=False,
            must_lock=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        from pregen.engines.base import StopLevel  # noqa: PLC0415 - as for the run

        if self._stop is not None and kind is not None:
            self._stop.raise_to(StopLevel.KILL)
        self._names.put(None)
        if self._thread is not None:
            self._thread.join()
        os.close(self._wakes)
        os.close(self._wake)


class _Telling(Printer):
    """Shows nothing; tells the maker what becomes of each file."""

    def __init__(self, maker: EntryMaker) -> None:
        super().__init__(verbose=True)
        self._maker = maker

    def outcome(self, outcome: Outcome | Skip) -> None:
        self._maker.tell(outcome)


def answer_all(
    names: Names, maker: EntryMaker, session: Session, flavor: Flavor, looks: BoundedFiles
) -> ExitCode:
    """Print the answer to each name, in order; tell whether each has a thumbnail.

    Raises:
        PregenError: what ended the making of entries, or the cache cannot be read.
    """
    with Cache(session.cache_root) as cache:
        answers = _Answers(maker, cache, flavor, looks, session.cache_flag)
        while not names.over or answers.waiting:
            takes = not names.over and len(answers.waiting) < _WAITING
            if takes and (names.stream is None or _is_ready(names.stream, answers, maker)):
                for path in names.take():
                    answers.ask(path)
            elif answers.waiting:
                select.select([maker.fileno()], [], [])
            answers.take_news()
            answers.write(names.end)
    return ExitCode.DONE if answers.complete else ExitCode.SOME_FAILED


def _is_ready(stream: int, answers: _Answers, maker: EntryMaker) -> bool:
    """Wait for names or news; tell whether there are names."""
    if not answers.waiting:
        return True
    return stream in select.select([stream, maker.fileno()], [], [])[0]


class _Answers:
    """Questions in order, and what is known of them."""

    def __init__(
        self,
        maker: EntryMaker,
        cache: Cache,
        flavor: Flavor,
        looks: BoundedFiles,
        cache_flag: str,
    ) -> None:
        self.waiting: deque[_Question] = deque()
        """In the order of the names, the first of them not printed yet."""
        self.complete = True
        """Every name so far has a thumbnail."""
        self._maker = maker
        self._flavor = flavor
        self._root = cache.root
        self._folder = cache.folder(flavor)
        self._asked: dict[bytes, list[_Question]] = {}
        self._looks = looks
        self._cache_flag = cache_flag

    def ask(self, path: bytes) -> None:
        """Look for a file's entry, and have it made if there is no fresh one."""
        question = _Question(path)
        self.waiting.append(question)
        try:
            facts = self._looks.stat(path) if path else None
        except (OSError, ValueError) as error:
            question.give(why=getattr(error, "strerror", "") or "not a valid file name")
            return
        if facts is None or not stat.S_ISREG(facts.st_mode):
            question.give(why="not a file" if path else "an empty name")
        elif entry := self._entry(path, facts):
            question.give(entry)
        else:
            self._asked.setdefault(path, []).append(question)
            if len(self._asked[path]) == 1:
                self._maker.ask(path)

    def _entry(self, path: bytes, facts: Status) -> bytes:
        """Return the path of a fresh entry; empty: there is none."""
        uri = file_uri(path)
        if not has_fresh(self._folder, self._flavor, uri, facts.st_mtime_ns, facts.st_size):
            return b""
        return entry_path(self._root, self._flavor, uri)

    def take_news(self) -> None:
        """Answer what the maker is done with."""
        for outcome in self._maker.news():
            questions = self._asked.pop(outcome.path, [])
            entry = b""
            with suppress(OSError):
                entry = self._entry(outcome.path, self._looks.stat(outcome.path))
            why = outcome.message or WORDS[outcome.kind].meaning
            words = label(outcome.kind) + (f": {why}" if why else "")
            if outcome.kind is Kind.FAILED_BEFORE:
                words += f". To try again: pregen failures{self._cache_flag} --retry"
            for question in questions:
                question.give(entry, "" if entry else words)

    def write(self, end: bytes) -> None:
        """Print what is known, as far as nothing before it is unknown."""
        lines = []
        while self.waiting and self.waiting[0].answer is not None:
            question = self.waiting.popleft()
            lines += [question.answer or b"", end]
            if not question.answer:
                self.complete = False
                click.echo(f"pregen: {shown(question.path)}: {printable(question.why)}", err=True)
        if lines:
            sys.stdout.buffer.write(b"".join(lines))
            sys.stdout.buffer.flush()

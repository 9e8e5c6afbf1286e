"""The seam between the run and what does its jobs: one method; the engines by name.

Contract, held by every engine (`tests/contract/`):

* jobs are pulled lazily, never more than a bound ahead of the outcomes;
* `None` from the iterator means "none ready yet": ask again soon, block nothing;
* every job pulled yields exactly one outcome, in any order, also when workers die;
* nothing a job does raises out of `run`; what the iterator raises does, once the work in flight
  has finished and every job pulled has had its outcome;
* after `stop` drains, work in flight finishes and the jobs not yet begun come back INTERRUPTED;
  after `stop` kills, everything still open comes back INTERRUPTED at once;
* closing the generator leaves no process behind.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Generator, Iterator
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, cast

from pregen.config import Decoder, Previews, WorkConfig
from pregen.delivery import Parcel
from pregen.errors import MissingLibraryError, UsageError
from pregen.installation import requires
from pregen.model import AllowedFolders, Job, Kind, Outcome, WorkerView
from pregen.readers.pace import ReaderOrders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pregen.config import EngineConfig
    from pregen.filesystems.bounded import BoundedFiles


Ask = Callable[[int], None]
"""Called by work with the bytes a big picture will take; returns when there is room for it."""

Work = Callable[[Job, Ask], Outcome]
"""Does one job. Never raises for a source. May have a method `prefetch(jobs)`, called with the
coming ones before another job is begun; it returns at once, so that the disk works while the
processor does. Work that can be confined has a method `confine(open_elsewhere)` (`Confine`), and
work that can read the sources of coming jobs itself a method `read_ahead` (`StartReading`). Work
that reads from disks may have a method `take_turns(descriptor)`, called once with a file that all
workers of a run lock for that."""


class SourcesAhead(Protocol):
    """Sources of coming jobs on shares, read by threads before their turn."""

    def fileno(self) -> int:
        """Return a descriptor that is readable when `settle` is to be called."""
        ...

    def settle(self) -> None:
        """Take note of what has been read."""
        ...

    def adjust(self) -> None:
        """Heed the orders, which may have changed."""
        ...

    @property
    def waited_ns(self) -> int:
        """How long jobs have waited for shares in the middle of their work, altogether."""
        ...

    def begin(self, job: Job) -> None:
        """Have the source of a job read; returns at once."""
        ...

    def is_settled(self, job: Job) -> bool:
        """Tell whether a job can be done: what it needs is there, or waiting for it is in vain."""
        ...

    def drop(self, job: Job) -> None:
        """Forget a job that will not be done here."""
        ...


StartReading = Callable[[ReaderOrders, float, int], SourcesAhead]
"""Called before the first job whose source is to be read ahead, with how many seconds a share may
say nothing and how many bytes may be kept in memory, by about. Jobs that were begun there are done
with what was read."""

OpenElsewhere = Callable[[int], int]
"""Has the run open the source of a job in hand, by the job's id; returns the descriptor, which is
the caller's. Raises OSError in the words of the run's own attempt."""

Confine = Callable[[OpenElsewhere], AllowedFolders]
"""Called once, before the first job: from then on work may use nothing but its folders, and opens
sources that are elsewhere by asking."""

WorkFactory = Callable[[WorkConfig], Work]
"""Made in the worker, once. Must be importable by name: it is sent as "module:name"."""


def factory_name(factory: WorkFactory) -> str:
    """Return the "module:name" of a work factory, by which `load_factory` finds it elsewhere."""
    return f"{factory.__module__}:{factory.__qualname__}"


def load_factory(name: str) -> WorkFactory:
    """Import the work factory of this name."""
    factory: WorkFactory = _named(name)
    return factory


def call(name: str, *arguments: object) -> None:
    """Call the function "module:name", which the program that wants it called need not import."""
    _named(name)(*arguments)


def _named(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


class StopLevel(IntEnum):
    """How urgently the run is to end."""

    RUN = 0
    DRAIN = 1
    KILL = 2


class Stop:
    """Set by signal handlers, read by engines. A plain attribute: safe in a handler."""

    def __init__(self) -> None:
        self.level = StopLevel.RUN

    def raise_to(self, level: StopLevel) -> None:
        """Make the stop at least as urgent as `level`."""
        self.level = max(self.level, level)

    def is_set(self) -> bool:
        """Tell whether the run is to end: as a `threading.Event`, which libraries ask for."""
        return self.level is not StopLevel.RUN


Store = Callable[[Job, Outcome, Parcel], Outcome]
"""Commits what a job wrote on another machine; returns the outcome as it is with that."""


class Engine(Protocol):
    """Does jobs. One run per instance."""

    @property
    def sandbox(self) -> str:
        """What its workers are confined by, for people."""
        ...

    @property
    def caution(self) -> str:
        """What its user should know before it runs; mostly nothing."""
        ...

    def run(self, jobs: Iterator[Job | None], stop: Stop) -> Generator[Outcome]:
        """Do every job and yield one outcome for each (contract: module docstring)."""
        ...

    def workers(self) -> list[WorkerView]:
        """What every worker is doing now. Called from another thread."""
        ...


def attempt(work: Work, job: Job, ask: Ask) -> Outcome:
    """Return what `work` makes of `job`.

    Memory that ran out is the outcome OUT_OF_MEMORY. Any other exception, `sys.exit` among them,
    and an outcome for another job are bugs: the outcome ERROR, whose message says where.
    """
    try:
        outcome = work(job, ask)
        if outcome.job_id == job.job_id:
            return outcome
        message = f"the outcome of job {outcome.job_id} came back for job {job.job_id}"
        kind = Kind.ERROR
    except MemoryError:
        kind = Kind.OUT_OF_MEMORY
        message = "needs more memory than a worker may use"
    except (Exception, SystemExit) as error:  # noqa: BLE001 - one bad source must not end a run
        kind = Kind.ERROR
        message = last_line(error)
    return Outcome(job.job_id, job.path, kind, message, worker_pid=os.getpid())


def last_line(error: BaseException) -> str:
    """Return the last line of the traceback of `error`, and where it was raised."""
    import traceback  # noqa: PLC0415 - of bugs only

    words = traceback.format_exception_only(error)[-1].strip()
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    if not frames:
        return words
    frame = frames[-1]
    return f"{words} ({os.path.basename(frame.filename)}:{frame.lineno}, in {frame.name})"


class EngineEntry(NamedTuple):
    """Where an engine is, and what has to be installed for it. Imported only when asked for."""

    module: str
    maker: str
    extra: str = ""
    """The extra's name, as in `pip install pregen[dask]`; empty when nothing more is needed."""
    collects: bool = False
    """It can send entries back, and takes a `Store` for them."""
    opens: bool = False
    """It opens sources for its workers, and takes what looks at files for that."""


ENGINES: Final[dict[str, EngineEntry]] = {
    "dask": EngineEntry("pregen.engines.dask.engine", "DaskEngine", "dask", collects=True),
    "local": EngineEntry("pregen.engines.local.engine", "LocalEngine", opens=True),
    "serial": EngineEntry("pregen.engines.serial", "SerialEngine"),
}
DEFAULT_ENGINE: Final = "local"


def make_engine(
    name: str,
    work_factory: WorkFactory,
    work_config: WorkConfig,
    config: EngineConfig,
    preload: Sequence[str] = (),
    store: Store | None = None,
    *,
    files: BoundedFiles | None = None,
) -> Engine:
    """Return a new engine for one run.

    Args:
        name: a key of `ENGINES`.
        work_factory: makes the work function; a module-level function.
        work_config: handed to `work_factory`.
        config: how many workers, and their limits.
        preload: modules worth importing once for all workers.
        store: commits what engines send back that work on machines without this cache.
        files: looks at the files of this run.

    Raises:
        UsageError: there is no engine of that name.
        MissingLibraryError: a library it needs is not installed.
    """
    entry = ENGINES.get(name)
    if entry is None:
        known = ", ".join(sorted(ENGINES))
        raise UsageError(f"There is no engine called {name!r}. Choose one of: {known}.")
    with requires(entry.extra, f"The engine {name!r}"):
        maker = getattr(importlib.import_module(entry.module), entry.maker)
    more: dict[str, object] = {"store": store} if entry.collects else {}
    if entry.opens:
        more["files"] = files
    return cast("Engine", maker(work_factory, work_config, config, preload, **more))


#: What `make_work` imports. The parent of workers never does: the picture libraries take a quarter
#: of a second and 60 MB, which a run that finds everything fresh should not pay.
WORK_MODULE = "pregen.work"


#: What most likely is decoded without any picture library, by the ends of names: PNG and WebP, and
#: JPEGs of cameras, which are so large (in bytes) that a part of their coefficients will do.
_PLAIN: Final = {
    b"png": 0, b"webp": 0, **dict.fromkeys((b"jpg", b"jpeg", b"jpe"), 256 * 1024),
}  # fmt: skip


def needs_libraries(job: Job, config: WorkConfig) -> bool:
    """Tell, by what is known of it, whether a job will need the picture libraries.

    To import them takes long. Where this is wrong a worker imports them for itself.
    """
    least_bytes = _PLAIN.get(job.path.rpartition(b".")[2].lower())
    return (
        least_bytes is None
        or job.size_bytes < least_bytes
        or config.decoder is not Decoder.AUTO
        or config.previews is not Previews.NEVER
    )


def make_work(config: WorkConfig) -> Work:
    """Return the function that does jobs (an `engines.base.WorkFactory`).

    Raises:
        MissingLibraryError: a picture library is not installed.
    """
    try:
        from pregen.work import make_worker  # noqa: PLC0415 - see `WORK_MODULE`
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "pregen":
            raise
        raise MissingLibraryError(
            f"The library {error.name} is not installed. Install pregen with its "
            "dependencies: pip install pregen"
        ) from error
    return make_worker(config)

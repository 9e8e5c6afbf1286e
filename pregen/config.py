"""Settings as frozen values. Reading flags, environment and files into them is `cli`'s work."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from pregen.model import Flavor

if TYPE_CHECKING:
    from datetime import datetime

#: 500 Mpx: twice the largest camera sensor sold (200 Mpx phones) plus room for panoramas; more
#: is nearly always a decompression bomb (issue A, imaging).
DEFAULT_MAX_PIXELS = 500_000_000

#: A job's deadline: this much, plus a second for every `DEADLINE_BYTES_PER_S` of the file.
DEFAULT_TIMEOUT_S = 60.0
#: 1 MB/s is a bad day on a Wi-Fi network share.
DEADLINE_BYTES_PER_S = 1_000_000


#: A Dask worker says something twice a second in a small cluster, every few seconds among hundreds.
DEFAULT_NODE_TIMEOUT_S = 30.0
#: A scheduler that does not answer within this is not there.
CONNECT_TIMEOUT_S = 10.0


class Order(Enum):
    """In which order sources are worked on."""

    WALK = "walk"
    NEWEST = "newest"
    OLDEST = "oldest"


class Check(Enum):
    """How a re-run tells that an entry is fresh."""

    QUICK = "quick"
    """By stat alone where nothing has changed since it was last judged (`recall`)."""
    FULL = "full"
    """By reading every entry's header."""


class Decoder(Enum):
    """Which library decodes a JPEG that more than one can."""

    AUTO = "auto"
    """The fastest at equal fidelity (benchmarks/README.md): the DC alone where 1/8 will do and C
    was compiled, else libjpeg-turbo."""
    VIPS = "vips"
    TURBO = "turbo"


class Sandbox(Enum):
    """Whether workers give up what they do not need once they have started."""

    AUTO = "auto"
    """As far as the kernel can."""
    REQUIRE = "require"
    """Altogether, or the run does not begin."""
    OFF = "off"


class Previews(Enum):
    """Whether a camera's own preview may stand for a JPEG."""

    NEVER = "never"
    """The main picture is the truth."""
    AUTO = "auto"
    """Where one covers the largest wanted flavor and shows the same."""


class Shard(NamedTuple):
    """One machine's share of all sources: number 1 to `total`."""

    number: int
    total: int


class Only(NamedTuple):
    """The part of a tree to be walked; the folders above it are read on the way."""

    folders: frozenset[bytes]
    """Without those below them."""
    trees: frozenset[bytes]
    """With all below them."""


@dataclass(frozen=True, slots=True)
class WalkConfig:
    """Which files are sources. Globs are matched on bytes."""

    roots: tuple[bytes, ...] = ()
    """As the user gave them; the walk makes them absolute and clean."""
    include: tuple[bytes, ...] = ()
    exclude: tuple[bytes, ...] = ()
    hidden: bool = False
    recursive: bool = True
    """Also walk the folders below the roots."""
    follow_symlinks: bool = False
    one_file_system: bool = False
    order: Order = Order.WALK
    shard: Shard | None = None
    """None: all sources."""
    only: Only | None = None
    """None: the whole of every root."""
    cache_root: bytes = b""
    """The thumbnails directory in use: never walked into (standard, Thumbnail Directory)."""


@dataclass(frozen=True, slots=True)
class PlanConfig:
    """Which entries are wanted, and what is done about those that are not fresh."""

    flavors: tuple[Flavor, ...] = (Flavor.NORMAL, Flavor.LARGE)
    force: bool = False
    missing_only: bool = False
    retry_failed: bool = False
    refit: bool = True
    realpath_keys: bool = False
    publish: tuple[tuple[bytes, str], ...] = ()
    """Folders, absolute and clean, and what they are called elsewhere (`thumbspec.published`)."""
    reuse: bool = True
    """A moved or copied source gets the pictures its content has already."""
    check: Check = Check.QUICK
    use_shared: bool = False
    """A source with a fresh entry in the shared repository beside it needs none in the cache."""


@dataclass(frozen=True, slots=True)
class WorkConfig:
    """All a worker needs to know besides its jobs. Sent once to every worker."""

    cache_root: bytes
    """The thumbnails directory, absolute."""
    version: str
    flavors: tuple[Flavor, ...] = (Flavor.NORMAL, Flavor.LARGE)
    """The wanted ones, for a source that changed after it was planned."""
    max_pixels: int = DEFAULT_MAX_PIXELS
    decoder: Decoder = Decoder.AUTO
    previews: Previews = Previews.NEVER
    drop_cache: bool = False
    """Tell the kernel that what was read will not be read again."""
    missing_only: bool = False
    """Entries that are there stay, also those of a source that changed after it was planned."""
    shared: bool = False
    """Entries go to shared repositories beside their sources, none to the cache."""
    folders: tuple[bytes, ...] = ()
    """Below these a confined worker opens sources itself; absolute. Others the run opens for it."""


@dataclass(frozen=True, slots=True)
class DaskConfig:
    """Which cluster, and how it is used. One of the first two is given."""

    scheduler: str = ""
    """As "tcp://host:8786", or "local:2" for so many nodes within this process."""
    scheduler_file: str = ""
    """What `dask scheduler --scheduler-file` wrote."""
    collect: bool = False
    """Entries are sent back and stored here: the nodes have no part in the cache."""
    workers_per_node: int | None = None
    """None: as many as a Dask worker has threads."""
    node_timeout_s: float = DEFAULT_NODE_TIMEOUT_S
    """A node that says nothing for so long is given up."""
    connect_timeout_s: float = CONNECT_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """How jobs are spread over processes and how those are watched."""

    workers: int = 1
    timeout_s: float = DEFAULT_TIMEOUT_S
    memory_bytes: int | None = None
    """Sum of the big pictures in flight; None: decided from the machine's free memory."""
    worker_memory_bytes: int | None = None
    """RLIMIT_AS of each worker above what it uses at its start; None: decided likewise."""
    recycle_jobs: int = 20_000
    """A worker is replaced after this many jobs, at a job boundary (leaks)."""
    recycle_growth_bytes: int = field(default=512 * 1024 * 1024)
    """... or when its resident memory has grown by this much."""
    dask: DaskConfig | None = None
    """For the engine "dask"."""
    sandbox: Sandbox = Sandbox.OFF
    """Engines without worker processes have none."""


@dataclass(frozen=True, slots=True)
class GovernorConfig:
    """When a run pauses, and when it ends before it is done."""

    max_load: float | None = None
    pause_on_battery: bool = False
    limit: int | None = None
    """Sources to be decoded."""
    max_time_s: float | None = None
    until: datetime | None = None
    """With a time zone."""
    min_free_bytes: int | None = None
    """Of the disk of the cache."""


@dataclass(frozen=True, slots=True)
class RunConfig:
    """A whole run."""

    walk: WalkConfig
    plan: PlanConfig
    work: WorkConfig
    engine: EngineConfig
    engine_name: str = "local"
    files_from: bytes | None = None
    """A file that names sources; b"-" is standard input."""
    delimiter: bytes = b"\n"
    """Ends each name in `files_from`."""
    governor: GovernorConfig | None = None
    """None: it never pauses, and ends when it is done."""
    sweep: bool = True
    """Look for temps of dead runs, which lists the whole cache, before and after."""
    wait: bool = False
    """Wait for another run on the same cache instead of refusing."""
    journal_path: bytes = b""
    """The journal's file; empty: no journal."""
    arguments: tuple[str, ...] = ()
    """The command line, for the journal."""

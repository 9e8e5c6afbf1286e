"""The settings of a run as frozen values, each declared once: on the field that holds it.

A field with a `Flag` is an option of the command line, a variable PREGEN_<NAME> and a key of
config.toml; help, man page and completion are made from the same declaration (`pregen.options`).
Annotations are evaluated here, not kept as text: the declarations are read from the fields.
"""

from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple

from pregen.model import Flavor

#: 500 Mpx: twice the largest camera sensor sold (200 Mpx phones) plus room for panoramas; more
#: is nearly always a decompression bomb.
DEFAULT_MAX_PIXELS = 500_000_000

#: A job's deadline: this much, plus a second for every `DEADLINE_BYTES_PER_S` of the file.
DEFAULT_TIMEOUT_S = 60.0
#: 1 MB/s is a bad day on a Wi-Fi network share.
DEADLINE_BYTES_PER_S = 1_000_000
#: A worker that has worked so long is replaced: what it may use of the processor altogether has a
#: hard limit, which cannot be raised (`sandbox.rlimits`).
RETIRE_S = 1200
#: A server may have to spin up its disks, which takes a quarter of this.
DEFAULT_READ_TIMEOUT_S = 60.0

#: A Dask worker says something twice a second in a small cluster, every few seconds among hundreds.
DEFAULT_NODE_TIMEOUT_S = 30.0
#: A scheduler that does not answer within this is not there.
CONNECT_TIMEOUT_S = 10.0

Notation = Literal["number", "pixels", "size", "rate", "time", "clock"]
"""How a person writes a value whose type does not say it: 500M, 2G, 8h, 06:30."""


class Flag(NamedTuple):
    """How a person sets a field."""

    help: str
    metavar: str | None = None
    name: str = ""
    """Without the dashes; empty: the field's."""
    short: str = ""
    """As "-q"."""
    heading: str = ""
    """Of the help; empty: that of the class."""
    notation: Notation = "number"
    least: int | None = None
    most: int | None = None
    above: int | None = None
    """Greater than this."""
    choices: tuple[str, ...] = ()
    default: Any = ...
    """What a run has when it is not set; ...: the field's own default."""
    negative: bool = False
    """A switch that is on by default: also `--no-NAME`."""
    debug: bool = False
    """Shown by --help-all only."""
    action: bool = False
    """What one call does, set on its command line alone: no variable, no key."""
    alias: bool = False
    """An old spelling, which no help shows."""


class FlavorChoice(NamedTuple):
    """The flavors that a run makes when the user names none."""

    flavors: tuple[Flavor, ...]
    """Small to large."""
    why: str
    """For people."""
    ignored: tuple[str, ...] = ()
    """Facts that made no sense, for people who want to know everything."""

    @property
    def told(self) -> str:
        """What a person reads of it."""
        return f"sizes: normal, large; {self.why}"


class Setting(NamedTuple):
    """A field that a person can set."""

    field: str
    """Its name."""
    default: Any
    """Its own default; ...: it has none."""
    kind: Any
    """The type of the field."""
    flag: Flag
    heading: str
    """Of the help."""

    @property
    def name(self) -> str:
        """As in config.toml: that of the option without its dashes."""
        return self.flag.name or self.field.replace("_", "-")

    @property
    def variable(self) -> str:
        """The name in the environment."""
        return variable(self.name)


def variable(name: str) -> str:
    """Return what an option is called in the environment."""
    return f"PREGEN_{name.replace('-', '_').upper()}"


def declared(*groups: type) -> Iterator[Setting]:
    """Yield what a person can set in these classes, or in all of a run."""
    for group in groups or _GROUPS:
        defaults: dict[str, Any] = vars(group)["_field_defaults"]
        for field, kind in group.__annotations__.items():
            for mark in getattr(kind, "__metadata__", ()):
                if isinstance(mark, Flag):
                    heading = mark.heading or _GROUPS[group]
                    yield Setting(field, defaults.get(field, ...), kind.__origin__, mark, heading)


class Order(Enum):
    """In which order sources are worked on."""

    WALK = "walk"
    NEWEST = "newest"
    OLDEST = "oldest"


class Check(Enum):
    """How a re-run tells that an entry is fresh."""

    QUICK = "quick"
    """By stat alone where nothing has changed since it was last judged (`recall`)."""
    FOLDERS = "folders"
    """As QUICK, and without asking for a file's size and time where its folder has not changed."""
    FULL = "full"
    """By reading every entry whole and unpacking its picture."""


class RealPathKeys(Enum):
    """Whether a source that is reached through links gets entries under its real path, too."""

    AUTO = "auto"
    """For the clients in `PlanConfig.clients` that ask by it."""
    ALWAYS = "always"
    NEVER = "never"


class Decoder(Enum):
    """Which library decodes a JPEG that more than one can."""

    AUTO = "auto"
    """The fastest at equal fidelity (benchmarks/README.md): our own, from some coefficients,
    where 1/8 to 1/2 will do and C was compiled, else libjpeg-turbo."""
    VIPS = "vips"
    TURBO = "turbo"


class Sandbox(Enum):
    """Whether workers give up what they do not need once they have started."""

    AUTO = "auto"
    """As far as the kernel supports it."""
    REQUIRE = "require"
    """Fully, or the run does not begin."""
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


class WalkConfig(NamedTuple):
    """Which files are sources. Globs are matched on bytes."""

    roots: tuple[bytes, ...] = ()
    """As the user gave them; the walk makes them absolute and clean."""
    include: Annotated[
        tuple[bytes, ...], Flag("Only matching files; may be repeated.", "GLOB")
    ] = ()
    exclude: Annotated[
        tuple[bytes, ...], Flag("Skip matching files and folders; may be repeated.", "GLOB")
    ] = ()
    hidden: Annotated[bool, Flag("Include hidden files and folders.")] = False
    recursive: bool = True
    """Also walk the folders below the roots."""
    follow_symlinks: Annotated[bool, Flag("Follow symbolic links to folders.")] = False
    links: bool = True
    """Symbolic links to files are sources."""
    one_file_system: Annotated[bool, Flag("Do not cross file system boundaries.")] = False
    allow_encrypted: Annotated[
        tuple[bytes, ...],
        Flag(
            "Also create thumbnails of encrypted vaults and disks at PATH; may be repeated.",
            "PATH",
        ),
    ] = ()
    """At and below these, as the walk names them, sources better protected than the cache."""
    order: Annotated[
        Order,
        Flag("Which files come first; default: walk.", default=None),
    ] = Order.WALK
    shard: Annotated[
        Shard | None,
        Flag("Process part I of N; give each machine the same paths.", "I/N"),
    ] = None
    """None: all sources."""
    only: Only | None = None
    """None: the whole of every root."""
    cache_root: bytes = b""
    """The thumbnails directory in use: never walked into (standard, Thumbnail Directory)."""


class PlanConfig(NamedTuple):
    """Which entries are wanted, and what is done about those that are not fresh."""

    flavors: Annotated[
        tuple[Flavor, ...],
        Flag(
            "Sizes: normal (128 px), large (256), x-large (512), xx-large (1024); auto: "
            "your screens'.",
            "LIST",
            default=(),
        ),
    ] = (Flavor.NORMAL, Flavor.LARGE)
    """What a person sets may be empty: auto. `options.run_config` has it chosen then."""
    force: Annotated[bool, Flag("Recreate every thumbnail, even up-to-date ones.", action=True)] = (
        False
    )
    missing_only: Annotated[bool, Flag("Skip thumbnails that exist, even stale ones.")] = False
    retry_failed: Annotated[bool, Flag("Retry files that failed and have not changed.")] = False
    refit: Annotated[
        bool,
        Flag(
            "Rewrite the texts of thumbnails that only some desktops accept (default), or not.",
            negative=True,
            debug=True,
        ),
    ] = True
    reuse: Annotated[
        bool,
        Flag(
            "Copy the pictures of files that were moved, renamed or copied with their times "
            "(default), or decode them again.",
            negative=True,
            debug=True,
        ),
    ] = True
    """A moved or copied source gets the pictures its content has already."""
    check: Annotated[
        Check,
        Flag(
            "How to detect up-to-date thumbnails. quick: by stat, where nothing changed "
            "since the last run. folders: like quick, and files in a folder that has not changed "
            "since the last run with this option count as unchanged (misses files edited in "
            "place). full: read every thumbnail and unpack its picture.",
            debug=True,
        ),
    ] = Check.QUICK
    clients: Annotated[
        tuple[str, ...],
        Flag(
            "Also create thumbnails for programs that look for other names: auto (those "
            "installed), all, none, or a list (gwenview,cosmic).",
            "LIST",
            default="auto",
            debug=True,
        ),
    ] = ()
    """Keys of `thumbspec.clients.CLIENTS`."""
    realpath_keys: Annotated[
        RealPathKeys,
        Flag(
            "Also create thumbnails for the real path of files reached through links. auto: if KDE "
            "or COSMIC, which look for that, is installed.",
            default=RealPathKeys.AUTO,
            debug=True,
        ),
    ] = RealPathKeys.NEVER
    publish: Annotated[
        tuple[tuple[bytes, str], ...],
        Flag(
            "Create thumbnails of DIR for machines that know it as URI (smb://nas/photos); "
            "may be repeated.",
            "DIR=URI",
            debug=True,
        ),
    ] = ()
    """Folders, absolute and clean, and what they are called elsewhere (`thumbspec.published`)."""
    download: Annotated[
        bool,
        Flag(
            "Download cloud files that are only placeholders here.",
            heading="Which files",
        ),
    ] = False
    """Without it nothing is opened whose content would be fetched for that."""
    use_shared: Annotated[
        bool,
        Flag("Skip files with an up-to-date thumbnail in .sh_thumbnails (Xfce)."),
    ] = False
    """A source with a fresh entry in the shared repository beside it needs none in the cache."""


class WorkConfig(NamedTuple):
    """All a worker needs to know besides its jobs. Sent once to every worker."""

    cache_root: Annotated[
        bytes,
        Flag(
            "Use DIR as the thumbnails folder.",
            "DIR",
            name="cache",
            heading="Which thumbnails",
        ),
    ]
    """The thumbnails directory, absolute."""
    version: str
    flavors: tuple[Flavor, ...] = (Flavor.NORMAL, Flavor.LARGE)
    """The wanted ones, for a source that changed after it was planned."""
    max_pixels: Annotated[
        int,
        Flag("Refuse pictures with more pixels (1G: 10^9).", "NUMBER", notation="pixels"),
    ] = DEFAULT_MAX_PIXELS
    decoder: Annotated[
        Decoder,
        Flag(
            "For JPEGs: libvips, libjpeg-turbo, or (auto) the fastest decoder of equal quality.",
            debug=True,
        ),
    ] = Decoder.AUTO
    previews: Annotated[
        Previews,
        Flag("auto: use a JPEG's stored preview if it is large enough and shows the same picture."),
    ] = Previews.NEVER
    drop_cache: Annotated[
        bool,
        Flag(
            "Drop files from the page cache after reading them.",
            debug=True,
        ),
    ] = False
    """Tell the kernel that what was read will not be read again."""
    missing_only: bool = False
    """Entries that are there stay, also those of a source that changed after it was planned."""
    second_opinion: bool = False
    """Another decoder than usual makes the pictures, where one can: to compare entries with."""
    shared: bool = False
    """Entries go to shared repositories beside their sources, none to the cache."""
    allow_encrypted: tuple[bytes, ...] = ()
    """Absolute and clean: at and below these, sources may be encrypted better than the cache."""
    cache_keys: frozenset[bytes] = frozenset()
    """The fscrypt keys that protect the cache: sources encrypted with them are no secret to it."""
    folders: tuple[bytes, ...] = ()
    """Below these a confined worker opens sources itself; absolute. Others the run opens for it."""


class DaskConfig(NamedTuple):
    """Which cluster, and how it is used. One of the first two is given."""

    scheduler: Annotated[
        str,
        Flag(
            "tls://host:8786, tcp://host:8786, a scheduler file, or local:2 (two nodes here).",
            "ADDRESS|FILE",
            default=None,
        ),
    ] = ""
    """As "tcp://host:8786", or "local:2" for so many nodes within this process."""
    scheduler_file: Annotated[
        str, Flag("Deprecated: give the file with --scheduler.", "FILE", default=None, alias=True)
    ] = ""
    """What `dask scheduler --scheduler-file` wrote."""
    collect: Annotated[
        bool, Flag("Send thumbnails back: for nodes that do not share the cache.")
    ] = False
    """Entries are sent back and stored here: the nodes have no part in the cache."""
    workers_per_node: int | None = None
    """None: as many as a Dask worker has threads."""
    node_timeout_s: Annotated[
        float,
        Flag(
            "Reassign a node's work when it has not answered for SECONDS.",
            "SECONDS",
            name="node-timeout",
            least=1,
            debug=True,
        ),
    ] = DEFAULT_NODE_TIMEOUT_S
    """A node that says nothing for so long is given up."""
    connect_timeout_s: float = CONNECT_TIMEOUT_S


class EngineConfig(NamedTuple):
    """How jobs are spread over processes and how those are watched."""

    workers: Annotated[
        int,
        Flag(
            "Worker processes; default: one per core.",
            "NUMBER",
            least=1,
            most=4096,  # a machine with more does not exist; a typo does
            default=None,
        ),
    ] = 1
    timeout_s: Annotated[
        float,
        Flag("Time limit per file; 1 s more per MB.", "SECONDS", name="timeout", above=0),
    ] = DEFAULT_TIMEOUT_S
    readers: Annotated[
        int | None,
        Flag(
            "Files read at a time from each network share; default: as many as make it faster.",
            "NUMBER",
            least=1,
            most=64,
            debug=True,
        ),
    ] = None
    """On one share, in all workers; None: as many as the link takes."""
    max_rate: Annotated[
        int | None,
        Flag(
            "Read at most RATE bytes per second from shares (20M).",
            "RATE",
            notation="rate",
            debug=True,
        ),
    ] = None
    """Bytes in a second, from all shares."""
    read_timeout_s: Annotated[
        float,
        Flag(
            "Give up on a file when its share sends nothing for SECONDS.",
            "SECONDS",
            name="read-timeout",
            above=0,
            debug=True,
        ),
    ] = DEFAULT_READ_TIMEOUT_S
    """A share that gives nothing for so long has stopped answering."""
    memory_bytes: int | None = None
    """Sum of the big pictures in flight; None: decided from the machine's free memory."""
    worker_memory_bytes: int | None = None
    """RLIMIT_AS of each worker above what it uses at its start; None: decided likewise."""
    recycle_jobs: int = 20_000
    """A worker is replaced after this many jobs, at a job boundary (leaks)."""
    recycle_growth_bytes: int = 512 * 1024 * 1024
    """... or when its resident memory has grown by this much."""
    dask: DaskConfig | None = None
    """For the engine "dask"."""
    sandbox: Annotated[
        Sandbox,
        Flag(
            "auto: sandbox decoders as far as the kernel can. require: fully, or exit with 11.",
            default=Sandbox.AUTO,
        ),
    ] = Sandbox.OFF
    """Engines without worker processes have none."""


class GovernorConfig(NamedTuple):
    """When a run pauses, and when it ends before it is done."""

    max_load: Annotated[
        float | None,
        Flag("Pause while the load average is above LOAD.", "LOAD", above=0),
    ] = None
    limit: Annotated[
        int | None,
        Flag("End after decoding this many files.", "NUMBER", least=1),
    ] = None
    """Sources to be decoded."""
    max_time_s: Annotated[
        float | None,
        Flag("End after this time (90m, 8h).", "TIME", name="max-time", notation="time"),
    ] = None
    until: Annotated[
        datetime | None, Flag("End at this time of day (06:30).", "HH:MM", notation="clock")
    ] = None
    """With a time zone."""
    max_read_bytes: Annotated[
        int | None,
        Flag(
            "Read at most SIZE from shares (20G), newest first.",
            "SIZE",
            name="max-read",
            notation="size",
        ),
    ] = None
    """Of originals; in a run without a share, from any disk. The last file may go beyond it."""
    min_free_bytes: Annotated[
        int | None,
        Flag(
            "Stop (exit 12) when less than SIZE (2G) is free.",
            "SIZE",
            name="min-free",
            notation="size",
        ),
    ] = None
    """Of the disk of the cache."""
    pause_on_battery: Annotated[bool, Flag("Pause while the machine runs on battery.")] = False


class PriorityConfig(NamedTuple):
    """How a run makes room for other programs."""

    nice: Annotated[
        int | None,
        Flag("Run at a lower priority, as with nice(1); at most 19.", "NUMBER", least=1, most=19),
    ] = None
    idle: Annotated[bool, Flag("Use idle time only; time limits become ten times longer.")] = False
    memory_limit_bytes: Annotated[
        int | None,
        Flag(
            "Limit memory to about SIZE (2G).",
            "SIZE",
            name="memory-limit",
            notation="size",
        ),
    ] = None


class OutputConfig(NamedTuple):
    """How a run is shown."""

    json: Annotated[
        bool,
        Flag(
            "Write JSON lines: outcomes, progress, warnings, a summary. Files that need no work "
            "only with -v.",
        ),
    ] = False
    quiet: Annotated[bool, Flag("Print failures only.", short="-q")] = False
    verbose: Annotated[bool, Flag("Print a line for every file, with its decoder.", short="-v")] = (
        False
    )
    log: Annotated[
        str | None,
        Flag("Also write messages to FILE; rotated at 10 MB.", "FILE"),
    ] = None
    metrics_file: Annotated[
        str | None,
        Flag("Write the run's figures to FILE for Prometheus.", "FILE"),
    ] = None


class RunConfig(NamedTuple):
    """A whole run."""

    walk: WalkConfig
    plan: PlanConfig
    work: WorkConfig
    engine: EngineConfig
    engine_name: Annotated[
        str,
        Flag(
            "local: worker processes. dask: a cluster.",
            "local|dask",  # "serial", all in this process, is for debugging
            name="engine",
            choices=("dask", "local", "serial"),
        ),
    ] = "local"
    files_from: Annotated[
        bytes | None,
        Flag(
            "Also process the files listed in FILE, one per line; - is standard input.",
            "FILE",
            heading="Which files",
        ),
    ] = None
    """A file that names sources; b"-" is standard input."""
    null: Annotated[
        bool,
        Flag(
            "Names in FILE end with NUL (find -print0).",
            short="-0",
            heading="Which files",
        ),
    ] = False
    governor: GovernorConfig | None = None
    """None: it never pauses, and ends when it is done."""
    priority: PriorityConfig = PriorityConfig()
    sweep: bool = True
    """Look for temps of dead runs, which lists the whole cache, before and after."""
    wait: Annotated[bool, Flag("Wait while another run fills this cache.")] = False
    """Wait for another run on the same cache instead of refusing."""
    must_lock: bool = True
    """False: another run that fills the cache does not keep it from working."""
    dry_run: Annotated[bool, Flag("Show what would be done, with an estimate.", short="-n")] = False
    chosen: FlavorChoice | None = None
    """Why the flavors are wanted; None: the user named them."""
    journal_path: bytes = b""
    """The journal's file; empty: no journal."""
    arguments: tuple[str, ...] = ()
    """The command line, for the journal."""

    @property
    def delimiter(self) -> bytes:
        """What ends each name in `files_from`."""
        return b"\0" if self.null else b"\n"


#: Under which heading of the help the settings of a class stand.
_GROUPS = {
    RunConfig: "How",
    WalkConfig: "Which files",
    PlanConfig: "Which thumbnails",
    EngineConfig: "How",
    WorkConfig: "How",
    PriorityConfig: "Overnight, and beside other work",
    GovernorConfig: "Overnight, and beside other work",
    DaskConfig: "On a cluster (--engine dask)",
    OutputConfig: "Output",
}
#: In the order of the help.
HEADINGS = (
    "Which files",
    "Which thumbnails",
    "How",
    "Overnight, and beside other work",
    "On a cluster (--engine dask)",
    "Output",
)

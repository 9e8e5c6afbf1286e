"""The values that travel between the parts of pregen. Frozen, stdlib only, no I/O.

Paths are bytes, absolute and textually clean (no `.`, `..`, `//`), as the user gave and
walked them. Times are nanoseconds since 1970, sizes are bytes, edges are pixels.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Flavor(Enum):
    """A size class of the cache: the directory's name and the box in pixels (standard 0.9.0)."""

    NORMAL = ("normal", 128)
    LARGE = ("large", 256)
    X_LARGE = ("x-large", 512)
    XX_LARGE = ("xx-large", 1024)

    #: There is one object for each; an enum's own hash is a call of Python.
    __hash__ = object.__hash__

    def __init__(self, directory: str, box_px: int) -> None:
        self.directory = directory
        self.box_px = box_px


#: Small to large, the order in which everything lists flavors.
ALL_FLAVORS: tuple[Flavor, ...] = tuple(Flavor)

#: A picture that fits in this box needs no entry (standard, Thumbnail Size).
SMALL_BOX_PX = Flavor.NORMAL.box_px


class Source(NamedTuple):
    """An original file as the walk found it (stat follows symlinks)."""

    path: bytes
    size_bytes: int
    mtime_ns: int
    device: int = 0
    """Of the file system it lies on, as stat says; 0: not known."""
    away: bool = False
    """Only its name is here: reading it would have its content fetched."""
    inode: int = 0
    """With the change time what stat said in the same look; 0: not kept."""
    ctime_ns: int = 0


class Action(IntEnum):
    """What is to be done with one entry."""

    MAKE = 1
    """Decode the source and write the entry."""
    REFIT = 2
    """Rewrite the text chunks of the entry that is there; keep its pixels, decode nothing."""
    DELETE = 3
    """Remove a stale entry of a flavor not wanted: GLib shows the largest, valid or not."""
    RECHECK = 4
    """Make an entry of ours anew if its picture may be wrong, by what its source's header says: its
    decoder was mended since."""
    COPY = 5
    """Write the entry with the pixels of the fresh one under another URI of the source: only the
    texts differ. Decode nothing."""


class Step(NamedTuple):
    """One action on one entry: the entry of `flavor` under the key of `uri`."""

    action: Action
    flavor: Flavor
    uri: str


class Maker(NamedTuple):
    """What made the picture of an entry, as far as the entry says it."""

    mime: str = ""
    """Of the source; empty where the picture is not ours."""
    revision: int = 0
    """Of what decoded it; 0 where it is older than revisions."""


#: Of an entry that another program made, or that says nothing.
UNKNOWN_MAKER = Maker()


class Kin(NamedTuple):
    """Entries that were made of a source of the same size and time, maybe of the same content."""

    key: str
    """32 hex digits."""
    fingerprint: str
    """What their pictures were made of (`thumbspec.fingerprint`)."""


class SameFile(NamedTuple):
    """A source that was met under another name, by its inode number and change time.

    The kernel sets a file's change time itself whenever it is written to, renamed or given other
    times; a file that gets the number of a deleted one has a later one.
    """

    key: str
    """Of the entries that were made of it, 32 hex digits."""
    inode: int
    ctime_ns: int
    brief: int
    """Part of what they were made of (`thumbspec.fingerprint.brief`)."""


class Job(NamedTuple):
    """What the parent asks a worker to do for one source. Crosses the process boundary."""

    job_id: int
    """Unique within a run, counted from 0."""
    path: bytes
    size_bytes: int
    """As planned; the worker takes its own fstat before it writes anything."""
    mtime_ns: int
    uris: tuple[str, ...]
    """Every URI this source is known by, GLib's form first (keys of fail records too)."""
    steps: tuple[Step, ...]
    kin: tuple[Kin, ...] = ()
    """Entries that may hold the picture of this very content, best first."""
    device: int = 0
    """On which the source was found not to be private: on another it is not read. 0: on any."""
    same: SameFile | None = None
    """The very file had entries under another name; no worker is told."""
    share: int = 0
    """A number of the share it lies on, which is read ahead by threads; 0: on a disk of this
    machine. The engine says so."""
    spins: bool = False
    """It lies on a disk with heads to move, which one worker reads at a time. Likewise."""

    def all_stamps(
        self, stamps: Mapping[tuple[str, Flavor], Stamp], flavors: Sequence[Flavor]
    ) -> tuple[Stamp, ...]:
        """Return those of the entries of all URIs, each with all these flavors in their order.

        Args:
            stamps: by URI and flavor.
            flavors: the wanted ones.

        Returns:
            Nothing where one is missing.
        """
        found = [stamps.get((uri, flavor)) for uri in self.uris for flavor in flavors]
        return tuple([each for each in found if each is not None]) if None not in found else ()


class Kind(Enum):
    """What became of a source. The values appear in `--json` and in the journal: never rename."""

    __hash__ = object.__hash__

    MADE = "made"
    REFITTED = "refitted"
    TIDIED = "tidied"
    """Its wanted entries were fresh; a stale one of another flavor was removed."""
    REUSED = "reused"
    """Moved, renamed or copied: it got the pictures that were made under another name."""
    FRESH = "fresh"
    SMALL = "small"
    FAILED_BEFORE = "failed-before"
    NOT_PICTURE = "not-a-picture"
    EXCLUDED = "excluded"
    """Left out by a rule of the user, or of pregen (`--missing-only` met a stale entry)."""
    PRIVATE = "private"
    """Better protected than the cache, as in a vault: not read, and its name is noted nowhere."""
    OFFLINE = "offline"
    """Only its name is here, its content in a cloud: not read, unless that is asked for."""
    SPECIAL = "special"
    """A FIFO, socket or device: never opened."""
    VANISHED = "vanished"
    NEEDS_EXTRA = "needs-extra"
    UNSUPPORTED = "unsupported"
    INVALID = "invalid"
    TRUNCATED = "truncated"
    TOO_LARGE = "too-large"
    UNREADABLE = "unreadable"
    CHANGED = "changed"
    CRASHED = "crashed"
    TIMED_OUT = "timed-out"
    OUT_OF_MEMORY = "out-of-memory"
    DISTURBED = "disturbed"
    """Workers ended over and over while they had it, from outside or each of another cause."""
    ERROR = "error"
    """An unexpected exception: a bug of pregen's; the message holds the last traceback line."""
    CACHE_FULL = "cache-full"
    """The entry could not be stored: no space, no quota. Ends the run with exit code 12."""
    CACHE_ERROR = "cache-error"
    """The entry could not be stored for another reason. Ends the run with exit code 12."""
    INTERRUPTED = "interrupted"
    """Accepted, but the run was stopped before it was this source's turn."""


#: Kinds that make a run end with exit code 3, "finished, some sources failed".
FAILURES = frozenset(
    {
        Kind.INVALID,
        Kind.TRUNCATED,
        Kind.TOO_LARGE,
        Kind.UNREADABLE,
        Kind.CHANGED,
        Kind.CRASHED,
        Kind.TIMED_OUT,
        Kind.OUT_OF_MEMORY,
        Kind.DISTURBED,
        Kind.ERROR,
        Kind.CACHE_FULL,
        Kind.CACHE_ERROR,
    }
)

#: Kinds that leave a fail record: the source opened but its content cannot become a picture.
#: Everything else may succeed next time without the source changing.
RECORDED = frozenset({Kind.INVALID, Kind.TRUNCATED, Kind.TOO_LARGE})

#: Kinds of sources that need no entry, or for which there cannot be one, for as long as they
#: do not change. The journal's memory of them saves opening the source again.
REMEMBERED = frozenset({Kind.SMALL, Kind.NOT_PICTURE, Kind.CRASHED, Kind.TIMED_OUT})


class Stages(NamedTuple):
    """Nanoseconds of wall time one source spent in each stage of a worker."""

    read_ns: int = 0
    decode_ns: int = 0
    resize_ns: int = 0
    encode_ns: int = 0
    commit_ns: int = 0

    @property
    def total_ns(self) -> int:
        """Sum over all stages."""
        return sum(self)


class Stamp(NamedTuple):
    """What stat says of an entry's file: equal stamps mean that it was not replaced."""

    inode: int
    mtime_ns: int
    size_bytes: int


class Outcome(NamedTuple):
    """What became of one job. Crosses the process boundary; a few hundred bytes, no pixels."""

    job_id: int
    path: bytes
    kind: Kind
    message: str = ""
    """For people: why, and what to do. Empty when all went well."""
    loader: str = ""
    """What made the picture: "dc", "blocks" or "turbo" (JPEG), "preview" or "samples" (stored by a
    camera, as JPEG or uncompressed), "vips", "png" and "tiff" (our own), "webp" (libwebp itself),
    "pillow", "numpy" (netpbm), "heif", "libraw", "libraw-preview", "ffmpeg", "pdfium" or "libjxl";
    empty when none was made."""
    mime: str = ""
    width_px: int = 0
    """Of the original, after orientation; 0 when never learned."""
    height_px: int = 0
    entries_written: int = 0
    bytes_written: int = 0
    bytes_read: int = 0
    stages: Stages = Stages()
    worker_pid: int = 0
    extra: str = ""
    """With NEEDS_EXTRA: the extra's name, as in `pip install pregen[heic]`."""
    source_size_bytes: int = -1
    """As the worker found the source; -1 when it was never opened."""
    source_mtime_ns: int = 0
    source_inode: int = 0
    """Of the source as it was opened; 0 where nothing can be told by it (`SourceFile.ctime_ns`)."""
    source_ctime_ns: int = 0
    stamps: tuple[Stamp, ...] = ()
    """Of the entries of all URIs, each with all wanted flavors (`Job.all_stamps`), when this job
    made every one of them for a source that is as it was planned; empty otherwise."""
    fingerprint: str = ""
    """What the pictures were made of (`thumbspec.fingerprint`); empty when none was made."""
    waited_ns: int = 0
    """How long the decoder had nothing to do but to wait for the share this source lies on, or for
    its disk that spins before the decode (`Stages.read_ns` is what it waits in the decode)."""
    share: int = 0
    """That of the job: `bytes_read` came from a share."""

    @property
    def failed(self) -> bool:
        """True when this outcome alone makes the run end with exit code 3."""
        return self.kind in FAILURES


#: What is remembered of a source whose entries were fresh: its size in bytes, its mtime in ns, the
#: 16 bytes of its key, then inode, mtime_ns and size_bytes of the entry of every wanted flavor.
#: Flat, as the journal packs it: a re-run unpacks the whole library's.
Known = tuple[int, int, bytes, *tuple[int, ...]]
#: What is remembered of the sources in a folder, by name: one for each key of a source.
KnownFolder = dict[bytes, tuple[Known, ...]]


class Skip(NamedTuple):
    """A source for which no job is needed, or a place of the walk that could not be read."""

    path: bytes
    kind: Kind
    message: str = ""
    listed: bool = False
    """The user's list names it, so it is a failure when it is not there."""

    def as_outcome(self) -> Outcome:
        """Return the outcome of a job that there was none of."""
        return Outcome(-1, self.path, self.kind, self.message)


class WorkerView(NamedTuple):
    """What one worker is doing right now, for the display."""

    pid: int
    path: bytes | None
    busy_s: float
    done: int


class AllowedFolders(NamedTuple):
    """Where confined work has to do. Absolute paths, each with all that is below it."""

    reads: tuple[bytes, ...]
    writes: tuple[bytes, ...]
    """Folders. For one that is made after this was asked, it takes a new worker."""
    gives_rights: bool = False
    """It changes owner and mode of what it writes, and makes folders."""


class Luminance(NamedTuple):
    """What of a picture strikes the eye. Levels are those of 8 bit."""

    mean: float
    """Of the brightness."""
    spread: float
    """Standard deviation of the brightness: 0 for one flat colour."""

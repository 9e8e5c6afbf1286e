"""What travels through a worker's pipe, as bytes: frames, and the messages in them. Pure.

A frame is one byte of message kind, four of length (little-endian), then the body.

Downwards goes pickle: the worker trusts the run, and pickle is the fastest way there is (a job
costs 2.6 us to write and 1.2 us to read). Upwards go plain structs, although they cost 5 us more
for each outcome: a worker has parsed files from anywhere, and unpickling is running what it says.

No frame begins with a printable character: a dying worker's faulthandler writes its dump into the
same pipe, after the last frame, and `FrameReader` can tell the two apart.
"""

from __future__ import annotations

import pickle
import signal
from enum import IntEnum
from operator import attrgetter
from struct import Struct
from struct import error as struct_error
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pregen.model import Job, Kind, Outcome, Stages, Stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pregen.config import WorkConfig


#: The first byte a worker finds in its pipe; the descriptor of its slot's memory comes with it.
SLOT_FOLLOWS: Final = b"\0"
#: By this the run ends a worker, which first says where it is. Not SIGTERM: systemd sends that to
#: a whole service, where the first one is to let work in flight finish.
END_SIGNAL: Final = signal.SIGUSR2


class Tag(IntEnum):
    """The first byte of a frame. Never printable."""

    JOBS = 1
    GRANT = 2
    READY = 3
    FAILED = 4
    OUTCOMES = 5
    RETURNED = 6
    ASK = 7
    OPEN = 8
    RECALL = 9


class WorkerSetup(NamedTuple):
    """All a worker needs to know at its start."""

    factory: str
    """ "module:name" of the work factory: imported here, so that a failure can be reported."""
    work_config: WorkConfig
    growth_bytes: int
    """By how much the address space may grow."""
    timeout_s: float
    """How long a small job may take."""
    confined: bool
    """It is to confine itself as far as the kernel can."""
    silence_s: float
    """How long a share may say nothing."""
    ahead_bytes: int
    """What may be kept in memory of the sources of coming jobs."""
    opened: tuple[bytes, ...] = ()
    """Folders on shares, whose descriptors come with the slot: they are not to be looked at."""


class SlotReading(NamedTuple):
    """What a worker's slot of shared memory said at one moment."""

    job_id: int | None
    """The job in flight."""
    started_ns: int
    """When it began, on the monotonic clock; without meaning when `job_id` is None."""
    done: int
    """Jobs this worker has finished, whether their outcomes have been received or not."""
    heard: int = 0
    """How much has come to it from shares: bytes, and one for each answer."""
    waits: bool = False
    """In the middle of the job in flight it waits for its share."""


class ProtocolError(Exception):
    """These bytes are no frames, or not a message of their kind."""


class WorkerReport(NamedTuple):
    """Outcomes with what a worker says of itself."""

    busy_ns: int
    rss_bytes: int
    outcomes: tuple[Outcome, ...]


#: A frame holds at most a few thousand outcomes; more is a worker gone mad.
MOST_FRAME_BYTES: Final = 1 << 26
#: Of a dump, this much is kept: its first lines name the place.
MOST_REST_BYTES: Final = 1 << 16
#: No message for people is longer; a decoder's text may be.
MOST_TEXT_BYTES: Final = 4096

_TAGS: Final = frozenset(Tag)
_HEADER: Final = Struct("<BI")
_REPORT: Final = Struct("<qqI")
_STAMP: Final = Struct("<Qqq")
_TWO: Final = Struct("<qq")
_ONE: Final = Struct("<q")

# An outcome: `_OUTCOME`, then the path and the texts, then the stamps. `_OUTCOME` holds the kind's
# place in `_KINDS`, how many stamps follow, the sizes of path and texts, and the numbers.
_TEXTS: Final = ("message", "loader", "mime", "extra", "fingerprint")
_NUMBERS: Final = (
    "source_mtime_ns",
    "job_id",
    "width_px",
    "height_px",
    "entries_written",
    "bytes_written",
    "bytes_read",
    "worker_pid",
    "source_size_bytes",
    "waited_ns",
    "source_inode",
    "source_ctime_ns",
)
_STAGES: Final = len(Stages._fields)
_OUTCOME: Final = Struct(f"<BBI{len(_TEXTS)}H{_STAGES + len(_NUMBERS)}q")
_texts_of: Final = attrgetter(*_TEXTS)
_numbers_of: Final = attrgetter(*_NUMBERS)
_KINDS: Final = tuple(Kind)
_NUMBER_OF_KIND: Final = {kind: number for number, kind in enumerate(_KINDS)}
#: Some file systems know years after 2262, which 64 bits of nanoseconds do not hold.
_MOST: Final = 2**63 - 1


def frame(tag: Tag, body: bytes = b"") -> bytes:
    """Return the frame of one message."""
    return _HEADER.pack(tag, len(body)) + body


class FrameReader:
    """Cuts the bytes of one pipe into frames, however they arrive."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._broken = False

    def feed(self, data: bytes) -> Iterator[tuple[Tag, bytes]]:
        """Yield the frames that `data` completes.

        Raises ProtocolError, once, where no frame begins; from there on all is kept in `rest`.
        """
        buffer = self._bytes
        if self._broken:
            buffer += data[: max(0, MOST_REST_BYTES - len(buffer))]
            return
        buffer += data
        start, end = 0, len(buffer)
        try:
            while end - start >= _HEADER.size:
                number, size = _HEADER.unpack_from(buffer, start)
                if number not in _TAGS or size > MOST_FRAME_BYTES:
                    self._broken = True
                    raise ProtocolError(f"no frame begins with {number}, {size}")
                stop = start + _HEADER.size + size
                if stop > end:
                    break
                body = bytes(memoryview(buffer)[start + _HEADER.size : stop])
                start = stop
                yield Tag(number), body
        finally:
            del buffer[:start]

    @property
    def rest(self) -> bytes:
        """What has not made a frame: a dying worker's last words."""
        return bytes(self._bytes)


def jobs_frame(jobs: Sequence[Job]) -> bytes:
    """Return the frame that gives `jobs` to a worker."""
    return frame(Tag.JOBS, pickle.dumps(list(jobs), pickle.HIGHEST_PROTOCOL))


def read_jobs(body: bytes) -> list[Job]:
    """Read what `jobs_frame` wrote. Only for a worker: it trusts the bytes."""
    jobs: list[Job] = pickle.loads(body)  # noqa: S301 - the run itself wrote it (module docstring)
    return jobs


def encode_outcome(outcome: Outcome) -> bytes:
    """Return `outcome` as bytes; texts longer than `MOST_TEXT_BYTES` are cut."""
    parts = [outcome.path, *map(_encode_text, _texts_of(outcome))]
    mtime_ns, *numbers, inode, ctime_ns = _numbers_of(outcome)
    if not 0 <= min(inode, ctime_ns) <= max(inode, ctime_ns) <= _MOST:
        # no file system that numbers its files for good has so many
        inode = ctime_ns = 0
    head = _OUTCOME.pack(
        _NUMBER_OF_KIND[outcome.kind],
        len(outcome.stamps),
        *map(len, parts),
        *outcome.stages,
        max(-_MOST - 1, min(_MOST, mtime_ns)),
        *numbers,
        inode,
        ctime_ns,
    )
    return b"".join([head, *parts, *(_STAMP.pack(*stamp) for stamp in outcome.stamps)])


def report_frame(busy_ns: int, rss_bytes: int, outcomes: Sequence[bytes]) -> bytes:
    """Return the frame that reports encoded `outcomes`."""
    head = _REPORT.pack(busy_ns, rss_bytes, len(outcomes))
    return frame(Tag.OUTCOMES, head + b"".join(outcomes))


def read_report(body: bytes) -> WorkerReport:
    """Read what `report_frame` wrote. Raises ProtocolError for anything else."""
    try:
        busy_ns, rss_bytes, count = _REPORT.unpack_from(body)
        offset = _REPORT.size
        outcomes = []
        for _ in range(count):
            outcome, offset = _decode_outcome(body, offset)
            outcomes.append(outcome)
    except (struct_error, IndexError, UnicodeDecodeError) as error:
        raise ProtocolError(f"no report: {error}") from error
    if offset != len(body):
        raise ProtocolError(f"{len(body) - offset} bytes too many, or too few, in a report")
    return WorkerReport(busy_ns, rss_bytes, tuple(outcomes))


def _decode_outcome(body: bytes, offset: int) -> tuple[Outcome, int]:
    kind, stamp_count, path_size, *rest = _OUTCOME.unpack_from(body, offset)
    text_sizes, rest = rest[: len(_TEXTS)], rest[len(_TEXTS) :]
    fields: dict[str, Any] = dict(zip(_NUMBERS, rest[_STAGES:], strict=True))
    at = offset + _OUTCOME.size + path_size
    path = body[at - path_size : at]
    if max(text_sizes) > MOST_TEXT_BYTES:
        raise ProtocolError("a text that is too long")
    for name, size in zip(_TEXTS, text_sizes, strict=True):
        fields[name] = body[at : at + size].decode("utf-8", "surrogatepass") if size else ""
        at += size
    end = at + stamp_count * _STAMP.size
    stamps = tuple(map(Stamp._make, _STAMP.iter_unpack(body[at:end])))
    stages = Stages(*rest[:_STAGES])
    return Outcome(path=path, kind=_KINDS[kind], stages=stages, stamps=stamps, **fields), end


def _encode_text(text: str) -> bytes:
    if not text:
        return b""
    data = text.encode("utf-8", "surrogatepass")
    if len(data) <= MOST_TEXT_BYTES:
        return data
    return data[:MOST_TEXT_BYTES].decode("utf-8", "ignore").encode("utf-8")


def returned_frame(job_ids: Iterable[int]) -> bytes:
    """Return the frame that gives jobs back by their ids."""
    return frame(Tag.RETURNED, b"".join(map(_ONE.pack, job_ids)))


def read_returned(body: bytes) -> tuple[int, ...]:
    """Read what `returned_frame` wrote. Raises ProtocolError."""
    if len(body) % _ONE.size:
        raise ProtocolError("returned jobs cut short")
    return tuple(job_id for (job_id,) in _ONE.iter_unpack(body))


def ask_frame(job_id: int, size_bytes: int) -> bytes:
    """Return the frame that asks for memory."""
    return frame(Tag.ASK, _TWO.pack(job_id, size_bytes))


def open_frame(job_id: int) -> bytes:
    """Return the frame that asks the run to open the source of a job (`broker`)."""
    return frame(Tag.OPEN, _ONE.pack(job_id))


def ready_frame(rss_bytes: int) -> bytes:
    """Return the frame of a worker that waits for its first job."""
    return frame(Tag.READY, _ONE.pack(rss_bytes))


def read_numbers(tag: Tag, body: bytes) -> tuple[int, ...]:
    """Read the body of READY, OPEN or ASK. Raises ProtocolError."""
    shape = _TWO if tag is Tag.ASK else _ONE
    if len(body) != shape.size:
        raise ProtocolError(f"a {tag.name} of {len(body)} bytes")
    return shape.unpack(body)

"""What travels through a worker's pipe, as bytes: frames, and the messages in them. Pure.

A frame is one byte of message kind, four of length (little-endian), then the body.

Downwards goes pickle: the worker trusts the run, and pickle is the fastest way there is (a job
costs 2.6 us to write and 1.2 us to read). Upwards go plain structs, although they cost 5 us more
for each outcome: a worker has parsed files from anywhere, and unpickling is running what it says.

No frame begins with a printable character: a dying worker's faulthandler writes its dump into the
same pipe, after the last frame, and `Frames` can tell the two apart.
"""

from __future__ import annotations

import pickle
from enum import IntEnum
from struct import Struct
from struct import error as struct_error
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.model import Job, Kind, Outcome, Stages, Stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


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


class WireError(Exception):
    """These bytes are no frames, or not a message of their kind."""


class WorkerReport(NamedTuple):
    """Outcomes with what a worker says of itself."""

    busy_ns: int
    rss_bytes: int
    outcomes: tuple[Outcome, ...]


_HEADER: Final = Struct("<BI")
_REPORT: Final = Struct("<qqI")
_NUMBERS: Final = Struct("<14qIIHHHHBB")
_STAMP: Final = Struct("<Qqq")
#: Some file systems know years after 2262, which 64 bits of nanoseconds do not hold.
_MOST: Final = 2**63 - 1
_TWO: Final = Struct("<qq")
_ONE: Final = Struct("<q")

#: A frame holds at most a few thousand outcomes; more is a worker gone mad.
MOST_FRAME_BYTES: Final = 1 << 26
#: Of a dump, this much is kept: its first lines name the place.
MOST_REST_BYTES: Final = 1 << 16
#: No message for people is longer; a decoder's text may be.
MOST_TEXT_BYTES: Final = 4096

_TAGS: Final = frozenset(Tag)

_KINDS: Final = tuple(Kind)
_NUMBER_OF_KIND: Final = {kind: number for number, kind in enumerate(_KINDS)}


def frame(tag: Tag, body: bytes = b"") -> bytes:
    """Return the frame of one message."""
    return _HEADER.pack(tag, len(body)) + body


class Frames:
    """Cuts the bytes of one pipe into frames, however they arrive."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._broken = False

    def feed(self, data: bytes) -> Iterator[tuple[Tag, bytes]]:
        """Yield the frames that `data` completes.

        Raises WireError, once, where no frame begins; from there on all is kept in `rest`.
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
                    raise WireError(f"no frame begins with {number}, {size}")
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
    path = outcome.path
    message = _encode_text(outcome.message)
    mime = _encode_text(outcome.mime)
    loader = _encode_text(outcome.loader)
    extra = _encode_text(outcome.extra)
    fingerprint = _encode_text(outcome.fingerprint)
    numbers = _NUMBERS.pack(
        outcome.job_id,
        outcome.width_px,
        outcome.height_px,
        outcome.entries_written,
        outcome.bytes_written,
        outcome.bytes_read,
        outcome.worker_pid,
        *outcome.stages,
        outcome.source_size_bytes,
        max(-_MOST - 1, min(_MOST, outcome.source_mtime_ns)),
        len(path),
        len(message),
        len(mime),
        len(loader),
        len(extra),
        len(fingerprint),
        _NUMBER_OF_KIND[outcome.kind],
        len(outcome.stamps),
    )
    stamps = b"".join([_STAMP.pack(*stamp) for stamp in outcome.stamps])
    return b"".join((numbers, path, message, mime, loader, extra, fingerprint, stamps))


def report_frame(busy_ns: int, rss_bytes: int, outcomes: Sequence[bytes]) -> bytes:
    """Return the frame that reports encoded `outcomes`."""
    head = _REPORT.pack(busy_ns, rss_bytes, len(outcomes))
    return frame(Tag.OUTCOMES, head + b"".join(outcomes))


def read_report(body: bytes) -> WorkerReport:
    """Read what `report_frame` wrote. Raises WireError for anything else."""
    try:
        busy_ns, rss_bytes, count = _REPORT.unpack_from(body)
        offset = _REPORT.size
        outcomes = []
        for _ in range(count):
            outcome, offset = _decode_outcome(body, offset)
            outcomes.append(outcome)
    except (struct_error, IndexError, UnicodeDecodeError) as error:
        raise WireError(f"no report: {error}") from error
    if offset != len(body):
        raise WireError(f"{len(body) - offset} bytes too many, or too few, in a report")
    return WorkerReport(busy_ns, rss_bytes, tuple(outcomes))


def _decode_outcome(body: bytes, offset: int) -> tuple[Outcome, int]:
    (
        job_id,
        width_px,
        height_px,
        entries_written,
        bytes_written,
        bytes_read,
        worker_pid,
        read_ns,
        decode_ns,
        resize_ns,
        encode_ns,
        commit_ns,
        source_size_bytes,
        source_mtime_ns,
        path_size,
        message_size,
        mime_size,
        loader_size,
        extra_size,
        fingerprint_size,
        kind,
        stamp_count,
    ) = _NUMBERS.unpack_from(body, offset)
    path_at = offset + _NUMBERS.size
    message_at = path_at + path_size
    mime_at = message_at + message_size
    loader_at = mime_at + mime_size
    extra_at = loader_at + loader_size
    fingerprint_at = extra_at + extra_size
    stamps_at = fingerprint_at + fingerprint_size
    end = stamps_at + stamp_count * _STAMP.size
    outcome = Outcome(
        job_id,
        body[path_at:message_at],
        _KINDS[kind],
        body[message_at:mime_at].decode("utf-8", "surrogatepass"),
        body[loader_at:extra_at].decode("utf-8", "surrogatepass"),
        body[mime_at:loader_at].decode("utf-8", "surrogatepass"),
        width_px,
        height_px,
        entries_written,
        bytes_written,
        bytes_read,
        Stages(read_ns, decode_ns, resize_ns, encode_ns, commit_ns),
        worker_pid,
        body[extra_at:fingerprint_at].decode("utf-8", "surrogatepass"),
        source_size_bytes,
        source_mtime_ns,
        tuple(map(Stamp._make, _STAMP.iter_unpack(body[stamps_at:end]))),
        body[fingerprint_at:stamps_at].decode("utf-8", "surrogatepass"),
    )
    return outcome, end


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
    """Read what `returned_frame` wrote. Raises WireError."""
    if len(body) % _ONE.size:
        raise WireError("returned jobs cut short")
    return tuple(job_id for (job_id,) in _ONE.iter_unpack(body))


def ask_frame(job_id: int, size_bytes: int) -> bytes:
    """Return the frame that asks for memory."""
    return frame(Tag.ASK, _TWO.pack(job_id, size_bytes))


def open_frame(job_id: int) -> bytes:
    """Return the frame that asks the run to open the source of a job (`door`)."""
    return frame(Tag.OPEN, _ONE.pack(job_id))


def ready_frame(rss_bytes: int) -> bytes:
    """Return the frame of a worker that waits for its first job."""
    return frame(Tag.READY, _ONE.pack(rss_bytes))


def read_numbers(tag: Tag, body: bytes) -> tuple[int, ...]:
    """Read the body of READY, OPEN or ASK. Raises WireError."""
    shape = _TWO if tag is Tag.ASK else _ONE
    if len(body) != shape.size:
        raise WireError(f"a {tag.name} of {len(body)} bytes")
    return shape.unpack(body)

"""What a bench finds. The names of the fields are the keys of `--json` and of what --save keeps.

Scripts and older results rely on them: add some, never rename. Times are seconds, speeds per
second, shares and efficiencies fractions of one. Frozen values, no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from pregen.display.records import VERSION, Record, path_fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pregen.config import Decoder
    from pregen.model import Kind

#: Digits behind the point: microseconds in seconds.
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Machine:
    """What results depend on besides the files. Says nothing about whose machine it is."""

    cpu: str
    cores: int
    memory_bytes: int
    system: str
    pregen: str
    python: str
    libraries: Mapping[str, str]
    """Versions by name, of those that decode and encode."""


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """With which settings of a run everything was measured."""

    workers: int
    flavors: tuple[str, ...]
    decoder: Decoder


@dataclass(frozen=True, slots=True)
class StratumTotals:
    """Sources that are probably alike, and how many of them were drawn."""

    extension: str
    below_bytes: int
    sources: int
    bytes: int
    drawn: int


@dataclass(frozen=True, slots=True)
class Library:
    """All that the walk found."""

    sources: int
    bytes: int
    passed_over: int
    unreadable: int
    """Places of the walk that could not be read."""
    strata: tuple[StratumTotals, ...]


@dataclass(frozen=True, slots=True)
class Troubled:
    """A source of the sample that came to nothing."""

    path: bytes
    kind: Kind
    message: str


@dataclass(frozen=True, slots=True)
class SampleResult:
    """What was drawn, and what became of it."""

    sources: int
    bytes: int
    seed: int
    digest: str
    covers: bool
    """True when every source of the library was drawn."""
    kinds: Mapping[Kind, int]
    needs_extra: Mapping[str, int]
    """Sources that wait for an extra, by its name."""
    failures: tuple[Troubled, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Pictures of one loader and format, or all (both empty). Speeds are with every worker busy."""

    loader: str
    mime: str
    pictures: int
    images_per_s: float
    pixels_per_s: int
    """Of the originals."""
    bytes_per_s: int
    """Read."""
    picture_s: float
    """Worker-seconds for one."""
    stages_s: Mapping[str, float]
    """Mean for a picture, by the stage's name."""


@dataclass(frozen=True, slots=True)
class Warm:
    """The sample with all workers, its files in memory."""

    group: Group
    cpu_share: float


@dataclass(frozen=True, slots=True)
class Cold:
    """The same when the files are not in memory."""

    group: Group
    cpu_share: float
    slowdown: float
    """Time as a multiple of the warm pass'."""
    resident_share: float
    """Of the sampled pages, those that the file system kept in memory all the same."""


@dataclass(frozen=True, slots=True)
class ScalingStep:
    """What a number of workers achieves."""

    workers: int
    images_per_s: float
    efficiency: float
    """Speed of one worker of these, as a share of that of a worker alone."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """What one decoder takes for the same JPEGs."""

    name: str
    decode_s: float
    """Reading and decoding, mean of a picture."""
    picture_s: float
    """With resizing and encoding."""
    ratio: float
    """That as a multiple of the fastest one's."""


@dataclass(frozen=True, slots=True)
class Contest:
    """Decoders side by side, one worker each time, warm."""

    pictures: int
    each: tuple[Decoding, ...]


@dataclass(frozen=True, slots=True)
class Floor:
    """The least a JPEG can take: libjpeg-turbo's decode at a reduced scale, and nothing else."""

    pictures: int
    floor_s: float
    """Worker-seconds for a picture."""
    picture_s: float
    """The same of a run's work."""
    ratio: float
    """The run's as a multiple of the floor's."""


class Limit(Enum):
    """What would have to be faster for the run to be faster."""

    CPU = "cpu"
    DISK = "disk"
    BOTH = "both"
    """Both take turns: neither alone would help much."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A sum over the whole library."""

    total: float
    plus_minus: float
    """The true sum is most likely within this of `total`; 0 when all was measured."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A run over the whole library into an empty cache."""

    startup_s: float
    warm: Estimate
    cold: Estimate
    entries: Estimate
    disk_bytes: Estimate
    """What the entries take, in whole blocks of the file system."""
    free_bytes: int
    """On the cache's file system, now."""


@dataclass(frozen=True, slots=True)
class ShareStep:
    """What a number of readers got of a share."""

    readers: int
    files: int
    size_bytes: int
    seconds: float
    bytes_per_s: int


@dataclass(frozen=True, slots=True)
class ShareResult:
    """A share: how fast it gives its files, and what a run over all of it would take."""

    point: bytes
    """Where it is mounted."""
    kind: str
    sources: int
    library_bytes: int
    opening_s: float | None
    """From asking for a file to its first byte; None: there were too few files."""
    steps: tuple[ShareStep, ...]
    readers: int
    """That got most; 0: nothing could be read."""
    link: Estimate
    """Seconds that these readers need for all files."""
    processors: Estimate
    """Seconds that all workers compute for all files."""


@dataclass(frozen=True, slots=True)
class BenchResult:
    """All of it."""

    machine: Machine
    roots: tuple[bytes, ...]
    settings: BenchSettings
    library: Library
    sample: SampleResult
    warm: Warm
    cold: Cold
    loaders: tuple[Group, ...]
    """Warm, all workers; most worker-seconds first."""
    scaling: tuple[ScalingStep, ...]
    decoders: Contest | None
    """None: no JPEG in the sample."""
    floor: Floor | None
    limit: Limit
    prediction: Prediction
    shares: tuple[ShareResult, ...] = ()
    """On which files lie."""


def result_record(result: BenchResult) -> Record:
    """Return the object of `--json`."""
    return {"v": VERSION, "type": "bench", **_record(result)}


def _record(told: Any) -> Record:
    found: Record = {}
    for field in fields(told):
        value = getattr(told, field.name)
        if isinstance(value, bytes):
            found |= path_fields(value)
        elif isinstance(value, Group):
            found |= _record(value)
        else:
            found[field.name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    match value:
        case bytes():
            return path_fields(value)
        case Enum():
            return value.value
        case float():
            return round(value, _DIGITS)
        case tuple():
            return [_plain(each) for each in value]
        case dict():
            return {_plain(key): _plain(each) for key, each in value.items()}
        case _:
            return _record(value) if is_dataclass(value) else value

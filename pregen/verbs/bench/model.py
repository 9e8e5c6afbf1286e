"""What a bench is asked for and what it finds. Frozen values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pregen.errors import ExitCode, PregenError
from pregen.verbs.bench.sample import DEFAULT_SOURCES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pregen.config import EngineConfig, WalkConfig, WorkConfig
    from pregen.model import Kind
    from pregen.verbs.bench.sample import Sample
    from pregen.verbs.bench.stats import Estimate, Group, Limit, ScalingStep


@dataclass(frozen=True, slots=True)
class BenchConfig:
    """What is to be measured, and with which settings."""

    walk: WalkConfig
    work: WorkConfig
    """As for a run: its `cache_root` is the user's, which is only looked at to find its disk."""
    engine: EngineConfig
    sources: int = DEFAULT_SOURCES
    """At most so many are drawn."""
    seed: int = 0


class BenchStoppedError(PregenError):
    """The user wants no result any more."""

    def __init__(self, code: ExitCode) -> None:
        super().__init__("stopped; nothing is left behind, nothing was saved.")
        self.exit_code = code


class Machine(NamedTuple):
    """What results depend on besides the files. Says nothing about whose machine it is."""

    cpu: str
    cores: int
    memory_bytes: int
    system: str
    pregen: str
    python: str
    libraries: Mapping[str, str]
    """Versions by name, of those that decode and encode."""


class Troubled(NamedTuple):
    """A source of the sample that came to nothing."""

    path: bytes
    kind: Kind
    message: str


class Decoding(NamedTuple):
    """What one decoder takes for the same JPEGs."""

    name: str
    decode_s: float
    """Reading and decoding, mean of a picture."""
    total_s: float
    """With resizing and encoding."""
    ratio: float
    """Total as a multiple of the fastest one's."""


class Contest(NamedTuple):
    """Decoders side by side, one worker each time, warm."""

    pictures: int
    decodings: tuple[Decoding, ...]


class Floor(NamedTuple):
    """The least a JPEG can take: libjpeg-turbo's decode at a reduced scale, and nothing else."""

    pictures: int
    floor_s: float
    """Worker-seconds for a picture."""
    run_s: float
    """The same of a run's work."""

    @property
    def ratio(self) -> float:
        """The run's as a multiple of the floor's."""
        return self.run_s / max(self.floor_s, 1e-9)


class Cold(NamedTuple):
    """Against a warm pass, what changes when the files are not in memory."""

    group: Group
    slowdown: float
    """Time as a multiple of the warm pass'."""
    cpu_share: float
    resident_share: float
    """Of the sampled pages, those that the file system kept in memory all the same."""


class Space(NamedTuple):
    """What the entries need."""

    entries: Estimate
    disk_bytes: Estimate
    """In whole blocks of the file system."""
    free_bytes: int
    """On the cache's file system, now."""


class Prediction(NamedTuple):
    """A run over the whole library into an empty cache."""

    startup_s: float
    warm_s: Estimate
    cold_s: Estimate
    space: Space


@dataclass(frozen=True, slots=True)
class Result:
    """All that a bench finds."""

    config: BenchConfig
    machine: Machine
    sample: Sample
    passed_over: int
    unread: int
    """Places of the walk that could not be read."""
    kinds: Mapping[Kind, int]
    """What became of the sources of the sample."""
    extras: Mapping[str, int]
    """Sources that wait for an extra, by its name."""
    install: str
    """The command that gets them; empty when none is needed."""
    failures: tuple[Troubled, ...]
    groups: tuple[Group, ...]
    """Warm, all workers."""
    warm: Group
    warm_cpu_share: float
    cold: Cold
    scaling: tuple[ScalingStep, ...]
    contest: Contest | None
    """None: no JPEG in the sample."""
    floor: Floor | None
    limit: Limit
    prediction: Prediction

"""What the nodes of a run are given, and what comes back from them. Values only.

They travel as pickles: who can reach a Dask scheduler can run anything on it anyway
(ARCHITECTURE.md, Security).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pregen.config import EngineConfig, WorkConfig
    from pregen.delivery import Parcel
    from pregen.model import Outcome, Source, WorkerView


class NodeSetup(NamedTuple):
    """All a node needs to know at the start of a run."""

    token: str
    """Names the run: a node may serve several."""
    version: str
    """Of pregen."""
    work_factory: str
    """As "module:name"."""
    work_config: WorkConfig
    engine_config: EngineConfig
    preload: tuple[str, ...]
    samples: tuple[Source, ...]
    """Some sources as the client sees them."""
    collect: bool
    """Entries go back to the client; the node has no cache."""


class Done(NamedTuple):
    """A batch that has come back."""

    outcomes: tuple[Outcome, ...]
    parcels: tuple[Parcel, ...] = ()
    """One for each outcome when collecting, else none."""
    busy_s: float = 0.0
    """From its arrival at the node to its end there."""


class NodeViews(NamedTuple):
    """What the workers of one node do now."""

    node: str
    views: tuple[WorkerView, ...]


class UnfitError(Exception):
    """A node cannot do this run's work; the message is for the user, and names the node."""


class NodeDiedError(Exception):
    """The engine of a node ended while it had a batch."""

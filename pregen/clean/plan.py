"""The plan: which entries go, and what was counted on the way. Pure but for what it is given."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pregen.clean.selection import Kept, Reason
    from pregen.storage.inventory import ItemFolder


class Doomed(NamedTuple):
    """An entry that is to go; little enough of it that a plan of a million fits in memory."""

    folder: ItemFolder
    name: bytes
    identity: tuple[int, ...]
    """`Item.identity`, when the plan was made."""
    reason: Reason
    size_bytes: int
    used_ns: int
    uri: str

    @property
    def path(self) -> bytes:
        """The whole path of the entry."""
        return self.folder.path + b"/" + self.name


class Tally:
    """Numbers and bytes by reason."""

    def __init__(self) -> None:
        self.entries: Counter[Reason | Kept] = Counter()
        self.size_bytes: Counter[Reason | Kept] = Counter()

    def add(self, why: Reason | Kept, size_bytes: int, number: int = 1) -> None:
        """Count one entry; take it back with `number` and bytes below zero."""
        self.entries[why] += number
        self.size_bytes[why] += size_bytes

    @property
    def total(self) -> int:
        """All entries counted."""
        return self.entries.total()

    @property
    def total_bytes(self) -> int:
        """Bytes of all of them."""
        return self.size_bytes.total()


@dataclass(slots=True)
class Plan:
    """What would be deleted."""

    doomed: list[Doomed] = field(default_factory=list)
    kept: Tally = field(default_factory=Tally)
    offline: Counter[bytes] = field(default_factory=Counter)
    """How many entries stay because what lies at this place is not there now."""
    total: int = 0
    """All entries and fail records of the cache."""
    total_bytes: int = 0
    hung: tuple[bytes, ...] = ()
    """Mount points that did not answer."""
    links: tuple[bytes, ...] = ()
    """Folders of the cache that are links and were passed over."""

    @property
    def going(self) -> Tally:
        """What goes, by reason."""
        tally = Tally()
        for each in self.doomed:
            tally.add(each.reason, each.size_bytes)
        return tally


def over_size(spare: Iterable[Doomed], excess_bytes: int) -> list[Doomed]:
    """Return the least recently used of what may go, until `excess_bytes` are freed."""
    chosen = []
    for each in sorted(spare, key=lambda each: each.used_ns):
        if excess_bytes <= 0:
            break
        chosen.append(each)
        excess_bytes -= each.size_bytes
    return chosen

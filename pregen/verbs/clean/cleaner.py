"""Looks through a cache by a selection, and deletes what was planned. The I/O of `pregen clean`.

Nothing is deleted on the word of a plan: right before, an entry and its original are looked at
once more, and it goes only if it is the same file and has the same reason.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

from pregen.originals.status import UNKNOWN, Original, judge, of_other_scheme
from pregen.thumbspec.naming import clean_path, key
from pregen.thumbspec.pngchunks import PngError
from pregen.thumbspec.pngtext import URI
from pregen.thumbspec.uri import path_from_uri
from pregen.verbs.clean.selection import CleanReason, EntryFacts, Kept, decide, is_within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pregen.cache.inventory import Item, ItemFolder
    from pregen.originals.examiner import Examiner
    from pregen.originals.mounts import Mounts
    from pregen.thumbspec.pngtext import PngHead
    from pregen.verbs.clean.selection import Selection


# Reads what an entry says of itself, as far as a selection needs it


def facts_of(item: Item, *, read: bool) -> EntryFacts | None:
    """Return the facts of an entry; None: it is gone.

    Args:
        item: The entry.
        read: Also read its texts. Otherwise only what stat says is known.
    """
    found = item.stat
    facts = EntryFacts(
        program=item.folder.program,
        size_bytes=found.st_size,
        used_ns=used_ns(item),
        written_ns=found.st_mtime_ns,
    )
    if not read:
        return facts
    try:
        head = item.head()
    except PngError as error:
        return facts._replace(damage=str(error))
    except FileNotFoundError:
        return None
    except OSError:
        return facts._replace(readable=False)
    uri = _uri(head, item.key)
    damage = "" if uri else f"does not say whose it is ({URI})"
    path = path_from_uri(uri)
    path = None if path is None else clean_path(path, b"/")
    return facts._replace(head=head, uri=uri, path=path, damage=damage)


def used_ns(item: Item) -> int:
    """Return when an entry was last read or written.

    Many file systems record reading only when it is the first after writing or once a day
    (relatime), some never: then it is the time of writing.
    """
    return max(item.stat.st_atime_ns, item.stat.st_mtime_ns)


def _uri(head: PngHead, wanted: str) -> str:
    """Return the URI of which the file's name is the key, or the first one."""
    uris = head.values(URI)
    return next((uri for uri in uris if key(uri) == wanted), uris[0]) if uris else ""


# The plan: which entries go, and what was counted on the way. Pure but for what it is given


class Doomed(NamedTuple):
    """An entry that is to go; little enough of it that a plan of a million fits in memory."""

    folder: ItemFolder
    name: bytes
    identity: tuple[int, ...]
    """`Item.identity`, when the plan was made."""
    reason: CleanReason
    size_bytes: int
    used_ns: int
    uri: str

    @property
    def path(self) -> bytes:
        """The whole path of the entry."""
        return self.folder.path + b"/" + self.name


class CleanTally:
    """Numbers and bytes by reason."""

    def __init__(self) -> None:
        self.entries: Counter[CleanReason | Kept] = Counter()
        self.size_bytes: Counter[CleanReason | Kept] = Counter()

    def add(self, why: CleanReason | Kept, size_bytes: int, number: int = 1) -> None:
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
    kept: CleanTally = field(default_factory=CleanTally)
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
    def going(self) -> CleanTally:
        """What goes, by reason."""
        tally = CleanTally()
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


# Looking through the cache, and deleting


#: Entries looked at together: enough to keep the helpers busy, few enough to count aloud.
_CHUNK: Final = 4096
#: Entries looked at again together before they are deleted: the fewer, the fresher the look.
_DELETE_CHUNK: Final = 512

_T = TypeVar("_T")


class Items(Protocol):
    """What is looked through: an inventory, or a part of one."""

    links: list[bytes]

    def items(self) -> Iterator[Item]:
        """Yield entries and fail records."""
        ...


class _Judged(NamedTuple):
    item: Item
    facts: EntryFacts
    original: Original
    verdict: CleanReason | Kept


class Cleaner:
    """One cleaning of one cache.

    Args:
        inventory: The cache, open until the deleting is done.
        examiner: Looks at originals.
        selection: What is to go.
        now_ns: The time, since 1970.
    """

    def __init__(
        self, inventory: Items, examiner: Examiner, selection: Selection, now_ns: int
    ) -> None:
        self._inventory = inventory
        self._examiner = examiner
        self._selection = selection
        self._now_ns = now_ns

    def plan(self, told: Callable[[int], None] = lambda _number: None) -> Plan:
        """Look at everything and choose; deletes nothing.

        Args:
            told: Called now and then with the number of entries looked at so far.

        Raises:
            CacheError: The cache cannot be read.
        """
        plan, offline = Plan(), Counter[bytes]()
        spare: list[tuple[Doomed, Kept]] = []
        for items in _chunks(self._inventory.items(), _CHUNK):
            for each in self._judged(items):
                size_bytes = each.facts.size_bytes
                plan.total += 1
                plan.total_bytes += size_bytes
                if isinstance(each.verdict, CleanReason):
                    plan.doomed.append(_doomed(each, each.verdict))
                    continue
                plan.kept.add(each.verdict, size_bytes)
                if each.verdict in {Kept.OFFLINE, Kept.TIMED_OUT}:
                    offline[each.original.place] += 1
                if self._selection.max_size_bytes is not None and each.verdict is not Kept.OUTSIDE:
                    spare.append((_doomed(each, CleanReason.OVER_SIZE), each.verdict))
            told(plan.total)
        self._shrink(plan, spare)
        return replace(
            plan,
            offline=offline,
            hung=tuple(self._examiner.hung),
            links=tuple(self._inventory.links),
        )

    def _shrink(self, plan: Plan, spare: Sequence[tuple[Doomed, Kept]]) -> None:
        """Add to the plan what `--max-size` takes besides."""
        if self._selection.max_size_bytes is None:
            return
        left_bytes = plan.total_bytes - plan.going.total_bytes
        chosen = over_size([each for each, _ in spare], left_bytes - self._selection.max_size_bytes)
        was = {id(each): kept for each, kept in spare}
        for each in chosen:
            plan.kept.add(was[id(each)], -each.size_bytes, -1)
        plan.doomed += chosen

    def delete(
        self,
        plan: Plan,
        mounts: Callable[[], Mounts],
        done: Callable[[Doomed, bool], None] = lambda _each, _deleted: None,
    ) -> CleanTally:
        """Delete what was planned, if it still is what it was; return what was deleted and kept.

        Args:
            plan: From `plan`.
            mounts: Reads the mount points anew.
            done: Called for each, with whether it was deleted.

        Raises:
            CacheError: An entry cannot be deleted; those before it are.
        """
        tally = CleanTally()
        for chunk in _chunks(plan.doomed, _DELETE_CHUNK):
            self._examiner.renew(mounts())
            going = self._still_due(chunk)
            for each in chunk:
                item = going.get((each.folder.path, each.name))
                deleted = item is not None and item.remove()
                tally.add(each.reason if deleted else Kept.CHANGED, each.size_bytes)
                done(each, deleted)
        return tally

    def _still_due(self, chunk: Sequence[Doomed]) -> dict[tuple[bytes, bytes], Item]:
        """Return those that are the same files and have the same reason to go."""
        reasons: dict[tuple[bytes, bytes], CleanReason] = {}
        same: list[Item] = []
        going: dict[tuple[bytes, bytes], Item] = {}
        for each in chunk:
            place = each.folder.path, each.name
            item = each.folder.item(each.name)
            if item is None or item.identity != each.identity:
                continue
            if each.reason is not CleanReason.OVER_SIZE:
                reasons[place] = each.reason
                same.append(item)
            elif used_ns(item) == each.used_ns:
                going[place] = item
        for judged in self._judged(same):
            place = judged.item.folder.path, judged.item.name
            if judged.verdict is reasons[place]:
                going[place] = judged.item
        return going

    def _judged(self, items: Iterable[Item]) -> Iterator[_Judged]:
        """Read entries, look at their originals, decide. Entries that are gone are left out."""
        read = self._selection.needs_heads
        found = [(item, facts) for item in items if (facts := facts_of(item, read=read))]
        originals = self._originals([facts for _, facts in found])
        for (item, facts), original in zip(found, originals, strict=True):
            verdict = decide(facts, original, self._selection, self._now_ns)
            yield _Judged(item, facts, original, verdict)

    def _originals(self, all_facts: Sequence[EntryFacts]) -> list[Original]:
        anywhere = replace(self._selection, remote=None)
        wanted = {
            facts.path
            for facts in all_facts
            if facts.path is not None
            and self._selection.needs_originals
            and is_within(facts, UNKNOWN, anywhere)
        }
        sights = self._examiner.look(list(wanted)) if wanted else {}

        def original(facts: EntryFacts) -> Original:
            if facts.path is None:
                return of_other_scheme(facts.uri) if facts.uri else UNKNOWN
            sight = sights.get(facts.path)
            if sight is None:
                return UNKNOWN
            return judge(facts.path, sight, self._examiner.mounts, facts.written_ns)

        return [original(facts) for facts in all_facts]


def _doomed(each: _Judged, reason: CleanReason) -> Doomed:
    item, facts = each.item, each.facts
    return Doomed(
        item.folder, item.name, item.identity, reason, facts.size_bytes, facts.used_ns, facts.uri
    )


def _chunks(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk

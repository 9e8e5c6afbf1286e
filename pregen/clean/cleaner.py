"""Looks through a cache by a selection, and deletes what was planned. The I/O of `pregen clean`.

Nothing is deleted on the word of a plan: right before, an entry and its original are looked at
once more, and it goes only if it is the same file and has the same reason.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

from pregen.clean.facts import facts_of, used_ns
from pregen.clean.plan import Doomed, Plan, Tally, over_size
from pregen.clean.selection import Facts, Kept, Reason, decide, is_within
from pregen.originals.sight import UNKNOWN, Original, judge, of_other_scheme

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pregen.clean.selection import Selection
    from pregen.originals.examiner import Examiner
    from pregen.originals.mounts import Mounts
    from pregen.storage.inventory import Item

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
    facts: Facts
    original: Original
    verdict: Reason | Kept


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
                if isinstance(each.verdict, Reason):
                    plan.doomed.append(_doomed(each, each.verdict))
                    continue
                plan.kept.add(each.verdict, size_bytes)
                if each.verdict in {Kept.OFFLINE, Kept.TIMED_OUT}:
                    offline[each.original.place] += 1
                if self._selection.max_size_bytes is not None and each.verdict is not Kept.OUTSIDE:
                    spare.append((_doomed(each, Reason.OVER_SIZE), each.verdict))
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
    ) -> Tally:
        """Delete what was planned, if it still is what it was; return what was deleted and kept.

        Args:
            plan: From `plan`.
            mounts: Reads the mount points anew.
            done: Called for each, with whether it was deleted.

        Raises:
            CacheError: An entry cannot be deleted; those before it are.
        """
        tally = Tally()
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
        reasons: dict[tuple[bytes, bytes], Reason] = {}
        same: list[Item] = []
        going: dict[tuple[bytes, bytes], Item] = {}
        for each in chunk:
            place = each.folder.path, each.name
            item = each.folder.item(each.name)
            if item is None or item.identity != each.identity:
                continue
            if each.reason is not Reason.OVER_SIZE:
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

    def _originals(self, all_facts: Sequence[Facts]) -> list[Original]:
        anywhere = replace(self._selection, remote=None)
        wanted = {
            facts.path
            for facts in all_facts
            if facts.path is not None
            and self._selection.needs_originals
            and is_within(facts, UNKNOWN, anywhere)
        }
        sights = self._examiner.look(list(wanted)) if wanted else {}

        def original(facts: Facts) -> Original:
            if facts.path is None:
                return of_other_scheme(facts.uri) if facts.uri else UNKNOWN
            sight = sights.get(facts.path)
            if sight is None:
                return UNKNOWN
            return judge(facts.path, sight, self._examiner.mounts, facts.written_ns)

        return [original(facts) for facts in all_facts]


def _doomed(each: _Judged, reason: Reason) -> Doomed:
    item, facts = each.item, each.facts
    return Doomed(
        item.folder, item.name, item.identity, reason, facts.size_bytes, facts.used_ns, facts.uri
    )


def _chunks(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk

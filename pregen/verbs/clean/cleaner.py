"""Looks through a cache by a selection, and deletes what was planned. The I/O of `pregen clean`.

Nothing is deleted on the word of a plan: right before, an entry and its original are looked at
once more, and it goes only if it is the same file and has the same reason.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

from pregen.originals.status import UNKNOWN, Original, OriginalState, vanished_together
from pregen.thumbspec.naming import source_path
from pregen.thumbspec.pngchunks import PngError
from pregen.thumbspec.pngtext import URI
from pregen.verbs.clean.selection import CleanFacts, CleanReason, Kept, decide, is_within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pregen.cache.folder import CacheFile, Folder
    from pregen.originals.examiner import Examiner
    from pregen.originals.mounts import Mounts
    from pregen.originals.vaults import PrivatePlaces
    from pregen.verbs.clean.selection import Selection

#: Entries looked at together: enough to keep the helpers busy, few enough to count aloud.
_CHUNK: Final = 4096
#: Entries looked at again together before they are deleted: the fewer, the fresher the look.
_DELETE_CHUNK: Final = 512

_T = TypeVar("_T")


def facts_of(entry: CacheFile, *, read: bool) -> CleanFacts | None:
    """Return the facts of an entry; None: it is gone.

    Args:
        entry: The entry.
        read: Also read its texts. Otherwise only what stat says is known.
    """
    facts = CleanFacts(
        program=entry.folder.program,
        flavor=entry.folder.flavor,
        size_bytes=entry.stat.st_size,
        used_ns=used_ns(entry),
        written_ns=entry.stat.st_mtime_ns,
    )
    if not read:
        return facts
    try:
        head = entry.head()
    except PngError as error:
        return facts._replace(damage=str(error))
    except FileNotFoundError:
        return None
    except OSError:
        return facts._replace(readable=False)
    uri = head.uri(entry.key)
    damage = "" if uri else f"has no URI ({URI})"
    return facts._replace(head=head, uri=uri, path=source_path(uri), damage=damage)


def used_ns(entry: CacheFile) -> int:
    """Return when an entry was last read or written.

    Many file systems record reading only when it is the first after writing or once a day
    (relatime), some never: then it is the time of writing.
    """
    return max(entry.stat.st_atime_ns, entry.stat.st_mtime_ns)


class Doomed(NamedTuple):
    """An entry that is to go; little enough of it that a plan of a million fits in memory."""

    folder: Folder
    name: str
    identity: tuple[int, ...]
    """`CacheFile.identity`, when the plan was made."""
    reason: CleanReason
    size_bytes: int
    used_ns: int
    uri: str

    @property
    def path(self) -> bytes:
        """The whole path of the entry."""
        return os.path.join(self.folder.path, os.fsencode(self.name))

    @property
    def is_fail_record(self) -> bool:
        """Whether it is no thumbnail."""
        return bool(self.folder.program)


class CleanTally:
    """Numbers and bytes by reason."""

    def __init__(self) -> None:
        self.entries: Counter[CleanReason | Kept] = Counter()
        """Thumbnails and fail records."""
        self.fail_records: Counter[CleanReason | Kept] = Counter()
        """Those of them that are no thumbnails; of what was kept from the first not counted."""
        self.size_bytes: Counter[CleanReason | Kept] = Counter()

    def add(
        self, why: CleanReason | Kept, size_bytes: int, number: int = 1, *, fails: bool = False
    ) -> None:
        """Count one entry, or with `fails` a fail record.

        Take it back with `number` and bytes below zero.
        """
        self.entries[why] += number
        self.fail_records[why] += number * fails
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
    total_fails: int = 0
    """The fail records among them."""
    total_bytes: int = 0
    emptied: Counter[bytes] = field(default_factory=Counter)
    """How many entries stay because all that was in this folder vanished together."""
    hung: tuple[bytes, ...] = ()
    """Mount points that did not answer."""
    links: tuple[bytes, ...] = ()
    """Folders of the cache that are links and were passed over."""

    @property
    def going(self) -> CleanTally:
        """What goes, by reason."""
        tally = CleanTally()
        for each in self.doomed:
            tally.add(each.reason, each.size_bytes, fails=each.is_fail_record)
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


class CleanedCache(Protocol):
    """What is looked through: a cache, or a part of one."""

    links: list[bytes]

    def entries(self) -> Iterator[CacheFile]:
        """Yield entries and fail records."""
        ...


class _Judged(NamedTuple):
    entry: CacheFile
    facts: CleanFacts
    original: Original
    verdict: CleanReason | Kept


class Cleaner:
    """One cleaning of one cache.

    Args:
        cache: It is open until the deleting is done.
        examiner: Looks at originals.
        selection: What is to go.
        now_ns: The time, since 1970.
        private: Knows which originals are better protected than the cache; None: none are.
    """

    def __init__(
        self,
        cache: CleanedCache,
        examiner: Examiner,
        selection: Selection,
        now_ns: int,
        private: PrivatePlaces | None = None,
    ) -> None:
        self._private = private
        self.private_places: set[bytes] = set()
        """Where entries were found that are private."""
        self._cache = cache
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
        unsure: dict[bytes, list[Doomed]] = {}
        there: set[bytes] = set()
        for entries in _chunks(self._cache.entries(), _CHUNK):
            for each in self._judged(entries):
                size_bytes = each.facts.size_bytes
                plan.total += 1
                plan.total_fails += bool(each.facts.program)
                plan.total_bytes += size_bytes
                path = each.facts.path
                if path is not None and each.original.state is OriginalState.THERE:
                    there.add(path.rpartition(b"/")[0] + b"/")
                if isinstance(each.verdict, CleanReason):
                    doomed = _doomed(each, each.verdict)
                    plan.doomed.append(doomed)
                    if each.verdict is CleanReason.MISSING and not each.original.surely and path:
                        unsure.setdefault(path, []).append(doomed)
                    continue
                plan.kept.add(each.verdict, size_bytes)
                if each.verdict in {Kept.OFFLINE, Kept.TIMED_OUT}:
                    offline[each.original.place] += 1
                if self._selection.max_size_bytes is not None and each.verdict is not Kept.OUTSIDE:
                    spare.append((_doomed(each, CleanReason.OVER_SIZE), each.verdict))
            told(plan.total)
        spare += _spared(plan, unsure, there)
        self._shrink(plan, spare)
        return replace(
            plan,
            offline=offline,
            hung=tuple(self._examiner.hung),
            links=tuple(self._cache.links),
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
                entry = going.get(each.path)
                deleted = entry is not None and entry.remove()
                why = each.reason if deleted else Kept.CHANGED
                tally.add(why, each.size_bytes, fails=each.is_fail_record)
                done(each, deleted)
        return tally

    def _still_due(self, chunk: Sequence[Doomed]) -> dict[bytes, CacheFile]:
        """Return those that are the same files and have the same reason to go, by path."""
        reasons: dict[bytes, CleanReason] = {}
        same: list[CacheFile] = []
        going: dict[bytes, CacheFile] = {}
        for each in chunk:
            entry = each.folder.file(each.name)
            if entry is None or entry.identity != each.identity:
                continue
            if each.reason is not CleanReason.OVER_SIZE:
                reasons[each.path] = each.reason
                same.append(entry)
            elif used_ns(entry) == each.used_ns:
                going[each.path] = entry
        for judged in self._judged(same):
            path = judged.entry.path
            if judged.verdict is reasons[path]:
                going[path] = judged.entry
        return going

    def _judged(self, entries: Iterable[CacheFile]) -> Iterator[_Judged]:
        """Read entries, look at their originals, decide. Entries that are gone are left out."""
        read = self._selection.needs_heads
        found = [(entry, facts) for entry in entries if (facts := facts_of(entry, read=read))]
        if self._selection.private:
            found = self._with_private(found)
        originals = self._originals([facts for _, facts in found])
        for (entry, facts), original in zip(found, originals, strict=True):
            unlocked = self._unless_locked(facts, original)
            verdict = decide(facts, unlocked, self._selection, self._now_ns)
            yield _Judged(entry, facts, unlocked, verdict)

    def _unless_locked(self, facts: CleanFacts, original: Original) -> Original:
        """Return an original that is gone as offline where the vault that it lay in is locked."""
        if original.state is not OriginalState.GONE or not facts.path or not self._private:
            return original
        place = self._private.place_of(facts.path)
        if place is None or self._private.is_open(place):
            return original
        return Original(OriginalState.OFFLINE, place=place)

    def _with_private(
        self, found: Sequence[tuple[CacheFile, CleanFacts]]
    ) -> list[tuple[CacheFile, CleanFacts]]:
        """Add whether originals are private, by their paths and by where links in them lead."""
        paths = [facts.path for _, facts in found if facts.path is not None]
        looked = self._examiner.look(list(dict.fromkeys(paths)))
        place_of = self._private.place_of if self._private else lambda _path: None
        places = {path: place_of(path) or place_of(status.real) for path, status in looked.items()}
        self.private_places.update(filter(None, places.values()))
        return [
            (entry, facts._replace(private=facts.path is not None and bool(places[facts.path])))
            for entry, facts in found
        ]

    def _originals(self, all_facts: Iterable[CleanFacts]) -> list[Original]:
        """Look at the originals of those entries that may be within the limits."""
        anywhere = replace(self._selection, remote=None)
        looks = self._selection.needs_originals
        return self._examiner.originals(
            [
                (facts.path, facts.uri, facts.written_ns)
                if facts.path is None or (looks and is_within(facts, UNKNOWN, anywhere))
                else (None, "", 0)
                for facts in all_facts
            ]
        )


def _spared(
    plan: Plan, unsure: Mapping[bytes, Sequence[Doomed]], there: Iterable[bytes]
) -> list[tuple[Doomed, Kept]]:
    """Take out of a plan what vanished together, and may come back together; return it."""
    kept: list[tuple[Doomed, Kept]] = []
    for path, folder in vanished_together(unsure, there).items():
        kept += ((doomed, Kept.OFFLINE) for doomed in unsure[path])
        plan.emptied[folder] += len(unsure[path])
    stays = {id(doomed) for doomed, _ in kept}
    plan.doomed[:] = (doomed for doomed in plan.doomed if id(doomed) not in stays)
    for doomed, why in kept:
        plan.kept.add(why, doomed.size_bytes)
    return [(doomed._replace(reason=CleanReason.OVER_SIZE), why) for doomed, why in kept]


def _doomed(each: _Judged, reason: CleanReason) -> Doomed:
    entry, facts = each.entry, each.facts
    return Doomed(
        entry.folder,
        entry.name,
        entry.identity,
        reason,
        facts.size_bytes,
        facts.used_ns,
        facts.uri,
    )


def _chunks(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk

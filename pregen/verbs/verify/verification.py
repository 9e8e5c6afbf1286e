"""One call of `pregen verify`: looks at all entries, finds whose the bad ones are, repairs them."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from contextlib import suppress
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from pregen.cache.folder import ENTRY_NAME
from pregen.config import WalkConfig
from pregen.errors import ExitCode, UsageError
from pregen.model import ALL_FLAVORS, Flavor, Source
from pregen.originals.mounts import is_below_any
from pregen.originals.status import OriginalState
from pregen.verbs.run import run_over, run_unseen, values_for_files
from pregen.verbs.verify.anatomy import Flaw
from pregen.verbs.verify.checker import (
    Checked,
    Checker,
    Cure,
    by_path,
    by_siblings,
    comparable,
    cure,
)
from pregen.verbs.verify.deep import Comparison, sampled
from pregen.walk import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pregen.cache.store import Cache
    from pregen.model import Outcome
    from pregen.originals.examiner import Examiner
    from pregen.session import Session
    from pregen.verbs.reviewing import Reviewers

#: How often the count is told again.
_TELL_EVERY = 256


class Verified(NamedTuple):
    """The whole result."""

    root: bytes
    bad: Sequence[Checked]
    entries: int = 0
    """Looked at, fail records included."""
    fail_records: int = 0
    """Of these."""
    compared: int = 0
    """Pictures."""
    originals: Mapping[OriginalState, int] = MappingProxyType({})
    """What became of the files of sound entries."""
    not_made: Sequence[Outcome] = ()
    still_bad: Sequence[Checked] = ()
    """After the repair."""
    unknown: int = 0
    """Removed entries whose file is not known."""
    hung: Sequence[bytes] = ()
    links: Sequence[bytes] = ()
    alone: Mapping[str, int] = MappingProxyType({})
    """Compared pictures that only the same decoder could decode again, by type of file."""


def _is_fail_record(checked: Checked) -> bool:
    return checked.item is not None and bool(checked.item.folder.program)


class Verification:
    """One verification of one cache."""

    def __init__(
        self,
        session: Session,
        paths: tuple[bytes, ...],
        cache: Cache,
        examiner: Examiner,
        reviewers: Reviewers,
    ) -> None:
        self._session = session
        self._paths = paths
        self._cache = cache
        self._examiner = examiner
        self._reviewers = reviewers
        self._checker = Checker(cache, examiner, reviewers, datetime.now(UTC).timestamp())

    def look(self, told: Callable[[int], None], *, compares: bool, sample: int | None) -> Verified:
        """Look at everything.

        Args:
            told: given how many entries were looked at so far.
            compares: compare pictures too.
            sample: of so many entries; None: of all.

        Raises:
            CacheError: the cache cannot be read.
            ComparisonStoppedError: a signal ended the comparing.
        """
        entries, fails, seen = 0, 0, 0
        bad: list[Checked] = []
        candidates: list[Checked] = []
        states: Counter[OriginalState] = Counter()
        for seen, checked in enumerate(self._checker.check(), 1):
            if seen % _TELL_EVERY == 0:
                told(seen)
            if checked.findings:
                bad.append(checked)
                continue
            if not is_below_any(checked.source, self._paths):
                continue
            entries += 1
            fails += _is_fail_record(checked)
            states[checked.original.state] += 1
            if compares and comparable(checked):
                candidates.append(checked)
        bad = [each for each in self._with_owners(bad) if is_below_any(each.source, self._paths)]
        entries += sum(each.item is not None for each in bad)
        fails += sum(map(_is_fail_record, bad))
        comparison = Comparison(self._session, self._reviewers)
        for checked in comparison.over(sampled(candidates, sample), told):
            if checked.findings:
                bad.append(checked)
        return Verified(
            self._cache.root,
            bad,
            entries,
            fails,
            comparison.compared,
            states,
            hung=tuple(self._examiner.hung),
            links=tuple(self._cache.links),
            alone=comparison.alone,
        )

    def _with_owners(self, bad: list[Checked]) -> Iterator[Checked]:
        """Yield what is bad, with the original of what cannot say itself whose it is."""
        keys = [_lost_key(each) for each in bad]
        lost = set(filter(None, keys))
        found: dict[str, bytes] = {}
        for sources in self._places_to_look() if lost else ():
            found.update(sources(lost - found.keys()))
            if len(found) == len(lost):
                break
        owners = [found.get(key) for key in keys]
        times_ns = [each.item.stat.st_mtime_ns if each.item else 0 for each in bad]
        originals = self._examiner.originals([*zip(owners, keys, times_ns, strict=True)])
        for each, owner, original in zip(bad, owners, originals, strict=True):
            yield each if owner is None else each._replace(source=owner, original=original)

    def _places_to_look(self) -> Iterator[Callable[[set[str]], dict[str, bytes]]]:
        yield lambda keys: by_siblings(keys, self._cache.folders())
        with self._session.journal() as journal:
            yield lambda keys: by_path(keys, journal.sources())
        yield lambda keys: by_path(keys, self._walked())

    def _walked(self) -> Iterator[bytes]:
        """Yield all files at and below the PATHs."""
        roots = tuple(path for path in self._paths if os.path.lexists(path))
        if not roots:
            return
        config = WalkConfig(roots=roots, hidden=True, cache_root=self._cache.root)
        with suppress(UsageError):  # a root vanished this very moment
            for found in walk(config):
                if isinstance(found, Source):
                    yield found.path

    def repair(self, result: Verified, *, wait: bool, unseen: bool) -> tuple[Verified, ExitCode]:
        """Mend modes, remove what is bad, make it again; return what came of it.

        Args:
            result: what `look` found.
            wait: for a run that holds the lock.
            unseen: the runs that make entries show nothing.

        Raises:
            PregenError: the lock is taken, or the run could not be done.
        """
        groups, unknown = self._to_make(result.bad)
        with self._session.locked(wait=wait):
            cured = [each._replace(cure=cure(each)) for each in result.bad]
        not_made: list[Outcome] = []
        for flavors, sources in groups.items():
            values = values_for_files(self._session, flavors=flavors, retry_failed=True)
            if unseen:
                code, failed = run_unseen(sources, self._session.run_config(values))
                not_made += failed
            else:
                code = run_over(self._session, sources, values)
            if code not in {ExitCode.DONE, ExitCode.SOME_FAILED}:
                return result._replace(bad=cured, not_made=not_made), code
        gone = {Cure.REMOVED, Cure.MENDED}
        items = [each.item for each in cured if each.item and each.cure in gone]
        still_bad = [each for each in self._checker.again(items) if each.findings]
        kept = any(each.cure in {Cure.KEPT, Cure.LEFT, Cure.SAME} for each in cured)
        code = ExitCode.BAD_ENTRIES if still_bad or kept else ExitCode.DONE
        return result._replace(
            bad=cured, not_made=not_made, still_bad=still_bad, unknown=unknown
        ), code

    def _to_make(self, bad: Iterable[Checked]) -> tuple[dict[tuple[Flavor, ...], set[bytes]], int]:
        """Return which sources need which flavors: those they have now, sound or not.

        Also how many entries have an unknown source.
        """
        flavors: dict[bytes, set[Flavor]] = defaultdict(set)
        unknown = 0
        folders = [folder for folder in self._cache.folders() if folder.flavor]
        for each in bad:
            if each.item is None or each.item.folder.flavor is None or each.flaws == {Flaw.MODE}:
                continue
            if each.flaws & {Flaw.TEMP, Flaw.DISPUTED}:
                continue
            if each.source is None:
                unknown += not each.uri
            if each.source is None or each.original.state is not OriginalState.THERE:
                continue
            have = flavors[each.source]
            have.add(each.item.folder.flavor)
            if ENTRY_NAME.fullmatch(each.item.name):
                name = each.item.name
                have |= {one.flavor for one in folders if one.flavor and one.file(name)}
        groups: dict[tuple[Flavor, ...], set[bytes]] = defaultdict(set)
        for source, have in flavors.items():
            groups[tuple(one for one in ALL_FLAVORS if one in have)].add(source)
        return groups, unknown


def _lost_key(checked: Checked) -> str:
    """Return the key of an entry of which nothing else can say whose it is; empty: it can."""
    if checked.item is None or not ENTRY_NAME.fullmatch(checked.item.name):
        return ""
    return checked.item.key if checked.source is None or Flaw.KEY in checked.flaws else ""

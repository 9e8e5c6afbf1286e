"""One call of `pregen verify`, from parsed flags to an exit code: look, compare, tell, repair."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pregen.commands.cache_session import acquire, told_aloud
from pregen.commands.rerun import NotMade, flavors_flag, run_over, run_unseen
from pregen.commands.style import print_lines, print_record
from pregen.commands.verify_deep import StoppedError, compare, sampled
from pregen.commands.verify_record import Bad, Verified, bad_record, summary_record
from pregen.commands.verify_text import bad_lines, end_lines
from pregen.config import WalkConfig
from pregen.errors import ExitCode, UsageError
from pregen.journal import Journal, journal_path
from pregen.model import ALL_FLAVORS, Flavor, Source
from pregen.originals.examiner import Examiner
from pregen.originals.sight import State, judge
from pregen.originals.system import read_mounts
from pregen.storage.inventory import ENTRY_NAME, Inventory
from pregen.storage.lock import CacheLock
from pregen.thumbspec.naming import clean_path, thumbnails_root
from pregen.verify.checker import Checked, Checker, comparable, is_within
from pregen.verify.flaws import Flaw
from pregen.verify.mending import Cure, cure
from pregen.verify.owners import by_path, by_siblings
from pregen.walk import walk, working_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: How often the count is told anew.
_TELL_EVERY = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyFlags:
    """The command line of `pregen verify`, parsed. A field for every flag."""

    paths: tuple[bytes, ...]
    deep: bool
    sample: int | None
    repair: bool
    wait: bool
    mount_timeout: float
    json: bool


def verify_session(flags: VerifyFlags) -> ExitCode:
    """Look, tell, and repair if asked to.

    Raises:
        PregenError: what ended it before its time.
    """
    root = thumbnails_root(os.environ, os.path.expanduser("~"))
    cwd = working_directory(os.environ)
    paths = tuple(clean_path(path, cwd) for path in flags.paths)
    if not os.path.isdir(root):
        return _tell(Verified(root, ()), ExitCode.DONE, flags)
    with (
        Inventory(root, follow_folders=not flags.repair) as inventory,
        Examiner(read_mounts(os.environ), flags.mount_timeout) as examiner,
        told_aloud() as told,
    ):
        session = _Session(flags, paths, inventory, examiner)
        try:
            result = session.look(told)
        except StoppedError as stopped:
            if flags.json:
                print_record(summary_record(Verified(root, ()), stopped.code))
            return stopped.code
        told(-1)
        code = ExitCode.BAD_ENTRIES if result.bad else ExitCode.DONE
        if flags.repair and result.bad:
            result, code = session.repair(result)
        return _tell(result, code, flags)


def _tell(result: Verified, code: ExitCode, flags: VerifyFlags) -> ExitCode:
    if flags.json:
        for bad in result.bad:
            print_record(bad_record(bad))
        print_record(summary_record(result, code))
    else:
        for bad in result.bad:
            print_lines(bad_lines(result.root, bad))
        print_lines(end_lines(result, repair=flags.repair))
    return code


class _Session:
    """One verification of one cache."""

    def __init__(
        self,
        flags: VerifyFlags,
        paths: tuple[bytes, ...],
        inventory: Inventory,
        examiner: Examiner,
    ) -> None:
        self._flags = flags
        self._paths = paths
        self._inventory = inventory
        self._examiner = examiner
        self._checker = Checker(inventory, examiner, datetime.now(UTC).timestamp())

    def look(self, told: Callable[[int], None]) -> Verified:
        """Look at everything; compare pictures if asked to.

        Raises:
            CacheError: the cache cannot be read.
            StoppedError: a signal ended the comparing.
        """
        entries, seen, compared = 0, 0, 0
        bad: list[Checked] = []
        candidates: list[Checked] = []
        states: Counter[State] = Counter()
        deep = self._flags.deep or self._flags.sample is not None
        for seen, checked in enumerate(self._checker.check(), 1):
            if seen % _TELL_EVERY == 0:
                told(seen)
            if checked.findings:
                bad.append(checked)
                continue
            if not is_within(checked, self._paths):
                continue
            entries += 1
            states[checked.original.state] += 1
            if deep and comparable(checked):
                candidates.append(checked)
        bad = [each for each in self._with_owners(bad) if is_within(each, self._paths)]
        entries += sum(each.item is not None for each in bad)
        for checked, was_compared in compare(sampled(candidates, self._flags.sample), told):
            compared += was_compared
            if checked.findings:
                bad.append(checked)
        return Verified(
            self._inventory.root,
            [Bad(each) for each in bad],
            entries,
            compared,
            states,
            hung=tuple(self._examiner.hung),
            links=tuple(self._inventory.links),
        )

    def _with_owners(self, bad: list[Checked]) -> Iterator[Checked]:
        """Yield what is bad, with the original of what cannot say itself whose it is."""
        lost = {each.item.key for each in bad if each.item and _is_lost(each)}
        found: dict[str, bytes] = {}
        for sources in self._places_to_look() if lost else ():
            found.update(sources(lost - found.keys()))
            if len(found) == len(lost):
                break
        sights = self._examiner.look(list(set(found.values())))
        for each in bad:
            owner = found.get(each.item.key) if each.item and _is_lost(each) else None
            if owner is None or each.item is None:
                yield each
            else:
                written_ns = each.item.stat.st_mtime_ns
                original = judge(owner, sights[owner], self._examiner.mounts, written_ns)
                yield each._replace(source=owner, original=original)

    def _places_to_look(self) -> Iterator[Callable[[set[str]], dict[str, bytes]]]:
        yield lambda keys: by_siblings(keys, self._inventory.folders())
        home = os.path.expanduser("~")
        path = journal_path(os.environ, home)
        with closing(Journal.open(path, lambda _message: None, create=False)) as journal:
            yield lambda keys: by_path(keys, journal.sources())
        yield lambda keys: by_path(keys, self._walked())

    def _walked(self) -> Iterator[bytes]:
        """Yield all files at and below the PATHs."""
        roots = tuple(path for path in self._paths if os.path.lexists(path))
        if not roots:
            return
        config = WalkConfig(roots=roots, hidden=True, cache_root=self._inventory.root)
        with suppress(UsageError):  # a root vanished this very moment
            for found in walk(config):
                if isinstance(found, Source):
                    yield found.path

    def repair(self, result: Verified) -> tuple[Verified, ExitCode]:
        """Mend modes, remove what is bad, make it anew; return what came of it.

        Raises:
            PregenError: the lock is taken, or the run could not be done.
        """
        groups, unknown = self._to_make(each.checked for each in result.bad)
        lock = CacheLock(self._inventory.root)
        acquire(lock, wait=self._flags.wait)
        try:
            cured = [Bad(each.checked, cure(each.checked)) for each in result.bad]
        finally:
            lock.release()
        not_made: list[NotMade] = []
        for flavors, sources in groups.items():
            # Not the pixels of a copy's entry: those may be as wrong, and nobody has compared them.
            flags = [flavors_flag(flavors), "--retry-failed", "--no-reuse"]
            if self._flags.json:
                code, failed = run_unseen(sources, *flags)
                not_made += failed
            else:
                code = run_over(sources, *flags)
            if code not in {ExitCode.DONE, ExitCode.SOME_FAILED}:
                return result._replace(bad=cured, not_made=not_made), code
        gone = {Cure.REMOVED, Cure.MENDED}
        items = [each.checked.item for each in cured if each.checked.item and each.cure in gone]
        still_bad = [each for each in self._checker.again(items) if each.findings]
        kept = any(each.cure in {Cure.KEPT, Cure.LEFT} for each in cured)
        code = ExitCode.BAD_ENTRIES if still_bad or kept else ExitCode.DONE
        return result._replace(
            bad=cured, not_made=not_made, still_bad=still_bad, unknown=unknown
        ), code

    def _to_make(self, bad: Iterable[Checked]) -> tuple[dict[tuple[Flavor, ...], set[bytes]], int]:
        """Return which sources need which flavors: those they have now, sound or not.

        Also how many entries nobody knows the source of.
        """
        flavors: dict[bytes, set[Flavor]] = defaultdict(set)
        unknown = 0
        folders = [folder for folder in self._inventory.folders() if folder.flavor]
        for each in bad:
            if each.item is None or each.item.folder.flavor is None or each.flaws == {Flaw.MODE}:
                continue
            if Flaw.TEMP in each.flaws:
                continue
            if each.source is None:
                unknown += not each.uri
            if each.source is None or each.original.state is not State.THERE:
                continue
            have = flavors[each.source]
            have.add(each.item.folder.flavor)
            if ENTRY_NAME.fullmatch(each.item.name):
                name = each.item.name
                have |= {one.flavor for one in folders if one.flavor and one.item(name)}
        groups: dict[tuple[Flavor, ...], set[bytes]] = defaultdict(set)
        for source, have in flavors.items():
            groups[tuple(one for one in ALL_FLAVORS if one in have)].add(source)
        return groups, unknown


def _is_lost(checked: Checked) -> bool:
    """Tell whether only its name can say whose it is."""
    named = checked.item is not None and ENTRY_NAME.fullmatch(checked.item.name)
    return bool(named) and (checked.source is None or Flaw.KEY in checked.flaws)

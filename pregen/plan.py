"""What is to be done for a source: a job, or the reason why there is none.

`decide` is the decision: pure, from verdicts to steps. `Planner` reads the cache for it. Nothing
here writes, so `--dry-run` plans like any other run; and nothing here opens a source.

Where a source is to be decoded, the job names the entries that may hold its picture already
(`reuse`): those of its former name, or of another of its URIs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pregen.cache.folder import NO_STAMP
from pregen.cache.keyset import KeySet
from pregen.config import Check
from pregen.entry_keys import EntryKeys
from pregen.imaging import revisions
from pregen.model import ALL_FLAVORS, Action, Job, Kind, Skip, Step
from pregen.reuse.memory import RememberedSources
from pregen.thumbspec.naming import entry_name, key
from pregen.thumbspec.validity import HEAD_BYTES, Ending, Freshness, judge, judge_fail_record
from pregen.thumbspec.wholeness import damage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pregen.cache.folder import Examined, Folder
    from pregen.cache.store import Cache
    from pregen.config import PlanConfig
    from pregen.model import Flavor, Kin, Source, Stamp
    from pregen.reuse.memory import Memory
    from pregen.reuse.same_file import Met
    from pregen.walk.unchanged import Settled

#: From this source on the cache's folders are listed once, so that absent entries cost nothing
#: (otherwise some microseconds each, a disk seek or a round trip to a server when cold). Listing
#: a cache of millions before that would cost a small run more than it saves.
LIST_AFTER_SOURCES = 1000
#: ... and from this one on where they are small, which their own sizes tell: some ten thousand
#: names (ext4 takes 48 bytes for each, btrfs 72), which are listed in 20 ms.
LIST_SMALL_AFTER_SOURCES = 64
SMALL_FOLDER_BYTES = 512 * 1024

# Members of an enum cost ten times a global in Python 3.11, and these are asked for every entry.
_FRESH, _MISSING, _REFIT = Freshness.FRESH, Freshness.MISSING, Freshness.REFIT
_NEED_MORE, _STALE, _OUTDATED = Freshness.NEED_MORE, Freshness.STALE, Freshness.OUTDATED
_CORRUPT = Freshness.CORRUPT
_MAKE, _RECHECK = Action.MAKE, Action.RECHECK
#: Tuples, not sets: an enum's hash is a call.
_GOOD = (_FRESH, _MISSING, _REFIT, _OUTDATED)
_DECODES = (_MAKE, _RECHECK)
#: Those whose pixels are of the source: worth a look, or a copy.
_WHOLE = (_FRESH, _REFIT)

_UNCHANGED = "has not changed since"
#: Failures among the journal's hints.
_FAILED = {
    Kind.CRASHED: f"it crashed a worker earlier and {_UNCHANGED}",
    Kind.TIMED_OUT: f"it exceeded the time limit earlier and {_UNCHANGED}",
}
_AWAY = "only a placeholder is on this machine; --download fetches its content"
_LEFT_ALONE = "its thumbnail is stale, and --missing-only creates only missing ones"


class Entries(NamedTuple):
    """What the cache holds for a source under one of its URIs."""

    uri: str
    verdicts: Sequence[Freshness]
    """For every flavor, in the order of `ALL_FLAVORS`; never NEED_MORE."""


def decide(
    source: Source,
    entries: Sequence[Entries],
    config: PlanConfig,
    *,
    failed: bool = False,
    hint: Kind | None = None,
    spared: frozenset[Flavor] = frozenset(),
) -> tuple[Step, ...] | Skip:
    """Decide what to do about a source; steps that decode nothing come first.

    What is barred is decoding: a source known to be small, or to fail, still gets its entries
    refitted and its stale ones of other flavors removed.

    Args:
        source: What the entries were judged against.
        entries: One for every URI of the source.
        config: The user's wishes. `force` goes before all others.
        failed: There is a fail record of ours for the source as it is now.
        hint: What the journal remembers of the source as it is now (`model.REMEMBERED`).
        spared: Flavors of which a fresh shared entry does for the cache's.
    """
    cheap: list[Step] = []
    rechecks: list[Step] = []
    makes: list[Step] = []
    left_alone = False
    drawn = _drawn(entries, config)
    for uri, verdicts in entries:
        for flavor, verdict in zip(ALL_FLAVORS, verdicts, strict=True):
            wanted = flavor in config.flavors and flavor not in spared
            action = _action(verdict, config, wanted=wanted, drawn=flavor in drawn)
            if action is _MAKE:
                makes.append(Step(action, flavor, uri))
            elif action is _RECHECK:
                rechecks.append(Step(action, flavor, uri))
            elif action is not None:
                cheap.append(Step(action, flavor, uri))
            elif verdict not in _GOOD:
                left_alone = True
    decodes = (*rechecks, *makes)
    barred = _barred(source.path, config, failed=failed, hint=hint) if decodes else None
    steps = (*cheap, *decodes) if barred is None else tuple(cheap)
    if steps:
        return steps
    if barred:
        return barred
    if left_alone:
        return Skip(source.path, Kind.EXCLUDED, _LEFT_ALONE)
    return Skip(source.path, Kind.FRESH)


def _drawn(entries: Sequence[Entries], config: PlanConfig) -> Sequence[Flavor]:
    """Return the flavors of which the picture is there, to be copied to another URI."""
    if len(entries) == 1 or not config.reuse:
        return ()
    return [
        flavor
        for index, flavor in enumerate(ALL_FLAVORS)
        if any(verdicts[index] in _WHOLE for _, verdicts in entries)
    ]


def _action(verdict: Freshness, config: PlanConfig, *, wanted: bool, drawn: bool) -> Action | None:
    """Decide about one entry, all else left out."""
    if config.force and wanted:
        return _MAKE
    if verdict is _FRESH:
        return None
    create = Action.COPY if drawn else _MAKE
    if verdict is _MISSING:
        return create if wanted else None
    if config.missing_only and not config.force:
        return None
    if verdict in (_OUTDATED, _REFIT):
        return _RECHECK if verdict is _OUTDATED else Action.REFIT if config.refit else None
    return create if wanted else Action.DELETE


def _barred(path: bytes, config: PlanConfig, *, failed: bool, hint: Kind | None) -> Skip | None:
    """Return why this source is not to be decoded, if so."""
    if config.force:
        return None
    why = (
        f"decoding failed earlier, and the file {_UNCHANGED}"
        if failed
        else hint and _FAILED.get(hint)
    )
    if why and not config.retry_failed:
        return Skip(path, Kind.FAILED_BEFORE, why)
    return Skip(path, hint) if hint in {Kind.SMALL, Kind.NOT_PICTURE} else None


def _is_before(stamp: Stamp, mtime_ns: int) -> bool:
    """Tell whether an entry was stored in the second of its source's MTime, but before it.

    Texts of whole seconds cannot tell that it is of a version that was replaced in this second;
    given the fraction, it would be taken for the new one by those who look for it.
    """
    return mtime_ns // 10**9 * 10**9 <= stamp.mtime_ns < mtime_ns


class Planner:
    """Plans one source after another. For one thread.

    Args:
        cache: Only read.
        config: The user's wishes.
        hints: Asks the journal, and only about sources that would be decoded.
        next_id: Numbers the jobs.
        memory: What earlier runs found fresh; None, and every entry is judged.
        uris: Names a source in another way than `config` has it.
        shared: Tells the flavors that are fresh in the shared repository beside a source; asked
            only about sources that would be decoded.
        kin: Names the entries that may be of the same content; asked likewise.
        met: Tells what became of the very file under another name; asked likewise.
    """

    def __init__(  # noqa: PLR0913 - keywords, of which most callers need none
        self,
        cache: Cache,
        config: PlanConfig,
        hints: Callable[[Source], Kind | None],
        next_id: Callable[[], int],
        memory: Memory | None = None,
        *,
        uris: Callable[[bytes], tuple[str, ...]] | None = None,
        shared: Callable[[Source], frozenset[Flavor]] | None = None,
        kin: Callable[[Source], tuple[Kin, ...]] | None = None,
        met: Callable[[Source], Met | None] | None = None,
    ) -> None:
        reuses = config.reuse and not config.force
        self._kin = kin if reuses else None
        self._met = met if reuses else None
        self._config = config
        self._hints = hints
        self._next_id = next_id
        self._uris = uris or EntryKeys(config).uris
        self._shared = shared
        self._flavors = [(flavor, _Listed(cache.folder(flavor))) for flavor in ALL_FLAVORS]
        self._fails = _Listed(cache.fail_folder)
        self._until_listing = LIST_AFTER_SOURCES
        self._until_sizing = LIST_SMALL_AFTER_SOURCES
        usable = memory if not config.force else None
        self._remembered = RememberedSources(cache, config.flavors, usable) if usable else None
        self._believe = config.check is not Check.FULL
        self._unpack = config.check is Check.FULL
        self._wanted = [ALL_FLAVORS.index(flavor) for flavor in config.flavors]
        self._as_wanted = [_FRESH if f in config.flavors else _MISSING for f in ALL_FLAVORS]

    def close(self) -> None:
        """Hand what was learned to the memory. The walk is over."""
        if self._remembered is not None:
            self._remembered.close()

    def believes(self, source: Source) -> bool:
        """Tell whether a source needs no look: nothing changed since it was found fresh."""
        return self._believe and self._remembered is not None and self._remembered.fresh(source)

    def settle(self, folder: bytes, device: int, *, hidden: bool) -> Settled | None:
        """Do the same for a whole folder, if that can be done (`RememberedSources.settle`)."""
        if not self._believe or self._remembered is None:
            return None
        return self._remembered.settle(folder, device, hidden=hidden)

    def plan(self, source: Source) -> Job | Skip:
        """Look at every entry a source has and decide.

        Raises:
            CacheError: The cache cannot be read: out of descriptors, a failing disk.
        """
        if self._until_listing:
            self._list_when_due()
        uris = self._uris(source.path)
        stamps: list[Stamp | None] = []
        entries = [self._look(uri, source, stamps) for uri in uris]
        config = self._config
        if not config.force and all(each.verdicts == self._as_wanted for each in entries):
            if self._remembered is not None:
                self._learn(source, uris, stamps)
            return Skip(source.path, Kind.FRESH)
        found = decide(source, entries, config)
        met: Met | None = None
        if not config.force and not isinstance(found, Skip) and found[-1].action in _DECODES:
            spared = self._shared(source) if self._shared else frozenset()
            failed = not config.retry_failed and self._has_failed(uris[0], source)
            hint = self._hints(source)
            if not hint and self._met and (met := self._met(source)) and not met.same.key:
                hint, met = met.kind, None
            if spared or failed or hint:
                found = decide(source, entries, config, failed=failed, hint=hint, spared=spared)
        if isinstance(found, Skip):
            return found
        if source.away and not config.download:
            return Skip(source.path, Kind.OFFLINE, _AWAY)
        same = met.same if met else None
        # Where it is the very file, its content is asked for only if that does not do.
        kin = self._kin(source) if self._kin and not same and found[-1].action is _MAKE else ()
        path, size_bytes, mtime_ns, device = source[:4]
        return Job(self._next_id(), path, size_bytes, mtime_ns, uris, found, kin, device, same)

    def _list_when_due(self) -> None:
        """List the folders of the cache when so many sources have been planned that it pays."""
        folders = [*(listed for _, listed in self._flavors), self._fails]
        self._until_listing -= 1
        self._until_sizing -= 1
        if not self._until_sizing and all(
            each.folder.own_bytes() <= SMALL_FOLDER_BYTES for each in folders
        ):
            self._until_listing = 0
        if not self._until_listing:
            for each in folders:
                each.list()

    def _learn(self, source: Source, uris: Sequence[str], stamps: Sequence[Stamp | None]) -> None:
        """Have a fresh source remembered, with the stamps of its wanted entries."""
        found = []
        for number, uri in enumerate(uris):
            first = number * len(ALL_FLAVORS)
            found.append((key(uri), [stamps[first + at] or NO_STAMP for at in self._wanted]))
        if self._remembered is not None:
            self._remembered.learn(source, found)

    def _look(self, uri: str, source: Source, stamps: list[Stamp | None]) -> Entries:
        """Judge every flavor's entry by its head, or whole where that does not do.

        Appends the stamp of each entry to `stamps`, None for one that is not there.
        """
        name = entry_name(uri)
        _, size_bytes, mtime_ns = source[:3]
        verdicts = []
        for flavor, listed in self._flavors:
            verdict = _MISSING
            stamp = None
            if (examined := listed.examine(name)) is not None:
                head, stamp, end = examined
                judged = judge(
                    head,
                    flavor,
                    uri,
                    mtime_ns,
                    size_bytes,
                    whole=not end,
                    ending=Ending(stamp.size_bytes, end) if end else None,
                )
                if judged.verdict is _NEED_MORE:
                    data = listed.folder.read(name)
                    judged = judge(data, flavor, uri, mtime_ns, size_bytes, whole=True)
                verdict = judged.verdict
                if self._unpack and verdict in _WHOLE and damage(listed.folder.read(name) or b""):
                    verdict = _CORRUPT
                if verdict is _FRESH and revisions.is_outdated(judged.maker):
                    verdict = _OUTDATED
                elif verdict is _REFIT and _is_before(stamp, mtime_ns):
                    verdict = _STALE
            verdicts.append(verdict)
            stamps.append(stamp)
        return Entries(uri, verdicts)

    def _has_failed(self, uri: str, source: Source) -> bool:
        """Tell whether there is a fail record for the source as it is now, by what decodes now."""
        name = entry_name(uri)
        if self._fails.examine(name) is None:
            return False
        data = self._fails.folder.read(name)
        _, size_bytes, mtime_ns = source[:3]
        judged = judge_fail_record(data, uri, mtime_ns, size_bytes, whole=True)
        return judged.verdict is _FRESH and not revisions.reads_more(judged.maker)


class _Listed:
    """A folder and, once it was listed, which keys it may hold."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self._known: KeySet | None = None

    def list(self) -> None:
        self._known = KeySet(self.folder.names())

    def examine(self, name: str) -> Examined | None:
        """Look at an entry; None: there is none, which costs no call once the folder is listed."""
        if self._known is not None and not self._known.may_hold(name):
            return None
        return self.folder.examine(name, HEAD_BYTES)

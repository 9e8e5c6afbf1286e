"""`pregen verify`: tells every entry that is not as it should be. Parses and hands over."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from pregen.cache.folder import ENTRY_NAME
from pregen.cache.lock import CacheLock
from pregen.cache.opening import OpenPolicy
from pregen.cache.store import Cache
from pregen.commandline import Command, Option, print_lines, print_record, raw_bytes
from pregen.config import WalkConfig
from pregen.display import text
from pregen.display.records import VERSION, path_fields
from pregen.display.text import printable, shown
from pregen.errors import ExitCode, UsageError
from pregen.journal import Journal, journal_path
from pregen.model import ALL_FLAVORS, Flavor, Source
from pregen.options import run_config
from pregen.originals.examiner import DEFAULT_TIMEOUT_S, Examiner
from pregen.originals.mounts import read_mounts
from pregen.originals.status import OriginalState, judge
from pregen.session import acquire, told_aloud
from pregen.thumbspec.naming import clean_path, thumbnails_root
from pregen.verbs.run import flags_for_files, run_over, run_unseen
from pregen.verbs.verify.anatomy import Flaw
from pregen.verbs.verify.checker import (
    Checked,
    Checker,
    Cure,
    by_path,
    by_siblings,
    comparable,
    cure,
    is_within,
)
from pregen.verbs.verify.deep import ComparisonStoppedError, compare, sampled
from pregen.walk import walk, working_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pregen.model import Outcome
    from pregen.verbs.verify.checker import Checked


def _verify(**flags: Any) -> ExitCode:
    """Check every entry of the thumbnail cache, of any program, against the standard and its file.

    With PATHs: only the entries of files there. Every entry is read to its last byte by code that
    did not write it: chunks, checksums, picture, texts, name, size, age, modes. What another
    program does differently but rightly is not called bad. Entries whose file is gone or not
    there now are counted only: `pregen clean` is for those.

    Exit code 0: all is well. 4: something is not, or could not be mended.
    """
    return verify_session(VerifyFlags(**flags))


_WHAT = (
    Option(
        ["--deep"],
        is_flag=True,
        help="Also decode every file anew, and compare pictures: finds an entry that shows "
        "another file, or shows it turned. Takes as long as making all of them.",
    ),
    Option(
        ["--sample"],
        metavar="NUMBER",
        type=click.IntRange(1),
        help="As --deep, but compare this many entries only, others each time.",
    ),
)
_HOW = (
    Option(
        ["--repair"],
        is_flag=True,
        help="Remove what is bad and make it anew; mend modes. An entry that can be shown stays "
        "when its file is not there now.",
    ),
    Option(["--wait"], is_flag=True, help="When a run fills this cache, wait for its end."),
    Option(
        ["--mount-timeout"],
        metavar="SECONDS",
        type=click.FloatRange(0, min_open=True),
        default=f"{DEFAULT_TIMEOUT_S:g}",
        show_default=True,
        help="How long a mount may take to answer; its files count as not there when it does not.",
    ),
)
_OUTPUT = (
    Option(
        ["--json"],
        is_flag=True,
        help="Write a JSON object per line: everything that is bad, at last a summary.",
    ),
)
_PANELS = {"What": _WHAT, "How": _HOW, "Output": _OUTPUT}

verify = Command(
    "verify",
    callback=_verify,
    params=[
        click.Argument(["paths"], metavar="[PATH]...", type=raw_bytes, nargs=-1),
        *chain.from_iterable(_PANELS.values()),
    ],
    help=_verify.__doc__,
    epilog="Examples: `pregen verify`; `pregen verify ~/Pictures --sample 500`; "
    "`pregen verify --repair`.",
)
verify.panels = _PANELS


# --- What `pregen verify` tells a person. Pure


_CURES = {
    Cure.MENDED: "mended",
    Cure.REMOVED: "removed",
    Cure.KEPT: "kept: its file is not there now",
    Cure.LEFT: "left: it has changed meanwhile, or may not be changed",
}
_AWAY = {
    OriginalState.GONE: "their file is gone (pregen clean deletes them)",
    OriginalState.OFFLINE: "what their file lies on is not there now",
    OriginalState.UNREADABLE: "their file cannot be examined",
    OriginalState.TIMED_OUT: "what their file lies on does not answer",
    OriginalState.OTHER_SCHEME: "their file is not one of this machine",
}
_SHOWN = 20


def bad_lines(root: bytes, bad: Bad) -> Iterator[str]:
    """Yield lines about one thing that is bad."""
    checked = bad.checked
    where = checked.path.removeprefix(root).lstrip(b"/") or checked.path
    for finding in checked.findings:
        flaw = click.style(finding.flaw.value, fg="red")
        yield f"{shown(where)}  {flaw}  {printable(finding.reason)}"
    whose = shown(checked.source) if checked.source is not None else printable(checked.uri)
    if whose:
        yield click.style(f"    of {whose}", dim=True)
    if bad.cure and bad.cure not in {Cure.MENDED, Cure.REMOVED}:
        yield click.style(f"    {_CURES[bad.cure]}", fg="yellow")


def end_lines(result: Verified, *, repair: bool) -> Iterator[str]:
    """Yield the summary."""
    compared = f", {text.plural(result.compared, 'picture')} compared" if result.compared else ""
    looked = f"{text.plural(result.entries, 'entry', 'entries')} looked at{compared}"
    if result.bad:
        yield click.style(f"{looked}: {text.count(len(result.bad))} bad", bold=True)
    else:
        yield click.style(f"{looked}: all as they should be", bold=True)
    for state, words in _AWAY.items():
        if number := result.originals.get(state):
            yield f"  {text.plural(number, 'entry', 'entries')} not compared: {words}"
    for point in result.hung:
        yield click.style(f"  {shown(point)} does not answer", fg="yellow")
    for link in result.links:
        yield click.style(f"  Not looked into: {shown(link)} is a symbolic link", fg="yellow")
    if repair:
        yield from _repair_lines(result)
    elif result.bad:
        yield "Mend it with: pregen verify --repair"


def _repair_lines(result: Verified) -> Iterator[str]:
    for kind, words in _CURES.items():
        if number := sum(bad.cure is kind for bad in result.bad):
            yield f"  {text.count(number)} {words}"
    for each in result.not_made[:_SHOWN]:
        yield f"  not made: {shown(each.path)}  {each.kind.value}: {printable(each.message)}"
    if (more := len(result.not_made) - _SHOWN) > 0:
        yield f"  ... and {text.count(more)} more not made"
    for checked in result.still_bad[:_SHOWN]:
        yield click.style(f"  still bad: {shown(checked.path)}", fg="red")
    if result.unknown:
        yield (
            f"  Whose {text.plural(result.unknown, 'removed entry', 'removed entries')} were is "
            "not known: pregen run over your folders makes what is missing"
        )


# --- What `pregen verify --json` writes. Pure. Scripts rely on it: add keys, never rename


class Bad(NamedTuple):
    """Something bad, and what became of it."""

    checked: Checked
    cure: Cure | None = None
    """None: nothing was to be mended."""


class Verified(NamedTuple):
    """The whole result."""

    root: bytes
    bad: Sequence[Bad]
    entries: int = 0
    """Looked at, fail records included."""
    compared: int = 0
    """Pictures."""
    originals: Mapping[OriginalState, int] = MappingProxyType({})
    """What became of the files of sound entries."""
    not_made: Sequence[Outcome] = ()
    still_bad: Sequence[Checked] = ()
    """After the repair."""
    unknown: int = 0
    """Removed entries of which nobody knows whose they were."""
    hung: Sequence[bytes] = ()
    links: Sequence[bytes] = ()


def bad_record(bad: Bad) -> dict[str, Any]:
    """Return what is wrong with one thing in the cache."""
    checked = bad.checked
    source = checked.source
    return {
        "v": VERSION,
        "type": "bad",
        **path_fields(checked.path),
        "folder": checked.item.folder.name if checked.item else None,
        "uri": checked.uri or None,
        "source": None if source is None else path_fields(source),
        "source_state": checked.original.state.value,
        "flaws": [
            {"flaw": finding.flaw.value, "reason": finding.reason} for finding in checked.findings
        ],
        "cure": bad.cure and bad.cure.value,
    }


def summary_record(result: Verified, code: ExitCode) -> dict[str, Any]:
    """Return the last object."""
    flaws = Counter(flaw.value for bad in result.bad for flaw in bad.checked.flaws)
    cures = Counter(bad.cure.value for bad in result.bad if bad.cure)
    return {
        "v": VERSION,
        "type": "summary",
        "exit_code": int(code),
        "entries": result.entries,
        "compared": result.compared,
        "bad": len(result.bad),
        "flaws": dict(flaws.most_common()),
        "cures": dict(cures),
        "still_bad": [path_fields(each.path) for each in result.still_bad],
        "not_made": [
            {**path_fields(each.path), "kind": each.kind.value, "message": each.message}
            for each in result.not_made
        ],
        "source_unknown": result.unknown,
        "source_states": {state.value: number for state, number in result.originals.items()},
        "hung": [path_fields(point) for point in result.hung],
        "links": [path_fields(link) for link in result.links],
    }


# --- One call of `pregen verify`, from parsed flags to an exit code: look, compare, tell, repair


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
    policy = OpenPolicy.WITHOUT_LINKS if flags.repair else OpenPolicy.AS_FOUND
    with (
        Cache(root, policy=policy) as cache,
        Examiner(read_mounts(os.environ), flags.mount_timeout) as examiner,
        told_aloud() as told,
    ):
        session = _Verification(flags, paths, cache, examiner)
        try:
            result = session.look(told)
        except ComparisonStoppedError as stopped:
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


class _Verification:
    """One verification of one cache."""

    def __init__(
        self,
        flags: VerifyFlags,
        paths: tuple[bytes, ...],
        cache: Cache,
        examiner: Examiner,
    ) -> None:
        self._flags = flags
        self._paths = paths
        self._cache = cache
        self._examiner = examiner
        self._checker = Checker(cache, examiner, datetime.now(UTC).timestamp())

    def look(self, told: Callable[[int], None]) -> Verified:
        """Look at everything; compare pictures if asked to.

        Raises:
            CacheError: the cache cannot be read.
            ComparisonStoppedError: a signal ended the comparing.
        """
        entries, seen, compared = 0, 0, 0
        bad: list[Checked] = []
        candidates: list[Checked] = []
        states: Counter[OriginalState] = Counter()
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
            self._cache.root,
            [Bad(each) for each in bad],
            entries,
            compared,
            states,
            hung=tuple(self._examiner.hung),
            links=tuple(self._cache.links),
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
        yield lambda keys: by_siblings(keys, self._cache.folders())
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
        config = WalkConfig(roots=roots, hidden=True, cache_root=self._cache.root)
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
        lock = CacheLock(self._cache.root)
        acquire(lock, wait=self._flags.wait)
        try:
            cured = [Bad(each.checked, cure(each.checked)) for each in result.bad]
        finally:
            lock.release()
        not_made: list[Outcome] = []
        for flavors, sources in groups.items():
            flags = flags_for_files(flavors=flavors, retry_failed=True)
            if self._flags.json:
                code, failed = run_unseen(sources, run_config(flags))
                not_made += failed
            else:
                code = run_over(sources, flags)
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
        folders = [folder for folder in self._cache.folders() if folder.flavor]
        for each in bad:
            if each.item is None or each.item.folder.flavor is None or each.flaws == {Flaw.MODE}:
                continue
            if Flaw.TEMP in each.flaws:
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


def _is_lost(checked: Checked) -> bool:
    """Tell whether only its name can say whose it is."""
    named = checked.item is not None and ENTRY_NAME.fullmatch(checked.item.name)
    return bool(named) and (checked.source is None or Flaw.KEY in checked.flaws)

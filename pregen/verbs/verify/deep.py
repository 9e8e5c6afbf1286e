"""`pregen verify --deep`: entries against pictures that another decoder makes of their files.

A run as any other makes them, in a cache for the moment: in workers behind the same walls, so that
a source that kills its decoder kills no verification.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from pregen import __version__
from pregen.errors import ExitCode
from pregen.imaging import witness_names
from pregen.model import Kind
from pregen.thumbspec.naming import entry_path
from pregen.thumbspec.pngtext import MIMETYPE, SOFTWARE
from pregen.thumbspec.uri import file_uri
from pregen.verbs.run import run_unseen, values_for_files
from pregen.verbs.verify.anatomy import EntryFlaw, Flaw, dissect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pregen.model import Outcome
    from pregen.session import Session
    from pregen.verbs.reviewing import Reviewers
    from pregen.verbs.verify.checker import Checked

#: Sources made at once: with all four flavors at most 1 GB of temporary files, usually 20 MB.
_BATCH: Final = 250
#: What pregen calls itself in its entries, before its version.
_OURS: Final = "pregen "
_DAMAGED: Final = frozenset({Kind.INVALID, Kind.TRUNCATED})


class ComparisonStoppedError(Exception):
    """A signal ended the comparing."""

    def __init__(self, code: ExitCode) -> None:
        super().__init__()
        self.code = code


def sampled(candidates: list[Checked], number: int | None) -> list[Checked]:
    """Return so many of them, drawn at random, or all."""
    if number is None or number >= len(candidates):
        return candidates
    return random.SystemRandom().sample(candidates, number)


class Comparison:
    """Compares entries, and counts how."""

    def __init__(self, session: Session, reviewers: Reviewers) -> None:
        self._session = session
        self._reviewers = reviewers
        self.compared = 0
        """Entries."""
        self.alone: Counter[str] = Counter()
        """Those of them that were compared with what the same decoder makes, by type of file."""

    def over(self, candidates: Sequence[Checked], told: Callable[[int], None]) -> Iterator[Checked]:
        """Yield each entry, with a finding more if its picture is wrong.

        Raises:
            PregenError: what ended the making before its time.
            ComparisonStoppedError: a signal did.
        """
        by_source: dict[bytes, list[Checked]] = defaultdict(list)
        for each in candidates:
            if each.source is not None:
                by_source[each.source].append(each)
        sources, done = iter(by_source), 0
        while batch := list(islice(sources, _BATCH)):
            entries = [each for source in batch for each in by_source[source]]
            with self._made(entries, by_another=True) as (root, outcomes):
                compared = [
                    self._compared(each, root, outcomes.get(each.source or b"")) for each in entries
                ]
            yield from self._unless_disputed(compared)
            done += len(entries)
            told(done)

    @contextmanager
    def _made(
        self, entries: Sequence[Checked], *, by_another: bool
    ) -> Iterator[tuple[bytes, dict[bytes, Outcome]]]:
        """Have pictures made of the files of entries; a context while which they are there.

        Args:
            entries: Of files that are known.
            by_another: by another decoder than a run's.

        Yields:
            the root of their cache, and what came of each file.
        """
        with tempfile.TemporaryDirectory(prefix="pregen-verify-") as scratch:
            root = os.path.join(os.fsencode(scratch), b"thumbnails")
            yield root, self._make(entries, root, by_another=by_another)

    def _make(
        self, entries: Sequence[Checked], root: bytes, *, by_another: bool
    ) -> dict[bytes, Outcome]:
        batch = dict.fromkeys(each.source for each in entries if each.source is not None)
        flavors = {each.item.folder.flavor for each in entries if each.item}
        wanted = sorted((one for one in flavors if one), key=lambda one: one.box_px)
        values = values_for_files(self._session, flavors=tuple(wanted), retry_failed=True)
        config = replace(self._session, cache=root).run_config(values)
        config = config._replace(
            # What the cache must not show is not made beside it either.
            walk=config.walk._replace(cache_root=self._session.cache_root),
            work=config.work._replace(second_opinion=by_another),
            journal_path=b"",
        )
        code, outcomes = run_unseen([*batch], config, lambda _: True)
        if code not in {ExitCode.DONE, ExitCode.SOME_FAILED}:
            raise ComparisonStoppedError(code)
        return {outcome.path: outcome for outcome in outcomes}

    def _unless_disputed(self, compared: Sequence[Checked]) -> Iterator[Checked]:
        """Tell what a new entry would mend from what it would not.

        A run would make the same again of a file that its decoder shows otherwise than another one.
        """
        bad = [each for each in compared if each.findings]
        yield from (each for each in compared if not each.findings)
        if not bad:
            return
        with self._made(bad, by_another=False) as (root, _):
            for each in bad:
                yield self._disputed(each, root)

    def _disputed(self, checked: Checked, root: bytes) -> Checked:
        item, source = checked.item, checked.source
        flavor = item.folder.flavor if item else None
        if item is None or source is None or flavor is None:
            return checked
        usual = _read(entry_path(root, flavor, file_uri(source)))
        try:
            entry = item.read()
        except OSError:  # gone meanwhile
            return checked
        if not usual or self._reviewers.difference(entry, usual, exact=bool(_maker(entry))):
            return checked
        words = "; ".join(finding.reason for finding in checked.findings)
        return _with(checked, f"{words}; a new one would be the same", Flaw.DISPUTED)

    def _compared(self, checked: Checked, root: bytes, outcome: Outcome | None) -> Checked:
        item, source = checked.item, checked.source
        flavor = item.folder.flavor if item else None
        if item is None or source is None or flavor is None or outcome is None:
            return checked
        try:
            entry = item.read()
        except OSError:  # gone meanwhile
            return checked
        maker = _maker(entry)
        fresh = _read(entry_path(root, flavor, file_uri(source)))
        if not item.unchanged() or (fresh and not maker and _is_of_a_film(fresh)):
            return checked
        if not fresh:  # it cannot be made here, or needs no entry
            # Older versions made pictures of some files that are damaged.
            damaged = outcome.kind in _DAMAGED and bool(maker)
            self.compared += damaged
            words = f"its file is damaged, and shows no picture ({outcome.message})"
            return _with(checked, words + _by_an_older(maker)) if damaged else checked
        self.compared += 1
        by, whole = witness_names.witness_in(outcome.loader)
        if not by:
            self.alone[outcome.mime] += 1
        difference = self._reviewers.difference(entry, fresh, exact=bool(maker) and whole)
        if not difference:
            return checked
        told = f", as {by} decodes its file" if by else ""
        return _with(checked, difference + told + _by_an_older(maker))


def _with(checked: Checked, words: str, flaw: Flaw = Flaw.PICTURE) -> Checked:
    return checked._replace(findings=(EntryFlaw(flaw, words),))


def _read(path: bytes) -> bytes:
    """Return the content of a file, empty where there is none."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _maker(entry: bytes) -> str:
    """Return the version of pregen that made an entry; empty for another program."""
    head = dissect(entry).head
    said = head.values(SOFTWARE) if head else ()
    return next((one.removeprefix(_OURS) for one in said if one.startswith(_OURS)), "")


def _by_an_older(maker: str) -> str:
    return f"; created by pregen {maker}" if maker not in {"", __version__} else ""


def _is_of_a_film(fresh: bytes) -> bool:
    """Tell whether another maker may rightly have chosen another frame."""
    made = dissect(fresh).head
    return made is not None and made.first(MIMETYPE).startswith("video/")

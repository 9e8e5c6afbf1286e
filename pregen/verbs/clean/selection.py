"""Which entries are to go, and why. Pure: facts in, a reason or the cause of keeping out.

Reasons are joined by "or", limits by "and". Limits without a reason are reason enough. What cannot
be told counts against deleting, always: an entry whose original is unknown is within no limit of
place, and one whose original cannot be examined has no reason to go.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.filesystems.mounttable import is_below
from pregen.originals.status import Original, OriginalState
from pregen.thumbspec.naming import made_by
from pregen.thumbspec.pngtext import SOFTWARE, URI, PngHead
from pregen.thumbspec.refusals import Wanted
from pregen.thumbspec.uri import path_from_uri
from pregen.thumbspec.validity import contradiction

if TYPE_CHECKING:
    from collections.abc import Callable

    from pregen.model import Flavor

_URI: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:/")


class CleanReason(Enum):
    """Why an entry goes. The values appear in `--json`: never rename."""

    CORRUPT = "corrupt"
    MISSING = "missing"
    STALE = "stale"
    OLD = "old"
    CHOSEN = "chosen"
    """It is within the limits, and no reason was asked for."""
    PRIVATE = "private"
    """Its original lies in a vault, or where it is encrypted better than the cache."""
    OVER_SIZE = "over-size"
    """Others were used more recently, and there is no room for all (`--max-size`)."""


class Kept(Enum):
    """Why an entry stays. The values appear in `--json`: never rename."""

    FINE = "fine"
    """No reason that was asked for applies."""
    OUTSIDE = "outside"
    """It is not within the limits."""
    OFFLINE = "offline"
    UNREADABLE = "unreadable"
    TIMED_OUT = "timed-out"
    OTHER_SCHEME = "other-scheme"
    ENTRY_UNREADABLE = "entry-unreadable"
    """The entry itself cannot be read now, which says nothing about what is in it."""
    CHANGED = "changed"
    """It, or its original, is not any more as it was when the plan was made."""


class CleanFacts(NamedTuple):
    """What is known of an entry without its original."""

    program: str = ""
    """Whose fail records lie in this folder; empty for an entry."""
    flavor: Flavor | None = None
    """Of an entry; None for a fail record."""
    size_bytes: int = 0
    used_ns: int = 0
    """When it was last used: read or written, the later of both."""
    written_ns: int = 0
    uri: str = ""
    """Of its original; the one that is its key's, where an entry names several."""
    path: bytes | None = None
    """Of its original, if that is a file of this machine."""
    head: PngHead | None = None
    """None: corrupt, not readable, or not read."""
    damage: str = ""
    """What is wrong with it, for people; empty when it is whole."""
    readable: bool = True
    private: bool = False
    """Its original is better protected than the cache."""


class Area(NamedTuple):
    """What `--under` and `--not-under` name: a folder or file, or the beginning of a URI."""

    path: bytes | None
    uri: str = ""

    def covers(self, uri: str, path: bytes | None) -> bool:
        """Tell whether an original lies here; its path is None when this machine has none of it."""
        if self.path is not None:
            return path is not None and is_below(path, self.path)
        return uri == self.uri or uri.startswith(self.uri.rstrip("/") + "/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What the user asked for."""

    missing: bool = False
    stale: bool = False
    corrupt: bool = False
    private: bool = False
    older_than_s: float | None = None
    max_size_bytes: int | None = None
    under: tuple[Area, ...] = ()
    not_under: tuple[Area, ...] = ()
    remote: bool | None = None
    """True: only originals on remote file systems. False: only those on local ones."""
    fail: bool = False
    flavors: frozenset[Flavor] = frozenset()
    """Only entries of these; empty: of any."""
    programs: tuple[str, ...] = ()

    @property
    def has_reasons(self) -> bool:
        """Whether a reason was asked for."""
        return (
            self.missing
            or self.stale
            or self.corrupt
            or self.private
            or self.older_than_s is not None
            or self.max_size_bytes is not None
        )

    @property
    def has_place(self) -> bool:
        """Whether it depends on where originals lie."""
        return bool(self.under or self.not_under) or self.remote is not None

    @property
    def needs_originals(self) -> bool:
        """Whether originals have to be looked at."""
        return (
            self.missing or self.stale or self.older_than_s is not None or self.remote is not None
        )

    @property
    def needs_heads(self) -> bool:
        """Whether entries have to be read."""
        reasons = self.corrupt or self.private or self.needs_originals
        return reasons or self.has_place or bool(self.programs)

    def or_default(self) -> Selection:
        """Return what is meant when nothing was asked for: `--missing --corrupt`."""
        limits = self.has_place or self.fail or self.flavors or self.programs
        if self.has_reasons or limits:
            return self
        return Selection(missing=True, corrupt=True)


def decide(
    facts: CleanFacts, original: Original, selection: Selection, now_ns: int
) -> CleanReason | Kept:
    """Return why an entry goes, or why it stays. `--max-size` is decided later, over all."""
    if not is_within(facts, original, selection):
        return Kept.OUTSIDE
    if not selection.has_reasons:
        return CleanReason.CHOSEN
    if not facts.readable:
        return Kept.ENTRY_UNREADABLE
    applying = (
        (CleanReason.PRIVATE, selection.private and facts.private),
        (CleanReason.CORRUPT, selection.corrupt and bool(facts.damage)),
        (CleanReason.MISSING, selection.missing and original.state is OriginalState.GONE),
        (CleanReason.STALE, selection.stale and _is_stale(facts, original)),
        (CleanReason.OLD, _is_old(facts, original, selection, now_ns)),
    )
    kept = _KEPT.get(original.state, Kept.FINE)
    return next((reason for reason, applies in applying if applies), kept)


_KEPT = {
    OriginalState.OFFLINE: Kept.OFFLINE,
    OriginalState.UNREADABLE: Kept.UNREADABLE,
    OriginalState.TIMED_OUT: Kept.TIMED_OUT,
    OriginalState.OTHER_SCHEME: Kept.OTHER_SCHEME,
}


def is_within(facts: CleanFacts, original: Original, selection: Selection) -> bool:
    """Tell whether an entry is within every limit."""
    of_flavor = not selection.flavors or facts.flavor in selection.flavors
    if not of_flavor or (selection.fail and not facts.program):
        return False
    makers = (facts.program, *(facts.head.values(SOFTWARE) if facts.head else ()))
    if selection.programs and not any(made_by(name, selection.programs) for name in makers):
        return False
    if selection.remote is not None and original.remote is not selection.remote:
        return False
    if (selection.under or selection.not_under) and not facts.uri:
        return False
    if selection.under and not any(area.covers(facts.uri, facts.path) for area in selection.under):
        return False
    return not any(area.covers(facts.uri, facts.path) for area in selection.not_under)


def _is_stale(facts: CleanFacts, original: Original) -> bool:
    """Tell whether an entry is of another state of its original: that is there, and has changed.

    The edges are no matter here: gThumb fills x-large with 384 px, and reads it again.
    """
    if facts.head is None or original.state is not OriginalState.THERE:
        return False
    texts = tuple(text for text in facts.head.texts if text.key != URI)
    wanted = Wanted(facts.uri, original.mtime_ns, original.size_bytes)
    return bool(contradiction(facts.head._replace(texts=texts), wanted))


def _is_old(facts: CleanFacts, original: Original, selection: Selection, now_ns: int) -> bool:
    """Tell by its last use (standard, Deleting Thumbnails, rules 2 and 3).

    For what cannot be looked up: other schemes and removable media. A share that fstab knows comes
    back; its thumbnails took long to make.
    """
    if selection.older_than_s is None:
        return False
    concerned = original.removable or original.state is OriginalState.OTHER_SCHEME
    return concerned and now_ns - facts.used_ns > selection.older_than_s * 1e9


def area_of(uri: str) -> Area:
    """Return the area a URI names: a folder when it is one of this machine's files."""
    return Area(path_from_uri(uri), uri)


def area_named(text: bytes, clean: Callable[[bytes], bytes]) -> Area:
    """Return what a path or a URI names. Not looked up: the path may be on a dead share.

    Args:
        text: of the command line.
        clean: makes a path absolute.
    """
    return area_of(os.fsdecode(text)) if _URI.match(text) else Area(clean(text))

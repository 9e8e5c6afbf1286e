"""Pictures that were made of the same content under another name. In a worker; writes nothing.

Never a guess: what the pictures were made of is read again, whole, from the source as it is now,
and has to give the same 128 bits as then. The old entry has to say so itself, and to be whole; and
it must not be one of those that a mended decoder would make otherwise (`imaging.revisions`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pregen.imaging import revisions
from pregen.thumbspec import fingerprint, pngbuild
from pregen.thumbspec.pngchunks import PngError
from pregen.thumbspec.pngtext import SIZE, read_head
from pregen.thumbspec.validity import Freshness, judge
from pregen.thumbspec.wholeness import damage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pregen.cache.store import Cache
    from pregen.model import Flavor, Kin
    from pregen.source_file import SourceFile
    from pregen.thumbspec.fingerprint import Looked


class ContentMatcher:
    """Looks for the pictures of one open source."""

    def __init__(self, cache: Cache, source: SourceFile, kin: Iterable[Kin]) -> None:
        self._cache = cache
        self._source = source
        self._kin = kin
        self._recheck = revisions.Recheck(source.fd, source.size_bytes, source.read)
        self._ours: dict[Looked, str] = {}
        self.fingerprint = ""
        """Of the pictures that were found."""
        self.bytes_read = 0

    def entry(self, flavor: Flavor, facts: pngbuild.SourceFacts) -> bytes | None:
        """Return an entry of this flavor with the texts of `facts`; None: there is none to use.

        Raises:
            OSError: The source cannot be read.
        """
        for key, said in self._kin:
            old = self._cache.folder(flavor).read(f"{key}.png")
            if old and (new := self._of_old(old, said, flavor, facts)):
                self.fingerprint = said
                return new
        return None

    def _of_old(
        self, old: bytes, said: str, flavor: Flavor, facts: pngbuild.SourceFacts
    ) -> bytes | None:
        """Make a new entry of an old one, if that is whole, right and of this content."""
        try:
            head = read_head(old)
            if head.values(fingerprint.KEY) != [said]:
                return None
            if head.first(SIZE) != str(facts.size_bytes) or not self._same(said):
                return None
            maker = pngbuild.maker_of(head)
            if self._recheck.concerns(maker, old):
                return None
            revision = max(maker.revision, revisions.latest(maker.mime))
            extra = ((pngbuild.REVISION, str(revision)),) if revision else ()
            new = pngbuild.retext(old, facts._replace(extra=extra))
        except PngError:
            return None
        found = judge(new, flavor, facts.uri, facts.mtime_ns, facts.size_bytes, whole=True)
        return new if found.verdict is Freshness.FRESH and not damage(new) else None

    def _same(self, said: str) -> bool:
        """Tell whether a fingerprint is that of the source; each part is read once."""
        looked = fingerprint.looked_at(said, self._source.size_bytes)
        if looked is None:
            return False
        if looked not in self._ours:
            self._ours[looked] = fingerprint.of(looked, self._portions)
        return self._ours[looked] == said

    def _portions(self, offset: int, count: int) -> Iterator[memoryview]:
        for portion in self._source.portions(offset, count):
            self.bytes_read += len(portion)
            yield portion

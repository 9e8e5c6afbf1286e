"""`pregen verify --deep`: entries against pictures made anew, in a cache for the moment.

Made by a run as any other, so that a source that kills its decoder kills no verification, and by
libvips alone: not by the decoder that most entries come from.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections import defaultdict
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from pregen.config import Decoder
from pregen.errors import ExitCode
from pregen.imaging import review
from pregen.thumbspec.naming import entry_path
from pregen.thumbspec.pngtext import MIMETYPE, SOFTWARE
from pregen.thumbspec.uri import file_uri
from pregen.verbs.run import run_unseen, values_for_files
from pregen.verbs.verify.anatomy import EntryFlaw, Flaw, dissect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pregen.model import Flavor
    from pregen.session import Session
    from pregen.verbs.verify.checker import Checked

#: Sources made at once: with all four flavors at most 1 GB of temporary files, usually 20 MB.
_BATCH: Final = 250


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


def compare(
    session: Session, candidates: Sequence[Checked], told: Callable[[int], None]
) -> Iterator[tuple[Checked, bool]]:
    """Yield each entry, with a finding more if its picture is wrong, and whether it was compared.

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
        flavors = {each.item.folder.flavor for each in entries if each.item}
        wanted = sorted((one for one in flavors if one), key=lambda one: one.box_px)
        with tempfile.TemporaryDirectory(prefix="pregen-verify-") as scratch:
            root = os.path.join(os.fsencode(scratch), b"thumbnails")
            values = values_for_files(
                session, flavors=tuple(wanted), retry_failed=True, decoder=Decoder.VIPS
            )
            config = replace(session, cache=root).run_config(values)
            code, _ = run_unseen(batch, replace(config, journal_path=b""))
            if code not in {ExitCode.DONE, ExitCode.SOME_FAILED}:
                raise ComparisonStoppedError(code)
            for each in entries:
                yield _compared(each, root)
        done += len(entries)
        told(done)


def _compared(checked: Checked, root: bytes) -> tuple[Checked, bool]:
    item, source = checked.item, checked.source
    flavor: Flavor | None = item.folder.flavor if item else None
    if item is None or source is None or flavor is None:
        return checked, False
    try:
        entry = item.read()
        with open(entry_path(root, flavor, file_uri(source)), "rb") as file:
            fresh = file.read()
    except OSError:  # gone meanwhile; or it cannot be made here, or needs no entry
        return checked, False
    if _may_differ(entry, fresh) or not item.unchanged():
        return checked, False
    difference = review.difference(entry, fresh)
    if not difference:
        return checked, True
    return checked._replace(findings=(EntryFlaw(Flaw.PICTURE, difference),)), True


def _may_differ(entry: bytes, fresh: bytes) -> bool:
    """Tell whether the maker may rightly have chosen another picture: each picks its own frame."""
    maker, made = dissect(entry).head, dissect(fresh).head
    ours = any(text.startswith("pregen ") for text in maker.values(SOFTWARE)) if maker else False
    return not ours and made is not None and made.first(MIMETYPE).startswith("video/")

"""What each kind of outcome is called and means, and lines about a run and its sources. Pure."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from pregen.display import text
from pregen.display.bottleneck import LIMITED_BY, Bottleneck, bottleneck, slow_disk
from pregen.display.text import printable, shown
from pregen.model import Kind, Skip

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pregen.display.printer import View
    from pregen.display.state import Rates, Snapshot
    from pregen.model import Outcome


class Words(NamedTuple):
    """A kind of outcome, for people."""

    label: str
    """Stands behind or before a number: "12 up to date"."""
    meaning: str = ""
    todo: str = ""
    """The next step; empty where there is nothing to do."""


_COPY_AGAIN = "copy again from the camera or a backup; changed files are retried"

#: In the order of a summary: what was done, what needed nothing, what was left, what failed.
WORDS: dict[Kind, Words] = {
    Kind.MADE: Words("created"),
    Kind.REFITTED: Words("text updated", "texts rewritten for every desktop, pictures kept"),
    Kind.REUSED: Words("taken over", "from moved or copied files, without decoding"),
    Kind.TIDIED: Words("cleaned up", "a stale thumbnail of another size was removed"),
    Kind.FRESH: Words("up to date"),
    Kind.SMALL: Words("too small", "128 x 128 or less: they need no thumbnail"),
    Kind.NOT_PICTURE: Words("not a picture"),
    Kind.EXCLUDED: Words("skipped", "for the reasons above; -v lists all"),
    Kind.PRIVATE: Words("private", "in encrypted vaults: see the warning"),
    Kind.OFFLINE: Words(
        "offline", "only placeholders are on this machine: --download fetches them"
    ),
    Kind.SPECIAL: Words("not a regular file", "FIFOs, sockets and devices are never opened"),
    Kind.VANISHED: Words("missing", "deleted meanwhile, or dangling links"),
    Kind.FAILED_BEFORE: Words("failed earlier", "unchanged since"),
    Kind.NEEDS_EXTRA: Words("needs an extra", "need a library that is not installed"),
    Kind.UNSUPPORTED: Words("unsupported", "known formats or variants that pregen cannot decode"),
    Kind.INVALID: Words(
        "invalid",
        "damaged, or not a picture",
        _COPY_AGAIN,
    ),
    Kind.TRUNCATED: Words("truncated", "the file ends too early", _COPY_AGAIN),
    Kind.TOO_LARGE: Words(
        "too large",
        "more pixels than allowed",
        "if you trust the file: pregen run FILE --max-pixels 2G --retry-failed",
    ),
    Kind.UNREADABLE: Words(
        "unreadable", "could not be read", "check the permissions and the disk, then run again"
    ),
    Kind.CHANGED: Words(
        "changed", "changed while it was read", "run again when no program writes to it"
    ),
    Kind.CRASHED: Words(
        "crashed",
        "crashed its worker twice, the second time alone",
        "a bug in a decoding library: please report the file. To try again: pregen run FILE "
        "--retry-failed",
    ),
    Kind.TIMED_OUT: Words(
        "timed out",
        "exceeded the time limit twice, the second time alone",
        "allow more time: pregen run FILE --timeout 600 --retry-failed",
    ),
    Kind.OUT_OF_MEMORY: Words(
        "out of memory",
        "needs more memory than is available",
        "close other programs or use fewer --workers, then run again",
    ),
    Kind.DISTURBED: Words(
        "disturbed",
        "workers kept dying for unrelated reasons",
        "find out what kills processes on this machine, then run again",
    ),
    Kind.ERROR: Words("error", "a bug in pregen", "please report it with the line shown"),
    Kind.CACHE_FULL: Words(
        "cache full",
        "no space for the thumbnail",
        "free some space on the disk of the cache, then run again",
    ),
    Kind.CACHE_ERROR: Words(
        "cache error",
        "the thumbnail could not be stored",
        "check owner and permissions of the cache's folders, then run again",
    ),
    Kind.INTERRUPTED: Words("not started"),
}


def advice(kinds: Iterable[Kind], *, last: bool) -> dict[Kind, str]:
    """Return what is to be done about failures of some kinds: what is alike once, for all of them.

    Kinds about which there is nothing to do are left out.

    Args:
        kinds: in the order in which they are told.
        last: what is alike is to be told with the last of them, not with the first.
    """
    alike: dict[str, list[Kind]] = {}
    for kind in kinds:
        if todo := WORDS[kind].todo:
            alike.setdefault(todo, []).append(kind)
    found = {}
    for todo, those in alike.items():
        whose = ", ".join(WORDS[kind].label for kind in those)
        found[those[-1 if last else 0]] = f"{whose}: {todo}" if len(those) > 1 else todo
    return found


def thumbnails(number: int, fail_records: int) -> str:
    """Return so many things in a cache in words; `fail_records` of them are no thumbnails."""
    records = text.plural(fail_records, "fail record")
    if not fail_records:
        return text.plural(number, "thumbnail")
    if number == fail_records:
        return records
    return f"{text.plural(number - fail_records, 'thumbnail')} and {records}"


#: What costs most of the speed, and what helps: the command follows.
NOT_COMPILED = (
    "Slower than it could be: pregen's own JPEG decoder was not compiled.",
    "  JPEGs take two to four times as long without it.",
    "  Install a C compiler (Debian: apt install gcc python3-dev), then reinstall pregen:",
)


#: Loaders of an outcome whose names are ours, and what they are.
JPEG_DECODERS = frozenset({"dc", "blocks", "turbo"})
JPEG_WORDS = "JPEG: dc and blocks are pregen's own decoder, turbo is libjpeg-turbo."


def label(kind: Kind) -> str:
    """Return what stands beside a number of outcomes."""
    return WORDS[kind].label


#: So that paths stand in one column.
_LABEL_WIDTH = max(len(words.label) for words in WORDS.values())


def status_line(view: View) -> str:
    """Return one line: how far the run is, how fast, and how long it will take."""
    now = view.now
    if now.walking:
        place = (
            f"searching, {text.plural(now.found, 'file')} so far; {text.count(now.jobs_done)} done"
        )
    else:
        share = f" ({100 * now.jobs_done // now.jobs}%)" if now.jobs else ""
        place = f"{text.count(now.jobs_done)} / {text.count(now.jobs)}{share}"
    parts = [place]
    if view.rates.done_per_s:
        parts.append(", ".join([*rate_texts(view.rates), *reading_texts(now, view.rates)]))
    if now.failed:
        parts.append(f"{text.count(now.failed)} failed")
    if view.eta_s is not None:
        parts.append(f"about {text.about(max(view.eta_s, 1))} left")
    return "; ".join(parts)


def rate_texts(rates: Rates) -> list[str]:
    """Return images/s, MB/s read and Mpx/s; the last two where files were read."""
    texts = [f"{text.number(rates.images_per_s)} images/s"]
    if rates.bytes_per_s:
        texts.append(f"{text.size(rates.bytes_per_s)}/s read")
    if rates.pixels_per_s:
        texts.append(f"{text.megapixels(rates.pixels_per_s)}/s")
    return texts


def reading_texts(now: Snapshot, rates: Rates) -> list[str]:
    """Return what comes over a network, and what limits; of local files when their disk does."""
    if not now.share_jobs:
        slow = slow_disk(rates.spent, now.elapsed_s, share=False)
        return [f"limited by {LIMITED_BY[Bottleneck.DISK]}"] if slow else []
    mixed = now.share_jobs < now.jobs and rates.share_bytes_per_s
    found = [f"{text.size(rates.share_bytes_per_s)}/s from shares"] if mixed else []
    limit = bottleneck(rates.spent, share=True)
    return found + ([f"limited by {LIMITED_BY[limit]}"] if limit else [])


def is_named(outcome: Outcome | Skip) -> bool:
    """Tell whether the file may be named: a private one is not; a warning names its vault."""
    return outcome.kind is not Kind.PRIVATE


class Named(NamedTuple):
    """A file with what is said of it, for a list that people read."""

    path: bytes
    why: str
    lead: str = ""
    """Stands before its name."""


def named_lines(files: Iterable[Named]) -> Iterator[str]:
    """Yield a line for each file. A reason or a folder of several in a row is named once."""
    others: list[Named] = []
    for why, group in groupby(files, key=lambda each: each.why):
        same = list(group)
        if len(same) > 1 and why:
            yield from _by_folder(others)
            yield f"  {printable(why)}:"
            yield from _by_folder([each._replace(why="") for each in same], indent="    ")
            others = []
        else:
            others += same
    yield from _by_folder(others)


def _by_folder(files: Iterable[Named], indent: str = "  ") -> Iterator[str]:
    for folder, group in groupby(files, key=lambda each: each.path.rpartition(b"/")[0]):
        here = list(group)
        together = len(here) > 1
        if together:
            yield f"{indent}{shown(folder)}/"
        for path, why, lead in here:
            name = shown(path.rpartition(b"/")[2] if together else path)
            told = f": {printable(why)}" if why else ""
            yield f"{indent}{'  ' if together else ''}{lead}{name}{told}"


def outcome_line(outcome: Outcome | Skip) -> str:
    """Return what became of one source, for `-v`."""
    named = is_named(outcome)
    if isinstance(outcome, Skip):
        outcome = outcome.as_outcome()
    facts = []
    if outcome.loader:
        facts.append(outcome.loader)
    if outcome.width_px:
        facts.append(f"{outcome.width_px}x{outcome.height_px}")
    if outcome.entries_written:
        facts.append(text.plural(outcome.entries_written, "thumbnail"))
    if outcome.stages.total_ns:
        facts.append(text.duration(outcome.stages.total_ns / 1e9))
    told = f" ({', '.join(facts)})" if facts else ""
    said = f": {printable(outcome.message)}" if outcome.message else ""
    whose = shown(outcome.path) if named else "(a private name)"
    return f"{label(outcome.kind):<{_LABEL_WIDTH}} {whose}{told}{said}"

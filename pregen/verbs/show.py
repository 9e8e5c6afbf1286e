"""`pregen show FILE...`: what the cache holds for a file, and what each desktop makes of it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from pregen import __version__
from pregen.argument_types import raw_bytes
from pregen.commandline import Command, print_lines, print_record, under
from pregen.display import text
from pregen.display.records import VERSION, path_fields
from pregen.display.text import printable, shown
from pregen.display.words import WORDS
from pregen.errors import ExitCode
from pregen.model import ALL_FLAVORS, Flavor, Source
from pregen.options import option
from pregen.session import Session, cache_option
from pregen.thumbspec.clients import ClientVerdict, desktop_verdicts
from pregen.thumbspec.naming import entry_name, key
from pregen.thumbspec.pngchunks import PngError
from pregen.thumbspec.pngtext import PngHead, read_head
from pregen.thumbspec.uri import all_uris, shared_uris
from pregen.thumbspec.validity import Freshness, Judgement, judge, judge_fail_record
from pregen.thumbspec.wholeness import damage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pregen.cache.folder import Folder
    from pregen.cache.store import Cache
    from pregen.model import Kind


@click.pass_obj
def _show(session: Session, /, *, files: tuple[bytes, ...], json: bool) -> ExitCode:
    """Show what the thumbnail cache holds for FILEs.

    URIs and keys, entries with their texts, whether they are up to date, which desktops accept
    them, and fail records of any program. Also works for deleted files. Exit code 3: a FILE does
    not exist and nothing is known about it.
    """
    all_known = True
    for number, facts in enumerate(inspect_all(session, files)):
        all_known = all_known and facts.known
        if json:
            print_record(file_record(facts))
        else:
            print_lines([""] * bool(number))
            print_lines(file_lines(facts))
    return ExitCode.DONE if all_known else ExitCode.SOME_FAILED


show = Command(
    "show",
    callback=_show,
    params=[
        click.Argument(["files"], metavar="FILE...", type=raw_bytes, nargs=-1, required=True),
        *under(
            "Options", cache_option(), option("json", help="Write a JSON object for each FILE.")
        ),
    ],
    help=_show.__doc__,
    epilog="Example: pregen show ~/Pictures/cat.jpg",
)


class EntryFacts(NamedTuple):
    """One PNG of the cache and what it is worth."""

    path: bytes
    size_bytes: int
    head: PngHead | None
    """None: it is no PNG."""
    verdict: str
    """A `validity.Verdict`, or "unknown" when there is no source to compare with."""
    reason: str
    flavor: Flavor | None = None
    """None: a fail record."""
    program: str = ""
    """Of a fail record: who left it."""
    desktops: tuple[ClientVerdict, ...] = ()


class UriFacts(NamedTuple):
    """What is kept under one of a file's URIs."""

    uri: str
    key: str
    form: str
    entries: tuple[EntryFacts, ...]
    fail_records: tuple[EntryFacts, ...]


class FileFacts(NamedTuple):
    """All about one file."""

    path: bytes
    source: Source | None
    trouble: str
    """Why there is no source; empty when there is one."""
    uris: tuple[UriFacts, ...]
    shared: tuple[UriFacts, ...] = ()
    """What the shared repository beside the file holds of it; nothing where there is no entry."""
    memory: Kind | None = None
    """What the journal remembers of the source as it is now: why there is no entry."""
    private: bytes | None = None
    """Where the vault or encrypted disk begins that it lies in; None: it lies in none that the
    cache does not."""

    @property
    def known(self) -> bool:
        """Whether there is anything to tell: a source, an entry or a fail record."""
        return self.source is not None or any(
            uri.entries or uri.fail_records for uri in (*self.uris, *self.shared)
        )


def inspect_all(session: Session, files: Iterable[bytes]) -> Iterator[FileFacts]:
    """Yield what the cache holds for each file, as the user named it.

    Raises:
        CacheError: the cache cannot be read.
        UsageError: the working directory was deleted.
    """
    from pregen.cache.store import Cache  # noqa: PLC0415 - no --help needs it
    from pregen.imaging import revisions  # noqa: PLC0415 - likewise
    from pregen.installation import decoding_libraries  # noqa: PLC0415 - likewise
    from pregen.source_file import real_path  # noqa: PLC0415 - likewise

    paths = [session.clean(file) for file in files]
    # a journal that cannot be read is a matter for `pregen status`, not for a single file
    opened = session.journal(libraries=decoding_libraries(), revision=revisions.REVISION)
    with Cache(session.cache_root, __version__) as cache, opened as journal:
        places = session.private_places(journal)
        for path in paths:
            facts = inspect(path, cache)
            memory = journal.hint(*facts.source[:3]) if facts.source else None
            private = places.place_of(path) or places.place_of(real_path(path))
            yield facts._replace(memory=memory, private=private)


def inspect(path: bytes, cache: Cache) -> FileFacts:
    """Return what the cache holds for a file, by every URI that a desktop may ask with.

    Args:
        path: absolute and clean; it need not exist.
        cache: where to look.

    Raises:
        CacheError: the cache cannot be read.
    """
    from pregen.cache.shared import SharedRepository  # noqa: PLC0415 - no --help needs it
    from pregen.source_file import real_path  # noqa: PLC0415 - likewise

    source, trouble = _source(path)
    forms = {uri: "Qt" if number else "" for number, uri in enumerate(all_uris(path))}
    for number, uri in enumerate(all_uris(real_path(path))):
        forms.setdefault(uri, "real path, Qt" if number else "real path")
    look = _Look(cache, source, trouble)
    uris = tuple(look.at(uri, form) for uri, form in forms.items())
    with SharedRepository(os.path.dirname(path), __version__) as beside:
        look = _Look(beside, source, trouble, shared=True)
        shared = tuple(look.at(uri, "shared, beside the file") for uri in shared_uris(path))
    return FileFacts(path, source, trouble, uris, tuple(facts for facts in shared if facts.entries))


def _source(path: bytes) -> tuple[Source | None, str]:
    try:
        facts = os.stat(path)
    except FileNotFoundError:
        return None, "the file does not exist"
    except OSError as error:
        return None, f"the file cannot be examined: {error.strerror}"
    if not stat.S_ISREG(facts.st_mode):
        return None, "not a regular file"
    return Source(path, facts.st_size, facts.st_mtime_ns), ""


@dataclass(frozen=True, slots=True)
class _Look:
    """Looks for one file, at everything kept under its URIs."""

    cache: Cache
    source: Source | None
    trouble: str
    shared: bool = False

    def at(self, uri: str, form: str) -> UriFacts:
        found = ((flavor, self.cache.read(flavor, uri)) for flavor in ALL_FLAVORS)
        entries = [self._entry(data, flavor, uri) for flavor, data in found if data is not None]
        return UriFacts(uri, key(uri), form, tuple(entries), tuple(self._fail_records(uri)))

    def _entry(self, data: bytes, flavor: Flavor, uri: str) -> EntryFacts:
        facts = self._facts(self.cache.folder(flavor), data, uri)._replace(flavor=flavor)
        if self.source is None:
            return facts
        _, size_bytes, mtime_ns, *_ = self.source
        judged = judge(data, flavor, uri, mtime_ns, size_bytes, whole=True)
        if judged.verdict in {Freshness.FRESH, Freshness.REFIT} and (flaw := damage(data)):
            judged = Judgement(Freshness.CORRUPT, f"the entry {flaw}")
        desktops = desktop_verdicts(data, flavor, uri, mtime_ns, size_bytes, shared=self.shared)
        return facts._replace(
            verdict=judged.verdict.value, reason=judged.reason, desktops=tuple(desktops)
        )

    def _fail_records(self, uri: str) -> Iterator[EntryFacts]:
        """Yield the fail records of every program, ours among them."""
        for folder in self.cache.fail_folders():
            data = folder.read(entry_name(uri))
            if data is None:
                continue
            facts = self._facts(folder, data, uri)._replace(program=folder.program)
            if self.source is not None:
                _, size_bytes, mtime_ns, *_ = self.source
                judged = judge_fail_record(data, uri, mtime_ns, size_bytes, whole=True)
                facts = facts._replace(verdict=judged.verdict.value, reason=judged.reason)
            yield facts

    def _facts(self, folder: Folder, data: bytes, uri: str) -> EntryFacts:
        path = os.path.join(folder.path, os.fsencode(entry_name(uri)))
        return EntryFacts(path, len(data), _head(data), "unknown", self.trouble)


def _head(data: bytes) -> PngHead | None:
    try:
        return read_head(data, past_image=True)
    except PngError:
        return None


_VERDICTS = {"fresh": "up to date", "refit": "needs new texts"}
_COLOURS = {"fresh": "green", "refit": "yellow", "unknown": "yellow"}
#: PNG, 11.2.2.
_COLOR_TYPES = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGBA"}


def file_lines(facts: FileFacts) -> Iterator[str]:
    """Yield what a person sees of one file. Names are escaped, URIs are ASCII anyway."""
    yield click.style(shown(facts.path), bold=True)
    if facts.source is None:
        yield click.style(f"  {facts.trouble}", fg="red")
    else:
        size = text.count(facts.source.size_bytes)
        yield f"  {size} bytes, changed {text.moment(facts.source.mtime_ns)}"
        if facts.memory is not None:
            words = WORDS[facts.memory]
            why = f": {words.meaning}" if words.meaning else ""
            yield f"  recorded by an earlier run as {words.label}{why}"
    if facts.private is not None:
        yield click.style(
            f"  private: encrypted at {shown(facts.private)}, and its thumbnails would not be; "
            "--allow-encrypted creates them, `pregen clean --private` deletes them",
            fg="yellow",
        )
    for uri in (*facts.uris, *facts.shared):
        yield ""
        yield from _uri_lines(uri)


def _uri_lines(facts: UriFacts) -> Iterator[str]:
    form = f" ({facts.form})" if facts.form else ""
    yield f"  URI  {facts.uri}{form}"
    yield f"  key  {facts.key}"
    for entry in facts.entries:
        yield from _entry_lines(entry, entry.flavor.directory if entry.flavor else "")
    for record in facts.fail_records:
        yield from _entry_lines(record, f"fail record of {record.program}")
    if not facts.entries and not facts.fail_records:
        yield click.style("    no thumbnail of any size, no fail record", dim=True)


def _entry_lines(entry: EntryFacts, title: str) -> Iterator[str]:
    colour = _COLOURS.get(entry.verdict, "red")
    verdict = click.style(_VERDICTS.get(entry.verdict, entry.verdict), fg=colour)
    why = f": {printable(entry.reason)}" if entry.reason else ""
    yield ""
    yield f"    {click.style(printable(title), bold=True)}  {verdict}{why}"
    yield f"      {shown(entry.path)}"
    if entry.head is None:
        yield f"      {text.size(entry.size_bytes)}, not a readable PNG"
        return
    head = entry.head
    interlaced = ", interlaced" if head.interlaced else ""
    yield (
        f"      {head.width_px}x{head.height_px}, {text.size(entry.size_bytes)}, "
        f"{head.bit_depth}-bit {_COLOR_TYPES.get(head.color_type, 'unknown')}{interlaced}"
    )
    width = max((len(chunk.key) for chunk in head.texts), default=0)
    for chunk in head.texts:
        late = "" if chunk.before_image else "  (after the picture)"
        yield f"      {chunk.kind} {printable(chunk.key):<{width}}  {printable(chunk.value)}{late}"
    yield from _desktop_lines(entry)


def _desktop_lines(entry: EntryFacts) -> Iterator[str]:
    width = max((len(desktop.client) for desktop in entry.desktops), default=0)
    for desktop in entry.desktops:
        if not desktop.looks_here:
            said = click.style(f"does not look here: {printable(desktop.reason)}", dim=True)
        elif desktop.accepts:
            said = click.style("accepts it", fg="green")
        else:
            said = click.style(f"refuses it: {printable(desktop.reason)}", fg="red")
        yield f"      {desktop.client:<{width}}  {said}"


def file_record(facts: FileFacts) -> dict[str, Any]:
    """Return the object of one file."""
    source = facts.source
    return {
        "v": VERSION,
        "type": "file",
        **path_fields(facts.path),
        "source": source and {"size": source.size_bytes, "mtime_ns": source.mtime_ns},
        "trouble": facts.trouble or None,
        "remembered": facts.memory and facts.memory.value,
        "private": facts.private and os.fsdecode(facts.private),
        "uris": [_uri_record(uri) for uri in facts.uris],
        "shared": [_uri_record(uri) for uri in facts.shared],
    }


def _uri_record(uri: UriFacts) -> dict[str, Any]:
    return {
        "uri": uri.uri,
        "key": uri.key,
        "form": uri.form,
        "entries": [_entry_record(entry) for entry in uri.entries],
        "fail_records": [_entry_record(record) for record in uri.fail_records],
    }


def _entry_record(entry: EntryFacts) -> dict[str, Any]:
    place = {"flavor": entry.flavor.directory} if entry.flavor else {"program": entry.program}
    head = entry.head
    return {
        **place,
        **path_fields(entry.path),
        "size": entry.size_bytes,
        "verdict": entry.verdict,
        "reason": entry.reason,
        "width": head and head.width_px,
        "height": head and head.height_px,
        "bit_depth": head and head.bit_depth,
        "color_type": head and head.color_type,
        "interlaced": head and head.interlaced,
        "texts": [
            {**chunk._asdict(), "kind": str(chunk.kind)} for chunk in (head.texts if head else ())
        ],
        "desktops": [desktop._asdict() for desktop in entry.desktops],
    }

"""`pregen show FILE...`: what the cache holds for a file, and what each desktop makes of it."""

from __future__ import annotations

import os
import shlex
import stat
import textwrap
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from pregen import __version__
from pregen.argument_types import raw_bytes
from pregen.commandline import Command, print_lines, print_record, terminal_columns, under
from pregen.display import text
from pregen.display.records import VERSION, path_fields
from pregen.display.text import printable, shown
from pregen.display.words import WORDS
from pregen.errors import ExitCode
from pregen.model import ALL_FLAVORS, Flavor, Source
from pregen.options import option
from pregen.session import Session, cache_option, mount_timeout_option
from pregen.thumbspec.clients import (
    BY_KEY,
    CLIENTS,
    Client,
    ClientVerdict,
    Paths,
    Place,
    asked_uris,
    desktop_verdicts,
)
from pregen.thumbspec.naming import OWN_PROGRAMS, entry_name, key, made_by
from pregen.thumbspec.pngchunks import PngError
from pregen.thumbspec.pngtext import PngHead, read_head
from pregen.thumbspec.uri import UriForm, all_uris, shared_uris, uris_in
from pregen.thumbspec.validity import Freshness, Judgement, judge, judge_fail_record
from pregen.thumbspec.wholeness import damage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from pregen.cache.folder import Folder
    from pregen.cache.store import Cache
    from pregen.filesystems.bounded import BoundedFiles
    from pregen.model import Kind


@click.pass_obj
def _show(
    session: Session,
    /,
    *,
    files: tuple[bytes, ...],
    json: bool,
    verbose: bool,
    mount_timeout: float,
) -> ExitCode:
    """Show what the thumbnail cache holds for FILEs.

    URIs and keys, thumbnails, whether they are up to date, which desktops accept them, fail
    records of any program, and what the programs installed here find. Also works for deleted
    files. Exit code 3: a FILE does not exist and nothing is known about it.
    """
    all_known = True
    for number, facts in enumerate(inspect_all(session, files, mount_timeout)):
        all_known = all_known and facts.known
        if json:
            print_record(file_record(facts))
        else:
            print_lines([""] * bool(number))
            columns, cache_flag = terminal_columns(), session.cache_flag
            print_lines(file_lines(facts, columns, cache_flag, verbose=verbose))
    return ExitCode.DONE if all_known else ExitCode.SOME_FAILED


show = Command(
    "show",
    callback=_show,
    params=[
        click.Argument(["files"], metavar="FILE...", type=raw_bytes, nargs=-1, required=True),
        *under(
            "Options",
            mount_timeout_option(),
            cache_option(),
            option("json", help="Write a JSON object for each FILE."),
            option("verbose", help="Also show the texts of each thumbnail."),
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
    """None: it is not a PNG."""
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
    """Whose it is, where it is not GLib's of the path; for people."""
    entries: tuple[EntryFacts, ...]
    fail_records: tuple[EntryFacts, ...]


class Served(NamedTuple):
    """What one client finds of a file."""

    client: Client
    installed: bool
    """It is on this machine."""
    asks_for: tuple[str, ...]
    """URIs, the newest version's first; empty: it cannot open a file of this name."""
    flavors: tuple[Flavor, ...]
    """Of the entries that it accepts."""
    why_not: str
    """Why it refuses the first one it finds; empty: it finds none, or accepts some."""


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
    served: tuple[Served, ...] = ()
    """What each client finds, in the order of the table."""
    unreadable: bool = False
    """The file is there, and this user may not read it; not asked on a share."""

    @property
    def known(self) -> bool:
        """Whether there is anything to tell: a source, an entry or a fail record."""
        return self.source is not None or any(
            uri.entries or uri.fail_records for uri in (*self.uris, *self.shared)
        )


def inspect_all(
    session: Session, files: Iterable[bytes], mount_timeout_s: float
) -> Iterator[FileFacts]:
    """Yield what the cache holds for each file, as the user named it.

    Raises:
        CacheError: the cache cannot be read.
        UsageError: the working directory was deleted.
    """
    from pregen.cache.store import Cache  # noqa: PLC0415 - no --help needs it
    from pregen.entry_keys import clients_here  # noqa: PLC0415 - likewise
    from pregen.filesystems.bounded import BoundedFiles  # noqa: PLC0415 - likewise
    from pregen.imaging import revisions  # noqa: PLC0415 - likewise
    from pregen.installation import decoding_libraries  # noqa: PLC0415 - likewise

    here = clients_here(session.environ, session.home)
    paths = [session.clean(file) for file in files]
    # a journal that cannot be read is a matter for `pregen status`, not for a single file
    opened = session.journal(libraries=decoding_libraries(), revision=revisions.REVISION)
    with (
        Cache(session.cache_root, __version__) as cache,
        opened as journal,
        closing(BoundedFiles(mount_timeout_s)) as looks,
    ):
        places = session.private_places(journal)
        for path in paths:
            facts = inspect(path, cache, looks, here)
            memory = journal.hint(*facts.source[:3]) if facts.source else None
            private = places.place_of(path) or places.place_of(looks.real_file(path))
            asked = facts.source is not None and not looks.is_on_share(path)
            unreadable = asked and not os.access(path, os.R_OK)
            yield facts._replace(memory=memory, private=private, unreadable=unreadable)


def inspect(
    path: bytes, cache: Cache, looks: BoundedFiles, here: Collection[str] = ()
) -> FileFacts:
    """Return what the cache holds for a file, by every URI that a client may ask with.

    Args:
        path: absolute and clean; it need not exist.
        cache: where to look.
        looks: at the file.
        here: keys of the clients on this machine; what the others alone would ask for is left out
            where there is nothing.

    Raises:
        CacheError: the cache cannot be read.
    """
    from pregen.cache.shared import SharedRepository  # noqa: PLC0415 - no --help needs it
    from pregen.entry_keys import paths_of  # noqa: PLC0415 - likewise

    source, trouble = _source(path, looks)
    paths = paths_of(path, looks)
    wanted = {*all_uris(path), *all_uris(paths.real)}
    wanted.update(uri for name in here for uri in asked_uris(BY_KEY[name], paths))
    look = _Look(cache, source, trouble, paths)
    found = [look.at(uri, form) for uri, form in _forms(paths).items()]
    uris = tuple(each for each in found if each.uri in wanted or each.entries or each.fail_records)
    shared: tuple[UriFacts, ...] = ()
    folder = os.path.dirname(path)
    if looks.is_folder(folder):  # where it is on a share, that answers
        with SharedRepository(folder, __version__) as beside:
            look = _Look(beside, source, trouble, paths, shared=True)
            shared = tuple(look.at(uri, "shared, beside the file") for uri in shared_uris(path))
    served = tuple(_served(client, paths, uris, installed=client.key in here) for client in CLIENTS)
    there = tuple(facts for facts in shared if facts.entries)
    return FileFacts(path, source, trouble, uris, there, served=served)


def _forms(paths: Paths) -> dict[str, str]:
    """Return every URI by which the file may be known, with whose it is."""
    forms = {uri: "Qt" if number else "" for number, uri in enumerate(all_uris(paths.walked))}
    for number, uri in enumerate(all_uris(paths.real)):
        forms.setdefault(uri, "real path, Qt" if number else "real path")
    for uri in uris_in(UriForm.GLIB, paths.target):
        forms.setdefault(uri, "the link's target")
    names: dict[str, list[str]] = {}
    for client in CLIENTS:
        for uri in asked_uris(client, paths):
            names.setdefault(uri, []).append(client.name)
    return forms | {uri: ", ".join(each) for uri, each in names.items() if uri not in forms}


def _served(client: Client, paths: Paths, uris: Iterable[UriFacts], *, installed: bool) -> Served:
    asked = asked_uris(client, paths)
    verdicts = [
        (entry.flavor, verdict)
        for facts in uris
        if facts.uri in asked
        for entry in facts.entries
        for verdict in entry.desktops
        if verdict.client == client.name and verdict.looks_here
    ]
    flavors = tuple(flavor for flavor, verdict in verdicts if verdict.accepts and flavor)
    why_not = "" if flavors or not verdicts else verdicts[0][1].reason
    return Served(client, installed, asked, tuple(dict.fromkeys(flavors)), why_not)


NO_FILE: Final = "the file does not exist"


def _source(path: bytes, looks: BoundedFiles) -> tuple[Source | None, str]:
    try:
        facts = looks.stat(path)
    except FileNotFoundError:
        return None, NO_FILE
    except OSError as error:
        return None, f"the file cannot be examined: {error.strerror}"
    if stat.S_ISDIR(facts.st_mode):
        return None, "a folder; thumbnails are of files"
    if not stat.S_ISREG(facts.st_mode):
        return None, "not a regular file"
    return Source(path, facts.st_size, facts.st_mtime_ns), ""


@dataclass(frozen=True, slots=True)
class _Look:
    """Looks for one file, at everything kept under its URIs."""

    cache: Cache
    source: Source | None
    trouble: str
    paths: Paths
    shared: bool = False

    def at(self, uri: str, form: str) -> UriFacts:
        found = ((flavor, self.cache.read(flavor, uri)) for flavor in ALL_FLAVORS)
        entries = [self._entry(data, flavor, uri) for flavor, data in found if data is not None]
        return UriFacts(uri, key(uri), form, tuple(entries), tuple(self._fail_records(uri)))

    def _entry(self, data: bytes, flavor: Flavor, uri: str) -> EntryFacts:
        folder = self.cache.folder(flavor)
        linked = _followed(folder, uri) if not data else None
        facts = self._facts(folder, data if linked is None else linked, uri)._replace(flavor=flavor)
        if self.source is None:
            return facts
        _, size_bytes, mtime_ns, *_ = self.source
        judged = judge(data, flavor, uri, mtime_ns, size_bytes, whole=True)
        if judged.verdict in {Freshness.FRESH, Freshness.REFIT} and (flaw := damage(data)):
            judged = Judgement(Freshness.CORRUPT, f"the thumbnail {flaw}")
        if linked is not None:
            data, judged = linked, Judgement(Freshness.CORRUPT, _LINK)
        place = Place(flavor, uri, self.paths, self.shared)
        desktops = desktop_verdicts(data, place, mtime_ns, size_bytes)
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


_LINK = "the thumbnail is a symbolic link, which pregen does not follow, but desktops do"


def _followed(folder: Folder, uri: str) -> bytes | None:
    """Return what the link leads to that stands in the place of an entry; None: there is none."""
    path = os.path.join(folder.path, os.fsencode(entry_name(uri)))
    if not os.path.islink(path):
        return None
    try:
        # no FIFO may hang this, and no device may be opened for more than its name
        if not stat.S_ISREG(os.stat(path).st_mode):
            return b""
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            data = file.read(folder.limit_bytes + 1)
    except OSError:
        return b""
    return data if len(data) <= folder.limit_bytes else b""


def _head(data: bytes) -> PngHead | None:
    try:
        return read_head(data, past_image=True, as_libpng=True)
    except PngError:
        return None


_VERDICTS = {"fresh": "up to date", "refit": "texts need an update"}
_ACCEPTED = "accepted by"
_MOST_COLUMNS = 120
_COLOURS = {"fresh": "green", "refit": "yellow", "unknown": "yellow"}
#: PNG, 11.2.2.
_COLOR_TYPES = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGBA"}


def file_lines(
    facts: FileFacts, columns: int, cache_flag: str = "", *, verbose: bool
) -> Iterator[str]:
    """Yield what a person sees of one file. Names and URIs are escaped.

    Args:
        facts: about it.
        columns: how wide the terminal is; 0: there is none.
        cache_flag: for the commands in them.
        verbose: the texts of entries too.
    """
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
            "--allow-encrypted creates them, "
            f"`pregen clean{cache_flag} --private` deletes them",
            fg="yellow",
        )
    for uri in (*facts.uris, *facts.shared):
        yield ""
        yield from _uri_lines(uri, columns or 80, verbose=verbose)
    if any(each.installed for each in facts.served):
        yield ""
        yield from _served_lines(facts)
    yield ""
    yield _verdict_line(facts, cache_flag)


def _verdict_line(facts: FileFacts, cache_flag: str) -> str:
    """Return the last line: which sizes are up to date, who accepts them, what to do."""
    everything = (*facts.uris, *facts.shared)
    if facts.source is None:
        known = any(uri.entries or uri.fail_records for uri in everything)
        why = f"No thumbnail can be up to date: {facts.trouble}."
        hint = " Nothing is known about it: check the name."
        if known or facts.trouble != NO_FILE:
            hint = ""
        return click.style(f"{why}{hint}", fg="yellow")
    verdicts = {
        entry.flavor.directory: entry.verdict == Freshness.FRESH.value
        for uri in reversed(everything)
        for entry in uri.entries
        if entry.flavor
    }
    fresh = ", ".join(size for size, is_fresh in verdicts.items() if is_fresh)
    others = ", ".join(size for size, is_fresh in verdicts.items() if not is_fresh)
    file = f"{printable(shlex.quote(os.fsdecode(facts.path)))}{cache_flag}"
    if not verdicts:
        return click.style(f"There is no thumbnail{_why_none(facts, file)}", fg="yellow")
    told = f"Up to date: {fresh}; {_acceptance(facts.served)}." if fresh else ""
    if others:
        told = f"{told} Not up to date: {others}. To recreate: pregen run {file}".lstrip()
    return click.style(told, fg="yellow" if others else "green")


def _why_none(facts: FileFacts, file: str) -> str:
    if facts.unreadable:
        return ": the file cannot be read. Make it readable for this user."
    if facts.private is not None:
        return ": the file is in an encrypted place."
    if facts.memory is not None:
        return f": {WORDS[facts.memory].label}."
    failed = any(
        made_by(record.program, (OWN_PROGRAMS,)) and record.verdict == Freshness.FRESH.value
        for uri in facts.uris
        for record in uri.fail_records
    )
    return (
        f": an earlier run failed. Why: pregen failures {file}"
        if failed
        else f". To create it: pregen run {file}"
    )


def _acceptance(served: Iterable[Served]) -> str:
    """Return how many programs accept a thumbnail, and which refuse or do not find one."""
    every = list(served)
    number = sum(bool(each.flavors) for each in every)
    accepting = f"accepted by {text.plural(number, 'program')}"
    against = [
        each.client.name
        for each in every
        if not each.flavors and (each.why_not or (each.installed and each.asks_for))
    ]
    return f"{accepting}, but not by {', '.join(against)}" if against else accepting


def _uri_lines(facts: UriFacts, columns: int, *, verbose: bool) -> Iterator[str]:
    form = f" ({facts.form})" if facts.form else ""
    yield f"  URI  {printable(facts.uri)}{form}"
    yield f"  key  {facts.key}"
    for entry in facts.entries:
        yield from _entry_lines(
            entry, entry.flavor.directory if entry.flavor else "", verbose=verbose
        )
        yield from _desktop_lines(entry, columns)
    for record in facts.fail_records:
        yield from _entry_lines(record, f"fail record of {record.program}", verbose=verbose)
    if not facts.entries and not facts.fail_records:
        yield click.style("    no thumbnail of any size, no fail record", dim=True)


def _entry_lines(entry: EntryFacts, title: str, *, verbose: bool) -> Iterator[str]:
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
    if not verbose:
        return
    width = max((len(chunk.key) for chunk in head.texts), default=0)
    for chunk in head.texts:
        late = "" if chunk.before_image else "  (after the picture)"
        yield f"      {chunk.kind} {printable(chunk.key):<{width}}  {printable(chunk.value)}{late}"


def _desktop_lines(entry: EntryFacts, columns: int) -> Iterator[str]:
    """Yield who accepts an entry, and who refuses it and why. Who asks elsewhere is not named."""
    looking = [desktop for desktop in entry.desktops if desktop.looks_here]
    accepting = ", ".join(desktop.client for desktop in looking if desktop.accepts)
    room = min(columns, _MOST_COLUMNS) - len(f"      {_ACCEPTED}  ")
    for number, line in enumerate(textwrap.wrap(accepting, max(room, 20), break_on_hyphens=False)):
        label = " " * len(_ACCEPTED) if number else click.style(_ACCEPTED, fg="green")
        yield f"      {label}  {line}"
    for desktop in looking:
        if not desktop.accepts:
            said = click.style("refused by", fg="red")
            yield f"      {said}   {desktop.client}: {printable(desktop.reason)}"


def _served_lines(facts: FileFacts) -> Iterator[str]:
    """Yield what the programs of this machine find."""
    yield "  on this machine"
    here = [each for each in facts.served if each.installed]
    width = max(len(each.client.name) for each in here)
    for each in here:
        yield f"    {each.client.name:<{width}}  {_found(each, facts)}"


def _found(served: Served, facts: FileFacts) -> str:
    if served.flavors:
        found = ", ".join(flavor.directory for flavor in served.flavors)
        return click.style(f"accepts {found}", fg="green")
    if not served.asks_for:
        return click.style("cannot open a file of this name", dim=True)
    if served.why_not:
        return click.style(f"refuses what it finds: {printable(served.why_not)}", fg="red")
    uri = served.asks_for[0]
    named = "" if uri == facts.uris[0].uri else f", as {printable(uri)}"
    return click.style(f"finds none{named}", fg="red")


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
        "clients": [
            {
                "client": each.client.name,
                "installed": each.installed,
                "asks_for": list(each.asks_for),
                "accepts": [flavor.directory for flavor in each.flavors],
            }
            for each in facts.served
        ],
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

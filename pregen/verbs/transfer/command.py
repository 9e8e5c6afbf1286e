"""`pregen export` and `pregen import`: parse and hand over; no work of their own."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from pregen import __version__
from pregen.cache.errors import cache_error
from pregen.cache.lock import CacheLock
from pregen.cache.store import Cache
from pregen.commandline import Command, Option, flavors, print_lines, print_record, raw_bytes
from pregen.display.records import VERSION, path_fields
from pregen.display.text import plural, printable, size
from pregen.errors import ExitCode, UsageError
from pregen.journal.database import journal_path
from pregen.journal.fingerprints import forget_survey
from pregen.model import ALL_FLAVORS
from pregen.originals.mounts import is_below
from pregen.session import acquire
from pregen.thumbspec.naming import clean_path, thumbnails_root
from pregen.thumbspec.pngtext import URI
from pregen.thumbspec.uri import path_from_uri
from pregen.verbs.transfer.archive import (
    ArchiveError,
    Merger,
    TransferTally,
    Writer,
    entries,
    members,
)
from pregen.walk import working_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pregen.model import Flavor
    from pregen.thumbspec.pngtext import PngHead


def _export(**flags: Any) -> ExitCode:
    """Copy the entries of the thumbnail cache, or a part of them, to a tar file or another cache.

    Only entries that are whole go, of any program; fail records stay. A folder is merged into, as
    `pregen import` does; a tar file is there when it is complete.
    """
    return export_session(ExportFlags(**flags))


def _import(**flags: Any) -> ExitCode:
    """Merge entries into the thumbnail cache: from a tar file of `pregen export`, or a cache.

    Of two entries of a file the one of its later state stays. What is damaged, or is no entry, is
    refused and named, and nothing outside the cache is ever written. Interrupted, do it again.
    """
    return import_session(ImportFlags(**flags))


_CACHE = Option(
    ["--cache"],
    metavar="DIR",
    type=raw_bytes,
    help="The thumbnails folder (with normal, large, ... in it), instead of yours.",
)
_WAIT = Option(["--wait"], is_flag=True, help="When a run fills the cache, wait for its end.")
_JSON = Option(
    ["--json"],
    is_flag=True,
    help="Write a JSON object per line: what was refused, at last a summary.",
)

export = Command(
    "export",
    callback=_export,
    params=[
        Option(
            ["--to"],
            metavar="DIR|FILE.tar",
            type=raw_bytes,
            required=True,
            help="A thumbnails folder, which is made if its name ends with /, or a tar file; - is "
            "a tar to standard output.",
        ),
        Option(
            ["--under"],
            metavar="PATH",
            type=raw_bytes,
            multiple=True,
            help="Only entries of files in this folder, or with URIs below this one; may be "
            "repeated.",
        ),
        Option(
            ["--flavors"],
            metavar="LIST",
            type=flavors,
            default="normal,large,x-large,xx-large",
            show_default=True,
            help="Only these sizes.",
        ),
        _CACHE,
        _WAIT,
        _JSON,
    ],
    help=_export.__doc__,
    epilog="Examples: `pregen export --to thumbs.tar --under ~/Pictures`; "
    "`pregen export --to - | ssh nas pregen import -`.",
)
import_ = Command(
    "import",
    callback=_import,
    params=[
        click.Argument(["sources"], metavar="FROM...", type=raw_bytes, nargs=-1, required=True),
        _CACHE,
        _WAIT,
        _JSON,
    ],
    help=_import.__doc__,
    epilog="Examples: `pregen import thumbs.tar`; `pregen import /mnt/old-home/.cache/thumbnails`.",
)


# --- One call of `pregen export` or `pregen import`


_URI = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:/")
#: So many refusals say it all to people; `--json` tells every one.
_MOST_TOLD = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFlags:
    """The command line of `pregen export`, parsed."""

    to: bytes
    under: tuple[bytes, ...]
    flavors: tuple[Flavor, ...]
    cache: bytes | None
    wait: bool
    json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFlags:
    """The command line of `pregen import`, parsed."""

    sources: tuple[bytes, ...]
    cache: bytes | None
    wait: bool
    json: bool


def export_session(flags: ExportFlags) -> ExitCode:
    """Copy entries out of a cache.

    Raises:
        PregenError: the flags make no sense, or there is no room.
    """
    root = _root(flags.cache)
    told = _Refusals(json=flags.json, stream_taken=flags.to == b"-")
    if not os.path.isdir(root):
        raise UsageError(f"there is no cache at {_shown(root)}; name another with --cache.")
    found = entries(root, flags.flavors, _Part(flags.under).holds, told)
    to = _clean(flags.to)
    if flags.to == b"-":
        tally = _written(found, sys.stdout.buffer, told, b"standard output")
    elif flags.to.endswith(b"/") or os.path.isdir(to):
        if os.path.realpath(to) == os.path.realpath(root):
            raise UsageError("--to names the very cache that is exported; name another folder.")
        with _merger(to, told, wait=flags.wait) as merger:
            for name, place, data, _ in found:
                merger.put(name, place, data)
        tally = merger.tally
    elif to.endswith(b".tar"):
        with _whole_file(to) as stream:
            tally = _written(found, stream, told, to)
    else:
        raise UsageError(
            f"--to {_shown(flags.to)} is no folder; end its name with / to make one, or with .tar "
            "for an archive."
        )
    tally.refused = told.count
    return _ended(tally, "exported", json=flags.json, told=told)


def import_session(flags: ImportFlags) -> ExitCode:
    """Merge entries into a cache.

    Raises:
        PregenError: a source cannot be read, or there is no room.
    """
    root = _root(flags.cache)
    told = _Refusals(json=flags.json)
    trouble = ""
    with _merger(root, told, wait=flags.wait) as merger:
        for source in flags.sources:
            try:
                _import_one(source, root, merger, told)
            except (ArchiveError, OSError) as error:
                why = getattr(error, "strerror", None) or str(error)
                trouble = f"{_shown(source)} cannot be read on: {why}. What came before it is in."
                break
    tally = merger.tally
    tally.refused = told.count
    code = _ended(tally, "imported", json=flags.json, told=told, trouble=trouble)
    if trouble:
        raise UsageError(trouble)
    return code


def _import_one(source: bytes, root: bytes, merger: Merger, told: _Refusals) -> None:
    place = _clean(source)
    if source != b"-" and os.path.isdir(place):
        inner = os.path.join(place, b"thumbnails")
        place = inner if os.path.isdir(inner) else place
        if os.path.realpath(place) == os.path.realpath(root):
            raise UsageError("this is the very cache that is imported to; name another folder.")
        for name, where, data, _ in entries(place, ALL_FLAVORS, lambda _: True, told):
            merger.put(name, where, data)
        return
    with os.fdopen(0, "rb", closefd=False) if source == b"-" else open(place, "rb") as stream:
        for name, where, data in members(stream, told):
            merger.put(name, where, data)


def _written(
    found: Iterator[tuple[str, Any, bytes, int]], stream: BinaryIO, told: _Refusals, name: bytes
) -> TransferTally:
    tally = TransferTally()
    try:
        writer = Writer(stream)
        for _, place, data, mtime_s in found:
            writer.add(place, data, mtime_s)
            tally.taken += 1
            tally.taken_bytes += len(data)
        writer.finish()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise cache_error(error, name) from error
    tally.refused = told.count
    return tally


@contextmanager
def _merger(root: bytes, told: _Refusals, *, wait: bool) -> Iterator[Merger]:
    """Have a cache to merge into, for us alone; journal and next run learn that others came."""
    lock = CacheLock(root)
    acquire(lock, wait=wait)
    try:
        with Cache(root, __version__) as cache:
            cache.prepare(())
            cache.sweep_all()
            yield Merger(cache, told)
    finally:
        lock.release()
        forget_survey(journal_path(os.environ, os.path.expanduser("~")), root)


@contextmanager
def _whole_file(path: bytes) -> Iterator[BinaryIO]:
    """Write a file that has its name only when it is complete, 0600."""
    try:
        fd, temp = tempfile.mkstemp(b".part", b".pregen-", os.path.dirname(path))
    except OSError as error:
        raise cache_error(error, path) from error
    try:
        with os.fdopen(fd, "wb") as stream:
            yield stream
        os.replace(temp, path)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(temp)
        if isinstance(error, OSError):  # what was left to be written when it was closed
            raise cache_error(error, path) from error
        raise


class _Part:
    """The part of a cache that `--under` names; all of it without."""

    def __init__(self, under: Sequence[bytes]) -> None:
        self._uris = tuple(os.fsdecode(text).rstrip("/") for text in under if _URI.match(text))
        self._paths = tuple(_clean(text) for text in under if not _URI.match(text))

    def holds(self, head: PngHead) -> bool:
        if not (self._uris or self._paths):
            return True
        uri = head.first(URI)
        if any(uri == each or uri.startswith(each + "/") for each in self._uris):
            return True
        path = path_from_uri(uri)
        return path is not None and any(is_below(path, each) for each in self._paths)


class _Refusals:
    """Tells what was no entry, some of it to people, all of it as records."""

    def __init__(self, *, json: bool, stream_taken: bool = False) -> None:
        self._json = json and not stream_taken
        self.stream_taken = stream_taken
        self.count = 0

    def __call__(self, name: str, why: str) -> None:
        self.count += 1
        if self._json:
            fields = path_fields(os.fsencode(name))
            print_record({"v": VERSION, "type": "refused", **fields, "reason": why})
        elif self.count <= _MOST_TOLD:
            click.echo(f"pregen: refused {printable(name)}: {why}", err=True)
        elif self.count == _MOST_TOLD + 1:
            click.echo("pregen: refused more; --json names all", err=True)


def _ended(
    tally: TransferTally, word: str, *, json: bool, told: _Refusals, trouble: str = ""
) -> ExitCode:
    code = ExitCode.SOME_FAILED if tally.refused else ExitCode.DONE
    if json and not told.stream_taken:
        print_record(
            {
                "v": VERSION,
                "type": "summary",
                "exit_code": int(ExitCode.USAGE if trouble else code),
                word: tally.taken,
                "bytes": tally.taken_bytes,
                "kept": tally.kept,
                "refused": tally.refused,
                **({"error": trouble} if trouble else {}),
            }
        )
        return code
    words = f"{plural(tally.taken, 'entry', 'entries')} {word}, {size(tally.taken_bytes)}"
    if tally.kept:
        words += f"; {tally.kept:,} kept, as what was there is as fresh"
    if tally.refused:
        words += f"; {tally.refused:,} refused"
    if told.stream_taken:
        click.echo(f"{words}.", err=True)
    else:
        print_lines([f"{words}."])
    return code


def _root(cache: bytes | None) -> bytes:
    if cache is None:
        return thumbnails_root(os.environ, os.path.expanduser("~"))
    return _clean(cache)


def _clean(path: bytes) -> bytes:
    return clean_path(path, working_directory(os.environ))


def _shown(path: bytes) -> str:
    return printable(os.fsdecode(path))

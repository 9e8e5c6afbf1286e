"""`pregen export` and `pregen import`: copy entries out of a cache, and merge them into one."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

import click

from pregen import __version__
from pregen.argument_types import flavors, raw_bytes
from pregen.commandline import Command, Option, print_lines, print_record, under
from pregen.display.records import VERSION, path_fields
from pregen.display.text import plural, printable, size
from pregen.errors import CacheError, ExitCode, UsageError
from pregen.filesystems.mounttable import is_below
from pregen.model import ALL_FLAVORS
from pregen.options import option
from pregen.session import Session, cache_option
from pregen.thumbspec.naming import source_path
from pregen.thumbspec.pngtext import URI
from pregen.thumbspec.uri import path_from_uri
from pregen.verbs.clean.selection import area_named
from pregen.verbs.transfer.archive import (
    ArchiveError,
    FoundEntry,
    TransferTally,
    entries,
    members,
    merge,
    write_archive,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pregen.cache.store import Cache
    from pregen.model import Flavor
    from pregen.thumbspec.pngtext import PngHead

#: So many refusals say it all to people; `--json` reports every one.
_MOST_TOLD = 20


@click.pass_obj
def _export(
    session: Session,
    /,
    *,
    to: bytes,
    under: tuple[bytes, ...],
    wanted: tuple[Flavor, ...],
    wait: bool,
    json: bool,
    allow_encrypted: tuple[bytes, ...],
) -> ExitCode:
    """Copy the thumbnails of the cache, or a part of them, to a tar file or another cache.

    Copies intact thumbnails of all programs. Leaves out fail records, and thumbnails of files in
    encrypted vaults (open or locked) unless the copy lies in the same vault. An existing folder is
    merged, as by `pregen import`; a tar file appears when it is complete.
    """
    root, place = session.cache_root, session.clean(to)
    if to == b"-" and sys.stdout.isatty():
        raise UsageError(
            "a tar is not written to a terminal: pregen export --to - > thumbs.tar, or give "
            "--to thumbs.tar."
        )
    told = _Refusals(json=json, stream_taken=to == b"-")
    if not os.path.isdir(root):
        raise UsageError(f"there is no cache at {_shown(root)}; choose another with --cache.")
    part = _part(session, under)
    hidden = _hidden(session, root if to == b"-" else place, allow_encrypted)
    left = 0

    def wanted_one(head: PngHead) -> bool:
        nonlocal left
        if not part(head):
            return False
        private = hidden(head)
        left += private
        return not private

    found = entries(root, wanted, wanted_one, told)
    if to == b"-":
        tally = write_archive(found, sys.stdout.buffer)
        sys.stdout.flush()
    elif to.endswith(b"/") or os.path.isdir(place):
        if os.path.realpath(place) == os.path.realpath(root):
            raise UsageError("--to is the exported cache itself; give another folder.")
        tally = TransferTally()
        with _locked_cache(session, place, wait=wait) as cache:
            merge(found, cache, tally, told)
    elif place.endswith(b".tar"):
        with _whole_file(place) as stream:
            tally = write_archive(found, stream)
    else:
        raise UsageError(
            f"--to {_shown(to)} is not a folder: end its name with / to create one, or with "
            ".tar for an archive."
        )
    tally.private = left
    return _ended(tally, "exported", json=json, told=told)


@click.pass_obj
def _import(
    session: Session,
    /,
    *,
    sources: tuple[bytes, ...],
    wait: bool,
    json: bool,
    allow_encrypted: tuple[bytes, ...],
) -> ExitCode:
    """Merge thumbnails into the cache: from a tar file of `pregen export`, or from another cache.

    Where both have a thumbnail of a file, the one made from the later version of the file stays.
    Damaged members and members that are not thumbnails are refused and reported. Thumbnails of
    files in encrypted vaults of this machine (open or locked) are left out. Nothing outside the
    cache is written. If interrupted, run it again.
    """
    root = session.cache_root
    hidden = _hidden(session, root, allow_encrypted)
    told, tally = _Refusals(json=json), TransferTally()
    trouble = ""
    with _locked_cache(session, root, wait=wait) as cache:
        for source in sources:
            try:
                with _opened(source, session.clean(source), root, told) as found:
                    merge(found, cache, tally, told, hidden)
            except (ArchiveError, OSError) as error:
                why = getattr(error, "strerror", None) or str(error)
                trouble = _trouble(source, why, tally)
                break
    code = _ended(tally, "imported", json=json, told=told, trouble=trouble)
    if trouble:
        raise UsageError(trouble)
    return code


def _shared_options() -> tuple[Option, ...]:
    return under(
        "Options",
        option(
            "allow-encrypted",
            help="Also thumbnails of files in encrypted vaults and disks at PATH; may be repeated.",
        ),
        cache_option(),
        option("wait"),
        option(
            "json",
            help="Write a JSON object per line: refused members, and a final summary.",
        ),
    )


export = Command(
    "export",
    callback=_export,
    params=[
        *under(
            "Options",
            Option(
                ["--to"],
                metavar="DIR|FILE.tar",
                type=raw_bytes,
                required=True,
                help="A thumbnails folder (created if its name ends with /) or a tar file; - "
                "writes a tar to standard output.",
            ),
            Option(
                ["--under"],
                metavar="PATH",
                type=raw_bytes,
                multiple=True,
                help="Only thumbnails of files in this folder, or with URIs below this one; may be "
                "repeated.",
            ),
            Option(
                ["--flavors", "wanted"],
                metavar="LIST",
                type=flavors,
                default="normal,large,x-large,xx-large",
                show_default=True,
                help="Only these sizes.",
            ),
        ),
        *_shared_options(),
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
        *_shared_options(),
    ],
    help=_import.__doc__,
    epilog="Examples: `pregen import thumbs.tar`; `pregen import /mnt/old-home/.cache/thumbnails`.",
)


@contextmanager
def _opened(
    source: bytes, place: bytes, root: bytes, told: _Refusals
) -> Iterator[Iterator[FoundEntry]]:
    if source != b"-" and os.path.isdir(place):
        inner = os.path.join(place, b"thumbnails")
        place = inner if os.path.isdir(inner) else place
        if os.path.realpath(place) == os.path.realpath(root):
            raise UsageError("this is the cache to import into; give another folder.")
        sizes = [flavor.directory for flavor in ALL_FLAVORS]
        if not any(os.path.isdir(os.path.join(place, size.encode())) for size in sizes):
            raise ArchiveError(f"it has no folder {', '.join(sizes[:-1])} or {sizes[-1]}")
        yield entries(place, ALL_FLAVORS, lambda _: True, told)
        return
    with os.fdopen(0, "rb", closefd=False) if source == b"-" else open(place, "rb") as stream:
        yield members(stream, told)


@contextmanager
def _locked_cache(session: Session, root: bytes, *, wait: bool) -> Iterator[Cache]:
    """Have a cache to merge into, for us alone; journal and next run learn that others came."""
    from pregen.cache.store import Cache  # noqa: PLC0415 - no --help needs it
    from pregen.journal.fingerprints import forget_survey  # noqa: PLC0415 - likewise

    with ExitStack() as stack:
        stack.enter_context(session.locked(root, wait=wait))
        stack.callback(forget_survey, session.journal_path, root)
        cache = stack.enter_context(Cache(root, __version__))
        cache.prepare(())
        cache.sweep_all()
        yield cache


@contextmanager
def _whole_file(path: bytes) -> Iterator[BinaryIO]:
    """Write an archive that has its name only when it is complete, 0600.

    Raises:
        UsageError: there is no such folder.
        CacheError: it cannot be written, or not to its end.
    """
    try:
        fd, temp = tempfile.mkstemp(b".part", b".pregen-", os.path.dirname(path))
    except (FileNotFoundError, NotADirectoryError) as error:
        folder = _shown(os.path.dirname(path))
        raise UsageError(f"There is no folder {folder}: create it, or choose another.") from error
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with os.fdopen(fd, "wb") as stream:
            yield stream
        os.replace(temp, path)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(temp)
        if isinstance(error, OSError):  # what was left to be written when it was closed
            raise _unwritable(path, error) from error
        raise


def _unwritable(path: bytes, error: OSError) -> CacheError:
    why = error.strerror or str(error)
    return CacheError(
        f"{_shown(path)} cannot be written: {why}. Choose another place with --to; nothing was "
        "exported."
    )


def _hidden(
    session: Session, place: bytes, allow_encrypted: Sequence[bytes]
) -> Callable[[PngHead], bool]:
    """Return what tells whether an entry shows what is better protected than the place it goes."""
    with session.journal() as journal:
        places = session.private_places(journal, place=place)
    allowed = [session.clean(path) for path in allow_encrypted]

    def hides(head: PngHead) -> bool:
        path = source_path(head.first(URI))
        if path is None or any(is_below(path, each) for each in allowed):
            return False
        return places.place_of(path) is not None

    return hides


def _part(session: Session, under: Sequence[bytes]) -> Callable[[PngHead], bool]:
    """Return what tells whether an entry is of the part that `--under` names; all are without."""
    areas = [area_named(text, session.clean) for text in under]

    def holds(head: PngHead) -> bool:
        uri = head.first(URI)
        path = path_from_uri(uri)
        return not areas or any(area.covers(uri, path) for area in areas)

    return holds


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
            click.echo("pregen: more refused; --json lists all", err=True)


def _ended(
    tally: TransferTally, word: str, *, json: bool, told: _Refusals, trouble: str = ""
) -> ExitCode:
    code = ExitCode.SOME_FAILED if told.count else ExitCode.DONE
    if json and not told.stream_taken:
        print_record(
            {
                "v": VERSION,
                "type": "summary",
                "exit_code": int(ExitCode.USAGE if trouble else code),
                word: tally.taken,
                "bytes": tally.taken_bytes,
                "kept": tally.kept,
                "private": tally.private,
                "refused": told.count,
                **({"error": trouble} if trouble else {}),
            }
        )
        return code
    words = f"{plural(tally.taken, 'thumbnail')} {word}, {size(tally.taken_bytes)}"
    if tally.kept:
        words += f"; {tally.kept:,} kept: the existing ones are as new"
    if tally.private:
        words += f"; {tally.private:,} left out: their files lie in encrypted vaults"
    if told.count:
        words += f"; {told.count:,} refused"
    if told.stream_taken:
        click.echo(f"{words}.", err=True)
    elif tally.total or not trouble:
        print_lines([f"{words}."])
    return code


def _trouble(source: bytes, why: str, tally: TransferTally) -> str:
    if not tally.total:
        return f"{_shown(source)} cannot be read: {why}. Nothing was imported."
    before = plural(tally.taken, "thumbnail")
    return f"{_shown(source)} cannot be read further: {why}. {before} imported before."


def _shown(path: bytes) -> str:
    return printable(os.fsdecode(path))

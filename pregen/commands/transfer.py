"""`pregen export` and `pregen import`: parse and hand over; no work of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pregen.commands.paramtypes import flavors, raw_bytes
from pregen.commands.style import Command, Option

if TYPE_CHECKING:
    from pregen.errors import ExitCode


def _export(**flags: Any) -> ExitCode:
    """Copy the entries of the thumbnail cache, or a part of them, to a tar file or another cache.

    Only entries that are whole go, of any program; fail records stay. A folder is merged into, as
    `pregen import` does; a tar file is there when it is complete.
    """
    from pregen.commands.transfer_session import ExportFlags, export_session  # noqa: PLC0415 - --help needs none of it

    return export_session(ExportFlags(**flags))


def _import(**flags: Any) -> ExitCode:
    """Merge entries into the thumbnail cache: from a tar file of `pregen export`, or a cache.

    Of two entries of a file the one of its later state stays. What is damaged, or is no entry, is
    refused and named, and nothing outside the cache is ever written. Interrupted, do it again.
    """
    from pregen.commands.transfer_session import ImportFlags, import_session  # noqa: PLC0415 - likewise

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

"""`pregen clean`: deletes entries by reason. Parses and hands over; no work of its own."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from pregen.commands.paramtypes import age_s, raw_bytes, size_bytes
from pregen.commands.style import Command, Option
from pregen.originals.examiner import DEFAULT_TIMEOUT_S

if TYPE_CHECKING:
    from pregen.errors import ExitCode


def _clean(**flags: Any) -> ExitCode:
    """Delete entries of the thumbnail cache, and fail records, of any program, by reason.

    Without flags: those whose original is gone, and those that are corrupt. An original on a disk
    or share that is not mounted now is never taken for gone, and one that cannot be examined
    keeps its entries. Shows what would go, and asks.

    An entry goes if one of the reasons you name applies, and all of the limits. Limits without a
    reason are reason enough: `pregen clean --local` deletes every entry of a file on a local disk
    and keeps what took long to make over the network.
    """
    from pregen.commands.clean_session import CleanFlags, clean_session  # noqa: PLC0415 - --help needs none of it

    return clean_session(CleanFlags(**flags))


_REASONS = (
    Option(["--missing"], is_flag=True, help="The original is gone."),
    Option(
        ["--stale"],
        is_flag=True,
        help="The original has changed since. (`pregen run` makes such entries anew.)",
    ),
    Option(
        ["--corrupt"],
        is_flag=True,
        help="It is no PNG, is cut off, or does not say whose it is. What is damaged within the "
        "picture, only looking at every pixel would find.",
    ),
    Option(
        ["--older-than"],
        metavar="TIME",
        type=age_s,
        help="Not used for this long, and its original cannot be looked up: other schemes (http:, "
        "smb:, ...) and removable media. 30d, 4w, 12h.",
    ),
    Option(
        ["--max-size"],
        metavar="SIZE",
        type=size_bytes,
        help="There is no room for it: the least recently used go until the whole cache has at "
        "most this size. 2G, 500M.",
    ),
)
_LIMITS = (
    Option(
        ["--under"],
        metavar="PATH",
        type=raw_bytes,
        multiple=True,
        help="Only entries of files in this folder, or with URIs below this one; may be repeated.",
    ),
    Option(
        ["--not-under"],
        metavar="PATH",
        type=raw_bytes,
        multiple=True,
        help="Only entries of files elsewhere; may be repeated.",
    ),
    Option(
        ["--local"], is_flag=True, help="Only entries of files on file systems of this machine."
    ),
    Option(
        ["--remote"],
        is_flag=True,
        help="Only entries of files that come over a network (NFS, SMB, sshfs, gvfs, ...).",
    ),
    Option(["--fail"], is_flag=True, help="Only fail records."),
    Option(
        ["--program"],
        metavar="NAME",
        multiple=True,
        help="Only what was made by a program whose name begins like this; may be repeated.",
    ),
)
_HOW = (
    Option(["-y", "--yes"], is_flag=True, help="Delete without asking."),
    Option(["-n", "--dry-run"], is_flag=True, help="Show what would go; delete nothing."),
    Option(["--wait"], is_flag=True, help="When a run fills this cache, wait for its end."),
    Option(
        ["--mount-timeout"],
        metavar="SECONDS",
        type=click.FloatRange(0, min_open=True),
        default=f"{DEFAULT_TIMEOUT_S:g}",
        show_default=True,
        help="How long a mount may take to answer; its entries stay when it does not.",
    ),
)
_OUTPUT = (
    Option(
        ["--json"],
        is_flag=True,
        help="Write a JSON object per line: every entry that goes, at last a summary.",
    ),
    Option(["-v", "--verbose"], is_flag=True, help="Name every entry that goes."),
)
_PANELS = {"Reasons": _REASONS, "Limits": _LIMITS, "How": _HOW, "Output": _OUTPUT}

clean = Command(
    "clean",
    callback=_clean,
    params=list(chain.from_iterable(_PANELS.values())),
    help=_clean.__doc__,
    epilog="Examples: `pregen clean --dry-run`; `pregen clean --missing --not-under ~/Archive "
    "--yes`; `pregen clean --max-size 2G`; `pregen clean --older-than 30d`; "
    "`pregen clean --fail --program gnome`.",
)
clean.panels = _PANELS

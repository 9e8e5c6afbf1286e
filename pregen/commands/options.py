"""The flags of `pregen run`: their names, help and defaults, and the settings made of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import click

from pregen.commands.paramtypes import (
    age_s,
    flavors,
    next_time,
    pixels,
    publication,
    raw_bytes,
    shard,
    size_bytes,
)
from pregen.commands.style import Option
from pregen.config import (
    DEFAULT_MAX_PIXELS,
    DEFAULT_NODE_TIMEOUT_S,
    DEFAULT_TIMEOUT_S,
    Check,
    Decoder,
    Order,
    Previews,
    Sandbox,
)
from pregen.engines.registry import DEFAULT_ENGINE, ENGINES

if TYPE_CHECKING:
    from datetime import datetime

    from pregen.config import Shard
    from pregen.model import Flavor

#: A machine with more does not exist; a typo does.
_MAX_WORKERS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFlags:
    """The command line of `pregen run`, parsed. A field for every flag."""

    paths: tuple[bytes, ...]
    files_from: bytes | None
    null: bool
    hidden: bool
    include: tuple[bytes, ...]
    exclude: tuple[bytes, ...]
    follow_symlinks: bool
    one_file_system: bool
    order: str
    shard: Shard | None
    flavors: tuple[Flavor, ...]
    force: bool
    missing_only: bool
    retry_failed: bool
    refit: bool
    publish: tuple[tuple[bytes, str], ...]
    cache: bytes | None
    reuse: bool
    realpath_keys: bool
    use_shared: bool
    check: str
    decoder: str
    previews: str
    drop_cache: bool
    dry_run: bool
    workers: int | None
    engine: str
    scheduler: str | None
    scheduler_file: str | None
    collect: bool
    node_timeout: float
    timeout: float
    max_pixels: int
    sandbox: str
    wait: bool
    json: bool
    quiet: bool
    verbose: bool
    metrics_file: str | None
    nice: int | None
    idle: bool
    max_load: float | None
    memory_limit: int | None
    limit: int | None
    max_time: float | None
    until: datetime | None
    min_free: int | None
    pause_on_battery: bool
    log: str | None


PATHS = click.Argument(["paths"], metavar="[PATH]...", type=raw_bytes, nargs=-1)

#: The flags by the panel of the help they stand in.
PANELS: dict[str, tuple[Option, ...]] = {
    "Which files": (
        Option(
            ["--files-from"],
            metavar="FILE",
            type=raw_bytes,
            help="Also take the files named in FILE, one on a line; - is standard input.",
        ),
        Option(
            ["-0", "--null"],
            is_flag=True,
            help="The names in --files-from end with a zero byte (find -print0).",
        ),
        Option(
            ["--include"],
            metavar="GLOB",
            type=raw_bytes,
            multiple=True,
            help="Take only files that match; may be repeated.",
        ),
        Option(
            ["--exclude"],
            metavar="GLOB",
            type=raw_bytes,
            multiple=True,
            help="Leave out files and folders that match; may be repeated.",
        ),
        Option(["--hidden"], is_flag=True, help="Take hidden files and folders too."),
        Option(
            ["--follow-symlinks"],
            is_flag=True,
            help="Walk into folders that are symbolic links. Linked files are always taken.",
        ),
        Option(
            ["--one-file-system"],
            is_flag=True,
            help="Do not walk into other file systems.",
        ),
        Option(
            ["--order"],
            type=click.Choice([order.value for order in Order]),
            default=Order.WALK.value,
            show_default=True,
            help="Which files come first. Other orders begin when the walk has ended.",
        ),
        Option(
            ["--shard"],
            metavar="I/N",
            type=shard,
            help="Take only the I-th of N shares of all files: one machine, one share. All must "
            "see the files under the same path.",
        ),
    ),
    "Which entries": (
        Option(
            ["--flavors"],
            metavar="LIST",
            type=flavors,
            default="normal,large",
            show_default=True,
            help="Sizes to make: normal (128), large (256), x-large (512), xx-large (1024 px).",
        ),
        Option(["--force"], is_flag=True, help="Make every entry anew, fresh or not."),
        Option(
            ["--missing-only"], is_flag=True, help="Leave entries alone that are there, even stale."
        ),
        Option(["--retry-failed"], is_flag=True, help="Try again what failed and has not changed."),
        Option(
            ["--refit/--no-refit"],
            default=True,
            help="Rewrite the text of entries that only some desktops accept (default), or not.",
        ),
        Option(
            ["--reuse/--no-reuse"],
            default=True,
            help="Take over the pictures of files that were moved, renamed or copied with their "
            "times (default), or decode them again.",
        ),
        Option(
            ["--check"],
            type=click.Choice([check.value for check in Check]),
            default=Check.QUICK.value,
            show_default=True,
            help="How to tell fresh entries. quick: by stat, where nothing changed since the last "
            "look. full: read every entry's header.",
        ),
        Option(
            ["--realpath-keys"],
            is_flag=True,
            help="Where links lead to a file, make entries for its real path too (KDE uses it).",
        ),
        Option(
            ["--publish"],
            metavar="DIR=URI",
            type=publication,
            multiple=True,
            help="Make the entries of the files in DIR for machines that know it as URI, for "
            "example /srv/photos=smb://nas/photos; may be repeated.",
        ),
        Option(
            ["--cache"],
            metavar="DIR",
            type=raw_bytes,
            help="Fill this thumbnails folder (with normal, large, ... in it) instead of yours.",
        ),
        Option(
            ["--use-shared"],
            is_flag=True,
            help="Make no entry that is fresh in the .sh_thumbnails beside a file. Only Xfce's "
            "programs read those.",
        ),
    ),
    "How": (
        Option(
            ["--workers"],
            metavar="NUMBER",
            type=click.IntRange(1, _MAX_WORKERS),
            help="Processes that decode, on each machine; by default one for each usable core "
            "(of a Dask worker: for each of its threads).",
        ),
        Option(
            ["--engine"],
            type=click.Choice(list(ENGINES)),
            default=DEFAULT_ENGINE,
            show_default=True,
            help="local: worker processes. dask: a cluster. serial: all in this process, for "
            "debugging.",
        ),
        Option(
            ["--decoder"],
            type=click.Choice([decoder.value for decoder in Decoder]),
            default=Decoder.AUTO.value,
            show_default=True,
            help="For JPEGs: libvips, libjpeg-turbo, or (auto) the fastest of equals.",
        ),
        Option(
            ["--previews"],
            type=click.Choice([previews.value for previews in Previews]),
            default=Previews.NEVER.value,
            show_default=True,
            help="auto: make do with the preview that a camera stored in a JPEG, where it is large "
            "enough and shows the same. Reads far less; shows what the camera made.",
        ),
        Option(
            ["--drop-cache"],
            is_flag=True,
            help="Let go of what was read, so that a long run does not push everything else out "
            "of the system's memory.",
        ),
        Option(
            ["--timeout"],
            metavar="SECONDS",
            type=click.FloatRange(0, min_open=True),
            default=f"{DEFAULT_TIMEOUT_S:g}",
            show_default=True,
            help="Time for one file; big ones get a second more for each MB.",
        ),
        Option(
            ["--max-pixels"],
            metavar="NUMBER",
            type=pixels,
            default=f"{DEFAULT_MAX_PIXELS // 10**6}M",
            show_default=True,
            help="Refuse larger pictures before decoding them; 1G is a thousand million.",
        ),
        Option(
            ["--sandbox"],
            type=click.Choice([sandbox.value for sandbox in Sandbox]),
            default=Sandbox.AUTO.value,
            show_default=True,
            help="Decoders may read pictures and write thumbnails, nothing else. auto: as far as "
            "this kernel can; -v tells. require: altogether, or end with 11.",
        ),
        Option(
            ["--wait"], is_flag=True, help="When another run fills this cache, wait for its end."
        ),
        Option(
            ["--dry-run"], is_flag=True, help="Tell what would be done, and how long it may take."
        ),
    ),
    "Overnight, and beside other work": (
        Option(
            ["--nice"],
            metavar="NUMBER",
            type=click.IntRange(1, 19),
            help="Give way to other programs, as nice(1) does; 19 most.",
        ),
        Option(
            ["--idle"],
            is_flag=True,
            help="Take processor and disk only when nobody else wants them. Deadlines are ten "
            "times as long then.",
        ),
        Option(
            ["--max-load"],
            metavar="LOAD",
            type=click.FloatRange(0, min_open=True),
            help="Begin no file while the load average is this high, as make -l does; the run's "
            "own workers count.",
        ),
        Option(
            ["--memory-limit"],
            metavar="SIZE",
            type=size_bytes,
            help="Take about this much memory in all (2G); fewer workers where it is little.",
        ),
        Option(
            ["--limit"],
            metavar="NUMBER",
            type=click.IntRange(1),
            help="End after so many files were decoded; what is fresh does not count.",
        ),
        Option(["--max-time"], metavar="TIME", type=age_s, help="End after this time (90m, 8h)."),
        Option(
            ["--until"], metavar="HH:MM", type=next_time, help="End at this time of day (06:30)."
        ),
        Option(
            ["--min-free"],
            metavar="SIZE",
            type=size_bytes,
            help="Stop with exit code 12 before the disk of the cache has less than this (2G).",
        ),
        Option(
            ["--pause-on-battery"], is_flag=True, help="Wait while the machine is on its battery."
        ),
        Option(
            ["--log"],
            metavar="FILE",
            help="Also write what is said to FILE, with times; at 10 MB it is put aside as FILE.1.",
        ),
    ),
    "On a cluster (--engine dask)": (
        Option(
            ["--scheduler"],
            metavar="ADDRESS",
            help="The Dask scheduler, as tcp://host:8786; local:2 tries two nodes within this "
            "program.",
        ),
        Option(
            ["--scheduler-file"],
            metavar="FILE",
            help="Read the address from what `dask scheduler --scheduler-file` wrote.",
        ),
        Option(
            ["--collect"],
            is_flag=True,
            help="Have the entries sent back and stored here, where nodes do not share the cache.",
        ),
        Option(
            ["--node-timeout"],
            metavar="SECONDS",
            type=click.FloatRange(1),
            default=f"{DEFAULT_NODE_TIMEOUT_S:g}",
            show_default=True,
            help="Give up a node that says nothing for so long, and do its work elsewhere.",
        ),
    ),
    "Output": (
        Option(
            ["--json"],
            is_flag=True,
            help="Write a JSON object per line to standard output: outcomes, progress, warnings, "
            "at last a summary. Files that needed nothing only with -v.",
        ),
        Option(["-q", "--quiet"], is_flag=True, help="Write nothing but what failed."),
        Option(
            ["-v", "--verbose"],
            is_flag=True,
            help="A line for every file as it is done, with its decoder.",
        ),
        Option(
            ["--metrics-file"],
            metavar="FILE",
            help="Keep the figures of the run in FILE for Prometheus (node_exporter's text files).",
        ),
    ),
}

OPTIONS: tuple[Option, ...] = tuple(chain.from_iterable(PANELS.values()))

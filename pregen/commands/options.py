"""The flags of `pregen run`: their names, help and defaults, and the settings made of them."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import click

from pregen import __version__
from pregen.commands.paramtypes import flavors, pixels, raw_bytes, shard
from pregen.commands.style import Option
from pregen.config import (
    CONNECT_TIMEOUT_S,
    DEFAULT_MAX_PIXELS,
    DEFAULT_NODE_TIMEOUT_S,
    DEFAULT_TIMEOUT_S,
    Check,
    DaskConfig,
    Decoder,
    EngineConfig,
    Order,
    PlanConfig,
    RunConfig,
    WalkConfig,
    WorkConfig,
)
from pregen.engines.registry import DEFAULT_ENGINE, ENGINES
from pregen.errors import UsageError
from pregen.journal.place import journal_path
from pregen.thumbspec.naming import thumbnails_root

if TYPE_CHECKING:
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
    realpath_keys: bool
    use_shared: bool
    check: str
    decoder: str
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
    wait: bool
    json: bool
    quiet: bool
    verbose: bool
    metrics_file: str | None


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
            ["--wait"], is_flag=True, help="When another run fills this cache, wait for its end."
        ),
        Option(
            ["--dry-run"], is_flag=True, help="Tell what would be done, and how long it may take."
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


def check_flags(flags: RunFlags) -> None:
    """Refuse flags that contradict each other.

    Raises:
        UsageError: with what to write instead.
    """
    if not flags.paths and flags.files_from is None:
        raise UsageError("name the folders or files to work on, for example: pregen run ~/Pictures")
    if flags.null and flags.files_from is None:
        raise UsageError(
            "-0 tells how the list of --files-from is written; name the list too, for example: "
            "find ~/Pictures -name '*.jpg' -print0 | pregen run --files-from - -0"
        )
    if flags.force and flags.missing_only:
        raise UsageError("--force makes all entries and --missing-only hardly any: choose one.")
    _check_cluster(flags)
    if flags.quiet and flags.verbose:
        raise UsageError("--quiet and --verbose contradict each other: choose one.")


def _cluster(flags: RunFlags) -> DaskConfig | None:
    if flags.engine != "dask":
        return None
    return DaskConfig(
        scheduler=flags.scheduler or "",
        scheduler_file=flags.scheduler_file or "",
        collect=flags.collect,
        workers_per_node=flags.workers,
        node_timeout_s=flags.node_timeout,
        connect_timeout_s=min(flags.node_timeout, CONNECT_TIMEOUT_S),
    )


def _check_cluster(flags: RunFlags) -> None:
    given = [name for name in (flags.scheduler, flags.scheduler_file) if name]
    if flags.engine == "dask":
        if not given:
            raise UsageError(
                "--engine dask needs the address of its scheduler, for example "
                "--scheduler tcp://host:8786, or --scheduler local:2 for a try on this machine."
            )
        if len(given) > 1:
            raise UsageError("--scheduler and --scheduler-file both name a scheduler: choose one.")
    elif given or flags.collect:
        raise UsageError("--scheduler, --scheduler-file and --collect go with --engine dask.")


def checked_config(flags: RunFlags) -> RunConfig:
    """Return the settings of a run.

    Raises:
        UsageError: as `check_flags`.
    """
    check_flags(flags)
    return run_config(flags)


def run_config(flags: RunFlags) -> RunConfig:
    """Return the settings of a run."""
    home = os.path.expanduser("~")
    cache_root = thumbnails_root(os.environ, home)
    return RunConfig(
        walk=WalkConfig(
            roots=flags.paths,
            include=flags.include,
            exclude=flags.exclude,
            hidden=flags.hidden,
            follow_symlinks=flags.follow_symlinks,
            one_file_system=flags.one_file_system,
            order=Order(flags.order),
            shard=flags.shard,
            cache_root=cache_root,
        ),
        plan=PlanConfig(
            flavors=flags.flavors,
            force=flags.force,
            missing_only=flags.missing_only,
            retry_failed=flags.retry_failed,
            refit=flags.refit,
            realpath_keys=flags.realpath_keys,
            check=Check(flags.check),
            use_shared=flags.use_shared,
        ),
        work=WorkConfig(
            cache_root=cache_root,
            version=__version__,
            flavors=flags.flavors,
            max_pixels=flags.max_pixels,
            decoder=Decoder(flags.decoder),
            drop_cache=flags.drop_cache,
            missing_only=flags.missing_only,
        ),
        engine=EngineConfig(
            workers=flags.workers or len(os.sched_getaffinity(0)),
            timeout_s=flags.timeout,
            dask=_cluster(flags),
        ),
        engine_name=flags.engine,
        files_from=flags.files_from,
        delimiter=b"\0" if flags.null else b"\n",
        wait=flags.wait,
        journal_path=journal_path(os.environ, home),
        arguments=tuple(sys.argv[1:]),
    )

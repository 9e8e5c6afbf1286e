"""The flags of `pregen run`: their names, help and defaults, and the settings made of them."""

from __future__ import annotations

import difflib
import os
import sys
import tomllib
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from pregen import __version__
from pregen.commandline import (
    Command,
    Option,
    age_s,
    flavors,
    next_time,
    pixels,
    publication,
    raw_bytes,
    shard,
    size_bytes,
)
from pregen.config import (
    CONNECT_TIMEOUT_S,
    DEFAULT_MAX_PIXELS,
    DEFAULT_NODE_TIMEOUT_S,
    DEFAULT_TIMEOUT_S,
    Check,
    DaskConfig,
    Decoder,
    EngineConfig,
    GovernorConfig,
    Order,
    PlanConfig,
    Previews,
    RunConfig,
    Sandbox,
    WalkConfig,
    WorkConfig,
)
from pregen.display.text import printable
from pregen.engines.base import DEFAULT_ENGINE, ENGINES
from pregen.errors import UsageError
from pregen.journal.database import journal_path
from pregen.limits import IDLE_PATIENCE
from pregen.thumbspec.naming import clean_path, thumbnails_root
from pregen.walk import working_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
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


# --- From the flags of `pregen run` to the settings of a run; flags that contradict are refused


#: What a worker takes with a 24 Mpx JPEG (benchmarks/README.md), and about what the run takes.
_WORKER_BYTES = 150_000_000
#: Address space, of which decoders and allocators ask for much more than they touch.
_LEAST_PICTURE_BYTES = 256_000_000


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
    if flags.publish and flags.realpath_keys:
        raise UsageError(
            "--realpath-keys names files by their real path on this machine, --publish as another "
            "machine does: choose one, or run twice."
        )
    if flags.quiet and flags.verbose:
        raise UsageError("--quiet and --verbose contradict each other: choose one.")


def _published(flags: RunFlags) -> tuple[tuple[bytes, str], ...]:
    """Return the published folders as the walk names them.

    Raises:
        UsageError: one is no folder here.
    """
    here = working_directory(os.environ) if flags.publish else b""
    clean = tuple((clean_path(folder, here), prefix) for folder, prefix in flags.publish)
    for folder, _ in clean:
        if not os.path.isdir(folder):
            raise UsageError(
                f"--publish: {printable(os.fsdecode(folder))} is no folder here; write first the "
                "folder of this machine, then its URI elsewhere: /srv/photos=smb://nas/photos"
            )
    return clean


def _workers(flags: RunFlags) -> int:
    number = flags.workers or len(os.sched_getaffinity(0))
    if flags.memory_limit is None:
        return number
    return max(1, min(number, flags.memory_limit // _WORKER_BYTES - 1))


def _memory(flags: RunFlags) -> int | None:
    """Return what is left for big pictures when every process has what it always takes."""
    if flags.memory_limit is None:
        return None
    return max(flags.memory_limit - (_workers(flags) + 1) * _WORKER_BYTES, _LEAST_PICTURE_BYTES)


def _governor(flags: RunFlags) -> GovernorConfig | None:
    config = GovernorConfig(
        max_load=flags.max_load,
        pause_on_battery=flags.pause_on_battery,
        limit=flags.limit,
        max_time_s=flags.max_time,
        until=flags.until,
        min_free_bytes=flags.min_free,
    )
    return None if config == GovernorConfig() else config


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


def user_flags(**overrides: Any) -> RunFlags:
    """Return the user's own settings of a run, by environment and file, but for `overrides`.

    Args:
        overrides: fields of `RunFlags`.

    Raises:
        UsageError: the file makes no sense.
        click.UsageError: a variable makes no sense.
    """
    context = ConfiguredCommand("run", params=[PATHS, *OPTIONS]).make_context("run", [])
    return replace(RunFlags(**context.params), **overrides)


def run_config(flags: RunFlags) -> RunConfig:
    """Return the settings of a run."""
    home = os.path.expanduser("~")
    cache_root = thumbnails_root(os.environ, home)
    if flags.cache is not None:
        cache_root = clean_path(flags.cache, working_directory(os.environ))
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
            publish=_published(flags),
            reuse=flags.reuse,
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
            previews=Previews(flags.previews),
            drop_cache=flags.drop_cache,
            missing_only=flags.missing_only,
        ),
        engine=EngineConfig(
            workers=_workers(flags),
            timeout_s=flags.timeout * (IDLE_PATIENCE if flags.idle else 1),
            memory_bytes=_memory(flags),
            worker_memory_bytes=_memory(flags),
            dask=_cluster(flags),
            sandbox=Sandbox(flags.sandbox),
        ),
        governor=_governor(flags),
        engine_name=flags.engine,
        files_from=flags.files_from,
        delimiter=b"\0" if flags.null else b"\n",
        wait=flags.wait,
        journal_path=journal_path(os.environ, home),
        arguments=tuple(sys.argv[1:]),
    )


# --- The configuration file: `$XDG_CONFIG_HOME/pregen/config.toml`, flat keys named like the
# flags
#
#   * `workers = 4`
#   * `flavors = "normal,large,x-large"`
#   * `exclude = ["*.tif", "scans/**"]`
#   * `no-refit = true`
#
# It gives defaults. The environment comes before it, the command line before both.


#: What a value must be, by the type of the flag; ranges are of their numbers' types.
_KINDS: tuple[tuple[type, str, tuple[type, ...]], ...] = (
    (type(click.BOOL), "true or false", (bool,)),
    (type(click.INT), "a whole number", (int,)),
    (type(click.FLOAT), "a number", (int, float)),
)


_HELP = frozenset({"-h", "--help"})


class ConfiguredCommand(Command):
    """A command whose defaults come from the configuration file."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Read the file, then parse. Help is shown whatever the file says."""
        if not _HELP & set(args):
            extra["default_map"] = load_defaults(config_path(os.environ), self)
        return super().make_context(info_name, args, parent, **extra)


def config_path(environ: Mapping[str, str]) -> str:
    """Return where the configuration file is (XDG Base Directory: a relative path is ignored)."""
    base = environ.get("XDG_CONFIG_HOME", "")
    if not base.startswith("/"):
        base = os.path.expanduser("~/.config")
    return os.path.join(base, "pregen", "config.toml")


def load_defaults(path: str, command: click.Command) -> dict[str, Any]:
    """Return what the file sets for the options of `command`, as a `default_map` of click.

    Raises:
        UsageError: The file cannot be read, is no TOML, or has a key or a value that makes no
            sense; the message names file and key.
    """
    try:
        with open(path, "rb") as file:
            settings = tomllib.load(file)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}.") from error
    options = _options(command)
    defaults = {}
    for key, value in settings.items():
        if key not in options:
            raise UsageError(f"{path}: unknown key `{key}`.{_suggestion(key, options)}")
        option, inverted = options[key]
        try:
            checked = _checked(option, value)
        except ValueError as error:
            raise UsageError(f"{path}: `{key}` {error}") from error
        defaults[str(option.name)] = not checked if inverted else checked
    return defaults


def _options(command: click.Command) -> dict[str, tuple[click.Option, bool]]:
    """Return the options by the names of their flags; True for the name that switches off."""
    found = {}
    for option in command.params:
        if isinstance(option, click.Option) and not option.is_eager:
            for names, inverted in ((option.opts, False), (option.secondary_opts, True)):
                for name in names:
                    if name.startswith("--"):
                        found[name[2:]] = (option, inverted)
    return found


def _suggestion(key: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(key, known, 1)
    return f" Did you mean `{close[0]}`?" if close else " Keys are named like the flags of `run`."


def _checked(option: click.Option, value: object) -> object:
    """Return the value, or its list; ValueError when it is of the wrong type or makes no sense."""
    if option.multiple:
        values = value if isinstance(value, list) else [value]
        return [_checked_one(option, each, "a list of texts") for each in values]
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        value = ",".join(value)
    return _checked_one(option, value, "a text")


def _checked_one(option: click.Option, value: object, text_words: str) -> object:
    words, types = next(
        ((words, types) for kind, words, types in _KINDS if isinstance(option.type, kind)),
        (text_words, (str, int)),
    )
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise ValueError(f"must be {words}, not {value!r}.")
    try:
        option.type.convert(value, option, None)
    except click.BadParameter as error:
        raise ValueError(f"= {value!r}: {error.message}") from error
    return value

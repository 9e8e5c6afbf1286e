"""From the declarations in `config` to click's options, and from what a person sets to a run.

A setting has its value from the command line, else from PREGEN_<NAME>, else from config.toml, else
from its declaration. click looks in this order: the file is its `default_map`.
"""

from __future__ import annotations

import os
from enum import Enum
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

import click

from pregen import __version__
from pregen.argument_types import (
    Number,
    WholeNumber,
    age_s,
    clients,
    flavors_or_auto,
    next_time,
    pixels,
    publication,
    rate_bytes_s,
    raw_bytes,
    shard,
    size_bytes,
)
from pregen.commandline import Option
from pregen.config import (
    CONNECT_TIMEOUT_S,
    HEADINGS,
    DaskConfig,
    EngineConfig,
    GovernorConfig,
    Order,
    OutputConfig,
    PlanConfig,
    PriorityConfig,
    RealPathKeys,
    RunConfig,
    Setting,
    Shard,
    WalkConfig,
    WorkConfig,
    declared,
)
from pregen.display.text import printable, size
from pregen.errors import UsageError
from pregen.model import Flavor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pregen.config import FlavorChoice

    Values = Mapping[str, Any]
    """What is set, by the name of the field that holds it; None: nothing."""

T = TypeVar("T")

PATHS: Final = click.Argument(["paths"], metavar="[PATH]...", type=raw_bytes, nargs=-1)


def all_options() -> list[Option]:
    """Return an option for every setting of a run but --cache, in the order of the help."""
    found = [_option(each) for each in declared() if each.name != "cache"]
    return sorted(found, key=lambda each: HEADINGS.index(each.heading))


def options(*names: str) -> list[Option]:
    """Return the options of some settings, in the order given."""
    return [option(name) for name in names]


def option(name: str, *, short: str = "", **changed: Any) -> Option:
    """Return the option of one setting.

    Args:
        name: as in config.toml.
        short: "-n" for example, besides.
        changed: what this verb says about it: its help, its heading.
    """
    setting = next(each for each in declared() if each.name == name)
    return _option(
        setting._replace(flag=setting.flag._replace(short=short or setting.flag.short)), changed
    )


def _option(setting: Setting, changed: Mapping[str, Any] | None = None) -> Option:
    flag, kind = setting.flag, setting.kind
    default = setting.default if flag.default is ... else flag.default
    names = [f"--{setting.name}/--no-{setting.name}" if flag.negative else f"--{setting.name}"]
    made: dict[str, Any] = {
        "help": flag.help,
        "metavar": flag.metavar,
        "heading": setting.heading,
        "debug": flag.debug,
        "hidden": flag.alias,
        "setting": not flag.action,
    }
    if kind is bool:
        made |= {"is_flag": True, "default": default}
    else:
        many = kind in {tuple[bytes, ...], tuple[tuple[bytes, str], ...]}
        text = None if many or not isinstance(default, _SHOWN) else _text(default, flag.notation)
        made |= {
            "type": _type(setting, kind),
            "multiple": many,
            "default": text,
            "show_default": text is not None,
        }
    return Option(
        [*filter(None, [flag.short]), *names, setting.field], **{**made, **(changed or {})}
    )


#: Defaults that say something: None, "" and () do not.
_SHOWN = (int, float, Enum, tuple, str)
_NOTATIONS: dict[str, Callable[[Any], Any]] = {
    "pixels": pixels,
    "size": size_bytes,
    "rate": rate_bytes_s,
    "time": age_s,
    "clock": next_time,
}
_TYPES: dict[Any, Any] = {
    bytes: raw_bytes,
    tuple[bytes, ...]: raw_bytes,
    tuple[tuple[bytes, str], ...]: publication,
    tuple[Flavor, ...]: flavors_or_auto,
    tuple[str, ...]: clients,
    Shard: shard,
    str: click.STRING,
}


def _type(setting: Setting, kind: Any) -> Any:
    """Return what makes a value of a text, for click."""
    flag = setting.flag
    kind = next(iter(each for each in get_args(kind) if NoneType in get_args(kind)), kind)
    if flag.notation in _NOTATIONS:
        return _NOTATIONS[flag.notation]
    if flag.choices:
        return click.Choice(flag.choices)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _Value(kind)
    if kind is int:
        return WholeNumber(flag.least, flag.most)
    if kind is float:
        least = flag.least if flag.above is None else flag.above
        return Number(least, flag.most, min_open=flag.above is not None)
    return _TYPES[kind]


def _text(default: Any, notation: str) -> Any:
    """Return a default as a person would write it."""
    if isinstance(default, Enum):
        return default.value
    if isinstance(default, tuple):
        return ",".join(each.directory for each in default) or "auto"
    if notation == "pixels":
        return f"{default // 10**6}M"
    return f"{default:g}" if isinstance(default, float) else default


class _Value(click.Choice[str]):
    """A member of an enumeration, by its value."""

    def __init__(self, kind: type[Enum]) -> None:
        super().__init__([each.value for each in kind])
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the member; BadParameter when there is none."""
        if isinstance(value, Enum):
            return value
        return self._kind(super().convert(value, param, ctx))


# From what is set to the settings of a run


#: What a worker takes with a 24 Mpx JPEG (benchmarks/README.md), and about what the run takes.
_WORKER_BYTES = 150_000_000
#: Address space, of which decoders and allocators ask for much more than they touch.
_LEAST_PICTURE_BYTES = 256_000_000


def made(group: type[T], values: Values, **fixed: Any) -> T:
    """Return a config value with what is set, and what is not for a person to set."""
    given = {each.field: values.get(each.field) for each in declared(group)}
    return group(**{name: value for name, value in given.items() if value is not None} | fixed)


def run_config(
    values: Values,
    paths: Iterable[bytes],
    cache_root: bytes,
    journal_path: bytes,
    clean: Callable[[bytes], bytes],
    choose: Callable[[], FlavorChoice],
) -> RunConfig:
    """Return the settings of a run.

    Args:
        values: what is set; what is missing has its default.
        paths: the roots.
        cache_root: the thumbnails directory, absolute.
        journal_path: the journal's file.
        clean: makes paths absolute and clean.
        choose: tells the flavors where none are named.

    Raises:
        UsageError: a published folder is not there.
    """
    plan = made(PlanConfig, values)
    chosen = None if values.get("flavors") else choose()
    flavors = chosen.flavors if chosen else plan.flavors
    plan = _keyed(plan._replace(publish=_published(plan.publish, clean), flavors=flavors))
    governor = made(GovernorConfig, values)
    priority = made(PriorityConfig, values)
    # What there is time for in one night should be what is looked at first.
    newest = values.get("order") is None and governor.max_read_bytes is not None
    order = {"order": Order.NEWEST} if newest else {}
    config = made(
        RunConfig,
        values,
        walk=made(
            WalkConfig,
            values,
            roots=tuple(paths),
            cache_root=cache_root,
            allow_encrypted=tuple(map(clean, values.get("allow_encrypted") or ())),
            **order,
        ),
        plan=plan,
        work=made(
            WorkConfig,
            values,
            cache_root=cache_root,
            version=__version__,
            flavors=plan.flavors,
            missing_only=plan.missing_only,
        ),
        engine=_engine(values, priority),
        governor=None if governor == GovernorConfig() else governor,
        priority=priority,
        chosen=chosen,
        journal_path=journal_path,
    )
    if config.engine_name == "dask":
        config = config._replace(engine=config.engine._replace(dask=_cluster(values)))
    return config


def _published(
    publish: tuple[tuple[bytes, str], ...], clean: Callable[[bytes], bytes]
) -> tuple[tuple[bytes, str], ...]:
    """Return the published folders as the walk names them.

    Raises:
        UsageError: one is not a folder here.
    """
    found = tuple((clean(folder), prefix) for folder, prefix in publish)
    for folder, _ in found:
        if not os.path.isdir(folder):
            raise UsageError(
                f"--publish: {printable(os.fsdecode(folder))} is not a folder here: give the "
                "folder on this machine first, then its URI elsewhere: "
                "/srv/photos=smb://nas/photos"
            )
    return found


def _keyed(plan: PlanConfig) -> PlanConfig:
    """Return the settings with the clients that count; those of another machine are not known."""
    from pregen.entry_keys import AUTO, chosen_clients, clients_here  # noqa: PLC0415 - no --help

    elsewhere = bool(plan.publish)
    looks = AUTO in plan.clients and not elsewhere
    here = clients_here(os.environ, os.path.expanduser("~")) if looks else ()
    real = RealPathKeys.NEVER if elsewhere else plan.realpath_keys
    return plan._replace(clients=chosen_clients(plan.clients, here), realpath_keys=real)


def _engine(values: Values, priority: PriorityConfig) -> EngineConfig:
    from pregen.limits import IDLE_PATIENCE  # noqa: PLC0415 - imports psutil, and --help needs none

    engine = made(EngineConfig, values)
    workers = values.get("workers") or len(os.sched_getaffinity(0))
    memory_bytes = priority.memory_limit_bytes
    if memory_bytes is not None:
        if memory_bytes < _WORKER_BYTES:
            raise UsageError(
                f"--memory-limit {size(memory_bytes)}: one worker alone takes about "
                f"{size(_WORKER_BYTES)}. Allow at least that, for example 2G."
            )
        workers = max(1, min(workers, memory_bytes // _WORKER_BYTES - 1))
        # what is left for big pictures when every process has what it always takes
        memory_bytes = max(memory_bytes - (workers + 1) * _WORKER_BYTES, _LEAST_PICTURE_BYTES)
    return engine._replace(
        workers=workers,
        timeout_s=engine.timeout_s * (IDLE_PATIENCE if priority.idle else 1),
        read_timeout_s=engine.read_timeout_s * (IDLE_PATIENCE if priority.idle else 1),
        memory_bytes=memory_bytes,
        worker_memory_bytes=memory_bytes,
    )


def _cluster(values: Values) -> DaskConfig:
    cluster = made(DaskConfig, values, workers_per_node=values.get("workers"))
    address = cluster.scheduler
    if "://" not in address and ("/" in address or address.endswith(".json")):
        cluster = cluster._replace(scheduler="", scheduler_file=address)
    timeout_s = min(cluster.node_timeout_s, CONNECT_TIMEOUT_S)
    return cluster._replace(connect_timeout_s=timeout_s)


def check(config: RunConfig, values: Values) -> None:
    """Refuse settings that contradict each other.

    Raises:
        UsageError: with what to write instead.
    """
    if not config.walk.roots and config.files_from is None:
        raise UsageError("give the folders or files to process, for example: pregen run ~/Pictures")
    if config.null and config.files_from is None:
        raise UsageError(
            "-0 describes the list of --files-from; give the list too, for example: find "
            "~/Pictures -name '*.jpg' -print0 | pregen run --files-from - -0"
        )
    if config.plan.force and config.plan.missing_only:
        raise UsageError(
            "--force recreates all thumbnails, --missing-only creates missing ones: choose one."
        )
    _check_cluster(config.engine_name, made(DaskConfig, values))
    if config.plan.publish and values.get("realpath_keys") is RealPathKeys.ALWAYS:
        raise UsageError(
            "--realpath-keys always names files by their real path on this machine, --publish as "
            "another machine does: choose one, or run twice."
        )
    check_output(made(OutputConfig, values))


def check_output(output: OutputConfig) -> None:
    """Refuse to be quiet and verbose at once.

    Raises:
        UsageError: both are set.
    """
    if output.quiet and output.verbose:
        raise UsageError("--quiet and --verbose contradict each other: choose one.")


def _check_cluster(engine_name: str, cluster: DaskConfig) -> None:
    given = [name for name in (cluster.scheduler, cluster.scheduler_file) if name]
    if engine_name == "dask":
        if not given:
            raise UsageError(
                "--engine dask needs the address of its scheduler, for example --scheduler "
                "tcp://host:8786, or --scheduler local:2 for a trial on this machine."
            )
        if len(given) > 1:
            raise UsageError("--scheduler and --scheduler-file both name a scheduler: choose one.")
    elif given or cluster.collect:
        raise UsageError("--scheduler and --collect need --engine dask.")


# The configuration file: `$XDG_CONFIG_HOME/pregen/config.toml`, flat keys named like the flags
#
#   * `workers = 4`
#   * `flavors = "normal,large,x-large"`
#   * `exclude = ["*.tif", "scans/**"]`
#   * `no-refit = true`


#: What a value must be, by the type of the flag; ranges are of their numbers' types.
_KINDS: tuple[tuple[type, str, tuple[type, ...]], ...] = (
    (type(click.BOOL), "true or false", (bool,)),
    (type(click.INT), "a whole number", (int,)),
    (type(click.FLOAT), "a number", (int, float)),
)


def config_path(environ: Mapping[str, str]) -> str:
    """Return where the configuration file is (XDG Base Directory: a relative path is ignored)."""
    base = environ.get("XDG_CONFIG_HOME", "")
    if not base.startswith("/"):
        base = os.path.expanduser("~/.config")
    return os.path.join(base, "pregen", "config.toml")


def load_defaults(path: str) -> dict[str, Any]:
    """Return what the file sets, by the name of the field, as a `default_map` of click.

    Raises:
        UsageError: The file cannot be read, is not TOML, or has a key or a value that makes no
            sense; the message names file and key.
    """
    settings = _read(path)
    known = _keys() if settings else {}
    defaults = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            raise UsageError(
                f"{path}: `{key}` is a table. No tables are needed: write `workers = 3` on a "
                "line without one."
            )
        if key not in known:
            raise UsageError(f"{path}: unknown key `{key}`.{_suggestion(key, known)}")
        option, inverted = known[key]
        if not option.envvar:
            raise UsageError(
                f"{path}: `{key}` is not a setting. Delete the key "
                f"and give --{key} on the command line."
            )
        try:
            checked = _checked(option, value)
        except ValueError as error:
            raise UsageError(f"{path}: `{key}` {error}") from error
        defaults[str(option.name)] = not checked if inverted else checked
    return defaults


def _read(path: str) -> dict[str, Any]:
    """Return what the file holds; nothing where there is none. Raises UsageError."""
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below; most people have none
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    import tomllib  # noqa: PLC0415 - seldom needed

    try:
        with file:
            return tomllib.load(file)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text. Save it in that encoding.") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}.") from error


def _keys() -> dict[str, tuple[Option, bool]]:
    """Return the options by the names of their flags; True for the name that switches off."""
    return {
        name.removeprefix("--"): (each, inverted)
        for each in map(_option, declared())
        for names, inverted in ((each.opts, False), (each.secondary_opts, True))
        for name in names
        if name.startswith("--")
    }


def _suggestion(key: str, known: Iterable[str]) -> str:
    import difflib  # noqa: PLC0415 - seldom needed

    close = difflib.get_close_matches(key, known, 1)
    return f" Did you mean `{close[0]}`?" if close else " Keys are named like the flags of `run`."


def _checked(option: click.Option, value: object) -> object:
    """Return the value, or its list; ValueError when it is of the wrong type or makes no sense."""
    if option.multiple:
        values = value if isinstance(value, list) else [value]
        return [_checked_one(option, each, "a list of strings") for each in values]
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
    if words is text_words:
        value = str(value)
    try:
        option.type.convert(value, option, None)
    except click.BadParameter as error:
        raise ValueError(f"= {value!r}: {error.message}") from error
    return value

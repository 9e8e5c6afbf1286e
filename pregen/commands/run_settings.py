"""From the flags of `pregen run` to the settings of a run; flags that contradict are refused."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from pregen import __version__
from pregen.config import (
    CONNECT_TIMEOUT_S,
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
from pregen.errors import UsageError
from pregen.governor.manners import IDLE_PATIENCE
from pregen.journal.place import journal_path
from pregen.progress.text import printable
from pregen.thumbspec.naming import clean_path, thumbnails_root
from pregen.walk import working_directory

if TYPE_CHECKING:
    from pregen.commands.options import RunFlags

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

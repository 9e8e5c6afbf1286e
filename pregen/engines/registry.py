"""The engines by name. Each is imported only when it is asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from pregen.errors import MissingLibraryError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pregen.config import EngineConfig, WorkConfig
    from pregen.engines.base import Engine, Store, WorkFactory


class Entry(NamedTuple):
    """Where an engine is, and what has to be installed for it."""

    module: str
    maker: str
    extra: str = ""
    """The extra's name, as in `pip install pregen[dask]`; empty when nothing more is needed."""
    collects: bool = False
    """It can send entries back, and takes a `Store` for them."""


ENGINES: Final[dict[str, Entry]] = {
    "dask": Entry("pregen.engines.dask.engine", "DaskEngine", "dask", collects=True),
    "local": Entry("pregen.engines.local.engine", "LocalEngine"),
    "serial": Entry("pregen.engines.serial", "SerialEngine"),
}
DEFAULT_ENGINE: Final = "local"


def make_engine(
    name: str,
    work_factory: WorkFactory,
    work_config: WorkConfig,
    config: EngineConfig,
    preload: Sequence[str] = (),
    store: Store | None = None,
) -> Engine:
    """Return a new engine for one run.

    Args:
        name: a key of `ENGINES`.
        work_factory: makes the work function; a module-level function.
        work_config: handed to `work_factory`.
        config: how many workers, and their limits.
        preload: modules worth importing once for all workers.
        store: commits what engines send back that work on machines without this cache.

    Raises:
        UsageError: there is no engine of that name.
        MissingLibraryError: a library it needs is not installed.
    """
    entry = ENGINES.get(name)
    if entry is None:
        known = ", ".join(sorted(ENGINES))
        raise UsageError(f"There is no engine called {name!r}. Choose one of: {known}.")
    try:
        maker = getattr(importlib.import_module(entry.module), entry.maker)
    except ModuleNotFoundError as error:
        missing = error.name or "a library"
        if not entry.extra or missing.partition(".")[0] == "pregen":
            raise
        from pregen.installation import install_command  # noqa: PLC0415 - seldom needed

        raise MissingLibraryError(
            f"The engine {name!r} needs {missing}, which is not installed. "
            f"Get it with: {install_command([entry.extra])}"
        ) from error
    more = {"store": store} if entry.collects else {}
    return cast("Engine", maker(work_factory, work_config, config, preload, **more))

"""The work of a real run, named without being imported: the parent of workers has no use for it.

The picture libraries take a quarter of a second and 60 MB, which a run that finds everything fresh
should not pay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pregen.errors import MissingLibraryError

if TYPE_CHECKING:
    from pregen.config import WorkConfig
    from pregen.engines.base import Work

#: What `make_work` imports.
WORK_MODULE = "pregen.work"


def make_work(config: WorkConfig) -> Work:
    """Return the function that does jobs (an `engines.base.WorkFactory`).

    Raises:
        MissingLibraryError: a picture library is not installed.
    """
    try:
        from pregen.work import make_worker  # noqa: PLC0415 - see the module
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "pregen":
            raise
        raise MissingLibraryError(
            f"The library {error.name} is not installed. Install pregen with all it needs: "
            "pip install pregen"
        ) from error
    return make_worker(config)

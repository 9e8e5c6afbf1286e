"""Sets the picture libraries up for a worker: one thread, no cache, no surprises.

Import `pyvips` from here, never directly: the environment must be set before libvips starts.
"""

from __future__ import annotations

import os
import warnings

# One libvips thread per worker: the workers are the parallelism. libvips reads this once.
os.environ["VIPS_CONCURRENCY"] = "1"
# BLAS threads would be started by importing numpy and never be used.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# libvips keeps its warnings to itself when this is set; a worker's screen is not its own.
os.environ.setdefault("VIPS_WARNING", "0")

import pyvips

__all__ = ["pyvips", "quiet"]

# Every source is opened once: a cache of operations would only hold memory, and keep benchmarks
# from telling the truth.
pyvips.cache_set_max(0)


def quiet() -> None:
    """Keep the libraries from writing to the terminal: outcomes carry all that matters."""
    # pyvips has every message of libvips formatted and logged, debugging ones included: 0.4 ms for
    # each picture, a ninth of all that is done to it besides decoding. There is no public switch.
    remove_log_handler = getattr(pyvips, "_remove_log_handler", None)
    if remove_log_handler is not None:
        remove_log_handler()
    # Pillow warns of what its caller could have checked; decoders check it themselves.
    warnings.filterwarnings("ignore", module=r"PIL\..*")

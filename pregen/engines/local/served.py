"""Imported first by the fork server: what is true of it, and not of the workers forked from it.

While it imports there is next to no garbage to look for, and looking takes a sixth of the time. A
worker has it looked for again, but never in what it shares with the server: each page of that
would be written to, and so be copied.
"""

from __future__ import annotations

import gc
from importlib import import_module

gc.disable()

# What each worker would import and find out by itself, all alike.
import_module("multiprocessing.popen_forkserver")
import_module("pregen.sandbox.confinement").late_reads()

"""Describes the machine and the versions, without names or paths that identify a place."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

import psutil

from benchmarks.harness.programs import PEERS, ROOT, Setting, output_of


def describe(setting: Setting) -> dict[str, Any]:
    """What a reader must know to judge the numbers."""
    code = "import pyvips; print('.'.join(str(pyvips.version(i)) for i in range(3)))"
    os_release = platform.freedesktop_os_release()
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": platform.release().partition("-")[0],
        "system": os_release.get("PRETTY_NAME", ""),
        "file_system": _file_system(setting.work),
        "python": platform.python_version(),
        "libvips": output_of(setting.pregen_python, "-c", code),
        "commit": output_of("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        "versions": {
            name: peer.version(setting) for name, peer in PEERS.items() if not peer.missing(setting)
        },
        "missing": {name: why for name, peer in PEERS.items() if (why := peer.missing(setting))},
    }


def cpu_model() -> str:
    """The processor's name as the kernel tells it."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        key, _colon, value = line.partition(":")
        if key.strip() in {"model name", "Model"}:
            return value.strip()
    return platform.machine()


def slug() -> str:
    """A folder name for this kind of machine: processor and cores, never the host's name."""
    model = re.sub(r"\((?:R|TM)\)|\b(?:CPU|Processor)\b|@.*", "", cpu_model(), flags=re.IGNORECASE)
    words = re.findall(r"[a-z0-9]+", model.lower())
    return "-".join([*words, f"{len(os.sched_getaffinity(0))}cores"])


def anonymous(text: str, setting: Setting) -> str:
    """The text with this machine's folders replaced by what they stand for."""
    names = {
        setting.before_python: "$BEFORE",
        setting.pregen_python: "python",
        str(setting.work): "$WORK",
        str(ROOT): ".",
        str(Path.home()): "~",
    }
    for folder, name in names.items():
        text = text.replace(folder, name) if folder else text
    return text


def _file_system(path: Path) -> str:
    """Type of the file system that holds `path`."""
    mounts = psutil.disk_partitions(all=True)
    holding = [m for m in mounts if path.resolve().is_relative_to(m.mountpoint)]
    return max(holding, key=lambda m: len(m.mountpoint)).fstype if holding else ""

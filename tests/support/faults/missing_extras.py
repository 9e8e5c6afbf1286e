"""pregen as it is where extras are not installed, in real processes: workers as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

#: The module that each extra brings.
MODULES = {
    "heic": "pillow_heif",
    "raw": "rawpy",
    "video": "av",
    "pdf": "pypdfium2",
    "jxl": "pylibjxl",
}

_SITECUSTOMIZE = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
        return None

sys.meta_path.insert(0, Absent())
"""


def without(folder: Path, extras: Iterable[str] = tuple(MODULES)) -> dict[str, str]:
    """Return an environment in which the libraries of these extras cannot be imported.

    Python imports `sitecustomize` in every process it starts, so fork server and workers obey, too.
    """
    place = folder / "absent"
    place.mkdir(exist_ok=True)
    names = {MODULES[extra] for extra in extras}
    (place / "sitecustomize.py").write_text(_SITECUSTOMIZE.format(names=names))
    return {"PYTHONPATH": str(place)}

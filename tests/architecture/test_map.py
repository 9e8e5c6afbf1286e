"""The layout and the code map of ARCHITECTURE.md are what is on disk."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PRODUCT = Path(__file__).resolve().parents[2] / "pregen"
TEXT = (PRODUCT / "ARCHITECTURE.md").read_text()
#: What Python itself asks for.
UNSAID = {"__init__", "__main__"}


def on_disk(folder: str) -> set[str]:
    """Return the modules and packages in a folder of the product, without their endings."""
    here = PRODUCT / folder
    packages = {path.parent.name for path in here.glob("*/__init__.py")}
    return packages | {path.stem for path in here.glob("*.py")} - UNSAID


def drawn(text: str) -> Iterator[str]:
    """Yield the paths that the layout draws, below `pregen/`; folders end in a slash.

    A line has names, separated by commas, and behind two spaces what they are.
    """
    block = text.partition("\n## Layout\n")[2].split("```")[1]
    folders = {0: ""}
    for line in block.strip("\n").splitlines()[1:]:
        indent = len(line) - len(line.lstrip())
        parent = folders[max(column for column in folders if column < indent)]
        for name in re.split(r" {2,}", line.strip())[0].split(", "):
            yield parent + name
            if name.endswith("/"):
                folders = {column: path for column, path in folders.items() if column < indent}
                folders[indent] = parent + name


def mapped(text: str) -> Iterator[str]:
    """Yield the names in the first column of the code map, as paths below `pregen/`."""
    table = text.partition("\n## Code map")[2].partition("\n|")[2].partition("\n\n")[0]
    for row in table.splitlines():
        for name in re.findall(r"`([^`]+)`", row.removeprefix("|").partition("|")[0]):
            yield name.replace(".", "/")


def is_there(path: str) -> bool:
    """Tell whether a path names a folder, a file, or a module without its ending."""
    place = PRODUCT / path
    return place.is_dir() if path.endswith("/") else place.exists() or is_module(path)


def is_module(path: str) -> bool:
    return (PRODUCT / f"{path}.py").is_file()


def faults(text: str) -> list[str]:
    """Return what the text draws or maps and is not there, and what is there and is not named."""
    layout, table = list(drawn(text)), list(mapped(text))
    wrong = [f"there is no {path}" for path in (*layout, *table) if not is_there(path)]
    shown = {path.rstrip("/").removesuffix(".py") for path in layout}
    wrong += [f"not in the layout: {name}" for name in sorted(on_disk("") - shown)]
    verbs = {f"verbs/{name}" for name in on_disk("verbs")}
    wrong += [f"not in the layout: {name}" for name in sorted(verbs - shown)]
    return wrong + [f"not in the code map: {name}" for name in sorted(on_disk("") - {*table})]


def test_the_layout_and_the_code_map_are_what_is_on_disk() -> None:
    assert faults(TEXT) == []


def test_what_is_not_as_told_is_found() -> None:
    assert faults(TEXT.replace("\n  plan.py ", "\n  plot.py ")) == [
        "there is no plot.py",
        "not in the layout: plan",
    ]
    assert faults(TEXT.replace("clean/, verify/", "clean/, verified/")) == [
        "there is no verbs/verified/",
        "not in the layout: verbs/verify",
    ]
    assert faults(TEXT.replace("\n| `plan` |", "\n| `plans` |")) == [
        "there is no plans",
        "not in the code map: plan",
    ]

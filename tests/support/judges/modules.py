"""What a package's modules import and define, read from their syntax: nothing is imported."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def modules(package: Path) -> dict[str, Path]:
    """Return the file of every module, by its dotted name; a package is its `__init__`."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        if parts[-1] == "__init__":
            parts.pop()
        found[".".join(parts)] = path
    return found


def imports(package: Path) -> dict[str, set[str]]:
    """Return which other modules of the package each module imports, anywhere in it.

    Also within functions and for type checkers only. An import of `a.b.c` is one of `a.b`, too,
    unless the importer lies within that. The outermost package is left out.
    """
    files = modules(package)
    graph: dict[str, set[str]] = {}
    for name, path in files.items():
        wanted: set[str] = set()
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                wanted.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{path}: relative import"
                wanted.update(f"{node.module}.{alias.name}" for alias in node.names)
        reached = {part for target in wanted for part in _and_above(target)}
        graph[name] = {
            target
            for target in reached & files.keys()
            if target not in {name, package.name} and not name.startswith(f"{target}.")
        }
    del graph[package.name]
    return graph


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Return the modules of a circle of imports, empty when there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        members: list[str] = error.args[1]
        return members
    return []


def classes(package: Path) -> Iterator[tuple[str, str]]:
    """Yield the name of every class, and its module."""
    for name, path in modules(package).items():
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ClassDef):
                yield node.name, name


def _and_above(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]

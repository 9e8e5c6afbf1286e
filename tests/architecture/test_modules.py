"""How the modules of the product hang together."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from pregen.cli import program
from tests.support.judges.modules import circle, classes, imports, modules

if TYPE_CHECKING:
    from collections.abc import Iterable

PRODUCT = Path(__file__).resolve().parents[2] / "pregen"


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle(imports(PRODUCT)) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("from pkg import b", "from pkg.a import A"),
        ("import pkg.b", "def lazy():\n    from pkg.a import A"),
        ("from pkg.b import B", "if TYPE_CHECKING:\n    import pkg.a"),
        ("from pkg.sub.c import C", ""),
    ],
)
def test_a_circle_is_found_wherever_the_import_stands(
    first: str, second: str, tmp_path: Path
) -> None:
    package = tmp_path / "pkg"
    (package / "sub").mkdir(parents=True)
    for name, text in {
        "__init__": "from pkg import a, b",
        "a": first,
        "b": second,
        "sub/__init__": "from pkg import a",
        "sub/c": "from pkg import sub",
    }.items():
        (package / f"{name}.py").write_text(text)
    assert "pkg.a" in circle(imports(package))
    (package / "a.py").write_text("")
    assert circle(imports(package)) == []


def namesakes(package: Path) -> dict[str, set[str]]:
    """Return the modules of each class whose name stands for another one, too."""
    homes: defaultdict[str, list[str]] = defaultdict(list)
    for name, module in classes(package):
        homes[name].append(module)
    return {name: set(places) for name, places in homes.items() if len(places) > 1}


def test_no_two_classes_have_the_same_name() -> None:
    assert namesakes(PRODUCT) == {}


def test_two_classes_of_one_name_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("class Facts: ...\nclass Run: ...\n")
    (tmp_path / "b.py").write_text("def f():\n    class Facts: ...\n")
    assert namesakes(tmp_path) == {"Facts": {f"{tmp_path.name}.{name}" for name in "ab"}}


def homeless(places: Iterable[str]) -> list[str]:
    """Return the modules that are not the room of a verb."""
    room = re.compile(r"pregen\.verbs\.\w+(\.command)?")
    known = modules(PRODUCT).keys()
    return [place for place in places if place not in known or not room.fullmatch(place)]


def test_every_verb_is_a_module_of_its_own_or_the_command_of_a_folder() -> None:
    ctx = click.Context(program)
    places = []
    for verb in program.list_commands(ctx):
        command = program.get_command(ctx, verb)
        assert command is not None
        assert command.callback is not None
        places.append(command.callback.__module__)
    assert homeless(places) == []
    assert homeless(["pregen.verbs.clean.cleaner", "pregen.verbs.polish"]) != []

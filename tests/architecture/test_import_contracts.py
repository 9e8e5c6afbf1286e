"""The import contracts of pyproject.toml name every module that breaks them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.judges.modules import modules

ROOT = Path(__file__).resolve().parents[2]
LINT = (Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache")
PICTURES = "PIL"
SCREEN = ("rich", "click")
#: As in the contracts, and here again so that those are not widened unseen.
MAY_KNOW_PICTURES = re.compile(r"pregen\.imaging\..+")
MAY_KNOW_THE_SCREEN = re.compile(
    r"pregen\.(argument_types|cli|commandline|options|session|display\..+|verbs\.\w+(\.command)?)"
)

pytestmark = [
    pytest.mark.skipif(not LINT[0].exists(), reason="import-linter is not installed"),
    pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="not a checkout"),
]


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """Return the (module, library) that are named where every module imports every library."""
    copy = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "pregen", copy / "pregen")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for path in modules(copy / "pregen").values():
        with path.open("a") as file:
            file.write("\nimport PIL, rich, click\n")
    done = subprocess.run(LINT, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done
    return set(re.findall(r"^- +(\S+) -> (\w+) \(l\.\d+\)$", done.stdout, re.MULTILINE))


@pytest.mark.parametrize(
    ("library", "allowed"),
    [(PICTURES, MAY_KNOW_PICTURES), *((library, MAY_KNOW_THE_SCREEN) for library in SCREEN)],
)
def test_every_module_that_imports_a_library_it_may_not_is_named(
    library: str, allowed: re.Pattern[str], named: set[tuple[str, str]]
) -> None:
    wrong = {name for name in modules(ROOT / "pregen") if not allowed.fullmatch(name)}
    assert {name for name, imported in named if imported == library} == wrong

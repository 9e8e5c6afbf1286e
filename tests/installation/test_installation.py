"""The one command that adds an extra, for every way in which pregen can be installed."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pregen.installation import Installation, Manager, command, compile_command, look

LIBRARIES = {"heic": ("pillow-heif>=1.1",), "raw": ("rawpy>=0.25",), "pdf": ("pypdfium2>=4.30",)}
PYTHON = "/home/ann/.venvs/photos/bin/python"
PLAIN = Installation(Manager.PIP, PYTHON, "photos", requirements=LIBRARIES)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (PLAIN, f"{PYTHON} -P -m pip install 'pregen[heic,raw]'"),
        (
            PLAIN._replace(manager=Manager.PIP_USER),
            f"{PYTHON} -P -m pip install --user 'pregen[heic,raw]'",
        ),
        (
            PLAIN._replace(manager=Manager.UV),
            f"uv pip install --python {PYTHON} 'pregen[heic,raw]'",
        ),
        (
            PLAIN._replace(manager=Manager.CHECKOUT, python="/home/ann/my pregen/.venv/bin/python"),
            "'/home/ann/my pregen/scripts/pregen' --with heic,raw",
        ),
        (
            PLAIN._replace(manager=Manager.UV_TOOL, present=("pdf", "raw")),
            "uv tool install 'pregen[heic,pdf,raw]'",
        ),
        (
            PLAIN._replace(manager=Manager.PIPX, environment="pregen-2"),
            "pipx inject pregen-2 'pillow-heif>=1.1' 'rawpy>=0.25'",
        ),
        (
            PLAIN._replace(origin="git+https://example.org/pregen@abc"),
            f"{PYTHON} -P -m pip install 'pregen[heic,raw] @ git+https://example.org/pregen@abc'",
        ),
        (
            PLAIN._replace(origin="/gone/pregen"),
            f"{PYTHON} -P -m pip install 'pillow-heif>=1.1' 'rawpy>=0.25'",
        ),
        (
            PLAIN._replace(origin="file:///gone/a%20wheel.whl", manager=Manager.UV_TOOL),
            f"uv pip install --python {PYTHON} 'pillow-heif>=1.1' 'rawpy>=0.25'",
        ),
        (
            PLAIN._replace(origin=Path(__file__).as_uri()),
            f"{PYTHON} -P -m pip install 'pregen[heic,raw] @ {Path(__file__).as_uri()}'",
        ),
    ],
)
def test_the_command_fits_the_installation(found: Installation, wanted: str) -> None:
    assert command(found, ["raw", "heic", "raw"]) == wanted


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (PLAIN, f"{PYTHON} -P -m pip install --force-reinstall --no-deps pregen"),
        (
            PLAIN._replace(origin="/src/pregen", editable=True),
            f"{PYTHON} -P -m pip install --force-reinstall --no-deps --editable /src/pregen",
        ),
        (
            PLAIN._replace(manager=Manager.CHECKOUT, python="/home/ann/p q/.venv/bin/python"),
            "rm -rf '/home/ann/p q/.venv' && '/home/ann/p q/scripts/pregen' --version",
        ),
        (
            PLAIN._replace(manager=Manager.UV_TOOL, present=("pdf",)),
            "uv tool install --reinstall 'pregen[pdf]'",
        ),
        (PLAIN._replace(manager=Manager.PIPX, environment="pregen"), "pipx reinstall pregen"),
    ],
)
def test_what_was_not_compiled_is_installed_again(found: Installation, wanted: str) -> None:
    assert compile_command(found) == wanted


def test_a_folder_is_named_with_its_extras_and_quoted(tmp_path: Path) -> None:
    folder = tmp_path / "my pregen"
    folder.mkdir()
    found = PLAIN._replace(origin=str(folder), editable=True, manager=Manager.UV)
    words = shlex.split(command(found, ["heic"]))
    assert words[-2:] == ["--editable", f"{folder}[heic]"]


def environment(tmp_path: Path, *names: str, pip: bool = False) -> Path:
    """Make an environment that finds this checkout; return its Python."""
    place = tmp_path / "environment"
    options = [] if pip else ["--without-pip"]
    subprocess.run([sys.executable, "-m", "venv", *options, place], check=True)
    for name in names:
        (place / name).touch()
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    site = place / "lib" / version / "site-packages"
    (site / "pregen.pth").write_text(f"{Path(__file__).parents[2]}\n")
    facts = site / "pregen-9.9.dist-info"
    facts.mkdir()
    lines = ["Metadata-Version: 2.4", "Name: pregen", "Version: 9.9"]
    lines += [f"Requires-Dist: {one[0]}; extra == '{extra}'" for extra, one in LIBRARIES.items()]
    (facts / "METADATA").write_text("\n".join([*lines, "", ""]))
    return place / "bin" / "python"


ASK = "from pregen.installation import install_command; print(install_command(['heic']))"


def asked(python: Path) -> str:
    done = subprocess.run([python, "-c", ASK], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("mark", "wanted"),
    [
        ("", "uv pip install --python {python} 'pregen[heic]'"),
        ("uv-receipt.toml", "uv tool install 'pregen[heic]'"),
        ("pipx_metadata.json", "pipx inject environment 'pillow-heif>=1.1'"),
    ],
)
def test_a_real_environment_is_known_by_what_lies_in_it(
    mark: str, wanted: str, tmp_path: Path
) -> None:
    python = environment(tmp_path, *([mark] if mark else []))
    assert asked(python) == wanted.format(python=python)


def test_an_environment_with_pip_is_told_to_use_it(tmp_path: Path) -> None:
    python = environment(tmp_path)
    (python.parents[1] / "lib" / python.resolve().name).mkdir(exist_ok=True)
    site = next((python.parents[1] / "lib").glob("python*/site-packages"))
    (site / "pip").mkdir()
    (site / "pip" / "__init__.py").touch()
    assert asked(python) == f"{python} -P -m pip install 'pregen[heic]'"


def test_where_it_came_from_is_read_from_its_own_record(tmp_path: Path) -> None:
    python = environment(tmp_path)
    facts = next((python.parents[1] / "lib").glob("python*/site-packages/*.dist-info"))
    folder = tmp_path / "a folder"
    folder.mkdir()
    url = f"file://{str(folder).replace(' ', '%20')}"
    (facts / "direct_url.json").write_text(f'{{"url": "{url}", "dir_info": {{"editable": true}}}}')
    assert asked(python).endswith(f"--editable '{folder}[heic]'")


def test_this_installation_is_found() -> None:
    found = look()
    assert found.python == sys.executable
    assert found.requirements["heic"]
    assert Path(found.origin) == Path(__file__).parents[2]

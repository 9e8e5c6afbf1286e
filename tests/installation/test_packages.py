"""The packages: what is in them, and that one runs where there is no compiler."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="not a checkout")
#: An ELF file's machine (ELF-64, e_machine at 18).
_AARCH64 = 0xB7


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of what is tracked, as a fresh clone has it."""
    copy = tmp_path_factory.mktemp("sources")
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")
    for name in filter(None, listed):
        if name.startswith(("pregen/", "man/")) or "/" not in name:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    return copy


def built(sources: Path, kind: str, to: Path, **variables: str) -> Path:
    """Build by setuptools itself, which the suite's environment has; return the file."""
    hook = f"from setuptools import build_meta; build_meta.build_{kind}({str(to)!r})"
    for scratch in ("build", "pregen.egg-info"):
        shutil.rmtree(sources / scratch, ignore_errors=True)
    done = subprocess.run(
        [sys.executable, "-c", hook],
        cwd=sources,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done
    (file,) = to.iterdir()
    return file


@pytest.fixture(scope="module")
def wheel(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("setuptools")
    return built(sources, "wheel", tmp_path_factory.mktemp("wheel"))


#: What is written in C.
COMPILED = {
    f"pregen/{name}.abi3.so" for name in ("imaging/_compiled", "reuse/_batch", "walk/_unchanged")
}


@needs(Capability.COMPILED)
def test_one_wheel_is_for_every_python_and_holds_no_sources_of_c(wheel: Path) -> None:
    assert "-cp311-abi3-" in wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    assert set(names) >= COMPILED
    assert not [name for name in names if name.endswith((".c", ".h", "ARCHITECTURE.md"))]
    for wanted in ("share/man/man1/pregen.1", "pregen/verbs/desktop/data/pregen.service"):
        assert [name for name in names if name.endswith(wanted)], wanted


@needs(Capability.COMPILED)
def test_a_wheel_has_the_fast_decoder_where_there_is_no_compiler(
    wheel: Path, tmp_path: Path
) -> None:
    place = tmp_path / "environment"
    venv.create(place, with_pip=False)
    (packages,) = (place / "lib").glob("python*/site-packages")
    shutil.unpack_archive(wheel, packages, "zip")
    # The libraries of the suite; pregen itself must come from the wheel.
    here = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "libraries.pth").write_text("\n".join(here))
    env = {"PATH": "/nonexistent", "HOME": str(tmp_path)}
    program = [str(place / "bin" / "python"), "-P", "-m", "pregen"]
    look = "import pregen; print(pregen.__file__)"
    asked = subprocess.run([program[0], "-P", "-c", look], env=env, capture_output=True, check=True)
    assert str(packages).encode() in asked.stdout
    done = subprocess.run(
        [*program, "formats"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done
    assert re.search(r"^ +jpeg +pregen ", done.stdout, re.MULTILINE)
    assert "was not compiled" not in done.stdout


def environment_of_pip(wheel: Path, place: Path) -> Path:
    """Return `pregen` in a venv with the suite's libraries, but for one extra's."""
    venv.create(place, with_pip=True)
    (packages,) = (place / "lib").glob("python*/site-packages")
    for path in filter(lambda path: path.endswith("site-packages"), sys.path):
        for library in Path(path).iterdir():
            is_left_out = re.match(r"pregen|__editable|pip\b|prometheus|.*\.pth$", library.name)
            if not is_left_out and not (packages / library.name).exists():
                (packages / library.name).symlink_to(library)
    pip = ["-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([place / "bin" / "python", *pip, wheel], check=True)
    return place / "bin" / "pregen"


def tool_of_uv(wheel: Path, place: Path) -> Path:
    """Return `pregen` as uv installs it for a user; skips where no package index is reached."""
    pytest.importorskip("uv")
    done = subprocess.run(
        ["uv", "tool", "install", "--quiet", "--python", sys.executable, wheel],
        env=account(place),
        capture_output=True,
        text=True,
        check=False,
    )
    if "Failed to fetch" in done.stderr:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done
    return place / "bin" / "pregen"


def account(place: Path) -> dict[str, str]:
    """Return the environment of a user whose tools lie in `place`; uv is on PATH."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "UV_TOOL_DIR": str(place / "tools"),
        "UV_TOOL_BIN_DIR": str(place / "bin"),
        "XDG_CACHE_HOME": str(place / "cache"),
        "XDG_STATE_HOME": str(place / "state"),
        "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv")),
    }


@pytest.mark.parametrize("installed", [environment_of_pip, tool_of_uv])
def test_the_command_that_is_printed_adds_an_extra(
    installed: Callable[[Path, Path], Path], wheel: Path, tmp_path: Path
) -> None:
    place = tmp_path / "a place"
    program = installed(wheel, place)
    pictures, metrics = tmp_path / "pictures", tmp_path / "metrics.prom"
    pictures.mkdir()
    asked: list[str | Path] = [program, "run", pictures, "--metrics-file", metrics]

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            asked, env=account(place), capture_output=True, text=True, check=False
        )

    command = run().stderr.partition("Install it with: ")[2]
    assert "pregen[metrics] @ file://" in command
    pasted = subprocess.run(  # noqa: S602 - as it is pasted
        command,
        shell=True,
        env=account(place),
        capture_output=True,
        text=True,
        check=False,
    )
    if re.search("No matching distribution|Failed to fetch", pasted.stderr):
        pytest.skip("no package index can be reached")
    assert pasted.returncode == 0, pasted
    done = run()
    assert (done.returncode, metrics.exists()) == (0, True), done


def test_the_source_archive_has_all_that_is_compiled(sources: Path, tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    archive = built(sources, "sdist", tmp_path)
    with tarfile.open(archive) as members:
        names = {name.partition("/")[2] for name in members.getnames()}
    wanted = {str(path.relative_to(sources)) for path in sources.rglob("*.[ch]")}
    assert wanted
    assert wanted <= names


@needs(Capability.OLDER_GCC)
def test_an_older_compiler_takes_all_of_it() -> None:
    """Ubuntu 22.04 and Red Hat 9 have GCC 11, the image of manylinux2014 has 10."""
    sources = [str(path) for path in (ROOT / "pregen").rglob("*.c")]
    assert sources
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    headers = sysconfig.get_paths()["include"]
    subprocess.run(["gcc-11", *flags, f"-I{headers}", *sources], check=True)


@needs(Capability.AARCH64)
def test_a_wheel_for_aarch64_is_built(sources: Path, tmp_path: Path) -> None:
    """What runs in it under QEMU is tested with the C code itself (tests/imaging)."""
    pytest.importorskip("setuptools")
    compiler = "aarch64-linux-gnu-gcc"
    file = built(
        sources,
        "wheel",
        tmp_path,
        CC=compiler,
        LDSHARED=f"{compiler} -shared",
        _PYTHON_HOST_PLATFORM="linux-aarch64",
    )
    assert file.name.endswith("-cp311-abi3-linux_aarch64.whl")
    with zipfile.ZipFile(file) as content:
        for name in COMPILED:
            assert int.from_bytes(content.read(name)[18:20], "little") == _AARCH64

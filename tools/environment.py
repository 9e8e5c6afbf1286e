"""Makes the project's environment, .venv, and prints the path of its interpreter.

    scripts/env run|test|check

Any Python runs it as a file, before there is an environment; it needs nothing but Python 3.11 and a
package index. Uses uv when it is there, venv + pip when it is not. Done work is remembered by a
stamp of pyproject.toml and uv.lock, so that a second call costs a few milliseconds.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
#: Each level holds the ones before it.
GROUPS = {"run": None, "test": "test", "check": "lint"}
#: A photo library holds more than JPEGs, and the suite tests everything.
EXTRAS = {"run": "decoders", "test": "all", "check": "all"}


def stamp() -> str:
    """A name for what should be installed: it changes when the project's wishes change."""
    digest = hashlib.sha256(sys.version.encode())
    sources = sorted((ROOT / "pregen").rglob("*.[ch]"))
    for path in (ROOT / "pyproject.toml", ROOT / "uv.lock", *sources):
        digest.update(path.read_bytes() if path.exists() else b"-")
    return digest.hexdigest()


def group_requirements(group: str) -> list[str]:
    """The requirements of a dependency group, with the groups it includes."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    found: list[str] = []
    for item in groups[group]:
        found += group_requirements(item["include-group"]) if isinstance(item, dict) else [item]
    return found


def with_uv(uv: str, level: str) -> None:
    """Install what uv.lock says, to the letter."""
    group = GROUPS[level]
    command = [uv, "sync", "--frozen", "--quiet", "--no-default-groups", "--extra", EXTRAS[level]]
    # As pip does. Without it Dask alone takes 0.5 s longer to import wherever Python may not write
    # bytecode itself, and at the first time elsewhere.
    command += ["--compile-bytecode"]
    command += ["--group", group] if group else []
    environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(VENV), "UV_PYTHON": sys.executable}
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr, env=environment)


def with_pip(level: str) -> None:
    """Install with what Python brings; newest versions that pyproject.toml allows."""
    # -I, which they hand on to what they start: `-m` alone takes modules from the current folder,
    # which may hold anybody's files.
    if not PYTHON.exists():
        command = [sys.executable, "-I", "-m", "venv", str(VENV)]
        subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
    # An environment that uv made has no pip.
    command = [str(PYTHON), "-I", "-m", "ensurepip"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    group = GROUPS[level]
    wanted = ["--editable", f"{ROOT}[{EXTRAS[level]}]"]
    wanted += group_requirements(group) if group else []
    command = [str(PYTHON), "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # A path instead of an import hook, which costs every process 10 ms.
    command += ["--config-settings", "editable_mode=compat"]
    subprocess.run([*command, *wanted], cwd=ROOT, check=True, stdout=sys.stderr)


def compile_bytecode() -> None:
    """Compile pregen itself: where Python may not write bytecode, each process would do it anew."""
    command = [str(PYTHON), "-I", "-m", "compileall", "-q", str(ROOT / "pregen")]
    subprocess.run(command, check=False, stdout=sys.stderr)


def install(level: str) -> None:
    """Install with uv if it is there and works, else with pip."""
    uv = shutil.which("uv")
    try:
        if uv and (ROOT / "uv.lock").exists():
            try:
                with_uv(uv, level)
                return compile_bytecode()
            except subprocess.CalledProcessError:
                print("uv could not do it (see above); trying pip ...", file=sys.stderr)
        with_pip(level)
        compile_bytecode()
    except subprocess.CalledProcessError as error:
        sys.exit(
            f"The environment could not be made: {error}\n"
            "What went wrong stands above. A package index must be reachable, and Python's venv "
            "module installed (Debian: python3-venv)."
        )
    return None


def main() -> None:
    """Make the environment for the level named on the command line, if it is not there yet."""
    if sys.version_info < (3, 11):  # noqa: UP036 - nothing has asked which Python this is
        sys.exit(f"pregen needs Python 3.11 or newer; this is {sys.version.split()[0]}")
    if len(sys.argv) != 2 or sys.argv[1] not in GROUPS:
        sys.exit(f"usage: scripts/env {'|'.join(GROUPS)}")
    level = sys.argv[1]
    wanted = stamp()
    done = {name: VENV / f".pregen-{name}" for name in GROUPS}

    def ready() -> bool:
        names = list(GROUPS)[list(GROUPS).index(level) :]
        return PYTHON.exists() and any(
            done[name].exists() and done[name].read_text() == wanted for name in names
        )

    if ready():
        # `scripts/pregen` asks only whether what was looked at here is newer.
        for path in done.values():
            if path.exists() and path.read_text() == wanted:
                path.touch()
    else:
        # Two calls at once must not install into each other: this file itself is the lock.
        with Path(__file__).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not ready():
                print(f"setting up {VENV} ({level}) ...", file=sys.stderr)
                install(level)
                done[level].write_text(wanted)
    print(PYTHON)


if __name__ == "__main__":
    main()

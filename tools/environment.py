"""Makes the project's environment, .venv, and prints the path of its interpreter.

    scripts/env run|test|check [--with EXTRA,...]

Any Python runs it as a file, before there is an environment; it needs nothing but Python 3.11 and a
package index. Uses uv when it is there, venv + pip when it is not. Done work is remembered by a
stamp of pyproject.toml and uv.lock, so that a second call costs a few milliseconds. Extras that
were asked for once stay.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
#: A level's dependency group.
GROUPS = {"run": None, "test": "test", "check": "lint"}
#: Where each level is there as well. A check only reads pregen: what pregen imports is installed,
#: pregen is not, and nothing is compiled.
HOLDERS = {"run": ("run", "test"), "test": ("test",), "check": ("check",)}
#: What a photo library needs. Films need FFmpeg, which is as large as all of this: an extra.
PHOTO_EXTRAS = ("heic", "jxl", "pdf", "raw")
EXTRAS = {"run": PHOTO_EXTRAS, "test": ("all",), "check": ("all",)}
#: What is said beforehand, measured with Python 3.11 on x86-64 in November 2026.
SIZES_MB = {"run": 160, "test": 620, "check": 530}
#: By level: what it was made from, and the extras in it.
STAMPS = {level: VENV / f".pregen-{level}" for level in GROUPS}
#: Imported once, so that their bytecode is there: all of pregen, and what it imports.
IMPORT_ALL = """
import pkgutil, importlib, contextlib, pregen
for module in pkgutil.walk_packages(pregen.__path__, "pregen."):
    if not module.name.endswith("__main__"):
        with contextlib.suppress(Exception):
            importlib.import_module(module.name)
"""


def project() -> dict[str, Any]:
    """Return pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def stamp(level: str) -> str:
    """A name for what should be installed: it changes when the project's wishes change."""
    digest = hashlib.sha256(sys.version.encode())
    sources = sorted((ROOT / "pregen").rglob("*.[ch]")) if level != "check" else []
    for path in (ROOT / "pyproject.toml", ROOT / "uv.lock", *sources):
        digest.update(path.read_bytes() if path.exists() else b"-")
    return digest.hexdigest()


def extra_requirements(extra: str) -> list[str]:
    """The requirements of an extra, with the extras it names."""
    found: list[str] = []
    for item in project()["project"]["optional-dependencies"][extra]:
        if item.startswith("pregen["):
            named = item.removeprefix("pregen[").removesuffix("]").split(",")
            found += [each for name in named for each in extra_requirements(name)]
        else:
            found.append(item)
    return found


def group_requirements(group: str) -> list[str]:
    """The requirements of a dependency group, with the groups it includes."""
    found: list[str] = []
    for item in project()["dependency-groups"][group]:
        found += group_requirements(item["include-group"]) if isinstance(item, dict) else [item]
    return found


def call(*commands: list[str], **more: str) -> None:
    """Run programs, all at once; what they print goes where people read it.

    Standard output is for the path. They get no Ctrl-C of their own, which they would answer with
    tracebacks: we stop them and say so.

    Raises:
        subprocess.CalledProcessError: one failed; the others were stopped.
    """
    # No Python that is started here takes modules from a folder that other people may write to.
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    running: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr,
                env={**kept, "PYTHONSAFEPATH": "1", **more},
                process_group=0,
            )
            running.append(process)
        for process, command in zip(running, commands, strict=True):
            if code := process.wait():
                raise subprocess.CalledProcessError(code, command)
    finally:
        for process in running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def is_watched() -> bool:
    """Tell whether the progress that the installers show goes to a terminal."""
    return sys.stderr.isatty()


def with_uv(uv: str, level: str, extras: list[str]) -> None:
    """Install what uv.lock says, to the letter; what other levels brought stays."""
    group = GROUPS[level]
    command = [uv, "sync", "--frozen", "--inexact", "--no-default-groups"]
    command += [] if is_watched() else ["--quiet"]
    command += ["--no-install-project"] if level == "check" else []
    command += [word for extra in extras for word in ("--extra", extra)]
    command += ["--group", group] if group else []
    call(command, UV_PROJECT_ENVIRONMENT=str(VENV), UV_PYTHON=sys.executable)


def pip_here() -> list[str]:
    """Return the command of a pip that installs into .venv.

    This Python's own, which then need not be copied into .venv (25 MB); else one in .venv.
    """
    own = [sys.executable, "-I", "-m", "pip"]
    told = subprocess.run(
        [*own, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    version = told.stdout.split()[1].split(".") if told.returncode == 0 else ["0", "0"]
    if [int(part) for part in version[:2] if part.isdigit()] >= [22, 3]:  # has --python
        return [*own, "--python", str(PYTHON)]
    call([str(PYTHON), "-I", "-m", "ensurepip"])
    return [str(PYTHON), "-I", "-m", "pip"]


def with_pip(level: str, extras: list[str]) -> None:
    """Install with what Python brings; newest versions that pyproject.toml allows."""
    if not PYTHON.exists():
        call([sys.executable, "-I", "-m", "venv", "--without-pip", str(VENV)])
    group = GROUPS[level]
    libraries = [*project()["project"]["dependencies"]]
    libraries += [each for extra in extras for each in extra_requirements(extra)]
    libraries += group_requirements(group) if group else []
    install = [*pip_here(), "install", "--disable-pip-version-check", "--no-compile"]
    commands = [[*install, *([] if is_watched() else ["--quiet"]), *libraries]]
    if level != "check":
        # Compiled while the libraries are fetched: a third of the time. A path instead of an
        # import hook, which costs every process 10 ms.
        own = ["--quiet", "--no-deps", "--config-settings", "editable_mode=compat"]
        commands.append([*install, *own, "--editable", str(ROOT)])
    call(*commands)


def compile_bytecode() -> None:
    """Compile pregen and what it imports: where Python may not write it, each process would.

    Not all that is installed: that takes as long as the installing, and 40 MB.
    """
    call([str(PYTHON), "-P", "-c", IMPORT_ALL])


def install_packages(level: str, extras: list[str]) -> None:
    """Install with uv if it is there and works, else with pip."""
    uv = shutil.which("uv")
    if uv and (ROOT / "uv.lock").exists():
        try:
            return with_uv(uv, level, extras)
        except subprocess.CalledProcessError:
            print("uv could not do it (see above). Trying pip.", file=sys.stderr)
    return with_pip(level, extras)


def install(level: str, extras: list[str]) -> None:
    """Install a level; exits where that cannot be done."""
    try:
        install_packages(level, extras)
        if level != "check":
            compile_bytecode()
    except subprocess.CalledProcessError as error:
        sys.exit(
            f"The environment could not be made: exit code {error.returncode} of\n"
            f"    {' '.join(error.cmd)}\n"
            "The reason stands above. A package index must be reachable, and Python's venv module "
            "installed (Debian: apt install python3-venv)."
        )


def present(level: str) -> tuple[str, set[str]]:
    """Return what a level was made from, and its extras; nothing where it is not there."""
    if not PYTHON.exists() or not STAMPS[level].exists():
        return "", set()
    made_from, _, extras = STAMPS[level].read_text().partition("\n")
    return made_from, set(extras.split())


def checked(extras: str) -> set[str]:
    """Return the extras of a list with commas. Exits where pregen has no such extra."""
    known = project()["project"]["optional-dependencies"]
    found = {extra.strip() for extra in extras.split(",")} - {""}
    if unknown := sorted(found - set(known)):
        sys.exit(f"pregen has no extra {unknown[0]!r}. It has: {', '.join(sorted(known))}.")
    return found


def make(level: str, extras: set[str]) -> None:
    """Make the environment, and say what happens; exits where it fails or is stopped."""
    print(
        f"Setting up pregen in {VENV}\n"
        f"Only this once: about {SIZES_MB[level]} MB, half a minute to two.",
        file=sys.stderr,
        flush=True,
    )
    begun_s = time.monotonic()
    try:
        install(level, sorted(extras))
        if level != "check":  # the other one's modules may have been compiled from other sources
            for name in HOLDERS["run"]:
                STAMPS[name].unlink(missing_ok=True)
        STAMPS[level].write_text("\n".join([stamp(level), *sorted(extras)]))
    except OSError as error:
        sys.exit(f"The environment could not be made: {error}")
    print(f"Ready after {time.monotonic() - begun_s:.0f} s.", file=sys.stderr)


def main() -> None:
    """Make the environment for the level named on the command line, if it is not there yet."""
    level, *options = sys.argv[1:] or [""]
    if level not in GROUPS or (options and (len(options) != 2 or options[0] != "--with")):
        sys.exit(f"usage: scripts/env {'|'.join(GROUPS)} [--with EXTRA,...]")
    extras = checked(options[1]) if options else set()
    made_from = stamp(level)

    def holders() -> list[str]:
        """Return where all that is asked for is there."""
        found = {name: present(name) for name in HOLDERS[level]}
        return [
            name
            for name, (stamped, had) in found.items()
            if stamped == made_from and ("all" in had or extras <= had)
        ]

    if there := holders():
        # `scripts/pregen` asks only whether what was looked at here is newer.
        for name in there:
            STAMPS[name].touch()
    else:
        # Two calls at once must not install into each other: this file itself is the lock.
        with Path(__file__).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not holders():
                make(level, {*EXTRAS[level], *present("run")[1], *extras})
    print(PYTHON)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("\nStopped. Run the same command to continue.", file=sys.stderr)
        sys.exit(130)

"""The programs that are compared: how each is started, what it is, and whether it is here.

Every one gets the same tree, an empty cache folder, the number of workers and the flavors. The
peers' Python is an environment of their own (benchmarks/setup makes it), pregen's is the
checkout's.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.harness.entries import FLAVORS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).resolve().parent.parent.parent
_PEERS = ROOT / "benchmarks" / "peers"


class Setting(NamedTuple):
    """What the command lines are made of."""

    work: Path
    workers: int
    pregen_python: str
    """Interpreter that has the pregen to be measured."""
    before_python: str = ""
    """Interpreter that has the pregen it is compared with; empty where there is none."""

    @property
    def peers_python(self) -> str:
        """Interpreter that has the peers' libraries."""
        return str(self.work / "python" / "bin" / "python")

    @property
    def node_modules(self) -> Path:
        """Where sharp is installed."""
        return self.work / "node" / "node_modules"


class Peer(NamedTuple):
    """One program, or pregen with certain flags."""

    name: str
    what: str
    command: Callable[[Setting, Path, Path, Sequence[str]], list[str]]
    """From the setting, the tree, the thumbnails folder and the flavors to a command line."""
    missing: Callable[[Setting], str]
    """Why it cannot be run here; empty when it can."""
    version: Callable[[Setting], str]
    writes_entries: bool = True
    terminal: bool = False
    quiet: bool = False
    """Its output is thrown away, not kept in a log: there is much of it."""
    pregen_python: Callable[[Setting], str] | None = None
    """Of a pregen: its interpreter. It is started outside the checkout, so that the interpreter's
    own pregen is the one measured."""


def environment(setting: Setting, home: Path) -> dict[str, str]:
    """The environment of every program: the cache is `home`/cache, nobody's settings count."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREGEN_", "XDG_", "VIPS_"))}
    return {
        **kept,
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "NODE_PATH": str(setting.node_modules),
        "TERM": "xterm-256color",
    }


def _asked(setting: Setting, tree: Path, thumbnails: Path, flavors: Sequence[str]) -> list[str]:
    """What every peer is told."""
    return [str(tree), str(thumbnails), str(setting.workers), ",".join(flavors)]


def python_peer(
    name: str, module: str, packages: tuple[str, ...], what: str, *, writes_entries: bool = True
) -> Peer:
    """A peer written in Python, of benchmarks/peers, that needs some packages."""

    def command(
        setting: Setting, tree: Path, thumbnails: Path, flavors: Sequence[str]
    ) -> list[str]:
        program = [setting.peers_python, "-m", f"benchmarks.peers.{module}"]
        return [*program, *_asked(setting, tree, thumbnails, flavors)]

    def version(setting: Setting) -> str:
        code = "import sys, importlib.metadata as m;"
        code += "print(', '.join(f'{p} {m.version(p)}' for p in sys.argv[1:]))"
        return output_of(setting.peers_python, "-c", code, *packages)

    def missing(setting: Setting) -> str:
        return "" if version(setting) else f"{packages[0]} is not in the peers' Python"

    return Peer(name, what, command, missing, version, writes_entries=writes_entries)


def system_peer(
    name: str, needed: str, arguments: tuple[str, ...], version: Callable[[], str], what: str
) -> Peer:
    """A peer that drives a program of the system."""

    def command(
        setting: Setting, tree: Path, thumbnails: Path, flavors: Sequence[str]
    ) -> list[str]:
        start = [setting.pregen_python if a == "PYTHON" else a for a in arguments]
        return [*start, *_asked(setting, tree, thumbnails, flavors)]

    def missing(_setting: Setting) -> str:
        return "" if version() else f"{needed} is not installed"

    return Peer(name, what, command, missing, lambda _setting: version())


def pregen(name: str, what: str, *flags: str, terminal: bool = False, before: bool = False) -> Peer:
    """Pregen with some flags; missing when this version does not know them.

    `before`: that of `Setting.before_python`.
    """

    def python(setting: Setting) -> str:
        return setting.before_python if before else setting.pregen_python

    def command(
        setting: Setting, tree: Path, _thumbnails: Path, flavors: Sequence[str]
    ) -> list[str]:
        start = [python(setting), "-m", "pregen", "run", str(tree)]
        asked = [] if tuple(flavors) == FLAVORS else ["--flavors", ",".join(flavors)]
        return [*start, "--workers", str(setting.workers), *asked, *flags]

    def missing(setting: Setting) -> str:
        if not python(setting):
            return "no --before is given"
        asked = python(setting), "-m", "pregen", "run"
        known = output_of(*asked, "--help-all") or output_of(*asked, "--help")  # older ones: all
        if not known:
            return "pregen does not run"
        unknown = [flag for flag in flags if flag.startswith("--") and flag not in known]
        return f"pregen has no {', '.join(unknown)}" if unknown else ""

    def version(setting: Setting) -> str:
        return output_of(python(setting), "-m", "pregen", "--version")

    return Peer(name, what, command, missing, version, terminal=terminal, pregen_python=python)


@cache
def output_of(*command: str) -> str:
    """What a short command prints; empty when it fails or does not exist."""
    try:
        done = subprocess.run(
            command,
            cwd="/",  # not the checkout: Python would import pregen from there
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def pregen_digest(python: str) -> str:
    """A short name for the exact code of an interpreter's pregen, committed or not."""
    found = output_of(python, "-c", "import pregen; print(pregen.__path__[0])")
    digest = hashlib.sha256()
    kinds = {".py", ".c", ".h"}
    paths = [path for path in Path(found).rglob("*") if path.suffix in kinds] if found else []
    for path in sorted(paths):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12] if found else ""


def compile_bytecode(python: str) -> None:
    """Have an interpreter's pregen start as one that was installed does."""
    code = "import compileall, pregen; compileall.compile_dir(pregen.__path__[0], quiet=2)"
    output_of(python, "-c", code)


def _first_line(*command: str) -> str:
    """First line of what a version command prints."""
    return output_of(*command).partition("\n")[0]


def _imagemagick_version() -> str:
    """First line of the real convert's version: others have used its name."""
    for folder in os.get_exec_path():
        path = shutil.which("convert", path=folder)
        if path and "ImageMagick" in (line := _first_line(path, "-version")):
            return line.removeprefix("Version: ").partition(" https:")[0]
    return ""


def _gdk_pixbuf_version() -> str:
    """Version of the Debian package: the program itself does not tell."""
    if shutil.which("gdk-pixbuf-thumbnailer") is None:
        return ""
    version = output_of("dpkg-query", "-W", "-f", "${Version}", "libgdk-pixbuf2.0-bin")
    return f"gdk-pixbuf {version or '(version unknown)'}"


def _package_version(name: str) -> str:
    """Version of the Debian package of a program that does not tell; empty where it is not here."""
    if shutil.which(name) is None:
        return ""
    return f"{name} {output_of('dpkg-query', '-W', '-f', '${Version}', name) or '(unknown)'}"


def _sharp() -> Peer:
    """The Node.js peer."""

    def command(
        setting: Setting, tree: Path, thumbnails: Path, flavors: Sequence[str]
    ) -> list[str]:
        program = ["node", str(_PEERS / "sharp.cjs")]
        return [*program, *_asked(setting, tree, thumbnails, flavors)]

    def version(setting: Setting) -> str:
        code = f"const v = require({str(setting.node_modules / 'sharp')!r}).versions;"
        code += "console.log(`sharp ${v.sharp}, libvips ${v.vips}, node ${process.version}`)"
        return output_of("node", "-e", code)

    def missing(setting: Setting) -> str:
        return "" if version(setting) else "sharp is not installed"

    return Peer("sharp", "npm `sharp`, one decode for all flavors", command, missing, version)


def _find() -> Peer:
    """The reference of the re-run cases."""

    def command(
        _setting: Setting, tree: Path, _thumbnails: Path, _flavors: Sequence[str]
    ) -> list[str]:
        return ["find", str(tree), "-type", "f", "-printf", r"%s %T@\n"]

    return Peer(
        "find",
        "`find -printf '%s %T@'`: walk and stat only",
        command,
        lambda _setting: "" if shutil.which("find") else "find is not installed",
        lambda _setting: _first_line("find", "--version"),
        writes_entries=False,
        quiet=True,
    )


PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        python_peer(
            "floor",
            "floor",
            ("simplejpeg",),
            "libjpeg-turbo decoding at 1/8, 1/4 or 1/2 and nothing else",
            writes_entries=False,
        ),
        pregen("pregen", "`pregen run`, as it comes"),
        pregen("pregen-before", "`pregen run` of the version before", before=True),
        pregen("pregen-vips", "`pregen run --decoder vips`", "--decoder", "vips"),
        pregen("pregen-turbo", "`pregen run --decoder turbo`", "--decoder", "turbo"),
        pregen("pregen-terminal", "`pregen run` with its live display", terminal=True),
        pregen("pregen-quick", "`pregen run --check quick`", "--check", "quick"),
        pregen("pregen-full", "`pregen run --check full`", "--check", "full"),
        _sharp(),
        python_peer("pillow", "pillow_pool", ("pillow",), "Pillow `draft` in a process pool"),
        python_peer(
            "pyvips",
            "pyvips_pool",
            ("pyvips", "pyvips-binary"),
            "pyvips in a process pool, a decode per flavor",
        ),
        system_peer(
            "vipsthumbnail",
            "vipsthumbnail",
            ("sh", str(_PEERS / "vipsthumbnail.sh")),
            lambda: _first_line("vipsthumbnail", "--vips-version"),
            "`vipsthumbnail` under xargs, a decode per flavor",
        ),
        system_peer(
            "gdk-pixbuf",
            "gdk-pixbuf-thumbnailer",
            ("PYTHON", "-m", "benchmarks.peers.gdk_pixbuf"),
            _gdk_pixbuf_version,
            "`gdk-pixbuf-thumbnailer`, a process per picture and flavor",
        ),
        system_peer(
            "heif-thumbnailer",
            "heif-thumbnailer",
            ("PYTHON", "-m", "benchmarks.peers.heif_thumbnailer"),
            lambda: _package_version("heif-thumbnailer"),
            "`heif-thumbnailer`, a process per picture and flavor",
        ),
        system_peer(
            "ffmpegthumbnailer",
            "ffmpegthumbnailer",
            ("PYTHON", "-m", "benchmarks.peers.ffmpegthumbnailer"),
            lambda: _package_version("ffmpegthumbnailer"),
            "`ffmpegthumbnailer`, a process per picture and flavor",
        ),
        system_peer(
            "imagemagick",
            "ImageMagick's convert",
            ("PYTHON", "-m", "benchmarks.peers.imagemagick"),
            _imagemagick_version,
            "ImageMagick `convert`, a process per picture",
        ),
        _find(),
    )
}

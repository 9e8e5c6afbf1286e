"""How this pregen was installed, and the one command that adds an extra to it.

`look` finds out, `command` decides; both know package managers and nothing else of pregen.
"""

from __future__ import annotations

import glob
import importlib.util
import os
import re
import shlex
import site
import sys
from contextlib import contextmanager, suppress
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pregen.errors import MissingLibraryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from importlib import metadata

_NAME = "pregen"
_VIPS: Final = tuple(f"/usr/{place}/libvips.so.*" for place in ("lib*", "lib/*", "local/lib*"))
#: What scripts/env leaves in the environments that it makes.
_CHECKOUT: Final = ".pregen-"
_FACTS: Final = (".dist-info", ".egg-info")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")


class Manager(Enum):
    """Who looks after the environment that pregen runs in."""

    PIP = "pip"
    PIP_USER = "pip --user"
    CHECKOUT = "scripts/pregen"
    """A checkout's .venv, made by scripts/env."""
    UV = "uv"
    """An environment made by uv, which has no pip."""
    UV_TOOL = "uv tool"
    PIPX = "pipx"


class Installation(NamedTuple):
    """What decides how something is added."""

    manager: Manager
    python: str
    environment: str = ""
    """The name pipx knows it by."""
    origin: str = ""
    """What pregen was installed from where that was no package index: a folder, a file or an
    address; empty otherwise."""
    editable: bool = False
    requirements: Mapping[str, tuple[str, ...]] = {}
    """Extra -> the libraries it stands for."""
    present: tuple[str, ...] = ()
    """Extras whose libraries are all there."""


@contextmanager
def requires(extra: str, who: str) -> Iterator[None]:
    """As a context around an import: a library that is not there is named, with what brings it.

    Args:
        extra: of pregen, that the library belongs to; empty: no extra brings it.
        who: needs it, as the user knows it.

    Raises:
        MissingLibraryError: the library is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if not extra or error.name is None or error.name.partition(".")[0] == "pregen":
            raise
        raise MissingLibraryError(
            f"{who} needs {error.name}. Install it with: {install_command([extra])}"
        ) from error


#: The distributions whose libraries decode, as their folders are named.
_DECODING: Final = frozenset(
    {
        "av", "isal", "numpy", "pillow", "pillow_heif", "pylibjxl", "pypdfium2", "pyvips",
        "pyvips_binary", "rawpy", "simplejpeg",
    }
)  # fmt: skip


def decoding_libraries() -> str:
    """Return the libraries that decode here, with their versions. Imports none of them.

    From the names of folders: to ask `importlib.metadata` takes 20 ms. A libvips of the system's
    own is told by the name of its file.
    """
    found: set[str] = set()
    for folder in dict.fromkeys(sys.path):
        with suppress(OSError):
            found.update(filter(_is_decoding, os.listdir(folder or ".")))
    if not any(name.startswith("pyvips_binary-") for name in found):
        found.update(os.path.basename(path) for place in _VIPS for path in glob.glob(place))
    return " ".join(sorted(name.removesuffix(".dist-info") for name in found))


def _is_decoding(name: str) -> bool:
    return name.endswith(_FACTS) and name.partition("-")[0].lower() in _DECODING


def install_command(extras: Iterable[str]) -> str:
    """Return the command that adds these extras to this installation; for a POSIX shell."""
    return command(look(), extras)


def command(found: Installation, extras: Iterable[str]) -> str:
    """Return the command that adds extras to an installation."""
    wanted = sorted(set(extras))
    libraries = [one for extra in wanted for one in found.requirements.get(extra, ())]
    if found.manager is Manager.CHECKOUT:
        return shlex.join([f"{_checkout(found)}/scripts/pregen", "--with", ",".join(wanted)])
    if found.manager is Manager.PIPX:
        # Survives `pipx upgrade`, and needs not be told the extras that are there already.
        return shlex.join(["pipx", "inject", found.environment, *(libraries or wanted)])
    if found.manager is Manager.UV_TOOL:
        # A tool is installed anew: what it has already must be named, too.
        wanted = sorted({*wanted, *found.present})
    pip = [found.python, "-P", "-m", "pip", "install"]
    uv = ["uv", "pip", "install", "--python", found.python]
    start = {
        Manager.UV_TOOL: ["uv", "tool", "install"],
        Manager.UV: uv,
        Manager.PIP_USER: [*pip, "--user"],
        Manager.PIP: pip,
    }[found.manager]
    extras = f"[{','.join(wanted)}]"
    if libraries and _is_gone(found.origin):
        # pregen cannot be installed again: a tool gets its libraries as an environment does.
        start = start if found.manager is not Manager.UV_TOOL else uv
        what = libraries
    elif not found.origin:
        what = [f"{_NAME}{extras}"]
    elif not found.origin.startswith("/"):
        what = [f"{_NAME}{extras} @ {found.origin}"]
    else:
        what = [*(["--editable"] if found.editable else []), f"{found.origin}{extras}"]
    return shlex.join([*start, *what])


def _checkout(found: Installation) -> str:
    """Return the folder of the checkout whose .venv/bin the interpreter is in."""
    return os.path.dirname(os.path.dirname(os.path.dirname(found.python)))


def _path_of(url: str) -> str:
    from urllib.parse import unquote, urlsplit  # noqa: PLC0415 - seldom needed, and takes 2 ms

    return unquote(urlsplit(url).path)


def _is_gone(origin: str) -> bool:
    """Tell whether the folder or the downloaded wheel it was installed from was deleted."""
    path = _path_of(origin) if origin.startswith("file:") else origin
    return path.startswith("/") and not os.path.exists(path)


def is_compiled() -> bool:
    """Tell whether pregen's own decoder was compiled when it was installed."""
    return importlib.util.find_spec("pregen.imaging._compiled") is not None


def compile_command(found: Installation | None = None) -> str:
    """Return the command that installs this pregen again, once there is a C compiler."""
    found = found or look()
    anew = ["--force-reinstall", "--no-deps"]
    what = [*(["--editable"] if found.editable else []), found.origin or _NAME]
    if found.manager is Manager.CHECKOUT:
        root = _checkout(found)
        again = shlex.join([f"{root}/scripts/pregen", "--version"])
        return f"{shlex.join(['rm', '-rf', f'{root}/.venv'])} && {again}"
    if found.manager is Manager.PIPX:
        return shlex.join(["pipx", "reinstall", found.environment])
    if found.manager is Manager.UV_TOOL:
        extras = f"[{','.join(found.present)}]" if found.present else ""
        return shlex.join(
            ["uv", "tool", "install", "--reinstall", f"{found.origin or _NAME}{extras}"]
        )
    if found.manager is Manager.UV:
        return shlex.join(
            ["uv", "pip", "install", "--python", found.python, "--reinstall", "--no-deps", *what]
        )
    user = ["--user"] if found.manager is Manager.PIP_USER else []
    return shlex.join([found.python, "-P", "-m", "pip", "install", *user, *anew, *what])


def look() -> Installation:
    """Return how the running pregen was installed."""
    from importlib import metadata  # noqa: PLC0415 - seldom needed, and takes 20 ms

    def is_there(requirement: str) -> bool:
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        return next(iter(metadata.distributions(name=name)), None) is not None

    # A checkout that was built holds facts of its own; an installer's say where it came from.
    known = sorted(metadata.distributions(name=_NAME), key=lambda one: not _direct_url(one))
    if not known:
        # Run from its folder: the libraries go where this Python looks for them.
        return Installation(_manager(""), sys.executable)
    distribution = known[0]
    direct_url = _direct_url(distribution)
    requirements = _requirements(distribution.requires or ())
    return Installation(
        _manager(str(distribution.locate_file(""))),
        sys.executable,
        os.path.basename(sys.prefix),
        _origin(direct_url),
        bool(direct_url.get("dir_info", {}).get("editable")),
        requirements,
        tuple(extra for extra, libraries in requirements.items() if all(map(is_there, libraries))),
    )


def _direct_url(distribution: metadata.Distribution) -> dict[str, Any]:
    import json  # noqa: PLC0415 - as above

    found: dict[str, Any] = json.loads(distribution.read_text("direct_url.json") or "{}")
    return found


def _manager(place: str) -> Manager:
    """Return who looks after the environment; `place` is where pregen lies."""
    if os.path.exists(f"{sys.prefix}/pipx_metadata.json"):
        return Manager.PIPX
    if os.path.exists(f"{sys.prefix}/uv-receipt.toml"):
        return Manager.UV_TOOL
    if any(name.startswith(_CHECKOUT) for name in os.listdir(sys.prefix)):
        return Manager.CHECKOUT
    if importlib.util.find_spec("pip") is None:
        return Manager.UV
    at_home = site.getusersitepackages()
    return Manager.PIP_USER if at_home and place.startswith(at_home) else Manager.PIP


def _origin(direct_url: Mapping[str, Any]) -> str:
    """Return a folder's path, or an address as pip takes it (PEP 610)."""
    url: str = direct_url.get("url", "")
    if "dir_info" in direct_url:
        return _path_of(url)
    if version_control := direct_url.get("vcs_info"):
        return f"{version_control['vcs']}+{url}@{version_control['commit_id']}"
    return url


def _requirements(lines: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the libraries of each extra; extras made of other extras are left out."""
    found: dict[str, list[str]] = {}
    for line in lines:
        requirement, _, marker = line.partition(";")
        named = _EXTRA.search(marker)
        if named and not requirement.startswith(_NAME):
            found.setdefault(named[1], []).append(requirement.replace(" ", ""))
    return {extra: tuple(libraries) for extra, libraries in found.items()}

"""Types of files for which a desktop has no thumbnailer, and JPEG without pregen's own decoder.

KIO (Dolphin) asks the cache only for types that a plugin of it takes, switched on (previewjob.cpp,
`startPreview`). tumbler removes the entries of a file whose type no plugin of it takes, once a
program asks for one (4.18 and 4.20 [RUN]; Thunar and Ristretto do not ask). GIO shows an entry of
any type, so Nautilus, Nemo and Caja are not concerned, nor is libfm-qt.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.display.text import printable
from pregen.verbs.doctor.findings import note, problem, share, warning
from pregen.verbs.doctor.fixes import Needs, RunProgram
from pregen.verbs.doctor.rules.desktops import kde_command, kde_values

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from pregen.verbs.doctor.facts import Kde, MachineFacts, SeenSource, ThumbnailPlugin
    from pregen.verbs.doctor.findings import Finding

_KDE: Final = "KDE"
_TUMBLER: Final = "tumbler (Thunar)"
#: Those of pictures, where no plugin is known.
_PICTURE_PLUGINS: Final = ("imagethumbnail", "jpegthumbnail")
#: Without a setting KIO has all plugins on but this one (previewjob.cpp, `defaultPlugins`).
_OFF_BY_DEFAULT: Final = "textthumbnail"
#: More are counted only.
_TYPES_SHOWN: Final = 3
_INSTALLERS: Final = {
    "apt": ("apt-get", "install"),
    "dnf": ("dnf", "install"),
    "pacman": ("pacman", "-S"),
    "zypper": ("zypper", "install"),
}
_EVERYWHERE: Final = ("apt", "dnf", "pacman", "zypper")


class Package(NamedTuple):
    """A package that has a desktop make thumbnails of some types."""

    desktop: str
    types: tuple[str, ...]
    """As KIO writes them: `video/*` is a group."""
    names: Mapping[str, str]
    """By what installs it."""


def _everywhere(name: str) -> Mapping[str, str]:
    return dict.fromkeys(_EVERYWHERE, name)


#: The first that fits. Names of Debian 12 and 13, Fedora, Arch and openSUSE, where there is one.
PACKAGES: Final = (
    Package(_KDE, ("video/*",), _everywhere("ffmpegthumbs")),
    Package(
        _KDE,
        ("application/pdf", "application/postscript", "image/x-dcraw", "image/x-eps"),
        _everywhere("kdegraphics-thumbnailers"),
    ),
    Package(_KDE, ("image/*",), _everywhere("kio-extras")),
    Package(_TUMBLER, ("video/*",), _everywhere("ffmpegthumbnailer")),
    Package(
        _TUMBLER,
        ("image/heif", "image/heic"),
        {
            "apt": "heif-gdk-pixbuf",
            "dnf": "heif-pixbuf-loader",
            "pacman": "libheif",
            "zypper": "gdk-pixbuf-loader-libheif",
        },
    ),
    Package(
        _TUMBLER,
        ("image/avif",),
        {"apt": "libavif-gdk-pixbuf", "dnf": "avif-pixbuf-loader", "pacman": "libavif"},
    ),
    Package(
        _TUMBLER,
        ("image/webp",),
        dict.fromkeys(("apt", "dnf", "pacman"), "webp-pixbuf-loader"),
    ),
    Package(
        _TUMBLER,
        ("image/jxl",),
        {"apt": "libjxl-gdk-pixbuf", "dnf": "jxl-pixbuf-loader", "pacman": "libjxl"},
    ),
    Package(
        _TUMBLER,
        ("image/svg+xml", "image/svg+xml-compressed"),
        {
            "apt": "librsvg2-common",
            "dnf": "librsvg2",
            "pacman": "librsvg",
            "zypper": "gdk-pixbuf-loader-rsvg",
        },
    ),
    Package(_TUMBLER, ("image/x-dcraw",), {"apt": "tumbler-plugins-extra"}),
)


def dolphin(facts: MachineFacts) -> Iterator[Finding]:
    """Yield types that no plugin of KIO takes, and plugins that are switched off."""
    kde = facts.kde
    if kde is None:
        return
    on = set(kde.plugins) if kde.plugins is not None else None
    lacking, off = [], dict[str, None]()
    for source in facts.sources if kde.installed else ():
        able = _able(kde.installed, source.mime, facts.ancestors)
        if source.mime and not able:
            lacking.append(source)
        elif able and not _any_on(able, on):
            off[able[0]] = None
    if not kde.installed and on is not None:
        off = {name: None for name in _PICTURE_PLUGINS if name not in on}
    yield from _missing(facts, lacking, _KDE, _dolphin_refuses)
    if off and on is not None:
        names = ",".join([*(kde.plugins or ()), *off])
        yield _switched_off(kde, list(off), names)


def _any_on(plugins: Iterable[str], on: Collection[str] | None) -> bool:
    return any(name != _OFF_BY_DEFAULT if on is None else name in on for name in plugins)


def _able(
    plugins: Sequence[ThumbnailPlugin], mime: str, ancestors: Mapping[str, tuple[str, ...]]
) -> list[str]:
    """Return the names of plugins that take a type, its ancestors or its group, in this order."""
    wanted = (mime, *ancestors.get(mime, ()), f"{mime.partition('/')[0]}/*")
    return [plugin.name for name in wanted for plugin in plugins if name in plugin.mimes]


def _switched_off(kde: Kde, off: list[str], names: str) -> Finding:
    verb = "is" if len(off) == 1 else "are"
    return problem(
        "kde-plugins",
        _KDE,
        f"Dolphin's preview plugin{'s'[: len(off) > 1]} {' and '.join(map(printable, off))} {verb} "
        "switched off, so such files show no thumbnails, whether they exist or not.",
        kde_command(kde, "Plugins", names),
        fix=kde_values(kde, {"Plugins": names}),
    )


def tumbler(facts: MachineFacts) -> Iterator[Finding]:
    """Yield types that no plugin of tumbler takes."""
    if facts.tumbler is None or not facts.tumbler.installed:
        return
    lacking = [
        source
        for source in facts.sources
        if source.mime and not _able(facts.tumbler.installed, source.mime, facts.ancestors)
    ]
    yield from _missing(facts, lacking, _TUMBLER, _tumbler_removes)


def _dolphin_refuses(what: str, package: str) -> Finding:
    brings = f"{package} provides one" if package else "no known package provides one"
    why = f"Dolphin has no plugin for {what}, and shows no thumbnails of such files: {brings}."
    return (problem if package else note)("kde-no-plugin", _KDE, why)


def _tumbler_removes(what: str, package: str) -> Finding:
    brings = f"{package} provides one" if package else "no known package provides one"
    why = (
        f"tumbler has no plugin for {what}, and deletes thumbnails of such files when a program "
        f"asks for one: {brings}."
    )
    return (warning if package else note)("tumbler-no-plugin", _TUMBLER, why)


def _missing(
    facts: MachineFacts,
    lacking: Sequence[SeenSource],
    desktop: str,
    tell: Callable[[str, str], Finding],
) -> Iterator[Finding]:
    """Yield a finding for each package that would help, and one for what none is known for."""
    groups: dict[str, list[SeenSource]] = {}
    for source in lacking:
        groups.setdefault(_package(source.mime, desktop, facts), []).append(source)
    for package, sources in groups.items():
        types = list(dict.fromkeys(printable(source.mime) for source in sources))
        more = len(types) - _TYPES_SHOWN
        named = ", ".join(types[:_TYPES_SHOWN]) + (f" and {more} other types" if more > 0 else "")
        what = f"{named} ({share(len(sources), len(facts.sources))} of your files)"
        found = tell(what, package)
        if package:
            argv = (*_INSTALLERS[facts.manager], package)
            command = f"sudo {shlex.join(argv)}"
            fix = RunProgram(argv, Needs.ROOT)
            found = found._replace(mend=(command,), fix=fix)
        yield found


def _package(mime: str, desktop: str, facts: MachineFacts) -> str:
    """Return the package that has a desktop take a type; empty: none is known."""
    wanted = (mime, *facts.ancestors.get(mime, ()), f"{mime.partition('/')[0]}/*")
    for name in wanted:
        for package in PACKAGES:
            if package.desktop == desktop and name in package.types:
                return package.names.get(facts.manager, "")
    return ""


def slow_jpeg(facts: MachineFacts) -> Iterator[Finding]:
    """Yield that pregen's own JPEG decoder was not compiled (benchmarks/README.md: the cost)."""
    if facts.compile:
        yield note(
            "decoder-not-compiled",
            "pregen",
            "Slower than it could be: JPEGs take two to four times as long, because pregen's own "
            "decoder was not compiled. Install a C compiler (Debian: apt install gcc python3-dev), "
            "then reinstall pregen.",
            facts.compile,
        )

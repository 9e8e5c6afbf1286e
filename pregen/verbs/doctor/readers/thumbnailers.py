"""For which types KIO and tumbler have something that makes thumbnails: read from their plugins.

Neither is started or asked. Also what the types of files are called, and what installs packages.
"""

from __future__ import annotations

import os
import re
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Final

from pregen.desktop_settings import boolean, matching, parse, read_bytes, read_text
from pregen.verbs.doctor.facts import ThumbnailPlugin
from pregen.verbs.doctor.readers.tools import find, library_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pregen.desktop_settings import ConfigFolders

_MIME: Final = re.compile(
    rb"\0((?:application|audio|font|image|model|text|video)/[A-Za-z0-9.+_-]+)\0"
)
_LOADER_MIME: Final = re.compile(r'"([a-z]+/[^"\s]+)"')
#: Plugins are some ten or hundred kilobytes.
_MOST_BYTES: Final = 2 * 1024 * 1024
#: Of Qt 5, and of Qt 6, where it is an ELF note.
_QT_METADATA: Final = re.compile(rb"QTMETADATA !|qt-project!\0")
#: The key in CBOR: a text of nine bytes.
_MIME_TYPES: Final = b"\x69MimeTypes"
_ARRAY, _TEXT = 0x80, 0x60
_UNSET_LENGTH, _ONE_BYTE, _TWO_BYTES = 31, 24, 25
_VERSION: Final = re.compile(r"libKF[56]KIOGui\.so\.([0-9]+)\.([0-9]+)\.([0-9]+)$")
_FRAMEWORKS_5: Final = 5
_MANAGERS: Final = {"apt-get": "apt", "dnf": "dnf", "pacman": "pacman", "zypper": "zypper"}
#: Types are not nested deeper; a damaged database may name a type as its own parent.
_MOST_ANCESTORS: Final = 32


def package_manager() -> str:
    """Return what installs packages here, by the first word of its family."""
    return _MANAGERS.get(find(*_MANAGERS) or "", "")


# KIO.


def kio_version() -> tuple[int, ...]:
    """Return the version of the newest KIO that is installed; empty: none is."""
    names = map(os.path.basename, library_files("libKF[56]KIOGui.so.*.*.*"))
    found = (match for name in names if (match := _VERSION.match(name)))
    return max((tuple(map(int, match.groups())) for match in found), default=())


def kio_plugins(config: ConfigFolders, version: tuple[int, ...]) -> tuple[ThumbnailPlugin, ...]:
    """Return what makes thumbnails for KIO of a version, as it finds it (previewjob.cpp).

    Plugins with their types in the metadata that Qt has put into them; to KIO 5 also those that a
    service file describes, from KIO 6 on also programs that a .thumbnailer file describes.
    """
    if not version:
        return ()
    major = version[0]
    below = f"kf{major}/thumbcreator"
    named = filter(None, config.environ.get("QT_PLUGIN_PATH", "").split(":"))
    files = [
        *library_files(f"qt{major}/plugins/{below}/*.so"),
        *chain.from_iterable(matching(f"{folder}/{below}", "*.so") for folder in named),
    ]
    plugins = {
        _stem(path): frozenset(qt_mime_types(read_bytes(path, _MOST_BYTES))) for path in files
    }
    described = _services(config) if major == _FRAMEWORKS_5 else _programs(config)
    plugins = dict(described) | plugins
    return tuple(ThumbnailPlugin(name, mimes) for name, mimes in plugins.items())


def _stem(path: str) -> str:
    return os.path.basename(path).partition(".")[0]


def qt_mime_types(library: bytes) -> Iterator[str]:
    """Yield the types that a KDE plugin says it takes.

    Qt keeps a plugin's JSON as CBOR (RFC 8949) behind a mark (qplugin.h); of that only the list
    behind the key MimeTypes is read.
    """
    mark = _QT_METADATA.search(library)
    at = library.find(_MIME_TYPES, mark.end()) if mark else -1
    if at < 0:
        return
    at += len(_MIME_TYPES)
    kind, left, at = _cbor_head(library, at)
    if kind != _ARRAY:
        return
    while left:
        kind, length, at = _cbor_head(library, at)
        if kind != _TEXT:  # the end of a list of no stated length
            return
        yield library[at : at + length].decode("utf-8", "replace")
        at += length
        left -= 1


def _cbor_head(data: bytes, at: int) -> tuple[int, int, int]:
    """Return the kind of an item, its length or number, and where it goes on."""
    if at >= len(data):
        return 0, 0, at
    kind, length = data[at] & 0xE0, data[at] & 0x1F
    if length == _UNSET_LENGTH:
        return kind, len(data), at + 1
    size = {_ONE_BYTE: 1, _TWO_BYTES: 2}.get(length, 0)
    if size:
        length = int.from_bytes(data[at + 1 : at + 1 + size])
    return kind, length, at + 1 + size


def _services(config: ConfigFolders) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the plugins of service files: [Desktop Entry], of the type ThumbCreator."""
    for folder in reversed(config.data_folders("kservices5")):
        for path in matching(folder, "*.desktop"):
            entry = parse(read_text(path)).get("Desktop Entry", {})
            kinds = entry.get("X-KDE-ServiceTypes", "") + entry.get("ServiceTypes", "")
            if "ThumbCreator" in kinds:
                yield _stem(path), _listed(entry.get("MimeType", ""))


def _programs(config: ConfigFolders) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the programs that .thumbnailer files describe, where they are installed."""
    for folder in reversed(config.data_folders("thumbnailers")):
        for path in matching(folder, "*.thumbnailer"):
            entry = parse(read_text(path)).get("Thumbnailer Entry", {})
            program = entry.get("TryExec") or entry.get("Exec", "").partition(" ")[0]
            if program and find(program):
                yield _stem(path), _listed(entry.get("MimeType", ""))


def _listed(text: str) -> frozenset[str]:
    return frozenset(filter(None, map(str.strip, text.split(";"))))


# tumbler.


def tumbler_plugins(
    config: ConfigFolders, sections: Mapping[str, Mapping[str, str]]
) -> tuple[ThumbnailPlugin, ...]:
    """Return what makes thumbnails for tumbler, without what is switched off.

    Most plugins have their types as texts in them. One takes what gdk-pixbuf reads, one what
    .thumbnailer files name.

    Args:
        config: where .thumbnailer files are.
        sections: of tumbler.rc.
    """
    disabled = {
        name.casefold() for name, values in sections.items() if boolean(values.get("Disabled"))
    }
    plugins = []
    for path in library_files("tumbler-1/plugins/tumbler-*-thumbnailer.so"):
        kind = _stem(path).removeprefix("tumbler-").removesuffix("-thumbnailer")
        if f"{kind}thumbnailer" in disabled:
            continue
        if kind == "pixbuf":
            mimes = frozenset(_pixbuf_types(config))
        elif kind == "desktop":
            mimes = frozenset(chain.from_iterable(mimes for _, mimes in _programs(config)))
        else:
            mimes = frozenset(_texts(read_bytes(path, _MOST_BYTES)))
        plugins.append(ThumbnailPlugin(kind, mimes))
    return tuple(plugins)


def _texts(library: bytes) -> list[str]:
    # texts follow each other with one zero between: each ends the one and begins the next
    return [each.decode() for each in _MIME.findall(library.replace(b"\0", b"\0\0"))]


def _pixbuf_types(config: ConfigFolders) -> Iterator[str]:
    """Yield the types of gdk-pixbuf: of its loaders, and of those it was built with."""
    named = config.environ.get("GDK_PIXBUF_MODULE_FILE")
    caches = [named] if named else library_files("gdk-pixbuf-2.0/*/loaders.cache")
    for path in caches:
        yield from _LOADER_MIME.findall(read_text(path))
    for path in library_files("libgdk_pixbuf-2.0.so.0"):
        yield from (mime for mime in _texts(read_bytes(path)) if mime.startswith("image/"))


# Types.


class TypeNames:
    """The database of shared-mime-info, as far as it says something by name."""

    def __init__(self, config: ConfigFolders) -> None:
        self._folders = list(reversed(config.data_folders("mime")))

    def type_of(self, path: bytes) -> str:
        """Return the type of a file by its ending; empty: not known."""
        ending = path.rpartition(b"/")[2].rpartition(b".")[2]
        return self._by_ending.get(ending.decode("ascii", "replace").lower(), "")

    def ancestors(self, mimes: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return other names and more general types of each type, the nearest first."""
        found = {}
        for mime in mimes:
            names = [mime]
            for name in names:
                more = (*self._others.get(name, ()), *self._parents.get(name, ()))
                names += (each for each in dict.fromkeys(more) if each not in names)
                if len(names) > _MOST_ANCESTORS:
                    break
            found[mime] = tuple(names[1:])
        return found

    def _lines(self, name: str) -> Iterator[str]:
        for folder in self._folders:
            yield from read_text(f"{folder}/{name}").splitlines()

    @cached_property
    def _by_ending(self) -> dict[str, str]:
        found: dict[str, tuple[int, str]] = {}
        for line in self._lines("globs2"):
            weight, _, rest = line.partition(":")
            mime, _, glob = rest.partition(":")
            ending = glob.partition(":")[0].removeprefix("*.").lower()
            if weight.isdigit() and glob.startswith("*.") and "." not in ending:
                found.setdefault(ending, (0, ""))
                found[ending] = max(found[ending], (int(weight), mime), key=lambda each: each[0])
        return {ending: mime for ending, (_, mime) in found.items()}

    @cached_property
    def _others(self) -> dict[str, list[str]]:
        """Other names of a type, in both directions."""
        found: dict[str, list[str]] = {}
        for line in self._lines("aliases"):
            alias, _, mime = line.partition(" ")
            if mime:
                found.setdefault(alias, []).append(mime)
                found.setdefault(mime, []).append(alias)
        return found

    @cached_property
    def _parents(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line in self._lines("subclasses"):
            mime, _, parent = line.partition(" ")
            if parent:
                found.setdefault(mime, []).append(parent)
        return found

"""What is known of the screens of this machine: files, read within bounds. Nothing is started."""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Final

from pregen.cache.opening import OpenPolicy
from pregen.cache.store import Cache
from pregen.desktop_settings import ConfigFolders, read_bytes
from pregen.errors import CacheError
from pregen.model import Flavor
from pregen.screens import settings
from pregen.screens.choice import USUAL, Connected, Filled, ScreenFacts, SetScale, choose
from pregen.thumbspec.naming import made_by
from pregen.thumbspec.pngchunks import PngError
from pregen.thumbspec.pngtext import SOFTWARE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pregen.cache.folder import Folder
    from pregen.config import FlavorChoice
    from pregen.screens.settings import Scale

    Parse = Callable[[bytes], list[Scale]]

#: Settings of screens take some kilobytes, a dconf database some hundred.
_MOST_BYTES: Final = 1024 * 1024
_MOST_FILES: Final = 64
#: Entries that are looked at: a part of a millisecond, where nothing is said by settings.
_SAMPLE: Final = 64
_OURS: Final = ("pregen",)
_SYSFS: Final = "/sys"


def _text(parse: Callable[[str], list[Scale]]) -> Parse:
    return lambda data: parse(data.decode("utf-8", "replace"))


def flavors_for_screens(environ: Mapping[str, str], home: str, cache_root: bytes) -> FlavorChoice:
    """Return the flavors that a run makes by itself.

    Args:
        environ: whose desktop is meant.
        home: the user's.
        cache_root: of the cache that is meant.
    """
    return choose(screen_facts(environ, home, cache_root))


def screen_facts(environ: Mapping[str, str], home: str, cache_root: bytes) -> ScreenFacts:
    """Return what is known; a file that makes no sense is named, and does not count."""
    scales: list[SetScale] = []
    ignored: list[str] = []
    for path, parse in _files(ConfigFolders(environ, home)):
        data = read_bytes(path, _MOST_BYTES + 1)
        if not data:
            continue
        try:
            if len(data) > _MOST_BYTES:
                raise ValueError("is too large")  # noqa: TRY301 - told as the others
            found = parse(data)
        except ValueError as error:
            ignored.append(f"{path} is ignored: {error}")
        else:
            scales += (SetScale(os.path.basename(path), scale) for scale in found)
    connected = tuple(_connected(environ.get("SYSFS_PATH") or _SYSFS, ignored))
    filled = () if scales else tuple(_filled(cache_root))
    return ScreenFacts(tuple(scales), connected, filled, tuple(ignored))


def _files(config: ConfigFolders) -> Iterator[tuple[str, Parse]]:
    """Yield the files that may hold scales, there or not, and what reads them."""
    own, home = config.own, config.home
    for folder in (own, *config.shared):
        yield f"{folder}/monitors.xml", settings.monitors_xml
    yield f"{own}/cinnamon-monitors.xml", settings.monitors_xml
    yield f"{own}/dconf/user", settings.dconf_scales
    yield f"{own}/kwinoutputconfig.json", settings.kwin_outputs
    yield f"{own}/kdeglobals", _text(settings.kdeglobals)
    yield f"{own}/xfce4/xfconf/xfce-perchannel-xml/xsettings.xml", settings.xsettings_xml
    yield f"{home}/.Xresources", _text(settings.x_resources)
    yield f"{home}/.Xdefaults", _text(settings.x_resources)
    for path in _below(f"{config.own_data}/kscreen"):
        yield path, settings.kscreen_outputs


def _below(folder: str) -> list[str]:
    """Return some files of a folder, sorted."""
    try:
        with os.scandir(folder) as found:
            files = [each.path for each in islice(found, _MOST_FILES) if each.is_file()]
    except OSError:
        return []
    return sorted(files)


def _connected(sysfs: str, ignored: list[str]) -> Iterator[Connected]:
    """Yield the screens that the kernel sees (Linux, Documentation/gpu/drm-kms: connectors)."""
    folder = f"{sysfs}/class/drm"
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in islice((name for name in names if "-" in name), _MOST_FILES):
        place = f"{folder}/{name}"
        if read_bytes(f"{place}/status", 32).strip() != b"connected":
            continue
        edid = read_bytes(f"{place}/edid", 128)
        if not edid:  # a virtual screen
            continue
        try:
            panel = settings.panel_of(edid, read_bytes(f"{place}/modes", 4096).decode("latin-1"))
        except ValueError as error:
            ignored.append(f"{place}/edid is ignored: {error}")
        else:
            yield Connected(name.partition("-")[2], panel)


def _filled(cache_root: bytes) -> Iterator[Filled]:
    """Yield what the cache holds of the larger flavors, by a look at some entries."""
    with suppress(CacheError), Cache(cache_root, policy=OpenPolicy.AS_FOUND) as cache:
        normal = cache.folder(Flavor.NORMAL)
        for flavor in Flavor:
            folder = cache.folder(flavor)
            if flavor in USUAL or not folder.exists():
                continue
            looked_at, foreign = _makers(folder)
            names = list(islice(normal.names(), _SAMPLE)) if looked_at else []
            having = sum(folder.file(name) is not None for name in names)
            yield Filled(flavor, looked_at, foreign, len(names), having)


def _makers(folder: Folder) -> tuple[int, int]:
    """Return how many entries could be looked at, and how many of these are not ours."""
    looked_at = foreign = 0
    for name in list(islice(folder.names(), _SAMPLE)):
        entry = folder.file(name)
        if entry is None:
            continue
        with suppress(OSError, PngError):
            makers = entry.head().values(SOFTWARE)
            looked_at += 1
            foreign += not any(made_by(maker, _OURS) for maker in makers)
    return looked_at, foreign

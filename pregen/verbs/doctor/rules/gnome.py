"""GNOME, Cinnamon and MATE: what they delete, and what their file managers show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.display import text
from pregen.verbs.doctor.findings import (
    Finding,
    Severity,
    bytes_per_source,
    expected_bytes,
    remote_example,
    share,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.verbs.doctor.facts import MachineFacts

_MIB: Final = 1024 * 1024
_DAY_S: Final = 86_400

#: The settings daemons of all three share the code: two minutes after login and once a day,
#: entries whose file is older than maximum-age days go, then the oldest until maximum-size
#: megabytes are left; negative means never (gnome-settings-daemon, housekeeping plugin).
_HOUSEKEEPERS: Final = {
    "org.gnome.desktop.thumbnail-cache": "GNOME",
    "org.cinnamon.desktop.thumbnail-cache": "Cinnamon",
    "org.mate.thumbnail-cache": "MATE",
}


class _FileManager(NamedTuple):
    name: str
    schema: str
    limit_unit_bytes: int
    """Of `thumbnail-limit`; 0: it has none that counts."""


_FILE_MANAGERS: Final = (
    _FileManager("GNOME Files", "org.gnome.nautilus.preferences", _MIB),
    _FileManager("Nemo", "org.nemo.preferences", 1),
    _FileManager("Caja", "org.mate.caja.preferences", 1),
)
_THUMBNAILERS: Final = {
    "org.gnome.desktop.thumbnailers": "GNOME",
    "org.cinnamon.desktop.thumbnailers": "Cinnamon",
    "org.mate.thumbnailers": "MATE",
}


def housekeeping(facts: MachineFacts) -> Iterator[Finding]:
    """Yield the limits beyond which a settings daemon deletes entries."""
    for schema, desktop in _HOUSEKEEPERS.items():
        settings = facts.gsettings.get(schema, {})
        megabytes, days = settings.get("maximum-size"), settings.get("maximum-age")
        if isinstance(megabytes, int) and megabytes >= 0:
            yield _too_large(facts, schema, desktop, megabytes)
        if isinstance(days, int) and days >= 0:
            yield _too_old(facts, schema, desktop, days)


def _too_large(facts: MachineFacts, schema: str, desktop: str, megabytes: int) -> Finding:
    limit_bytes, expected = megabytes * _MIB, expected_bytes(facts)
    pictures = text.count(int(limit_bytes / bytes_per_source(facts)))
    if facts.cache.size_bytes > limit_bytes:
        state = f"and it holds {text.size(facts.cache.size_bytes)} now"
    elif expected > limit_bytes:
        state = f"and all of your pictures will take about {text.size(expected)}"
    else:
        state = f"which is about {pictures} pictures"
    return Finding(
        Severity.PROBLEM if expected > limit_bytes else Severity.WARNING,
        f"{desktop.lower()}-maximum-size",
        desktop,
        f"{desktop} deletes the oldest thumbnails of all programs beyond {megabytes} MB, "
        f"at login and once a day, {state}.",
        (f"gsettings set {schema} maximum-size -1",),
    )


def _too_old(facts: MachineFacts, schema: str, desktop: str, days: int) -> Finding:
    old = facts.cache.oldest_s > days * _DAY_S
    state = ", and some are older" if old else ", though their pictures have not changed"
    return Finding(
        Severity.PROBLEM if old else Severity.WARNING,
        f"{desktop.lower()}-maximum-age",
        desktop,
        f"{desktop} deletes thumbnails {days} days after they were made{state}.",
        (f"gsettings set {schema} maximum-age -1",),
    )


def file_managers(facts: MachineFacts) -> Iterator[Finding]:
    """Yield the settings by which Nautilus, Nemo and Caja show nothing, or not everywhere."""
    for manager in _FILE_MANAGERS:
        settings = facts.gsettings.get(manager.schema, {})
        shows = settings.get("show-image-thumbnails")
        code = manager.name.rpartition(" ")[2].lower()
        always = (f"gsettings set {manager.schema} show-image-thumbnails always",)
        if shows == "never":
            why = f"{manager.name} is set to show no thumbnails at all."
            yield Finding(Severity.PROBLEM, f"{code}-never", manager.name, why, always)
        elif shows == "local-only" and (remote := remote_example(facts)):
            # GIO calls nfs, cifs, smb and sshfs mounts remote (docs/desktops.md).
            why = f"{manager.name} shows thumbnails of local files only, and {remote}."
            yield Finding(Severity.PROBLEM, f"{code}-local-only", manager.name, why, always)
        yield from _limit(facts, manager, settings.get("thumbnail-limit"), code)


def _limit(
    facts: MachineFacts, manager: _FileManager, limit: object, code: str
) -> Iterator[Finding]:
    """An entry that is there is shown whatever its original's size; none is made beyond it."""
    if not isinstance(limit, int) or not manager.limit_unit_bytes:
        return
    limit_bytes = limit * manager.limit_unit_bytes
    over = sum(source.size_bytes > limit_bytes for source in facts.sources)
    if over:
        largest = max(source.size_bytes for source in facts.sources)
        value = -(-largest * 2 // manager.limit_unit_bytes)
        yield Finding(
            Severity.NOTE,
            f"{code}-thumbnail-limit",
            manager.name,
            f"{manager.name} makes no thumbnails of files beyond {text.size(limit_bytes)}, as "
            f"{share(over, len(facts.sources))} of yours are: it shows those that pregen made, "
            "and new files wait for the next run.",
            (f"gsettings set {manager.schema} thumbnail-limit {value}",),
        )


def thumbnailers(facts: MachineFacts) -> Iterator[Finding]:
    """Yield where a desktop makes no thumbnails itself."""
    for schema, desktop in _THUMBNAILERS.items():
        if facts.gsettings.get(schema, {}).get("disable-all") is True:
            yield Finding(
                Severity.WARNING,
                f"{desktop.lower()}-disable-all",
                desktop,
                f"All thumbnailers of {desktop} are switched off: new and changed files have no "
                "thumbnail until pregen runs again.",
                (f"gsettings set {schema} disable-all false",),
            )

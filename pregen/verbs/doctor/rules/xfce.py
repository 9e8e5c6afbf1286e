"""Xfce: Thunar shows what tumbler hands out, and tumbler has limits of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pregen.display import text
from pregen.verbs.doctor.findings import Finding, Severity, quoted, share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pregen.verbs.doctor.facts import MachineFacts, SeenSource, Tumbler, TumblerPlugin


_NEVER: Final = "THUNAR_THUMBNAIL_MODE_NEVER"
_THUNAR: Final = "xfconf-query -c thunar --create"
#: The plugins of tumbler that may take a picture. The last one calls whatever thumbnailer programs
#: are installed, which may be none.
_BUILT_IN: Final = ("JPEGThumbnailer", "PixbufThumbnailer")
_OPEN: Final = {"Disabled": "false", "MaxFileSize": "0", "Excludes": "", "Locations": ""}
_BY_PROGRAMS: Final = "DesktopThumbnailer"


def thunar(facts: MachineFacts) -> Iterator[Finding]:
    """Yield Thunar's own settings. Its "local" means the scheme: mounted shares count as local."""
    if facts.thunar is None:
        return
    if facts.thunar.mode == _NEVER:
        yield Finding(
            Severity.PROBLEM,
            "thunar-never",
            "Thunar",
            "Thunar is set to show no thumbnails at all.",
            (f"{_THUNAR} -p /misc-thumbnail-mode -t string -s THUNAR_THUMBNAIL_MODE_ALWAYS",),
        )
    limit_bytes = facts.thunar.maximum_size_bytes
    if limit_bytes:
        over = sum(source.size_bytes > limit_bytes for source in facts.sources)
        if over:
            yield Finding(
                Severity.PROBLEM,
                "thunar-maximum-size",
                "Thunar",
                f"Thunar shows no thumbnails of files beyond {text.size(limit_bytes)}, as "
                f"{share(over, len(facts.sources))} of yours are.",
                (f"{_THUNAR} -p /misc-thumbnail-max-file-size -t uint64 -s 0",),
            )


def tumbler(facts: MachineFacts) -> Iterator[Finding]:
    """Yield that tumbler refuses pictures.

    Its limits hold before the cache is asked, and it deletes the entries, of every flavor, of a
    file that no plugin takes (tumbler 4.18 [RUN]).
    """
    if facts.tumbler is None:
        return
    plugins = {plugin.name: plugin for plugin in facts.tumbler.plugins}
    refused = [
        source
        for source in facts.sources
        if not any(_takes(plugins.get(name), source) for name in _BUILT_IN)
    ]
    all_off = all(name in plugins and plugins[name].disabled for name in _BUILT_IN)
    if not refused and not all_off:
        return
    lost = [source for source in refused if not _takes(plugins.get(_BY_PROGRAMS), source)]
    whose = f"{share(len(refused), len(facts.sources))} of your pictures" if refused else "pictures"
    yield Finding(
        Severity.PROBLEM if lost else Severity.WARNING,
        "tumbler-limits",
        "tumbler (Thunar)",
        f"tumbler's settings keep its picture plugins from {whose}, by Disabled, MaxFileSize, "
        "Excludes or Locations, and tumbler deletes thumbnails of what no plugin of it takes.",
        _mend(facts.tumbler),
    )


def _mend(tumbler: Tumbler) -> tuple[str, ...]:
    """Return the commands that open the built-in plugins, in the user's own file."""
    own = quoted(tumbler.own_path)
    copy = f"install -Dm644 {quoted(tumbler.path)} {own}"
    within = ";".join(f"s/^{key} *=.*/{key}={value}/" for key, value in _OPEN.items())
    edits = " ".join(rf"-e '/^\[{name}\]/,/^\[/{{{within}}}'" for name in _BUILT_IN)
    mend = f"sed -i {edits} {own}"
    return (mend,) if tumbler.path == tumbler.own_path else (copy, mend)


def _takes(plugin: TumblerPlugin | None, source: SeenSource) -> bool:
    """Tell whether a plugin's settings let it take a file; one without settings takes all."""
    if plugin is None:
        return True
    if plugin.disabled or 0 < plugin.maximum_size_bytes < source.size_bytes:
        return False
    if any(_below(source.path, folder) for folder in plugin.excludes):
        return False
    locations = plugin.locations
    return not locations or any(_below(source.path, folder) for folder in locations)


def _below(path: bytes, folder: bytes) -> bool:
    return path.startswith(folder.rstrip(b"/") + b"/")


# --- PCManFM and PCManFM-Qt: thumbnails switched off
#
# Their limits by size and by place are for making thumbnails: an entry that is there is shown
# (docs/desktops.md, read in libfm-qt).


def file_managers(facts: MachineFacts) -> Iterator[Finding]:
    """Yield the file managers that show none."""
    for manager in facts.lx:
        if not manager.shows:
            key, _, value = manager.show_line.partition("=")
            yield Finding(
                Severity.PROBLEM,
                f"{manager.name.lower()}-never",
                manager.name,
                f"{manager.name} is set to show no thumbnails at all.",
                (f"sed -i 's/^{key}=.*/{key}={value}/' {quoted(manager.path)}",),
            )

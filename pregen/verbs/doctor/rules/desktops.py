"""What desktops delete from the cache, and what their file managers show of it."""

from __future__ import annotations

import os
import shlex
from functools import partial
from typing import TYPE_CHECKING, Final

from pregen.display import text
from pregen.display.text import shown
from pregen.verbs.doctor.facts import G_DESKTOPS, G_FILE_MANAGERS
from pregen.verbs.doctor.findings import (
    bytes_per_source,
    note,
    problem,
    quoted,
    setting,
    share,
    warning,
)
from pregen.verbs.doctor.fixes import Needs, RunProgram, SetValues

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from pregen.desktop_settings import Setting
    from pregen.verbs.doctor.facts import (
        GFileManager,
        Kde,
        MachineFacts,
        SeenSource,
        Tumbler,
        TumblerPlugin,
    )
    from pregen.verbs.doctor.findings import Finding
    from pregen.verbs.doctor.fixes import Fix

_MIB: Final = 1024 * 1024
_DAY_S: Final = 86_400
#: More than any picture has.
_PLENTY_BYTES: Final = 10 * 1024**3
_THUNAR: Final = ("xfconf-query", "-c", "thunar", "--create")
_KDE_GROUP: Final = "PreviewSettings"
#: The last version of KIO 5 that was looked at: files on mounts of a network count as local
#: (previewjob.cpp asks for the scheme of the URL only). KIO 6.13 asks `KFileItem::isSlow` as well.
_MOUNTS_ARE_LOCAL: Final = (5, 103)
#: The plugins of tumbler that may take a picture. The last one calls the thumbnailer programs
#: that are installed, which may be none.
_BUILT_IN: Final = ("JPEGThumbnailer", "PixbufThumbnailer")
_BY_PROGRAMS: Final = "DesktopThumbnailer"
_OPEN: Final = {"Disabled": "false", "MaxFileSize": "0", "Excludes": "", "Locations": ""}


def housekeeping(facts: MachineFacts) -> Iterator[Finding]:
    """Yield the limits beyond which a settings daemon deletes entries.

    Those of GNOME, Cinnamon and MATE share the code: two minutes after login and once a day,
    entries whose file is older than maximum-age days go, then the oldest until maximum-size
    megabytes are left; negative means never (gnome-settings-daemon, housekeeping plugin). Where no
    such daemon is, as on a server that has the schemas for some program, nothing is deleted.
    """
    for desktop in G_DESKTOPS:
        if desktop.name not in facts.housekeepers:
            continue
        settings = facts.gsettings.get(desktop.housekeeping, {})
        megabytes, days = settings.get("maximum-size"), settings.get("maximum-age")
        never = partial(setting, desktop.housekeeping, value="-1")
        if isinstance(megabytes, int) and megabytes >= 0:
            yield _too_large(facts, desktop.name, megabytes, never(key="maximum-size"))
        if isinstance(days, int) and days >= 0:
            yield _too_old(facts, desktop.name, days, never(key="maximum-age"))


def passed_limit(
    housekeepers: Collection[str],
    settings: Mapping[str, Mapping[str, Setting]],
    held_bytes: int,
    written_bytes: int,
) -> str:
    """Return what a run says that brought the cache beyond a desktop's limit; else nothing.

    Args:
        housekeepers: desktops of which something deletes entries here.
        settings: as `MachineFacts.gsettings` has them.
        held_bytes: of all entries, now.
        written_bytes: by the run.
    """
    for desktop in G_DESKTOPS:
        megabytes = settings.get(desktop.housekeeping, {}).get("maximum-size")
        if desktop.name not in housekeepers or not isinstance(megabytes, int) or megabytes < 0:
            continue
        if held_bytes - written_bytes <= megabytes * _MIB < held_bytes:
            never = setting(desktop.housekeeping, "maximum-size", "-1")
            return (
                f"The thumbnails take {text.size(held_bytes)} now. {desktop.name} deletes the "
                f"oldest beyond {megabytes} MB, at login and once a day. To keep them: "
                f"{shlex.join(never.argv)}"
            )
    return ""


def _expected_bytes(facts: MachineFacts) -> int:
    """Return what the cache will hold once all known pictures have their entries."""
    return max(facts.cache.size_bytes, round(facts.source_count * bytes_per_source(facts)))


def _too_large(facts: MachineFacts, desktop: str, megabytes: int, never: RunProgram) -> Finding:
    limit_bytes, expected = megabytes * _MIB, _expected_bytes(facts)
    if facts.cache.size_bytes > limit_bytes:
        state = f"; the cache holds {text.size(facts.cache.size_bytes)} now"
    elif expected > limit_bytes:
        state = f"; all of your pictures will take about {text.size(expected)}"
    else:
        pictures = text.count(int(limit_bytes / bytes_per_source(facts)))
        state = f", about {pictures} pictures"
    judged = problem if expected > limit_bytes else warning
    return judged(
        f"{desktop.lower()}-maximum-size",
        desktop,
        f"At login and once a day {desktop} deletes the oldest thumbnails of all programs beyond "
        f"{megabytes} MB{state}.",
        shlex.join(never.argv),
        fix=never,
    )


def _too_old(facts: MachineFacts, desktop: str, days: int, never: RunProgram) -> Finding:
    old = facts.cache.oldest_s > days * _DAY_S
    state = ", and some are older" if old else ", though their pictures have not changed"
    judged = problem if old else warning
    return judged(
        f"{desktop.lower()}-maximum-age",
        desktop,
        f"{desktop} deletes thumbnails {days} days after they were created{state}.",
        shlex.join(never.argv),
        fix=never,
    )


def thumbnailers(facts: MachineFacts) -> Iterator[Finding]:
    """Yield where GNOME, Cinnamon or MATE make no thumbnails themselves."""
    for desktop in G_DESKTOPS:
        if facts.gsettings.get(desktop.thumbnailers, {}).get("disable-all") is True:
            enable = setting(desktop.thumbnailers, "disable-all", "false")
            yield warning(
                f"{desktop.name.lower()}-disable-all",
                desktop.name,
                f"All thumbnailers of {desktop.name} are switched off: new and changed files have "
                "no thumbnail until pregen runs again.",
                shlex.join(enable.argv),
                fix=enable,
            )


def _shows_none(code: str, program: str, mend: str, fix: Fix) -> Finding:
    why = f"{program} is set to show no thumbnails at all."
    return problem(f"{code}-never", program, why, mend, fix=fix)


def _beyond(limit_bytes: int, sources: Sequence[SeenSource]) -> str:
    """Return which files are over a limit; empty: none of these is."""
    over = sum(source.size_bytes > limit_bytes for source in sources)
    if not over:
        return ""
    return f"over {text.size(limit_bytes)} ({share(over, len(sources))} of yours)"


def _remote_example(facts: MachineFacts) -> str:
    """Return how many of the known pictures are on network file systems; empty: none is known."""
    remote = [source for source in facts.sources if source.remote]
    if not remote:
        return ""
    folder = shown(remote[0].path.rpartition(b"/")[0] or b"/")
    return f"{share(len(remote), len(facts.sources))} of your pictures are on a network: {folder}"


def nautilus_and_kin(facts: MachineFacts) -> Iterator[Finding]:
    """Yield the settings by which Nautilus, Nemo and Caja show nothing, or not everywhere."""
    for manager in G_FILE_MANAGERS:
        settings = facts.gsettings.get(manager.schema, {})
        shows = settings.get("show-image-thumbnails")
        code = manager.name.rpartition(" ")[2].lower()
        always = setting(manager.schema, "show-image-thumbnails", "always")
        command = shlex.join(always.argv)
        if shows == "never":
            yield _shows_none(code, manager.name, command, always)
        elif shows == "local-only" and (remote := _remote_example(facts)):
            # GIO calls nfs, cifs, smb and sshfs mounts remote (docs/desktops.md).
            why = f"{manager.name} shows thumbnails of local files only, and {remote}."
            yield problem(f"{code}-local-only", manager.name, why, command, fix=always)
        limit = settings.get("thumbnail-limit")
        if isinstance(limit, int):
            yield from _limited(facts, manager, limit, code)


def _limited(
    facts: MachineFacts, manager: GFileManager, limit: int, code: str
) -> Iterator[Finding]:
    """An entry that exists is shown for an original of any size; none is made beyond it."""
    beyond = _beyond(limit * manager.limit_unit_bytes, facts.sources)
    if beyond:
        largest = max(source.size_bytes for source in facts.sources)
        value = -(-largest * 2 // manager.limit_unit_bytes)
        raise_it = setting(manager.schema, "thumbnail-limit", str(value))
        yield note(
            f"{code}-thumbnail-limit",
            manager.name,
            f"{manager.name} creates no thumbnails for files {beyond}. It shows those that pregen "
            "created; new files have none until the next run.",
            shlex.join(raise_it.argv),
            fix=raise_it,
        )


def dolphin(facts: MachineFacts) -> Iterator[Finding]:
    """Yield KDE's limits by size and by place, which hold before the cache is asked.

    That is so in KIO 5.103 and 6.13. What is remote, the two see differently.
    """
    if facts.kde is None:
        return
    kde = facts.kde
    mounts_are_local = bool(kde.version) and kde.version[:2] <= _MOUNTS_ARE_LOCAL
    remote = "" if mounts_are_local else _remote_example(facts)
    if remote and not kde.maximum_remote_size_bytes:
        yield _kde_limit(
            kde,
            "MaximumRemoteSize",
            f"Dolphin shows no thumbnails for files on a network, and {remote}.",
        )
    for is_remote, key, where, limit_bytes in (
        (True, "MaximumRemoteSize", "on a network", kde.maximum_remote_size_bytes),
        (False, "MaximumSize", "on this machine", kde.maximum_size_bytes),
    ):
        sources = [
            source
            for source in facts.sources
            if (source.remote and not mounts_are_local) == is_remote
        ]
        if limit_bytes and (beyond := _beyond(limit_bytes, sources)):
            yield _kde_limit(kde, key, f"Dolphin shows no thumbnails for files {where} {beyond}.")
    if remote and not kde.remote_folders:
        yield note(
            "kde-remote-folders",
            "KDE",
            "Dolphin shows plain icons for folders on a network.",
            kde_command(kde, "EnableRemoteFolderThumbnail", "true"),
        )


def _kde_limit(kde: Kde, key: str, why: str) -> Finding:
    code = "kde-maximum-remote-size" if "Remote" in key else "kde-maximum-size"
    value = str(_PLENTY_BYTES)
    return problem(
        code, "KDE", why, kde_command(kde, key, value), fix=kde_values(kde, {key: value})
    )


def _kde_file(kde: Kde, key: str) -> str:
    """Return the file in which a value counts; Dolphin's own settings keep Plugins in its own."""
    return "dolphinrc" if key == "Plugins" or key in kde.in_dolphinrc else "kdeglobals"


def kde_command(kde: Kde, key: str, value: str) -> str:
    """Return the command that sets a value of previews."""
    words = kde.writer, "--file", _kde_file(kde, key), "--group", _KDE_GROUP, "--key", key, value
    return shlex.join(words)


def kde_values(kde: Kde, values: Mapping[str, str]) -> SetValues:
    """Return what sets values of previews that count in one file."""
    name = _kde_file(kde, next(iter(values)))
    path = os.path.join(kde.config, name.encode())
    return SetValues(path, b"", {_KDE_GROUP: values})


def thunar(facts: MachineFacts) -> Iterator[Finding]:
    """Yield Thunar's own settings. Its "local" means the scheme: mounted shares count as local."""
    if facts.thunar is None:
        return
    if facts.thunar.mode == "THUNAR_THUMBNAIL_MODE_NEVER":
        fix = _thunar_sets("misc-thumbnail-mode", "string", "THUNAR_THUMBNAIL_MODE_ALWAYS")
        yield _shows_none("thunar", "Thunar", shlex.join(fix.argv), fix)
    limit_bytes = facts.thunar.maximum_size_bytes
    if limit_bytes and (beyond := _beyond(limit_bytes, facts.sources)):
        fix = _thunar_sets("misc-thumbnail-max-file-size", "uint64", "0")
        yield problem(
            "thunar-maximum-size",
            "Thunar",
            f"Thunar shows no thumbnails for files {beyond}.",
            shlex.join(fix.argv),
            fix=fix,
        )


def _thunar_sets(key: str, kind: str, value: str) -> RunProgram:
    return RunProgram((*_THUNAR, "-p", f"/{key}", "-t", kind, "-s", value), Needs.SESSION)


def tumbler(facts: MachineFacts) -> Iterator[Finding]:
    """Yield that tumbler refuses pictures, of which Thunar shows what it hands out.

    Its limits hold before the cache is asked, and it deletes the entries, of every flavor, of a
    file that no plugin takes (tumbler 4.18 [RUN]).
    """
    if facts.tumbler is None or not facts.tumbler.path:
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
    judged = problem if lost else warning
    yield judged(
        "tumbler-limits",
        "tumbler (Thunar)",
        f"tumbler's settings (Disabled, MaxFileSize, Excludes or Locations) keep its picture "
        f"plugins from {whose}, and tumbler deletes thumbnails of files that no plugin accepts.",
        *_mend(facts.tumbler),
        fix=SetValues(
            facts.tumbler.own_path,
            facts.tumbler.path,
            {name: _OPEN for name in _BUILT_IN if name in plugins},
        ),
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


def pcmanfm(facts: MachineFacts) -> Iterator[Finding]:
    """Yield that PCManFM or PCManFM-Qt show none.

    Their limits by size and by place are for making thumbnails: an entry that is there is shown
    (docs/desktops.md, read in libfm-qt).
    """
    for manager in facts.lx:
        if not manager.shows:
            key, _, value = manager.show_line.partition("=")
            mend = f"sed -i 's/^{key}=.*/{key}={value}/' {quoted(manager.path)}"
            fix = SetValues(manager.path, b"", {manager.group: {key: value}})
            yield _shows_none(manager.name.lower(), manager.name, mend, fix)

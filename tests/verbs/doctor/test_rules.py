"""Facts to findings: each rule speaks when it should, and is silent on a healthy machine."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pregen.model import ALL_FLAVORS, Flavor
from pregen.screens.choice import ScreenFacts, SetScale
from pregen.screens.settings import Scale
from pregen.verbs.doctor.facts import (
    CacheFacts,
    Disk,
    FailRecords,
    FlavorCount,
    FolderFacts,
    Kde,
    LxFileManager,
    MachineFacts,
    OtherRoot,
    SeenSource,
    SessionRoot,
    ThumbnailPlugin,
    Thunar,
    Tumbler,
    TumblerPlugin,
)
from pregen.verbs.doctor.findings import Finding, Severity, quoted
from pregen.verbs.doctor.rules import diagnose

if TYPE_CHECKING:
    from collections.abc import Mapping

GNOME = "org.gnome.desktop.thumbnail-cache"
NEMO = "org.nemo.preferences"
NAUTILUS = "org.gnome.nautilus.preferences"
MB = 1024 * 1024

FILM = SeenSource(b"/home/ann/a.mp4", 8 * MB, remote=False, mime="video/mp4")
HEIC = SeenSource(b"/home/ann/a.heic", 8 * MB, remote=False, mime="image/heif")
RAW = SeenSource(b"/home/ann/a.cr2", 8 * MB, remote=False, mime="image/x-canon-cr2")
PLUGINS = (
    ThumbnailPlugin("imagethumbnail", frozenset({"image/*"})),
    ThumbnailPlugin("jpegthumbnail", frozenset({"image/jpeg"})),
)
ROOT = b"/home/ann/.cache/thumbnails"
DISK = Disk("ext4", remote=False, free_bytes=10**12, free_inodes=10**7)
CACHE = CacheFacts(ROOT, 1000, DISK, (FolderFacts(ROOT, 1000, 0o700),))
LOCAL = SeenSource(b"/home/ann/a.jpg", 8 * MB, remote=False, mime="image/jpeg")
REMOTE = SeenSource(b"/mnt/nas/b.jpg", 8 * MB, remote=True)
KDE = Kde("kwriteconfig6", b"/home/ann/.config")
HEALTHY = MachineFacts(CACHE, home=b"/home/ann", sources=(LOCAL,))


def cache(**changes: Any) -> MachineFacts:
    return replace(HEALTHY, cache=replace(CACHE, **changes))


def disk(**changes: Any) -> MachineFacts:
    return cache(disk=DISK._replace(**changes))


def gsettings(schema: str, **values: str | int | bool) -> MachineFacts:
    settings: Mapping[str, str | int | bool]
    settings = {key.replace("_", "-"): value for key, value in values.items()}
    daemons = frozenset({"GNOME", "Cinnamon", "MATE"})
    return replace(HEALTHY, gsettings={schema: settings}, housekeepers=daemons)


def kde(*sources: SeenSource, **settings: Any) -> MachineFacts:
    return replace(HEALTHY, kde=KDE._replace(**settings), sources=sources or (LOCAL,))


def tumbler(*plugins: TumblerPlugin) -> MachineFacts:
    path = b"/home/ann/.config/tumbler/tumbler.rc"
    return replace(HEALTHY, tumbler=Tumbler(path, path, plugins))


def both(**limits: Any) -> tuple[TumblerPlugin, TumblerPlugin]:
    return TumblerPlugin("JPEGThumbnailer", **limits), TumblerPlugin("PixbufThumbnailer", **limits)


def screens(scale: float, *, keys: int = 1000, foreign: int = 0, **entries: int) -> MachineFacts:
    """A cache of so many pictures, and screens at this scale."""
    facts = ScreenFacts(scales=(SetScale("monitors.xml", Scale("eDP-1", scale)),))
    counts = {"NORMAL": keys, "LARGE": keys, **entries}
    held = {Flavor[name]: FlavorCount(count, count, 50, foreign) for name, count in counts.items()}
    return replace(cache(keys=keys, flavors=held), screens=facts)


def at(severity: Severity, facts: MachineFacts) -> list[str]:
    return [finding.code for finding in diagnose(facts) if finding.severity is severity]


def only(facts: MachineFacts) -> Finding:
    (finding,) = diagnose(facts)
    return finding


def test_a_healthy_machine_has_nothing_to_do() -> None:
    assert diagnose(HEALTHY) == []
    everything = replace(
        HEALTHY,
        gsettings={
            GNOME: {"maximum-size": -1, "maximum-age": -1},
            NAUTILUS: {"show-image-thumbnails": "local-only", "thumbnail-limit": 50},
            "org.gnome.desktop.thumbnailers": {"disable-all": False},
        },
        kde=KDE._replace(plugins=("imagethumbnail", "jpegthumbnail", "svgthumbnail")),
        thunar=Thunar("THUNAR_THUMBNAIL_MODE_ONLY_LOCAL", 0),
        tumbler=Tumbler(b"/etc/t", b"/home/ann/t", both()),
        lx=(LxFileManager("PCManFM", b"/x", "ui", "show_thumbnail=1", shows=True),),
        source_count=35_000,
        session_roots=(SessionRoot("nautilus", ROOT),),
    )
    assert diagnose(everything) == []


HIDING = LxFileManager("PCManFM-Qt", b"/x", "Thumbnail", "ShowThumbnails=true", shows=False)

PROBLEMS = {
    "cache beyond GNOME's size": (
        replace(
            gsettings(GNOME, maximum_size=512, maximum_age=-1),
            cache=replace(CACHE, size_bytes=600 * MB, entries=9, keys=9),
        ),
        "gnome-maximum-size",
    ),
    "35,000 photos to come": (
        replace(gsettings(GNOME, maximum_size=512), source_count=35_000),
        "gnome-maximum-size",
    ),
    "an entry of last year": (
        replace(
            gsettings(GNOME, maximum_age=180), cache=replace(CACHE, oldest_s=181 * 86_400.0)
        ),
        "gnome-maximum-age",
    ),
    "Cinnamon's own": (
        replace(
            gsettings("org.cinnamon.desktop.thumbnail-cache", maximum_size=64), source_count=9_000
        ),
        "cinnamon-maximum-size",
    ),
    "MATE's own": (
        replace(gsettings("org.mate.thumbnail-cache", maximum_size=64), source_count=9_000),
        "mate-maximum-size",
    ),
    "Nautilus shows none": (gsettings(NAUTILUS, show_image_thumbnails="never"), "files-never"),
    "Nautilus and a share": (
        replace(gsettings(NAUTILUS, show_image_thumbnails="local-only"), sources=(LOCAL, REMOTE)),
        "files-local-only",
    ),
    "Nemo and a share": (
        replace(gsettings(NEMO, show_image_thumbnails="local-only"), sources=(REMOTE,)),
        "nemo-local-only",
    ),
    "KDE and a share": (kde(REMOTE, remote_folders=True), "kde-maximum-remote-size"),
    "KDE 6, a share and a limit": (
        kde(REMOTE, maximum_remote_size_bytes=MB, remote_folders=True, version=(6, 13, 0)),
        "kde-maximum-remote-size",
    ),
    "KDE 5, a share and a limit of size": (
        kde(REMOTE, maximum_size_bytes=MB, version=(5, 103, 0)),
        "kde-maximum-size",
    ),
    "KDE and a large file": (kde(maximum_size_bytes=MB), "kde-maximum-size"),
    "KDE without pictures": (kde(plugins=("imagethumbnail",)), "kde-plugins"),
    "KDE without films": (
        replace(kde(FILM, installed=PLUGINS), manager="apt"),
        "kde-no-plugin",
    ),
    "KDE with films switched off": (
        kde(
            FILM,
            plugins=("imagethumbnail",),
            installed=(*PLUGINS, ThumbnailPlugin("ffmpegthumbs", frozenset({"video/*"}))),
        ),
        "kde-plugins",
    ),
    "Thunar shows none": (
        replace(HEALTHY, thunar=Thunar("THUNAR_THUMBNAIL_MODE_NEVER")),
        "thunar-never",
    ),
    "Thunar and a large file": (replace(HEALTHY, thunar=Thunar(None, MB)), "thunar-maximum-size"),
    "tumbler and a large file": (
        tumbler(*both(maximum_size_bytes=MB), TumblerPlugin("DesktopThumbnailer", disabled=True)),
        "tumbler-limits",
    ),
    "tumbler and a place": (
        tumbler(
            *both(excludes=(b"/home/ann",)),
            TumblerPlugin("DesktopThumbnailer", locations=(b"/srv",)),
        ),
        "tumbler-limits",
    ),
    "PCManFM-Qt shows none": (
        replace(HEALTHY, lx=(HIDING,)),
        "pcmanfm-qt-never",
    ),
    "a folder of root's": (cache(folders=(FolderFacts(ROOT, 0, 0o700),)), "owner"),
    "entries of root's": (cache(entries=5, foreign_entries=2), "owner"),
    "a folder closed to its owner": (cache(folders=(FolderFacts(ROOT, 1000, 0o500),)), "closed"),
    "entries closed to their owner": (cache(closed_entries=3), "closed"),
    "a full disk": (disk(free_bytes=10**6), "full"),
    "a disk too small": (replace(disk(free_bytes=10**9), source_count=35_000), "full"),
    "a disk that takes few files": (
        replace(disk(free_inodes=50_000), source_count=35_000),
        "inodes",
    ),
    "a disk with no names left": (disk(free_inodes=3), "inodes"),
    "a disk mounted read-only": (disk(read_only=True), "read-only"),
    "a cache in memory": (disk(fstype="tmpfs"), "volatile"),
    "through sudo": (replace(HEALTHY, sudo_user="ann"), "sudo"),
    "a session elsewhere": (
        replace(HEALTHY, session_roots=(SessionRoot("nautilus", b"/big/cache/thumbnails"),)),
        "cache-home",
    ),
}  # fmt: skip

WARNINGS = {
    "GNOME's default size": (gsettings(GNOME, maximum_size=512), "gnome-maximum-size"),
    "GNOME's default age": (gsettings(GNOME, maximum_age=180), "gnome-maximum-age"),
    "thumbnailers off": (
        gsettings("org.gnome.desktop.thumbnailers", disable_all=True),
        "gnome-disable-all",
    ),
    "tumbler without HEIC": (
        replace(
            HEALTHY,
            tumbler=Tumbler(b"", b"/home/ann/t", (), PLUGINS[1:]),
            sources=(LOCAL, HEIC),
            manager="pacman",
        ),
        "tumbler-no-plugin",
    ),
    "a screen asks for more": (screens(2, X_LARGE=3), "sizes-wanted"),
    "tumbler leaves it to programs": (tumbler(*both(maximum_size_bytes=MB)), "tumbler-limits"),
    "tumbler's plugins off": (replace(tumbler(*both(disabled=True)), sources=()), "tumbler-limits"),
    "a cache on a network": (disk(fstype="nfs4", remote=True), "network"),
    "records outlived": (
        cache(fail_records=(FailRecords("gnome-thumbnail-factory", 7, 2),)),
        "fail-records",
    ),
}

NOTES = {
    "Nemo makes few itself": (gsettings(NEMO, thumbnail_limit=MB), "nemo-thumbnail-limit"),
    "KDE's plain folders": (
        kde(REMOTE, maximum_remote_size_bytes=10**12),
        "kde-remote-folders",
    ),
    "nothing reads JPEG 2000": (
        replace(
            HEALTHY,
            tumbler=Tumbler(b"", b"/home/ann/t", (), PLUGINS[1:]),
            sources=(SeenSource(b"/a.jp2", 1, remote=False, mime="image/jp2"),),
            manager="apt",
        ),
        "tumbler-no-plugin",
    ),
    "a size that nobody asks for": (screens(1, X_LARGE=900), "sizes-unwanted"),
    "open to others": (
        cache(folders=(FolderFacts(ROOT, 1000, 0o755),), open_entries=9),
        "open",
    ),
    "a flatpak": (
        replace(
            HEALTHY,
            other_roots=(OtherRoot("flatpak", "org.x.Y", b"/home/ann/.var/app/org.x.Y/cache"),),
        ),
        "sandbox",
    ),
}


@pytest.mark.parametrize(
    ("severity", "facts", "code"),
    [
        pytest.param(severity, facts, code, id=name)
        for severity, cases in (
            (Severity.PROBLEM, PROBLEMS),
            (Severity.WARNING, WARNINGS),
            (Severity.NOTE, NOTES),
        )
        for name, (facts, code) in cases.items()
    ],
)
def test_one_thing_wrong_is_one_finding_with_a_sentence_and_a_command(
    severity: Severity, facts: MachineFacts, code: str
) -> None:
    finding = only(facts)
    assert (finding.severity, finding.code) == (severity, code)
    assert finding.why.endswith(".")
    assert finding.mend or "no known package" in finding.why
    for command in finding.mend:
        subprocess.run(["sh", "-n", "-c", command], check=True, capture_output=True)


SILENT = {
    "limits of nothing known": replace(kde(maximum_size_bytes=MB), sources=()),
    "schemas of GNOME without its daemon": replace(
        gsettings(GNOME, maximum_size=1, maximum_age=1), housekeepers=frozenset({"MATE"})
    ),
    "KDE 5 and a share": kde(REMOTE, version=(5, 103, 0)),
    "KDE and any picture": kde(LOCAL, HEIC, RAW, installed=PLUGINS),
    "KDE and a type by its ancestor": replace(
        kde(SeenSource(b"/a.ogm", 1, remote=False, mime="video/x-ogm+ogg"), installed=PLUGINS),
        ancestors={"video/x-ogm+ogg": ("application/ogg", "image/jpeg")},
    ),
    "KDE and a type that is not known": kde(installed=PLUGINS),
    "KDE's plugins as they come": kde(LOCAL, HEIC, installed=PLUGINS, plugins=None),
    "a file of 50.1 MB and Nautilus' 51": replace(
        gsettings(NAUTILUS, thumbnail_limit=51),
        sources=(SeenSource(b"/a.tif", 50_100_000, remote=False),),
    ),
    "tumbler and JPEGs": replace(
        HEALTHY, tumbler=Tumbler(b"", b"/t", (), PLUGINS[1:]), sources=(LOCAL,)
    ),
    "sizes as the screens ask for": screens(2, X_LARGE=500),
    "a size by other programs": screens(1, X_LARGE=900, foreign=1),
    "a size that is named": replace(screens(1, X_LARGE=900), named_flavors=ALL_FLAVORS),
    "a cache that has just begun": screens(2, keys=10),
    "a file that some plugin takes": tumbler(
        TumblerPlugin("JPEGThumbnailer", maximum_size_bytes=1), TumblerPlugin("PixbufThumbnailer")
    ),
    "a folder whose name begins alike": tumbler(*both(excludes=(b"/home/an",))),
    "within the locations": tumbler(*both(locations=(b"/home/ann/",))),
    "large enough": tumbler(*both(maximum_size_bytes=8 * MB)),
    "a file system without inodes": disk(free_inodes=None),
    "records of files without thumbnails": cache(fail_records=(FailRecords("x", 7, 0),)),
    "readable files behind a closed door": cache(open_entries=9),
}


@pytest.mark.parametrize("facts", SILENT.values(), ids=SILENT.keys())
def test_what_hides_nothing_is_no_finding(facts: MachineFacts) -> None:
    assert diagnose(facts) == []


def test_the_worst_stands_first() -> None:
    facts = replace(
        gsettings(GNOME, maximum_size=512, maximum_age=180),
        cache=replace(CACHE, disk=DISK._replace(fstype="tmpfs"), entries=1),
        other_roots=(OtherRoot("snap", "x", b"/home/ann/snap/x/common/.cache"),),
    )
    severities = [finding.severity for finding in diagnose(facts)]
    assert severities == sorted(severities, reverse=True)
    assert len(set(severities)) == 3


def test_two_processes_of_one_session_are_one_finding() -> None:
    elsewhere = b"/big/cache/thumbnails"
    roots = (SessionRoot("nautilus", elsewhere), SessionRoot("gsd-housekeeping", elsewhere))
    assert only(replace(HEALTHY, session_roots=roots)).mend == ("export XDG_CACHE_HOME=/big/cache",)


def test_the_expected_size_is_measured_where_there_are_enough_entries() -> None:
    facts = replace(
        gsettings(GNOME, maximum_size=512),
        cache=replace(CACHE, entries=2000, keys=1000, size_bytes=1000 * 10_000),
        source_count=35_000,
    )
    assert at(Severity.WARNING, facts) == ["gnome-maximum-size"]
    assert "about 53,687 pictures" in only(facts).why


def test_a_mixed_library_is_told_in_parts() -> None:
    facts = replace(
        gsettings(NAUTILUS, show_image_thumbnails="local-only"), sources=(LOCAL,) * 3 + (REMOTE,)
    )
    assert "25% of your pictures are on a network: /mnt/nas" in only(facts).why


@pytest.mark.parametrize(
    "path",
    [b"/plain", b"/a b", b"/it's", b"/\xff\xfe", b"/a\nb", b"/a\\b\x1b[31m'", b"/\xe2\x80\xae"],
)
def test_a_path_in_a_command_is_the_same_path_for_the_shell(path: bytes) -> None:
    said = subprocess.run(
        ["bash", "-c", f"printf %s {quoted(path)}"], capture_output=True, check=True
    )
    assert said.stdout == path
    assert quoted(path).isprintable()

"""What the rules want to know of a machine. Values; nothing is read here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.desktop_settings import Setting

if TYPE_CHECKING:
    from pregen.model import Flavor
    from pregen.screens.choice import ScreenFacts

#: Effective values by schema and key, of the schemas that are installed.
GSettings = Mapping[str, Mapping[str, Setting]]


class GDesktop(NamedTuple):
    """A desktop whose settings are GSettings."""

    name: str
    housekeeping: str
    """Schema of what its settings daemon deletes from the cache."""
    thumbnailers: str
    """Schema of what makes thumbnails for it."""
    daemon: str
    """What deletes it: a program, or a plugin of one. Schemas are there without any desktop."""


G_DESKTOPS: Final = (
    GDesktop(
        "GNOME",
        "org.gnome.desktop.thumbnail-cache",
        "org.gnome.desktop.thumbnailers",
        "gsd-housekeeping",
    ),
    GDesktop(
        "Cinnamon",
        "org.cinnamon.desktop.thumbnail-cache",
        "org.cinnamon.desktop.thumbnailers",
        "csd-housekeeping",
    ),
    GDesktop("MATE", "org.mate.thumbnail-cache", "org.mate.thumbnailers", "mate-settings-daemon"),
)


class GFileManager(NamedTuple):
    """A file manager whose settings are GSettings."""

    name: str
    schema: str
    limit_unit_bytes: int
    """Of `thumbnail-limit`. Nautilus counts millions (nautilus-file.c, MEGA_TO_BASE_RATE)."""


G_FILE_MANAGERS: Final = (
    GFileManager("GNOME Files", "org.gnome.nautilus.preferences", 1_000_000),
    GFileManager("Nemo", "org.nemo.preferences", 1),
    GFileManager("Caja", "org.mate.caja.preferences", 1),
)
#: What rules ask for.
SCHEMAS: Final = frozenset(
    {
        *(desktop.housekeeping for desktop in G_DESKTOPS),
        *(desktop.thumbnailers for desktop in G_DESKTOPS),
        *(manager.schema for manager in G_FILE_MANAGERS),
    }
)


class SeenSource(NamedTuple):
    """A picture, from the texts of its entry or from a walk. Its file is not looked at."""

    path: bytes
    size_bytes: int
    """0: not known."""
    remote: bool
    """On a file system that comes over a network."""
    mime: str = ""
    """As shared-mime-info names its type; empty: not known."""


class ThumbnailPlugin(NamedTuple):
    """What makes thumbnails of some types for a desktop, installed and not switched off by it."""

    name: str
    mimes: frozenset[str]
    """Types it says it takes; KIO knows groups as well (`video/*`)."""


class Kde(NamedTuple):
    """`[PreviewSettings]`; None where nothing is set."""

    writer: str
    """The program that sets values: kwriteconfig6 or kwriteconfig5."""
    config: bytes
    """The folder of the user's settings."""
    maximum_size_bytes: int | None = None
    maximum_remote_size_bytes: int | None = None
    remote_folders: bool | None = None
    plugins: tuple[str, ...] | None = None
    in_dolphinrc: frozenset[str] = frozenset()
    """Keys that dolphinrc sets, which goes before kdeglobals (KConfig, `parseConfigFiles`)."""
    installed: tuple[ThumbnailPlugin, ...] = ()
    """None known: KIO's plugins are not here."""
    version: tuple[int, ...] = ()
    """Of KIO; empty: not known."""


class Thunar(NamedTuple):
    """Channel `thunar`; None where nothing is set."""

    mode: str | None = None
    maximum_size_bytes: int | None = None


class TumblerPlugin(NamedTuple):
    """One section of tumbler.rc."""

    name: str
    disabled: bool = False
    maximum_size_bytes: int = 0
    """0: no limit."""
    excludes: tuple[bytes, ...] = ()
    locations: tuple[bytes, ...] = ()


class Tumbler(NamedTuple):
    """tumbler and tumbler.rc."""

    path: bytes
    """Of the file that counts: the user's, or the system's; empty: there is none."""
    own_path: bytes
    """Of the user's, which need not exist."""
    plugins: tuple[TumblerPlugin, ...]
    """What it is set to."""
    installed: tuple[ThumbnailPlugin, ...] = ()
    """None known: tumbler is not here."""


class LxFileManager(NamedTuple):
    """PCManFM-Qt or PCManFM."""

    name: str
    path: bytes
    """Of its settings."""
    group: str
    """In its settings."""
    show_line: str
    """The line of that file that hides thumbnails when its value is off."""
    shows: bool


class FolderFacts(NamedTuple):
    """A folder of the cache."""

    path: bytes
    uid: int
    mode: int


class FailRecords(NamedTuple):
    """The fail records of one program."""

    program: str
    number: int
    outlived: int
    """Of these, whose file has an entry now."""


class FlavorCount(NamedTuple):
    """The entries of one flavor."""

    entries: int = 0
    size_bytes: int = 0
    sampled: int = 0
    """So many of them were read."""
    foreign: int = 0
    """Of these, by other programs."""


class Disk(NamedTuple):
    """The file system of the cache."""

    fstype: str
    remote: bool
    free_bytes: int
    """For this user."""
    free_inodes: int | None
    """None: it has no fixed number of them."""
    read_only: bool = False


@dataclass(slots=True)
class CacheFacts:
    """The thumbnails directory in use; the reader adds up in it."""

    root: bytes
    uid: int
    """Of the user whose desktop reads it."""
    disk: Disk
    """Of the root, or of the nearest folder above it that is there."""
    folders: tuple[FolderFacts, ...] = ()
    entries: int = 0
    flavors: dict[Flavor, FlavorCount] = field(default_factory=dict)
    keys: int = 0
    """Of the fullest flavor: about the number of pictures."""
    size_bytes: int = 0
    oldest_s: float = 0.0
    """Age of the oldest entry."""
    foreign_entries: int = 0
    """Owned by another user."""
    open_entries: int = 0
    """That others may read."""
    closed_entries: int = 0
    """That their owner may not read."""
    fail_records: tuple[FailRecords, ...] = ()
    owner: str = ""
    """The name of that user, as chown(1) takes it."""
    private_entries: int = 0
    """Of files that are better protected than the cache."""
    private_place: bytes = b""
    """Where one of these lies: a vault, open or locked."""


class OtherRoot(NamedTuple):
    """The cache of a sandboxed program."""

    kind: str
    """snap or flatpak."""
    program: str
    cache_home: bytes
    """Its XDG_CACHE_HOME."""


class SessionRoot(NamedTuple):
    """Where something of the user's login session looks for the cache."""

    what: str
    """A process or a file that sets the environment, for people."""
    root: bytes
    """The thumbnails directory it uses."""


class ShareMount(NamedTuple):
    """A mount that comes over a network, and how it was mounted."""

    point: bytes
    kind: str
    """The type of the file system, without `fuse.`."""
    source: bytes
    options: tuple[str, ...] = ()
    """Of the file system, as the kernel lists them."""
    command: tuple[str, ...] = ()
    """The command line of the sshfs that serves it; empty: it is none, or cannot be told."""
    read_ahead_bytes: int | None = None
    """How far the kernel reads ahead; None: it does not tell."""
    example: bytes = b""
    """A path on it."""


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """Everything."""

    cache: CacheFacts
    home: bytes = b"/"
    gsettings: GSettings = field(default_factory=dict)
    housekeepers: frozenset[str] = frozenset()
    """The desktops of `G_DESKTOPS` whose daemon is here, by name."""
    kde: Kde | None = None
    thunar: Thunar | None = None
    tumbler: Tumbler | None = None
    lx: tuple[LxFileManager, ...] = ()
    sources: tuple[SeenSource, ...] = ()
    """A sample."""
    source_count: int = 0
    """Pictures below the paths that were given; 0: none were."""
    other_roots: tuple[OtherRoot, ...] = ()
    session_roots: tuple[SessionRoot, ...] = ()
    shares: tuple[ShareMount, ...] = ()
    """On which pictures lie."""
    sudo_user: str = ""
    """Who called this through sudo."""
    screens: ScreenFacts | None = None
    named_flavors: tuple[Flavor, ...] = ()
    """Sizes that the user's settings name; empty: those for the screens."""
    ancestors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Other names and more general types of the types that `sources` have."""
    manager: str = ""
    """What installs packages here: apt, dnf, pacman or zypper; empty: another program."""
    root: bool = False
    """Root asks, who may install some."""
    compile: str = ""
    """The command that builds pregen's own JPEG decoder; empty: it is there."""

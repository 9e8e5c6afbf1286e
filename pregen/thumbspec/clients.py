"""Who reads the cache: how each program names a file, what it checks, what it deletes.

One table, `CLIENTS`. Which URIs a run keeps entries under, what `pregen show` says of each client,
what `doctor` looks for and the table of docs/desktops.md are all made from it. Pure: no client is
started, no file is read. What each wants an entry to say is in `refusals`.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.model import Flavor
from pregen.thumbspec import refusals as rules
from pregen.thumbspec.refusals import EntryAsRead, EntryTexts, Reads, Wanted
from pregen.thumbspec.uri import UriForm, all_uris, uris_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pregen.thumbspec.pngtext import PngHead

_UP_TO_X_LARGE: Final = (Flavor.NORMAL, Flavor.LARGE, Flavor.X_LARGE)
_NORMAL_AND_LARGE: Final = (Flavor.NORMAL, Flavor.LARGE)


class AsksBy(Enum):
    """By which of a file's paths a client asks, where links lead to it; the value is for people."""

    WALKED = "its path"
    """As the user reached it."""
    REAL = "its real path"
    """Every link on the way resolved."""
    TARGET = "where its link leads"
    """Of a file that is a link itself, the path that the link holds; folders as reached."""


class Client(NamedTuple):
    """A program, or a library of many programs, that reads the cache."""

    key: str
    """What `--clients` calls it."""
    name: str
    refusal: Callable[[EntryTexts, Wanted], str]
    """Why it refuses an entry for what it says; empty when it accepts."""
    source: str
    """Where its rules were read, and of which version."""
    programs: tuple[str, ...]
    """Any of these executables, or of files in `applications` without `.desktop`: it is here."""
    reads: Reads = Reads.PICTURE
    form: UriForm = UriForm.GLIB
    asks_by: AsksBy = AsksBy.WALKED
    flavors: tuple[Flavor, ...] = tuple(Flavor)
    shared: bool = False
    """It reads shared repositories too."""
    checks: str = ""
    """What it compares, for people."""
    deletes: str = ""
    """What it removes of others' entries, for people."""
    ran: str = ""
    """The versions that were run against entries of ours; empty: its source was read."""


CLIENTS: Final = (
    Client(
        "gio",
        "GLib/GIO (Nautilus, Nemo, Caja)",
        rules.glib,
        "GLib 2.89 gio/thumbnail-verify.c",
        ("nautilus", "nemo", "caja"),
        Reads.TEXTS,
        checks="`tEXt` only: URI byte for byte, MTime and, if there, Size as exact digits; every "
        "one it scans must match; no CRC. Of the flavors the largest that is there",
        ran="2.74, 2.84",
    ),
    Client(
        "gnome-desktop",
        "gnome-desktop",
        rules.gnome_desktop,
        "gnome-desktop 51 gnome-desktop-thumbnail.c",
        ("nautilus", "nemo", "caja", "cinnamon", "mate-session"),
        checks="first of each key: URI equal, MTime by `atol()`",
        ran="43, 44",
    ),
    Client(
        "kio",
        "KIO (Dolphin)",
        rules.kio,
        "KIO 5.103 and 6.13 previewjob.cpp",
        ("dolphin", "plasmashell", "konqueror", "krusader"),
        Reads.PICTURE_BUT_END,
        UriForm.QT,
        AsksBy.REAL,
        checks="last of each key: URI equal, MTime by `toLongLong()`, Size if there; of entries "
        "that KDE made for JPEGs, version 2",
        ran="5.103, 6.13",
    ),
    Client(
        "tumbler",
        "tumbler (Thunar)",
        rules.tumbler,
        "tumbler 4.21 xdg-cache-cache.c",
        ("thunar", "Thunar", "ristretto", "xfdesktop"),
        Reads.HEAD,
        shared=True,
        checks="texts before the picture: the last MTime before the URI, or the first behind it, "
        "to the microsecond and not 0; a URI must be there, and is not compared",
        deletes="those of types without a plugin, and beyond its plugins' limits",
        ran="4.18, 4.20",
    ),
    Client(
        "elementary",
        "elementary Files",
        rules.tumbler,
        "Files 7.3 File.vala, FileUtils.vala",
        ("io.elementary.files",),
        Reads.HEAD,
        checks="as tumbler, which it asks; shows GIO's",
        deletes="`normal` and `large` of a file that goes; an x-large or xx-large one stays",
    ),
    Client(
        "libfm-qt",
        "libfm-qt (PCManFM-Qt)",
        rules.libfm_qt,
        "libfm-qt 2.4 thumbnailjob.cpp",
        ("pcmanfm-qt",),
        Reads.PICTURE_BUT_END,
        asks_by=AsksBy.TARGET,
        flavors=_UP_TO_X_LARGE,
        checks="last MTime by `toULongLong()`; no URI",
        deletes="writes over what it refuses, in place: through every hard link",
        ran="1.2, 2.1",
    ),
    Client(
        "libfm",
        "libfm (PCManFM)",
        rules.libfm,
        "libfm 1.4 fm-thumbnail-loader.c",
        ("pcmanfm",),
        flavors=_NORMAL_AND_LARGE,
        checks="first MTime by `atol()`, or none; no URI",
        deletes="what it refuses",
    ),
    Client(
        "geeqie",
        "Geeqie",
        rules.geeqie,
        "Geeqie 2026 thumb-standard.cc",
        ("geeqie",),
        flavors=_NORMAL_AND_LARGE,
        checks="first of each key: URI equal, MTime by `strtol()`; an edge of 128 or 256 px",
        deletes="what it refuses",
    ),
    Client(
        "gthumb",
        "gThumb 4",
        rules.gthumb,
        "gThumb 4 thumbnailer",
        ("gthumb",),
        checks="last of each key: URI equal, MTime a whole number, equal; writes 384 px into "
        "x-large and 512 px into xx-large",
    ),
    Client(
        "gimp",
        "GIMP",
        rules.gimp,
        "GIMP 2.10 libgimpthumb/gimpthumbnail.c",
        ("gimp", "gimp-2.10", "gimp-3.0", "gimp-3"),
        flavors=_NORMAL_AND_LARGE,
        checks="first of each key: URI equal, MTime, Size if there; shows an outdated one as old",
        deletes="the other size of a file it saves one for",
    ),
    Client(
        "gwenview",
        "Gwenview",
        rules.gwenview,
        "Gwenview 26.11 lib/thumbnailprovider/thumbnailprovider.cpp",
        ("gwenview", "org.kde.gwenview"),
        Reads.PICTURE_BUT_END,
        UriForm.PRETTY,
        checks="last of each key: URI equal, MTime by `toInt()` (to 2038), Size 0 or equal; takes "
        "the size to show from Thumb::Image",
        deletes="those of files that it deletes or renames",
        ran="25.04",
    ),
    Client(
        "photoqt",
        "PhotoQt",
        rules.photoqt,
        "PhotoQt 2026 pqc_providerthumb.cpp",
        ("photoqt", "org.photoqt.PhotoQt"),
        Reads.PICTURE_BUT_END,
        UriForm.PRETTY,
        checks="last MTime by `toInt()` (to 2038); no URI",
        deletes="what it refuses, and then writes its own",
    ),
    Client(
        "cosmic",
        "COSMIC Files",
        rules.cosmic,
        "COSMIC Files 2026 thumbnail_cacher.rs, url 2.5 parser.rs",
        ("cosmic-files", "com.system76.CosmicFiles"),
        form=UriForm.RUST,
        asks_by=AsksBy.REAL,
        checks="first `tEXt` of each key, before the picture: URI equal, MTime and, if there, Size "
        "equal as text",
    ),
    Client(
        "nomacs",
        "nomacs",
        rules.nomacs,
        "nomacs 3.23 DkCachedThumb.cpp",
        ("nomacs", "org.nomacs.ImageLounge"),
        Reads.PICTURE_BUT_END,
        UriForm.QT,
        checks="last of each key: URI equal, MTime up to its point, Size if there; only with its "
        "setting to share thumbnails",
    ),
    Client(
        "deepin",
        "deepin (dde-file-manager)",
        rules.deepin,
        "dde-file-manager 6 thumbnailhelper.cpp",
        ("dde-file-manager",),
        Reads.PICTURE_BUT_END,
        UriForm.QT,
        flavors=_NORMAL_AND_LARGE,
        checks="last MTime by `toInt()` (to 2038); no URI; always in ~/.cache",
        deletes="what it refuses or cannot decode",
    ),
    Client(
        "blender",
        "Blender",
        rules.blender,
        "Blender 5 imbuf/intern/thumbs.cc",
        ("blender", "org.blender.Blender"),
        form=UriForm.LOWER_CASE,
        flavors=(Flavor.LARGE,),
        checks="last MTime before the picture by `atol()`; no URI",
        deletes="all sizes of what it refuses",
    ),
    Client(
        "feh",
        "feh",
        rules.feh,
        "feh 3.12 thumbnail.c",
        ("feh",),
        Reads.HEAD,
        UriForm.RAW,
        checks="last MTime before the picture by `strtol()`; no URI; only with --cache-thumbnails",
        deletes="writes over what it refuses",
    ),
    Client(
        "rofi",
        "rofi",
        rules.rofi,
        "rofi 1.7.5 rofi-icon-fetcher.c",
        ("rofi",),
        checks="nothing",
    ),
)
BY_KEY: Final = {client.key: client for client in CLIENTS}
#: Their keys are always made: a name with `;` costs one entry more, and no other does.
COMMON_FORMS: Final = (UriForm.GLIB, UriForm.QT)


def found(programs: Callable[[str], bool]) -> tuple[str, ...]:
    """Return which clients are on a machine.

    Args:
        programs: Tells whether an executable or a desktop file of this name is there.
    """
    return tuple(client.key for client in CLIENTS if any(map(programs, client.programs)))


class Paths(NamedTuple):
    """The paths of one file. Absolute and clean; all the same where no link leads to it."""

    walked: bytes
    real: bytes
    target: bytes

    def of(self, asks_by: AsksBy) -> bytes:
        """Return the one a client asks by."""
        if asks_by is AsksBy.WALKED:
            return self.walked
        return self.real if asks_by is AsksBy.REAL else self.target


def asked_uris(client: Client, paths: Paths) -> tuple[str, ...]:
    """Return the URIs under which versions of a client look for a file; the newest's first."""
    return uris_in(client.form, paths.of(client.asks_by))


def every_uri(path: bytes) -> tuple[str, ...]:
    """Return every URI that any client may know a path by, GLib's first, none twice."""
    spelled = (uri for form in UriForm for uri in uris_in(form, path))
    return tuple(dict.fromkeys((*all_uris(path), *spelled)))


class WantedKeys(NamedTuple):
    """Under which URIs entries of a file are kept, besides those of GLib and Qt for its path."""

    askers: tuple[tuple[UriForm, AsksBy], ...] = ()

    @classmethod
    def of(cls, clients: Iterable[str], *, real: bool | None) -> WantedKeys:
        """Return the keys that these clients need.

        Args:
            clients: Keys of the table.
            real: Entries under real paths are made: None: for those of the clients that ask by
                them; True: also in the forms of GLib and Qt; False: for none.
        """
        asked = {(BY_KEY[key].form, BY_KEY[key].asks_by) for key in clients}
        if real:
            asked |= {(form, AsksBy.REAL) for form in COMMON_FORMS}
        walked = {(form, AsksBy.WALKED) for form in COMMON_FORMS}
        if real is False:
            asked = {(form, AsksBy.WALKED) for form, _ in asked}
        order = list(UriForm)
        return cls(
            tuple(sorted(asked - walked, key=lambda one: (order.index(one[0]), one[1].value)))
        )

    @property
    def follows_links(self) -> bool:
        """Whether it has to be known where links lead."""
        return any(asks_by is not AsksBy.WALKED for _, asks_by in self.askers)

    def more(self, paths: Paths) -> tuple[str, ...]:
        """Return the URIs; some may be GLib's or Qt's."""
        return tuple(uri for form, by in self.askers for uri in uris_in(form, paths.of(by)))

    @property
    def name(self) -> str:
        """What tells these keys from others; empty where there are none by names alone."""
        forms = {form.name for form, _ in self.askers if form not in COMMON_FORMS}
        return " ".join(sorted(forms)).lower()


class ClientVerdict(NamedTuple):
    """What one desktop says about one entry."""

    client: str
    accepts: bool
    reason: str = ""
    """Why not, for people; empty when it accepts."""
    looks_here: bool = True
    """False: it never reads this flavor, or asks for the file by another URI."""


def refused_by(head: PngHead, wanted: Wanted) -> dict[str, str]:
    """Return why each client that refuses does so, by name. Flavors and keys are left aside."""
    said = EntryTexts(head)
    reasons = {client.name: client.refusal(said, wanted) for client in CLIENTS}
    return {name: reason for name, reason in reasons.items() if reason}


class Place(NamedTuple):
    """Where an entry is kept, and of which file."""

    flavor: Flavor
    uri: str
    """Under whose key: of `asked_uris` of some client, or of `uri.shared_uris`."""
    paths: Paths
    shared: bool = False
    """In the shared repository beside the file."""


def desktop_verdicts(
    data: bytes | None, place: Place, mtime_ns: int, size_bytes: int
) -> list[ClientVerdict]:
    """Return what each client would say about one entry, in the order of the table.

    Args:
        data: The whole entry: text behind the picture counts, and so does its end. None: missing.
        place: Where it is kept.
        mtime_ns: Of the source.
        size_bytes: Of the source.
    """
    wanted = Wanted(place.uri, mtime_ns, size_bytes)
    entry = None if data is None else EntryAsRead(data)
    verdicts = []
    for client in CLIENTS:
        reason = away = _looks_elsewhere(client, place)
        if not away and entry is None:
            reason = "there is no thumbnail"
        elif not away and entry is not None:
            useless = entry.unreadable(client.reads)
            reason = f"the thumbnail {useless}" if useless else client.refusal(entry.texts, wanted)
        verdicts.append(ClientVerdict(client.name, not reason, reason, looks_here=not away))
    return verdicts


def _looks_elsewhere(client: Client, place: Place) -> str:
    """Return why a client never sees an entry kept here; empty when it does."""
    if place.shared:
        looks = client.shared and place.flavor in client.flavors
        return "" if looks else "it reads no shared thumbnails"
    if place.flavor not in client.flavors:
        return f"it never reads {place.flavor.directory}"
    asked = asked_uris(client, place.paths)
    if place.uri in asked:
        return ""
    if not asked:
        return "it cannot open a file of this name"
    if place.uri in uris_in(client.form, place.paths.walked):
        return f"it asks by {client.asks_by.value}"
    return f"it asks by another URI, {rules.shown(asked[0])}"

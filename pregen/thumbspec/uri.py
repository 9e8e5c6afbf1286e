"""Paths as `file:` URIs, byte for byte as the desktops write them, and back again.

Knows the percent-encoding only: which program writes which form is in `clients`. Does not make
paths absolute or clean (`naming.clean_path`), resolves no symlinks, looks at no file.
"""

from __future__ import annotations

import re
import string
from enum import Enum
from typing import Final

#: Bytes GLib leaves as they are in a path (GLib 2.89 g_filename_to_uri; seen on all 255 bytes).
GLIB_LITERALS: Final = (string.ascii_letters + string.digits + "!$&'()*+,-./:=@_~").encode()

_ENCODED: Final = tuple(
    chr(byte) if byte in GLIB_LITERALS else f"%{byte:02X}" for byte in range(256)
)
#: What some Qt leaves as it is and GLib encodes.
_QT_LITERALS: Final = re.compile(rb"[;\[\]]")
_ESCAPE: Final = re.compile("%[0-9A-F]{2}")
_ASCII_END: Final = 0x80

#: An escape that is none, or one of a byte that no file name can hold (GLib refuses them too).
_BAD_ESCAPE: Final = re.compile(r"%(?:00|2[fF]|(?![0-9A-Fa-f]{2}))")
#: A query or a fragment: every program encodes these two where they belong to a name.
_NOT_A_PATH: Final = re.compile(r"[?#\0]")


#: What GLib escapes and Rust's url does not.
_KEPT_BY_RUST = (("%3B", ";"), ("%5B", "["), ("%5D", "]"), ("%7C", "|"))


class UriForm(Enum):
    """How a program writes a path as a URI; the value is for people."""

    GLIB = "GLib's"
    QT = "Qt's"
    """`;` stays, in older Qt also `[` and `]`."""
    PRETTY = "Qt's for people"
    """`QUrl::url()`: the same, and spaces and all text beyond ASCII (Qt 5.15 to 6.8, run)."""
    RUST = "that of Rust's url"
    """`;`, `[`, `]` and `|` stay, up to url 2.5.4 also `^` (parser.rs, PATH)."""
    LOWER_CASE = "GLib's with lower-case escapes"
    RAW = "the path itself"
    """Nothing is escaped."""


def file_uri(path: bytes) -> str:
    """Return the URI GLib gives `path`, which is absolute and clean.

    The key of an entry is the md5 of this form (standard, Thumbnail Saving); GIO, gnome-desktop,
    tumbler, libfm-qt, Geeqie, GIMP and gThumb all build it alike.
    """
    if path.translate(None, GLIB_LITERALS):
        return "file://" + "".join([_ENCODED[byte] for byte in path])
    return "file://" + path.decode("ascii")


def qt_uris(path: bytes) -> tuple[str, ...]:
    """Return the forms in which Qt writes `path` differently from GLib; the newest Qt's first.

    `;` is literal in every Qt, `[` and `]` in Qt 5, up to 6.8.2 and in 6.9.0. Empty for a name
    that is not UTF-8: Qt cannot open such a file, so no KDE program ever asks for it.
    """
    if not _QT_LITERALS.search(path):
        return ()
    glib = file_uri(path)
    return tuple(uri for uri in uris_in(UriForm.QT, path) if uri != glib)


def is_utf8(path: bytes) -> bool:
    """Tell whether Qt can open a file of this name."""
    try:
        path.decode()
    except UnicodeDecodeError:
        return False
    return True


def uris_in(form: UriForm, path: bytes) -> tuple[str, ...]:
    """Return every spelling in which versions of one form write `path`; the newest's first.

    Empty: no program of this form can ask for the file, or its URI could not be read back
    (`path_from_uri`): a raw one with `%`, `?` or `#` in it would name another file.
    """
    glib = file_uri(path)
    if form is UriForm.GLIB or not path.translate(None, GLIB_LITERALS):
        return (glib,)
    if form is UriForm.LOWER_CASE:
        return (_ESCAPE.sub(lambda escape: escape[0].lower(), glib),)
    if form is UriForm.RUST:
        newer = glib
        for escape, char in _KEPT_BY_RUST:
            newer = newer.replace(escape, char)
        return tuple(dict.fromkeys((newer, newer.replace("%5E", "^"))))
    try:
        text = path.decode()
    except UnicodeDecodeError:
        return ()
    if form is UriForm.RAW:
        raw = f"file://{text}"
        return (raw,) if path_from_uri(raw) == path else ()
    newer = glib if form is UriForm.QT else _pretty(text)
    newer = newer.replace("%3B", ";")
    return tuple(dict.fromkeys((newer, newer.replace("%5B", "[").replace("%5D", "]"))))


def _pretty(text: str) -> str:
    """Return a path as Qt shows URLs, but for what depends on its version."""
    return "file://" + "".join(
        [char if ord(char) >= _ASCII_END or char == " " else _ENCODED[ord(char)] for char in text]
    )


def all_uris(path: bytes) -> tuple[str, ...]:
    """Return the URIs of GLib's and KDE's programs: GLib's form first, then Qt's, none twice."""
    return (file_uri(path), *qt_uris(path))


def shared_uris(path: bytes) -> tuple[str, str]:
    """Return the URIs by which a shared repository beside `path` knows it, without a directory.

    The name in its URI form, with `./` before it (standard, Shared Thumbnail Repositories, and
    libxfce4util 4.19.4 or newer) and without (the standard up to 0.8, and libxfce4util up to
    4.19.3, seen in Debian 12). Only Xfce's programs look there, so there is no Qt form.
    """
    name = file_uri(path).rpartition("/")[2]
    return "./" + name, name


def path_from_uri(uri: str) -> bytes | None:
    """Return the path a `file:` URI names, or None when it names no file of this machine.

    Reads what any program writes: GLib's and Qt's forms, Gwenview's raw spaces and letters,
    `file:/x` and `file://localhost/x`. None for another scheme or host, a relative path, broken
    escapes, escaped `/` or NUL, a query or a fragment.
    """
    if uri[:5].lower() != "file:":
        return None
    rest = uri[5:]
    if rest.startswith("//"):
        host, slash, tail = rest[2:].partition("/")
        if host.lower() not in {"", "localhost"}:
            return None
        rest = slash + tail
    if not rest.startswith("/") or _NOT_A_PATH.search(rest) or _BAD_ESCAPE.search(rest):
        return None
    from urllib.parse import unquote_to_bytes  # noqa: PLC0415 - `pregen path` needs none of it

    try:
        return unquote_to_bytes(rest)
    except UnicodeEncodeError:  # lone surrogates: not text, so no program's URI
        return None

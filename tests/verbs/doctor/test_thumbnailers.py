"""What KIO and tumbler make thumbnails of, read from their plugins; and what types are called."""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.desktop_settings import ConfigFolders, parse, read_text
from pregen.verbs.doctor.readers import thumbnailers, tools
from pregen.verbs.doctor.readers.thumbnailers import TypeNames, qt_mime_types
from tests.support.files.pictures import put
from tests.support.judges import desktops
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def text(value: str) -> bytes:
    data = value.encode()
    size = len(data)
    head = bytes([0x60 | size]) if size < 24 else bytes([0x78, size])
    return head + data


#: What stands before the metadata in plugins of Debian 12 and 13.
QT_5, QT_6 = b"QTMETADATA !\0\x05\x0f\0", b"\x01\0Qtqt-project!\0\x01\x06\x08\x01"


def plugin(mimes: Sequence[str], mark: bytes = QT_6, *, ended: bool = False) -> bytes:
    """A library with Qt's metadata: a map of texts, among them the list of types."""
    head, end = (b"\x9f", b"\xff") if ended else (bytes([0x80 | len(mimes)]), b"")
    listed = text("MimeTypes") + head + b"".join(map(text, mimes)) + end
    json = b"\xbf\x02" + text("KIOPluginForMetaData") + b"\x04\xa1" + text("KPlugin") + b"\xa1"
    return b"\x7fELF" + bytes(300) + mark + json + listed + bytes(99)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which nothing is installed but what a test puts there."""
    monkeypatch.setattr(tools, "_LIBRARIES", ((str(tmp_path), "usr/lib/"),))
    return tmp_path


def config(machine: Path, **environ: str) -> ConfigFolders:
    share = str(machine / "usr" / "share")
    return ConfigFolders({"XDG_DATA_DIRS": share, **environ}, str(machine / "home"))


@pytest.mark.parametrize("mark", [QT_5, QT_6])
@pytest.mark.parametrize("ended", [True, False])
def test_types_in_the_metadata_of_a_plugin(mark: bytes, *, ended: bool) -> None:
    long = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
    mimes = ["image/*", "video/x-mng", long]
    assert list(qt_mime_types(plugin(mimes, mark, ended=ended))) == mimes
    assert list(qt_mime_types(plugin([]))) == []
    assert list(qt_mime_types(b"\x7fELF" + bytes(500))) == []
    assert list(qt_mime_types(plugin(mimes)[:360])) != mimes


@given(st.binary(max_size=200))
def test_any_bytes_behind_the_mark_end(data: bytes) -> None:
    list(islice(qt_mime_types(b"QTMETADATA !" + data), 1000))
    found = list(islice(qt_mime_types(b"QTMETADATA !\x69MimeTypes" + data), 1000))
    assert len(found) <= len(data)


def test_kios_plugins_of_the_newest_version(machine: Path) -> None:
    library, share = machine / "usr" / "lib", machine / "usr" / "share"
    assert thumbnailers.kio_version() == ()
    assert thumbnailers.kio_plugins(config(machine), ()) == ()
    put(library / "libKF5KIOGui.so.5.103.0", b"")
    put(library / "qt5/plugins/kf5/thumbcreator/imagethumbnail.so", plugin(["image/*"], QT_5))
    put(
        share / "kservices5" / "ffmpegthumbs.desktop",
        b"[Desktop Entry]\nX-KDE-ServiceTypes=ThumbCreator\nMimeType=application/mxf;video/*;\n",
    )
    put(share / "kservices5" / "other.desktop", b"[Desktop Entry]\nMimeType=image/x;\n")
    put(
        share / "thumbnailers" / "x.thumbnailer",
        b"[Thumbnailer Entry]\nTryExec=sh\nExec=sh %u\nMimeType=model/stl;\n",
    )
    assert thumbnailers.kio_version() == (5, 103, 0)
    assert set(thumbnailers.kio_plugins(config(machine), (5, 103, 0))) == {
        ("imagethumbnail", frozenset({"image/*"})),
        ("ffmpegthumbs", frozenset({"application/mxf", "video/*"})),
    }
    put(library / "libKF6KIOGui.so.6.13.0", b"")
    put(library / "qt6/plugins/kf6/thumbcreator/jpegthumbnail.so", plugin(["image/jpeg"]))
    assert thumbnailers.kio_version() == (6, 13, 0)
    own = put(machine / "mine/kf6/thumbcreator/rawthumbnail.so", plugin(["image/x-dcraw"]))
    named = config(machine, QT_PLUGIN_PATH=str(own.parents[2]))
    assert set(thumbnailers.kio_plugins(named, (6, 13, 0))) == {
        ("jpegthumbnail", frozenset({"image/jpeg"})),
        ("rawthumbnail", frozenset({"image/x-dcraw"})),
        ("x", frozenset({"model/stl"})),
    }


def test_tumblers_plugins_but_those_switched_off(machine: Path) -> None:
    plugins = machine / "usr" / "lib" / "tumbler-1" / "plugins"
    put(plugins / "tumbler-jpeg-thumbnailer.so", b"\x7fELF\0gtk\0image/jpeg\0x\0")
    put(plugins / "tumbler-gst-thumbnailer.so", b"\0video/mp4\0video/webm\0not a/type\0")
    put(plugins / "tumbler-pixbuf-thumbnailer.so", b"\0image/wrong\0")
    put(plugins / "tumbler-desktop-thumbnailer.so", b"")
    share = machine / "usr" / "share" / "thumbnailers"
    put(share / "there.thumbnailer", b"[Thumbnailer Entry]\nExec=sh\nMimeType=image/heif\n")
    put(share / "gone.thumbnailer", b"[Thumbnailer Entry]\nTryExec=/no/such\nMimeType=image/jxl\n")
    put(machine / "usr/lib/libgdk_pixbuf-2.0.so.0", b"\0image/png\0text/plain\0")
    put(
        machine / "usr/lib/gdk-pixbuf-2.0/2.10.0/loaders.cache",
        b'# file\n"/usr/lib/libpixbufloader-gif.so"\n"gif" 4 "gdk-pixbuf" "GIF" "LGPL"\n'
        b'"image/gif" "image/x-gif" ""\n"gif" ""\n"GIF8" "" 100\n',
    )
    sections = {"GstThumbnailer": {"Disabled": "true"}, "JPEGThumbnailer": {"Disabled": "false"}}
    found = {
        each.name: each.mimes for each in thumbnailers.tumbler_plugins(config(machine), sections)
    }
    assert found == {
        "jpeg": {"image/jpeg"},
        "pixbuf": {"image/png", "image/gif", "image/x-gif"},
        "desktop": {"image/heif"},
    }


@pytest.mark.desktop
@pytest.mark.xdist_group("desktops")
@needs(Capability.TUMBLER)
def test_tumbler_says_the_same_of_itself(tmp_path: Path) -> None:
    here = ConfigFolders(os.environ, str(tmp_path))
    plugins = thumbnailers.tumbler_plugins(here, parse(read_text("/etc/xdg/tumbler/tumbler.rc")))
    read = {mime for plugin in plugins for mime in plugin.mimes}
    real = desktops.tumbler_types(tmp_path / "cache")
    groups = ("application/", "audio/", "font/", "image/", "model/", "video/")
    assert {mime for mime in real if mime.startswith(groups)} - read == set()
    assert read - real <= {"video/x-raw"}  # what its pipeline is asked for


# -- names of types -------------------------------------------------------------------------------


@pytest.fixture
def types(machine: Path) -> TypeNames:
    mime = machine / "usr" / "share" / "mime"
    put(mime / "globs2", b"# c\n80:image/x-first:*.heic\n50:image/heif:*.heic\n50:image/jp2:*.JP2\n"
        b"50:application/x-tar:*.tar.gz\n50:text/x:makefile\nodd\n")  # fmt: skip
    put(mime / "aliases", b"image/heic image/heif\nodd\n")
    put(mime / "subclasses", b"image/x-canon-cr2 image/x-dcraw\nimage/x-dcraw image/a\n"
        b"image/a image/x-dcraw\n")  # fmt: skip
    return TypeNames(config(machine))


def test_the_type_of_a_file_by_its_ending(types: TypeNames) -> None:
    assert types.type_of(b"/a/b.c/PHOTO.HEIC") == "image/x-first"
    assert types.type_of(b"/a/b.jp2") == "image/jp2"
    assert [types.type_of(path) for path in (b"/a/b", b"/a/.xyz", b"/a/b.gz", b"/\xff.\xff")] == [
        ""
    ] * 4


def test_other_names_and_ancestors_also_in_a_circle(types: TypeNames) -> None:
    found = types.ancestors(["image/heif", "image/heic", "image/x-canon-cr2", "image/none"])
    assert found == {
        "image/heif": ("image/heic",),
        "image/heic": ("image/heif",),
        "image/x-canon-cr2": ("image/x-dcraw", "image/a"),
        "image/none": (),
    }


@needs(Capability.MIME)
def test_with_the_database_of_this_machine() -> None:
    types = TypeNames(ConfigFolders(os.environ, "/nonexistent"))
    assert types.type_of(b"/a.cr2") == "image/x-canon-cr2"
    assert "image/x-dcraw" in types.ancestors(["image/x-canon-cr2"])["image/x-canon-cr2"]

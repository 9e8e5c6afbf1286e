"""Print the types of local files that tumblerd says it makes thumbnails of. Input: anything."""

import json
import sys

from gi.repository import Gio

NAME = "org.freedesktop.thumbnails.Thumbnailer1"
bus = Gio.bus_get_sync(Gio.BusType.SESSION, None)
answer = bus.call_sync(
    NAME,
    "/org/freedesktop/thumbnails/Thumbnailer1",
    NAME,
    "GetSupported",
    None,
    None,
    Gio.DBusCallFlags.NONE,
    60_000,
    None,
)
schemes, types = answer.unpack()
sys.stdout.write(
    json.dumps([mime for scheme, mime in zip(schemes, types, strict=True) if scheme == "file"])
)

"""Queues files at tumblerd over the session bus; runs under the system's python3.

Reads one JSON object from stdin: {"flavor": "normal", "uris": [...], "mime": "image/jpeg",
"timeout_s": 60}; prints {"ready": [uri, ...], "errors": {uri: message}} once tumblerd says that
it has finished. Must be started by dbus-run-session with XDG_CACHE_HOME already exported: the
activated daemon inherits the bus's environment.
"""

import json
import sys
from typing import Any

from gi.repository import Gio, GLib

NAME = "org.freedesktop.thumbnails.Thumbnailer1"
PATH = "/org/freedesktop/thumbnails/Thumbnailer1"


def main() -> None:
    """Answer one request; exit 1 when tumblerd does not finish in time."""
    request = json.load(sys.stdin)
    bus = Gio.bus_get_sync(Gio.BusType.SESSION)
    loop = GLib.MainLoop()
    ready: list[str] = []
    errors: dict[str, str] = {}
    finished: set[int] = set()

    def heard(*arguments: Any) -> None:
        name, body = arguments[4], arguments[5].unpack()
        if name == "Ready":
            ready.extend(body[1])
        elif name == "Error":
            errors.update(dict.fromkeys(body[1], f"{body[3]} ({body[2]})"))
        elif name == "Finished":
            finished.add(body[0])
            loop.quit()

    bus.signal_subscribe(None, NAME, None, PATH, None, Gio.DBusSignalFlags.NONE, heard)
    uris = request["uris"]
    arguments = (uris, [request["mime"]] * len(uris), request["flavor"], "foreground", 0)
    packed = GLib.Variant("(asasssu)", arguments)
    wanted = GLib.VariantType("(u)")
    answer = bus.call_sync(NAME, PATH, NAME, "Queue", packed, wanted, 0, 30_000, None)
    handle = answer.unpack()[0]
    GLib.timeout_add(int(request["timeout_s"] * 1000), loop.quit)
    if handle not in finished:
        loop.run()
    if handle not in finished:
        sys.exit(f"tumblerd did not finish; ready {len(ready)} of {len(uris)}, errors {errors}")
    json.dump({"ready": ready, "errors": errors}, sys.stdout)


main()

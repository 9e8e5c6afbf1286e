"""gdk-pixbuf-thumbnailer, as GNOME's file manager calls it: a process per picture and flavor.

GNOME adds the text chunks afterwards in its own process, which is not measured here: what the
program writes by itself has none, so no desktop accepts it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.peers import common, one_process_each

if TYPE_CHECKING:
    from collections.abc import Iterator


def commands(picture: common.Picture, asked: common.Request) -> Iterator[list[str]]:
    """One call per flavor: the program makes one size at a time."""
    for flavor, box_px in asked.boxes_px.items():
        entry = picture.entry(asked.thumbnails, flavor)
        yield ["gdk-pixbuf-thumbnailer", "--size", str(box_px), picture.path, entry]


if __name__ == "__main__":
    one_process_each.run_all(commands)

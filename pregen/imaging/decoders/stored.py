"""Files that hold pictures one after the other: Apple's icons, and the code of 3D printers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pregen.imaging.containers import gcode, icns
from pregen.imaging.decoders import embedded, pillow
from pregen.imaging.decoders.embedded import Stored
from pregen.imaging.faults import InvalidPicture, NotPicture
from pregen.imaging.source_bytes import DamagedError

if TYPE_CHECKING:
    from pregen.imaging.decoders.base import Opened, Request


def open_picture(request: Request) -> Opened:
    """Open the largest picture in it.

    Raises:
        NotPicture: there is none that can be decoded, and the file is about something else.
        Fault: it makes no sense.
    """
    try:
        if request.format.name == "icns":
            icon = icns.largest(request.source)
            if icon is None:
                # Of before 2007, bare samples of known sizes.
                return pillow.open_picture(request)
            return embedded.open_stored(request, Stored(icon, sized=True, vital=True, always=False))
    except DamagedError as error:
        raise InvalidPicture(str(error)) from error
    try:
        picture = gcode.largest(request.source)
    except DamagedError as error:
        # The printer does not look at it.
        raise NotPicture(str(error)) from error
    if picture is None:
        raise NotPicture("no picture is stored in it")
    return embedded.open_stored(request, Stored(picture))

"""What a desktop's session leaves on a machine, so that it is found there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.files.pictures import put

if TYPE_CHECKING:
    from pathlib import Path


def gnome(folder: Path) -> dict[str, str]:
    """Have a session start GNOME's daemon; return the variables that say where it is found."""
    daemon = put(folder / "libexec" / "gsd-housekeeping", b"#!/bin/sh\n")
    daemon.chmod(0o755)
    put(
        folder / "xdg" / "autostart" / "org.gnome.SettingsDaemon.Housekeeping.desktop",
        f"[Desktop Entry]\nExec={daemon}\n".encode(),
    )
    return {"XDG_CONFIG_DIRS": str(folder / "xdg")}

"""What a desktop's settings do to entries that are right: `pregen doctor` has to be right too."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.files.pictures import jpeg, put
from tests.support.judges import desktops
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import environment, run_pregen

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.desktop,
    pytest.mark.xdist_group("desktops"),
    needs(Capability.TUMBLER),
]


def test_tumbler_deletes_what_its_settings_exclude_until_the_doctors_command_was_run(
    tmp_path: Path,
) -> None:
    cache, photo = tmp_path / "cache", put(tmp_path / "photos" / "a.jpg", jpeg(400, 300))
    rc = cache / ".oracle-home" / "tumbler" / "tumbler.rc"
    sections = ("JPEGThumbnailer", "PixbufThumbnailer", "DesktopThumbnailer")
    limits = f"Excludes={photo.parent}\nMaxFileSize=0\nDisabled=false\nLocations=\n"
    private = "[CoverThumbnailer]\nDisabled=true\nMaxFileSize=9\n"
    put(rc, "".join([f"[{name}]\n{limits}\n" for name in sections] + [private]).encode())
    entry = desktops.entry_path(cache, "normal", desktops.glib_uri(photo))
    assert run_pregen("run", photo, cache=cache).code == 0

    settings = {"XDG_CONFIG_HOME": str(rc.parent.parent)}
    records = run_pregen("doctor", "--json", cache=cache, env=settings).records
    (finding,) = [record for record in records if record.get("code") == "tumbler-limits"]
    assert finding["severity"] == "problem"
    (answer,) = desktops.tumbler(cache, "normal", [photo])
    assert not answer.ready
    assert not entry.exists(), "it was fresh, and tumbler deleted it"

    for command in finding["mend"]:
        subprocess.run(["sh", "-ec", command], env=environment(cache, settings), check=True)
    assert private in rc.read_text(), "sections of other plugins stay"
    assert run_pregen("run", photo, cache=cache).code == 0
    (answer,) = desktops.tumbler(cache, "normal", [photo])
    assert (answer.ready, answer.untouched) == (True, True)
    again = run_pregen("doctor", "--json", cache=cache, env=settings).records
    assert "tumbler-limits" not in {record.get("code") for record in again}

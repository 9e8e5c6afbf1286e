"""Files of which only the name is here are never opened, unless that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.faults.hanging_mount import StuckMount
from tests.support.files.pictures import jpeg, put
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import run_pregen

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.running.program import Finished

pytestmark = needs(Capability.STUCK_MOUNT)

HERE = ("b-here.jpg", "d-here.jpg")
AWAY = ("a-cloud.jpg", "c-cloud.jpg", "e-cloud.jpg")


class Mounted:
    """A mount that notes what is asked of it."""

    def __init__(self, tmp_path: Path, kind: str = "hsm", blocks: str = "some") -> None:
        self.folder = tmp_path / "originals"
        for number, name in enumerate((*HERE, *AWAY)):
            put(self.folder / "photos" / name, jpeg(400, 300, seed=number))
        put(self.folder / "only" / "x-cloud.jpg", jpeg(400, 300, seed=9))
        put(self.folder / "empty-cloud.zzz", b"")
        self.point = tmp_path / "mount"
        self.point.mkdir()
        self._log = tmp_path / "log"
        self._log.touch()
        self.cache = tmp_path / "cache"
        server = ("counting_server.py", str(self.folder), str(self._log), kind, "cloud", blocks)
        self.mount = StuckMount(self.point, server=server)

    def run(self, *more: str | Path) -> Finished:
        arguments = [each for each in more if not isinstance(each, str)] or [self.point]
        flags = [each for each in more if isinstance(each, str)]
        return run_pregen(
            "run", "--json", *flags, *arguments, cache=self.cache, prefix=self.mount.inside
        )

    def opened(self) -> set[str]:
        """Return the names of files that were opened, read, or asked for attributes."""
        lines = [line.split(" ", 1) for line in self._log.read_text().splitlines()]
        return {path.rpartition("/")[2] for what, path in lines if what in {"open", "read"}}

    def forget(self) -> None:
        self._log.write_text("")


@pytest.mark.parametrize("kind", ["hsm", "onedriver"])
def test_placeholders_are_never_opened_and_taken_on_request(tmp_path: Path, kind: str) -> None:
    mounted = Mounted(tmp_path, kind)
    with mounted.mount:
        done = mounted.run()
        assert done.code == 0, done
        assert done.summary["kinds"] == {"made": 2, "offline": 4, "not-a-picture": 1}
        assert not {name for name in mounted.opened() if "cloud" in name and "empty" not in name}
        one = mounted.run(mounted.point / "photos" / AWAY[0], mounted.point / "photos" / HERE[0])
        assert one.summary["kinds"] == {"fresh": 1, "offline": 1}
        assert AWAY[0] not in mounted.opened()
        shown = run_pregen("run", mounted.point, cache=mounted.cache, prefix=mounted.mount.inside)
        assert shown.out.count("--download") + shown.err.count("--download") == 1
        taken = mounted.run("--download")
        assert taken.summary["kinds"]["made"] == 4
        assert set(AWAY) <= mounted.opened()
        # whose thumbnails are there needs no look, wherever its content is
        assert mounted.run().summary["kinds"]["fresh"] == 6


def test_a_cloud_that_does_not_tell_files_apart_is_all_offline(tmp_path: Path) -> None:
    mounted = Mounted(tmp_path, "rclone")
    with mounted.mount:
        assert mounted.run().summary["kinds"]["offline"] == 6
        assert mounted.opened() <= {"empty-cloud.zzz"}


def test_where_blocks_are_not_counted_they_say_nothing(tmp_path: Path) -> None:
    mounted = Mounted(tmp_path, blocks="none")
    with mounted.mount:
        assert mounted.run().summary["kinds"]["made"] == 6


def test_a_file_with_holes_on_a_disk_is_no_placeholder(tmp_path: Path) -> None:
    holes = put(tmp_path / "photos" / "holes.jpg", b"")
    with holes.open("r+b") as file:
        file.truncate(1 << 20)
    done = run_pregen("run", "--json", holes.parent, cache=tmp_path / "cache")
    assert "offline" not in done.summary["kinds"]

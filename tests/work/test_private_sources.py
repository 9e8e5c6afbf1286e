"""What only the open file can tell: that it lies elsewhere by now, or is encrypted by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from pregen import __version__
from pregen.config import WorkConfig
from pregen.filesystems import fscrypt
from pregen.model import Action, Flavor, Job, Kind, Step
from pregen.thumbspec.uri import file_uri
from pregen.work import make_worker
from tests.support.files.pictures import jpeg, put
from tests.support.files.vaults import encrypted_disk
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from pathlib import Path

    from pregen.model import Outcome


def done(file: Path, config: WorkConfig, device: int) -> Outcome:
    path, facts = os.fsencode(file), file.stat()
    uri = file_uri(path)
    steps = (Step(Action.MAKE, Flavor.NORMAL, uri),)
    job = Job(1, path, facts.st_size, facts.st_mtime_ns, (uri,), steps, device=device)
    return make_worker(config)(job, lambda _size_bytes: None)


@needs(Capability.MOUNT)
def test_a_mount_that_came_after_the_walk_is_not_read(tmp_path: Path) -> None:
    config = WorkConfig(bytes(tmp_path / "cache"), __version__, (Flavor.NORMAL,))
    file = put(tmp_path / "album" / "a.jpg", jpeg(300, 200))
    before = file.stat().st_dev
    assert done(file, config, before).kind is Kind.MADE
    shutil.rmtree(tmp_path / "cache")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "x", file.parent], check=True)
    try:
        put(file, jpeg(300, 200))
        outcome = done(file, config, before)
        assert done(file, config, 0).kind is Kind.MADE
    finally:
        subprocess.run(["umount", file.parent], check=True)
    assert outcome.kind is Kind.PRIVATE
    assert outcome.entries_written == 0
    assert outcome.bytes_read == 0


@needs(Capability.FSCRYPT)
def test_a_file_moved_out_of_an_encrypted_folder_stays_private(tmp_path: Path) -> None:
    config = WorkConfig(bytes(tmp_path / "cache"), __version__, (Flavor.NORMAL,))
    with encrypted_disk(tmp_path / "e") as disk:
        folder = disk.encrypt("vault")
        inside = put(folder / "a.jpg", jpeg(300, 200))
        moved = disk.point / "moved.jpg"
        inside.rename(moved)
        plain = put(disk.point / "plain.jpg", jpeg(200, 300))
        device = moved.stat().st_dev
        key = fscrypt.key_at(os.fsencode(moved))
        assert key
        assert done(moved, config, device).kind is Kind.PRIVATE
        assert done(plain, config, device).kind is Kind.MADE
        kin = WorkConfig(
            config.cache_root, __version__, (Flavor.NORMAL,), cache_keys=frozenset({key})
        )
        assert done(moved, kin, device).kind is Kind.MADE
        shutil.rmtree(tmp_path / "cache")
        allowed = WorkConfig(
            config.cache_root, __version__, (Flavor.NORMAL,), allow_encrypted=(bytes(disk.point),)
        )
        assert done(moved, allowed, device).kind is Kind.MADE

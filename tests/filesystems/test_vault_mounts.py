"""However a vault comes to be where it is, nothing of it is left outside: real mounts."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.support.faults.hanging_mount import StuckMount
from tests.support.files.pictures import jpeg, put
from tests.support.files.source_trees import many_slow
from tests.support.files.vaults import PASSWORD, vault
from tests.support.judges import desktops, png_walk
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import Running, run_pregen

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.files.vaults import Vault

pytestmark = [needs(Capability.GOCRYPTFS, Capability.STUCK_MOUNT), pytest.mark.timeout(300)]

NAME = "affidavit"


def shown(cache: Path) -> set[str]:
    """Return the URIs of which a cache has entries."""
    found: set[str] = set()
    for path in cache.rglob("*.png"):
        texts = png_walk.texts(path.read_bytes())
        found.update(text.value for text in texts if text.key == "Thumb::URI")
    return found


def unmount(point: Path) -> None:
    """Unmount; the program behind a mount above it holds it for a moment after that has gone."""
    until_s = time.monotonic() + 30
    while (done := subprocess.run(["umount", point], check=False, capture_output=True)).returncode:
        assert time.monotonic() < until_s, done
        time.sleep(0.05)


class Mounts(ExitStack):
    """Mounts that are gone at the end, the last one first."""

    def mount(self, point: Path, *arguments: str | Path, cwd: Path | None = None) -> Path:
        point.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", *arguments, point], check=True, cwd=cwd)
        self.callback(unmount, point)
        return point

    def overlay(self, point: Path, lower: Path, cwd: Path | None = None) -> Path:
        """Lay nothing over a folder."""
        upper, work = (point.parent / f"{point.name}-{part}" for part in ("upper", "work"))
        for each in (upper, work):
            each.mkdir(parents=True)
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        return self.mount(point, "-t", "overlay", "overlay", "-o", options, cwd=cwd)


def filled(made: Vault) -> Path:
    album = made.point / "album"
    put(album / f"{NAME}.jpg", jpeg(300, 200))
    return album


@needs(Capability.MOUNT)
def test_bound_stacked_and_overlaid(tmp_path: Path) -> None:
    root, cache, plain = tmp_path / "root", tmp_path / "cache", tmp_path / "plain"
    put(plain / "plain.jpg", jpeg(300, 200))
    (tmp_path / "link").symlink_to(tmp_path / "vault")
    with vault("gocryptfs", tmp_path) as made, Mounts() as mounts:
        album = filled(made)
        (album / "inner").mkdir()
        mounts.mount(root / "bound", "--bind", album)
        below = mounts.mount(root / "below", "--bind", album)
        put(mounts.mount(below, "-t", "tmpfs", "-o", "size=1m", "x") / "a.jpg", jpeg(300, 200))
        above = mounts.mount(root / "above", "-t", "tmpfs", "-o", "size=1m", "x")
        mounts.mount(above, "--bind", album)
        lower = tmp_path / "over"
        mounts.overlay(root / "overlaid", album)
        mounts.overlay(root / "by-link", tmp_path / "link" / "album")
        mounts.overlay(lower / "relative", made.point.relative_to(tmp_path) / "album", cwd=tmp_path)
        mounts.mount(root / "relative", "--bind", lower / "relative")
        inside = mounts.mount(album / "inner", "--bind", plain)
        for part in ("bound", "above", "overlaid", "by-link", "relative"):
            assert (root / part / f"{NAME}.jpg").exists(), part
        done = run_pregen("run", root, inside, "--json", cache=cache)
        assert done.code == 0, done
        # The folder bound within a bound vault is seen with its own mount only.
        assert done.summary["kinds"] == {"private": 5, "made": 2}, done
        assert NAME not in done.out
        wanted = {desktops.glib_uri(each) for each in (below / "a.jpg", inside / "plain.jpg")}
        assert shown(cache) == wanted
        kept = run_pregen("clean", "--yes", cache=cache)
        assert kept.code == 0, kept
        assert shown(cache) == wanted


@needs(Capability.BINDFS)
def test_shown_elsewhere_by_a_program(tmp_path: Path) -> None:
    root, cache, plain = tmp_path / "root", tmp_path / "cache", tmp_path / "plain"
    put(plain / "plain.jpg", jpeg(300, 200))
    with vault("gocryptfs", tmp_path) as made, Mounts() as mounts:
        album = filled(made)
        for number, folder in enumerate((album, root / "0", plain)):
            (point := root / f"{number}").mkdir(parents=True)
            subprocess.run(["bindfs", folder, point], check=True)
            mounts.callback(unmount, point)
        done = run_pregen("run", root, "--json", cache=cache)
        assert done.summary["kinds"] == {"private": 2, "made": 1}, done
        assert NAME not in done.out
        assert shown(cache) == {desktops.glib_uri(root / "2" / "plain.jpg")}


def test_a_vault_that_opens_while_the_list_of_a_run_is_read(tmp_path: Path) -> None:
    cache, fifo, plain = tmp_path / "cache", tmp_path / "list", tmp_path / "plain.jpg"
    put(plain, jpeg(300, 200))
    os.mkfifo(fifo)
    with vault("gocryptfs", tmp_path) as made:
        secret = filled(made) / f"{NAME}.jpg"
        made.lock()
        with Running("run", "--files-from", fifo, "--json", cache=cache) as running:
            with fifo.open("wb", 0) as stream:
                stream.write(os.fsencode(plain) + b"\n")
                running.wait_for_outcomes()
                made.open()
                stream.write(os.fsencode(secret) + b"\n")
            done = running.end()
    assert done.summary["kinds"] == {"made": 1, "private": 1}, done
    assert NAME not in done.out
    assert shown(cache) == {desktops.glib_uri(plain)}


def test_a_vault_that_opens_over_a_folder_that_was_walked(tmp_path: Path) -> None:
    cache, root = tmp_path / "cache", tmp_path / "root"
    with vault("gocryptfs", tmp_path) as made:
        secret = filled(made) / f"{NAME}.jpg"
        facts = secret.stat()
        made.lock()
        walked = put(root / "z" / "album" / secret.name, jpeg(300, 200), facts.st_mtime_ns)
        assert walked.stat().st_size == facts.st_size
        content = put(tmp_path / "content.jpg", jpeg(300, 200))
        many_slow(root / "a", 30, 24)
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        with StuckMount(elsewhere, server=("slow_server.py", str(content), "never")) as stuck:
            run = ("run", "--json", "--no-reuse", "--workers", "1", root)
            with Running(*run, cache=cache, prefix=stuck.inside) as running:
                running.wait_for_outcomes()  # the only worker is busy for some seconds
                opening = ("gocryptfs", "-q", "-nonempty", tmp_path / "hidden", root / "z")
                subprocess.run([*stuck.inside, *opening], input=PASSWORD, check=True)
                done = running.end()
            subprocess.run([*stuck.inside, "fusermount", "-u", root / "z"], check=True)
    assert done.summary["kinds"] == {"made": 30, "private": 1}, done
    assert not any(walked.name in name for name in shown(cache))

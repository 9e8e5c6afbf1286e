"""`pregen share`: repositories beside the originals, and what is never touched on the way."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import stat
import subprocess
import threading
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.support.files import foreign_entries
from tests.support.files.pictures import jpeg, put
from tests.support.files.source_trees import MTIME_NS, few
from tests.support.judges import desktops, png_walk
from tests.support.running.capabilities import Capability, modes_count, needs
from tests.support.running.program import Finished, run_pregen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_REPOSITORY = ".sh_thumbnails"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    few(tmp_path / "photos", 3)
    few(tmp_path / "photos" / "below", 2)
    return tmp_path / "photos"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def share(photos: Path, cache: Path, *more: str, prefix: tuple[str, ...] = ()) -> Finished:
    return run_pregen("share", "--json", "-v", *more, photos, cache=cache, prefix=prefix)


def uris(photo: Path) -> tuple[str, str]:
    """The name as the newest standard has it, and as the older one had it."""
    name = quote(os.fsencode(photo.name), safe="!$&'()*+,:=@/~-._")
    return f"./{name}", name


def shared(photo: Path, flavor: str, uri: str = "") -> Path:
    key = hashlib.md5((uri or uris(photo)[0]).encode(), usedforsecurity=False).hexdigest()
    return photo.parent / _REPOSITORY / flavor / f"{key}.png"


def all_shared(photo: Path) -> list[Path]:
    return [shared(photo, flavor, uri) for flavor in ("normal", "large") for uri in uris(photo)]


def tree(folder: Path) -> dict[Path, tuple[int, int, bytes]]:
    """Return mode, inode and bytes of everything in a folder."""
    return {
        path: (
            path.lstat().st_mode,
            path.lstat().st_ino,
            b"" if path.is_dir() else path.read_bytes(),
        )
        for path in folder.rglob("*")
    }


def rename_exchange(one: Path, other: Path) -> None:
    """Exchange what two names lead to, in one step (renameat2(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(-100, bytes(one), -100, bytes(other), 2):
        raise OSError(ctypes.get_errno(), "renameat2")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_names_texts_and_sizes_are_those_of_the_standard(photos: Path, cache: Path) -> None:
    odd = put(photos / "a b;c#%é.jpg", jpeg(400, 300, seed=7), MTIME_NS)
    done = share(photos, cache, "--flavors", "normal,large,x-large,xx-large")
    assert done.code == 0, done
    assert set(done.kinds().values()) == {"made"}
    for photo in (odd, photos / "below" / "00.jpg"):
        for flavor in ("normal", "large"):
            for uri in uris(photo):
                entry = foreign_entries.Entry(
                    shared(photo, flavor, uri), shared(photo, flavor, uri).read_bytes()
                )
                assert max(entry.image.size) == foreign_entries.BOX_PX[flavor]
                assert entry.text("Thumb::URI") == uri
                assert entry.text("Thumb::MTime") == str(photo.stat().st_mtime_ns // 10**9)
                assert entry.text("Thumb::Size") == str(photo.stat().st_size)
                assert entry.text("Thumb::Mimetype") == "image/jpeg"
    # 2 names and 4 flavors each, and nothing else
    assert len(list(photos.rglob("*.png"))) == 6 * 2 * 4
    assert not cache.exists(), "the user's own cache is no part of it"
    assert not list(photos.rglob("fail"))


@pytest.mark.parametrize("umask", [0o000, 0o077], ids=oct)
def test_rights_are_those_of_the_originals_under_any_umask(
    photos: Path, cache: Path, umask: int
) -> None:
    wanted = {"00.jpg": 0o644, "01.jpg": 0o600, "02.jpg": 0o440}
    for name, bits in wanted.items():
        (photos / name).chmod(bits)
    photos.chmod(0o2775)
    (photos / "below").chmod(0o750)
    assert run_pregen("share", photos, cache=cache, umask=umask).code == 0
    for name, bits in wanted.items():
        assert {mode(path) for path in all_shared(photos / name)} == {bits}
    for folder in (photos, photos / "below"):
        repository = folder / _REPOSITORY
        for path in (repository, repository / "normal", repository / "large"):
            assert oct(mode(path)) == oct(mode(folder))


def test_a_second_time_writes_nothing_and_says_fresh(photos: Path, cache: Path) -> None:
    share(photos, cache)
    before = tree(photos)
    again = share(photos, cache)
    assert again.code == 0
    assert again.summary["kinds"] == {"fresh": 5}
    assert tree(photos) == before


def test_a_new_photo_joins_and_nothing_that_is_there_is_updated_unless_asked(
    photos: Path, cache: Path
) -> None:
    share(photos, cache)
    changed = put(photos / "01.jpg", jpeg(500, 200, seed=50), MTIME_NS + 10**10)
    foreign = shared(photos / "02.jpg", "normal")
    foreign.unlink()
    foreign.write_bytes(b"somebody else's, and no PNG")
    before = tree(photos)
    new = put(photos / "new.jpg", jpeg(300, 200, seed=51), MTIME_NS)
    done = share(photos, cache)
    assert done.code == 0
    assert done.summary["kinds"] == {"made": 1, "fresh": 3, "excluded": 2}
    assert all(path.exists() for path in all_shared(new))
    after = tree(photos)
    assert {path: after[path] for path in before} == before
    assert "2 files have outdated shared thumbnails" in done.out
    assert "--update" in done.out

    updated = share(photos, cache, "--update")
    assert updated.summary["kinds"] == {"made": 1, "refitted": 1, "fresh": 4}
    for path in all_shared(changed):
        assert png_walk.text_of(path.read_bytes(), "Thumb::Size") == str(changed.stat().st_size)
    png_walk.chunks(foreign.read_bytes())
    assert share(photos, cache).summary["kinds"] == {"fresh": 6}


def test_only_the_folder_itself_where_one_wants_that(photos: Path, cache: Path) -> None:
    done = share(photos, cache, "--no-recursive")
    assert sorted(done.kinds()) == ["00.jpg", "01.jpg", "02.jpg"]
    assert not (photos / "below" / _REPOSITORY).exists()


def test_a_rehearsal_writes_nothing(photos: Path, cache: Path) -> None:
    before = tree(photos)
    done = share(photos, cache, "--dry-run")
    assert done.code == 0
    assert done.summary["would"]
    assert tree(photos) == before


@needs(Capability.FILE_MODES)
def test_a_folder_that_cannot_be_written_costs_its_own_photos_and_no_decoding(
    photos: Path, cache: Path
) -> None:
    below = photos / "below"
    below.chmod(0o555)
    try:
        done = share(photos, cache, prefix=modes_count())
    finally:
        below.chmod(0o755)
    assert done.code == 3, done
    assert done.summary["kinds"] == {"made": 3, "cache-error": 2}
    refused = [r for r in done.outcomes.values() if r["kind"] == "cache-error"]
    assert {"/below/" in record["path"] for record in refused} == {True}
    assert all("cannot be written by user" in record["message"] for record in refused)
    assert not (below / _REPOSITORY).exists()


@needs(Capability.FILE_MODES)
def test_a_repository_of_somebody_else_that_cannot_be_written_is_left_as_it_is(
    photos: Path, cache: Path
) -> None:
    share(photos, cache, "--no-recursive", "--flavors", "normal")
    repository = photos / _REPOSITORY
    repository.chmod(0o555)
    try:
        done = share(photos, cache, "--no-recursive", prefix=modes_count())
        small = share(photos, cache, "--no-recursive", "--flavors", "normal", prefix=modes_count())
    finally:
        repository.chmod(0o755)
    assert done.summary["kinds"] == {"cache-error": 3}
    assert done.code == 3
    assert small.summary["kinds"] == {"fresh": 3}, "what needs no writing is no trouble"
    assert mode(repository) == 0o755
    assert [path.name for path in repository.iterdir()] == ["normal"]


@needs(Capability.MOUNT)
def test_a_file_system_mounted_read_only_says_so(photos: Path, cache: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "--bind", photos, disk], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", disk], check=True)
        done = share(disk, cache)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
    assert done.summary["kinds"] == {"cache-error": 5}
    assert {"mounted read-only" in record["message"] for record in done.outcomes.values()} == {True}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "pregen-test", disk], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@needs(Capability.MOUNT)
def test_a_full_disk_ends_it_and_all_that_is_there_is_whole(small_disk: Path, cache: Path) -> None:
    few(small_disk / "photos", 6)
    done = share(small_disk / "photos", cache)
    assert done.code == 12, done
    assert "space" in done.err
    left = [path for path in (small_disk / "photos").rglob("*") if path.suffix != ".jpg"]
    assert [path for path in left if path.suffix != ".png" and not path.is_dir()] == []
    for path in left:
        if not path.is_dir():
            png_walk.chunks(path.read_bytes())


@needs(Capability.DEVICE_NODES)  # root: only root gives files away
def test_root_gives_what_it_makes_to_the_owners_of_the_originals(photos: Path, cache: Path) -> None:
    os.chown(photos, 4321, 8765)
    os.chown(photos / "00.jpg", 1234, 5678)
    assert share(photos, cache).code == 0
    owner = {(path.stat().st_uid, path.stat().st_gid) for path in all_shared(photos / "00.jpg")}
    assert owner == {(1234, 5678)}
    for path in (photos / _REPOSITORY, photos / _REPOSITORY / "large"):
        assert (path.stat().st_uid, path.stat().st_gid) == (4321, 8765)
    assert (photos / "below" / _REPOSITORY).stat().st_uid == os.geteuid()


@pytest.mark.parametrize("below", ["", "normal"])
def test_nothing_is_written_through_a_link_that_somebody_planted(
    photos: Path, cache: Path, tmp_path: Path, below: str
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    link = photos / _REPOSITORY / below
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(victim)
    done = share(photos, cache, "--no-recursive", "--flavors", "normal")
    assert done.code == 3
    assert done.summary["kinds"] == {"cache-error": 3}
    assert {"symbolic link" in record["message"] for record in done.outcomes.values()} == {True}
    assert list(victim.iterdir()) == []
    assert link.is_symlink()


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A picture that anybody might read by its mode, but for the folder it lies in."""
    folder = tmp_path / "anna"
    picture = put(folder / "00.jpg", jpeg(400, 300, seed=9), MTIME_NS)
    picture.chmod(0o644)
    folder.chmod(0o700)
    return picture


def test_a_linked_picture_of_somebody_else_is_not_published(
    photos: Path, cache: Path, private: Path
) -> None:
    link = photos / "hers.jpg"
    link.symlink_to(private)
    (photos / "album").symlink_to(private.parent)
    done = share(photos, cache)
    assert done.code == 0, done
    assert done.summary["kinds"] == {"made": 5, "excluded": 2}
    assert "symbolic link" in done.outcomes[bytes(link)]["message"]
    assert not any(path.exists() for path in all_shared(link))
    assert list(private.parent.iterdir()) == [private]


def test_a_link_that_was_named_is_not_followed_either(
    photos: Path, cache: Path, private: Path
) -> None:
    link = photos / "hers.jpg"
    link.symlink_to(private)
    done = share(link, cache)
    assert "made" not in done.summary["kinds"], done
    assert "symbolic link" in done.outcomes[bytes(link)]["message"]
    assert not list(photos.rglob("*.png"))


def test_a_root_that_is_a_link_is_followed_since_it_was_named(photos: Path, cache: Path) -> None:
    link = photos.parent / "link"
    link.symlink_to(photos)
    assert share(link, cache).summary["kinds"] == {"made": 5}
    assert all(path.is_file() for path in all_shared(photos / "00.jpg"))


def test_a_folder_that_turns_into_a_link_after_the_walk_publishes_nothing(
    tmp_path: Path, cache: Path, private: Path
) -> None:
    """Its owner exchanges it for a link to another user's folder all the time, while root shares.

    Both have files of the same names; hers are wide, his are high.
    """
    root = tmp_path / "home"
    mine, link = root / "pictures", root / "other"
    for number in range(40):
        put(mine / f"{number:02}.jpg", jpeg(300, 400, seed=number), MTIME_NS + number)
        put(private.parent / f"{number:02}.jpg", jpeg(900, 120, seed=number), MTIME_NS + number)
    link.symlink_to(private.parent)
    over = threading.Event()

    def exchange() -> None:
        while not over.wait(0.001):
            rename_exchange(mine, link)

    thread = threading.Thread(target=exchange)
    thread.start()
    try:
        for _ in range(3):
            done = share(root, cache, "--update", "--flavors", "normal")
            assert done.code in {0, 3}, done
    finally:
        over.set()
        thread.join()
    if mine.is_symlink():
        rename_exchange(mine, link)
    assert not list(private.parent.rglob("*.png"))
    for entry in mine.rglob("*.png"):
        width_px, height_px = foreign_entries.Entry(entry, entry.read_bytes()).image.size
        assert height_px > width_px, "a picture of the private folder"


def test_a_file_in_the_place_of_a_repository_stays(photos: Path, cache: Path) -> None:
    put(photos / _REPOSITORY, b"a diary")
    done = share(photos, cache)
    assert done.summary["kinds"] == {"made": 2, "cache-error": 3}
    assert (photos / _REPOSITORY).read_bytes() == b"a diary"


def test_thumbnails_get_no_thumbnails(photos: Path, cache: Path) -> None:
    share(photos, cache)
    done = share(photos / _REPOSITORY / "large", cache)
    assert "made" not in done.summary["kinds"], done
    assert not list(photos.rglob(f"{_REPOSITORY}/**/{_REPOSITORY}"))


def test_temps_of_a_dead_run_are_swept_where_something_is_written(
    photos: Path, cache: Path
) -> None:
    share(photos, cache)
    process = subprocess.Popen(["true"])
    process.wait()
    folder = photos / _REPOSITORY / "normal"
    temp = put(folder / f".pregen-{os.uname().nodename}-{process.pid}-0-00000000.tmp", b"half")
    other = put(folder / "notes.tmp", b"mine")
    shared(photos / "00.jpg", "normal").unlink()
    # Its picture is in the entry under the other name.
    assert share(photos, cache).summary["kinds"] == {"fresh": 4, "refitted": 1}
    assert not temp.exists()
    assert other.exists()


def test_show_tells_what_lies_beside_a_file_and_who_reads_it(photos: Path, cache: Path) -> None:
    share(photos, cache)
    photo = photos / "00.jpg"
    done = run_pregen("show", "--json", photo, cache=cache)
    assert done.code == 0, done
    facts = json.loads(done.out)
    assert [uri["uri"] for uri in facts["shared"]] == list(uris(photo))
    (first, _) = facts["shared"][0]["entries"]
    assert first["path"] == str(shared(photo, "normal"))
    assert first["verdict"] == "fresh"
    looking = {d["client"]: d["accepts"] for d in first["desktops"] if d["looks_here"]}
    assert looking == {"tumbler (Thunar)": True}
    spoken = run_pregen("show", photo, cache=cache).out
    assert "./00.jpg (shared, beside the file)" in spoken


def test_the_cache_is_filled_all_the_same_unless_the_shared_ones_are_to_do(
    photos: Path, cache: Path, tmp_path: Path
) -> None:
    share(photos, cache, "--flavors", "normal")
    spared = run_pregen("run", "--json", "-v", "--use-shared", photos, cache=cache)
    assert spared.code == 0, spared
    assert [path.parent.name for path in foreign_entries.files(cache) if path.suffix == ".png"] == [
        "large"
    ] * 5
    plain = tmp_path / "plain"
    assert run_pregen("run", photos, cache=plain).code == 0
    assert len([path for path in foreign_entries.files(plain) if path.suffix == ".png"]) == 10


def test_an_outdated_entry_of_the_cache_goes_where_the_shared_one_does(
    photos: Path, cache: Path
) -> None:
    photo = put(photos / "00.jpg", jpeg(600, 300, seed=60), MTIME_NS - 10**12)
    run_pregen("run", photos, cache=cache)
    put(photo, jpeg(300, 600, seed=61), MTIME_NS)
    share(photos, cache)
    done = run_pregen("run", "--json", "-v", "--use-shared", photos, cache=cache)
    assert done.kinds()["00.jpg"] == "tidied"
    assert not desktops.entry_path(cache, "large", desktops.glib_uri(photo)).exists()
    assert desktops.entry_path(cache, "large", desktops.glib_uri(photos / "02.jpg")).exists()


def test_without_a_path_it_says_what_is_missing(cache: Path) -> None:
    done = run_pregen("share", cache=cache)
    assert done.code == 2
    assert "PATH" in done.err

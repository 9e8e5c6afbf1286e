"""`pregen run --publish --cache`: entries for machines that know the files by other names."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pregen.thumbspec.naming import Published, prefix_of
from tests.support.files import foreign_entries
from tests.support.files.pictures import jpeg, put
from tests.support.files.source_trees import MTIME_NS, few
from tests.support.judges import desktops
from tests.support.running.capabilities import Capability, needs
from tests.support.running.program import PREGEN, environment, run_pregen

if TYPE_CHECKING:
    from tests.support.running.program import Finished


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    few(tmp_path / "srv" / "photos")
    put(tmp_path / "srv" / "photos" / "a b" / "ü; [1].jpg", jpeg(400, 300, seed=9), MTIME_NS)
    return tmp_path / "srv" / "photos"


def run(photos: Path, root: Path, *more: str) -> Finished:
    done = run_pregen(
        "run", "--json", "-v", f"--cache={root}", *more, photos, cache=root.parent / "own"
    )
    assert done.code == 0, done
    return done


def made(root: Path, flavor: str = "large") -> dict[str, str]:
    """Return the name of every entry by the URI it says."""
    found = {}
    for path in (root / flavor).iterdir():
        found[foreign_entries.Entry(path, path.read_bytes()).text("Thumb::URI")] = path.name
    return found


def test_entries_are_keyed_as_the_clients_see_them(photos: Path, tmp_path: Path) -> None:
    root = tmp_path / "clients" / "thumbnails"
    run(photos, root, f"--publish={photos}/=smb://nas/photos/")
    found = made(root)
    assert set(found) == {
        *(f"smb://nas/photos/{number:02}.jpg" for number in range(4)),
        "smb://nas/photos/a%20b/%C3%BC;%20%5B1%5D.jpg",
        "smb://nas/photos/a%20b/%C3%BC;%20[1].jpg",
        "smb://nas/photos/a%20b/%C3%BC%3B%20%5B1%5D.jpg",
    }
    for uri, name in found.items():
        assert desktops.entry_path(Path("/"), "large", uri).name == name
    assert not (tmp_path / "clients" / "own" / "thumbnails").exists()


def test_a_second_run_believes_stat_and_another_name_makes_others(
    photos: Path, tmp_path: Path
) -> None:
    root = tmp_path / "thumbnails"
    smb, nfs = f"--publish={photos}=smb://nas/photos", f"--publish={photos}=file:///mnt/nas"
    run(photos, root, smb)
    assert run(photos, root, smb).summary["kinds"] == {"fresh": 5}
    assert run(photos, root, smb).summary["kinds"] == {"fresh": 5}
    before = foreign_entries.identities(tmp_path)
    assert run(photos, root, nfs).summary["kinds"] == {"reused": 5}
    assert run(photos, root).summary["kinds"] == {"reused": 5}
    assert run(photos, root, smb).summary["kinds"] == {"fresh": 5}
    after = foreign_entries.identities(tmp_path)
    assert {path: after[path] for path in before} == before
    (root / "large" / made(root)["smb://nas/photos/01.jpg"]).unlink()
    assert run(photos, root, smb).summary["kinds"] == {"fresh": 4, "reused": 1}
    assert "smb://nas/photos/01.jpg" in made(root)


@needs(Capability.MOUNT, Capability.GIO)
def test_gio_and_verify_accept_them_where_the_share_is_mounted(
    photos: Path, tmp_path: Path
) -> None:
    there = tmp_path / "home" / "me" / "photos"
    there.mkdir(parents=True)
    client = tmp_path / "client"
    run(photos, client / "thumbnails", f"--publish={photos}={desktops.glib_uri(there)}")
    files = [there / path.relative_to(photos) for path in photos.rglob("*.jpg")]
    inside = ["unshare", "-m", "--propagation", "private", "sh", "-c"]
    mount = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
    env = environment(client, {"LC_ALL": "C.UTF-8"})

    def there_says(*command: str | Path) -> str:
        done = subprocess.run(
            [*inside, mount, "sh", photos, there, *command],
            env=env,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done
        return done.stdout.decode()

    said = there_says("gio", "info", "-a", "thumbnail::*", *files)
    assert said.count("thumbnail::is-valid: TRUE") == len(files) == 5
    assert "FALSE" not in said
    there_says(*PREGEN, "verify")
    again = there_says(*PREGEN, "run", "--check=full", "--json", "-v", there)
    kinds = json.loads(again.splitlines()[-1])["kinds"]
    assert kinds == {"fresh": 5}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--publish=/nowhere/at/all=smb://nas/p"], "is not a folder here"),
        (["--publish=/tmp"], "DIR=URI"),
        (["--publish=/tmp=smb://nas/my photos"], "%20"),
        (["--publish=/tmp=/mnt/photos"], "DIR=URI"),
        (["--publish=/tmp=file://nas/photos"], "DIR=URI"),
        (["--publish=/tmp=smb://nas/p", "--realpath-keys=always"], "choose one"),
    ],
)
def test_what_cannot_be_meant_is_refused(flags: list[str], words: str, tmp_path: Path) -> None:
    done = run_pregen("run", *flags, tmp_path, cache=tmp_path / "cache")
    assert done.code == 2, done
    assert words in " ".join(done.err.split())


def test_the_innermost_folder_counts_and_neighbours_keep_their_own_names() -> None:
    published = Published(
        [(b"/srv", "smb://nas/all"), (b"/srv/photos", "file:///home/me"), (b"/", "ftp://x")]
    )
    assert published.uris(b"/srv/photos/a b.jpg") == ("file:///home/me/a%20b.jpg",)
    assert published.uris(b"/srv/photos2/a.jpg") == ("smb://nas/all/photos2/a.jpg",)
    assert published.uris(b"/etc/a.jpg") == ("ftp://x/etc/a.jpg",)
    assert Published([(b"/srv", "smb://n")]).uris(b"/srv2/a") == ("file:///srv2/a",)
    assert published.place(b"/srv/photos") == b"file:///home/me"
    assert Published([(b"/srv", "smb://n")]).place(b"/srv2") == b"/srv2"
    assert prefix_of("file:///") == "file://"
    assert Published([(b"/srv", "file://")]).uris(b"/srv/" + os.fsencode("\udcff.jpg")) == (
        "file:///%FF.jpg",
    )

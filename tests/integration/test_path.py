"""`pregen path`: where a thumbnail is, made if need be; answers in the order of the names."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from pregen.model import Flavor
from pregen.thumbspec.naming import entry_path
from pregen.thumbspec.uri import file_uri
from tests.support.files import foreign_entries
from tests.support.files.pictures import jpeg, put
from tests.support.files.source_trees import few, many_slow
from tests.support.judges.desktops import gio
from tests.support.running.program import PREGEN, Running, environment, run_pregen

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def entry(cache: Path, path: Path, flavor: Flavor = Flavor.LARGE) -> str:
    found = entry_path(bytes(cache / "thumbnails"), flavor, file_uri(bytes(path)))
    return os.fsdecode(found)


def test_entries_are_made_and_told_in_the_order_of_the_names(tmp_path: Path, cache: Path) -> None:
    photos = few(tmp_path, 6)[::-1]
    done = run_pregen("path", *photos, cache=cache)
    assert done.code == 0, done
    assert done.out.splitlines() == [entry(cache, photo) for photo in photos]
    assert done.err == ""
    again = run_pregen("path", *photos, cache=cache)
    assert again.out == done.out
    assert not foreign_entries.leftovers(cache)
    with Image.open(entry(cache, photos[0])) as image:
        assert max(image.size) == 256


def test_what_has_no_thumbnail_is_an_empty_line_and_told_why(tmp_path: Path, cache: Path) -> None:
    photo = few(tmp_path, 1)[0]
    words = put(tmp_path / "words.jpg", b"no picture at all")
    small = put(tmp_path / "small.jpg", jpeg(60, 40))
    names = [tmp_path / "gone.jpg", photo, words, tmp_path, small]
    done = run_pregen("path", *names, cache=cache)
    assert done.code == 3, done
    assert done.out.splitlines() == ["", entry(cache, photo), "", "", ""]
    for name, why in (("gone", "No such file"), ("words", ""), ("small.jpg", "too small")):
        assert any(name in line and why in line for line in done.err.splitlines()), done
    assert len(done.err.splitlines()) == 4


def test_what_failed_earlier_is_told_with_the_command_that_tries_again(
    tmp_path: Path, cache: Path
) -> None:
    bad = put(tmp_path / "bad.jpg", jpeg(300, 200)[:400])
    assert run_pregen("path", bad, cache=cache).code == 3
    done = run_pregen("path", bad, cache=cache)
    assert done.code == 3, done
    said, _, command = done.err.rstrip().rpartition(". To try again: pregen ")
    assert said.startswith(f"pregen: {bad}: failed earlier: ")
    put(bad, jpeg(300, 200))
    assert run_pregen(*command.split(), cache=cache).code == 0
    assert run_pregen("path", bad, cache=cache).out == entry(cache, bad) + "\n"


def test_a_changed_file_gets_a_new_entry(tmp_path: Path, cache: Path) -> None:
    photo = put(tmp_path / "a.jpg", jpeg(400, 300, seed=1), 10**18)
    first = run_pregen("path", "--flavor", "normal", photo, cache=cache).out
    old = Path(first.strip()).read_bytes()
    put(photo, jpeg(400, 300, seed=2), 2 * 10**18)
    assert run_pregen("path", "--flavor", "normal", photo, cache=cache).out == first
    assert Path(first.strip()).read_bytes() != old


@pytest.mark.parametrize("flavor", list(Flavor))
def test_each_size_has_a_path(flavor: Flavor, tmp_path: Path, cache: Path) -> None:
    photo = put(tmp_path / "a.jpg", jpeg(1600, 1200))
    done = run_pregen("path", "--flavor", flavor.directory, photo, cache=cache)
    assert done.out == entry(cache, photo, flavor) + "\n"
    with Image.open(done.out.strip()) as image:
        assert max(image.size) == flavor.box_px


def test_more_than_one_size_is_refused(tmp_path: Path, cache: Path) -> None:
    done = run_pregen("path", "--flavor", "normal,large", tmp_path / "a.jpg", cache=cache)
    assert done.code == 2
    assert "one size" in done.err


def test_names_come_from_standard_input(tmp_path: Path, cache: Path) -> None:
    photos = few(tmp_path, 3)
    names = b"".join(bytes(photo) + b"\n" for photo in photos)
    done = run_pregen("path", cache=cache, stdin=names + b"\nrelative.jpg", cwd=tmp_path)
    assert done.out.splitlines() == [*(entry(cache, photo) for photo in photos), "", ""]
    assert done.code == 3


def test_hostile_names_come_with_nul(tmp_path: Path, cache: Path) -> None:
    photos = [
        put(tmp_path / os.fsdecode(name), jpeg(300, 200)) for name in (b"a\nb", b"\xff", b"\x1b[1m")
    ]
    done = run_pregen("path", "-0", cache=cache, stdin=b"".join(bytes(p) + b"\0" for p in photos))
    assert done.code == 0, done
    assert done.out.split("\0") == [*(entry(cache, photo) for photo in photos), ""]
    again = run_pregen("path", tmp_path / "\x1b[1mgone", cache=cache)
    assert "\x1b" not in again.err


def test_what_is_told_at_once_is_what_the_verb_tells(tmp_path: Path, cache: Path) -> None:
    photos = [*few(tmp_path, 2), put(tmp_path / "a;b [c].jpg", jpeg(300, 200))]
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    run_pregen("run", *photos, cache=cache)
    names: list[str | Path] = [*photos, link / photos[0].name, photos[0].name]
    names.append(f"{tmp_path}//./x/../{photos[1].name}")
    for flavor in ((), ("--flavor", "normal")):
        for name in names:
            at_once = run_pregen("path", *flavor, name, cache=cache, cwd=tmp_path)
            usual = run_pregen("path", *flavor, "--", name, cache=cache, cwd=tmp_path)
            assert (at_once.code, at_once.out, at_once.err) == (0, usual.out, "")
    config = tmp_path / "config" / "pregen" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'cache = "{tmp_path}/elsewhere"')
    env = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    done = run_pregen("path", photos[0], cache=cache, env=env)
    assert done.out.startswith(f"{tmp_path}/elsewhere/large/")
    refused = run_pregen("path", photos[0], cache=cache, env={"PREGEN_FLAVOR": "normal"})
    assert refused.code == 2


@pytest.fixture
def conversation(cache: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [*PREGEN, "path"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(cache, None),
    ) as process:
        yield process
        process.kill()


def test_each_answer_comes_before_the_next_question(
    tmp_path: Path, cache: Path, conversation: subprocess.Popen[bytes]
) -> None:
    assert conversation.stdin
    assert conversation.stdout
    for photo in few(tmp_path, 3):
        conversation.stdin.write(bytes(photo) + b"\n")
        conversation.stdin.flush()
        assert conversation.stdout.readline() == os.fsencode(entry(cache, photo)) + b"\n"
    conversation.stdin.close()
    assert conversation.wait(30) == 0


def test_fresh_entries_need_no_worker_and_no_picture_library(tmp_path: Path, cache: Path) -> None:
    photos = few(tmp_path, 3)
    run_pregen("run", tmp_path, cache=cache)
    code = (
        "import sys; from pregen import cli; code = cli.run(['path', '--', *sys.argv[2:]]); "
        "bad = {'multiprocessing', 'numpy', 'PIL', 'pyvips', 'sqlite3', 'psutil', 'rich', "
        "'pregen.pipeline', 'pregen.imaging'} & set(sys.modules); "
        "print(sorted(bad)); sys.exit(code)"
    )
    done = run_pregen("path", *photos, cache=cache, program=[PREGEN[0], "-c", code])
    assert done.code == 0, done
    assert done.out.splitlines() == [*(entry(cache, photo) for photo in photos), "[]"]


def test_one_fresh_file_needs_none_of_what_is_slow_to_import(tmp_path: Path, cache: Path) -> None:
    (photo,) = few(tmp_path, 1)
    run_pregen("run", tmp_path, cache=cache)
    code = (
        "import sys; from pregen.entry_point import fresh_paths; "
        "sys.stdout.buffer.write(fresh_paths(sys.argv[1:])); "
        "print(sorted({'click', 'dataclasses', 'datetime', 'inspect', 'pregen.cli', "
        "'urllib.parse'} & set(sys.modules)))"
    )
    done = run_pregen(photo, cache=cache, program=[PREGEN[0], "-c", code])
    assert done.out.splitlines() == [entry(cache, photo), "[]"], done


def test_a_run_at_work_makes_them_next(tmp_path: Path, cache: Path) -> None:
    many_slow(tmp_path / "busy", 40, 24)
    photos = few(tmp_path / "photos", 2)
    with tempfile.TemporaryDirectory(prefix="run-") as runtime:
        env = {"XDG_RUNTIME_DIR": runtime}
        with Running(
            "run", "--json", "--no-reuse", tmp_path / "busy", cache=cache, env=env
        ) as busy:
            busy.wait_for_outcomes()
            done = run_pregen("path", *photos, cache=cache, env=env)
            assert done.out.splitlines() == [entry(cache, photo) for photo in photos]
            alone = run_pregen("path", "--flavor", "x-large", photos[0], cache=cache, env=env)
            assert alone.out == entry(cache, photos[0], Flavor.X_LARGE) + "\n"
            assert busy.process.poll() is None
            busy.send(signal.SIGINT)
            assert busy.end().kinds().keys() >= {photo.name for photo in photos}


def test_an_entry_is_valid_for_glib(tmp_path: Path, cache: Path) -> None:
    photo = few(tmp_path / "My Photos", 1)[0]
    run_pregen("path", photo, cache=cache)
    assert [answer.valid for answer in gio(cache, [photo])] == [True]

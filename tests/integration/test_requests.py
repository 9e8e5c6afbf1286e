"""A run that holds the cache's lock takes files of other programs, and does them next."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pregen.config import PlanConfig
from pregen.model import Kind
from pregen.requests.client import RequestClient
from pregen.requests.protocol import FileAnswer, socket_path
from pregen.requests.server import RequestServer, what_is_made
from tests.support.files import foreign_entries
from tests.support.files.source_trees import few, many_slow
from tests.support.running.program import Running, run_pregen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

pytestmark = [pytest.mark.usefixtures("no_leaks"), pytest.mark.xdist_group("timing")]
#: Some seconds of work.
_BUSY = 40


@pytest.fixture
def runtime() -> Iterator[dict[str, str]]:
    """A runtime folder; not below the test's own, whose path may be too long for a socket."""
    with tempfile.TemporaryDirectory(prefix="run-") as folder:
        yield {"XDG_RUNTIME_DIR": folder}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def busy(tmp_path: Path, cache: Path, runtime: dict[str, str]) -> Iterator[Running]:
    """A run that takes a while."""
    many_slow(tmp_path / "busy", _BUSY, 24)
    with Running(
        "run", "--json", "--no-reuse", tmp_path / "busy", cache=cache, env=runtime
    ) as running:
        running.wait_for_outcomes()
        yield running


def test_a_second_run_has_its_files_done_before_the_rest(
    tmp_path: Path, cache: Path, runtime: dict[str, str], busy: Running
) -> None:
    few(tmp_path / "photos")
    second = run_pregen("run", "--json", tmp_path / "photos", cache=cache, env=runtime)
    assert second.code == 0, second
    assert second.summary["kinds"] == {"made": 4}
    assert second.summary["entries_written"] == 8
    assert str(busy.process.pid) in second.err
    assert busy.process.poll() is None, "they did not wait for the end"
    busy.send(signal.SIGINT)
    done = busy.end()
    kinds = [each["kind"] for path, each in done.outcomes.items() if b"/photos/" in path]
    assert kinds == ["made"] * 4
    assert not foreign_entries.leftovers(cache)


def test_what_the_walk_comes_to_later_is_not_made_twice(
    tmp_path: Path, cache: Path, runtime: dict[str, str], busy: Running
) -> None:
    wanted = sorted((tmp_path / "busy").iterdir())[-3:]
    second = run_pregen("run", "--json", *wanted, cache=cache, env=runtime)
    assert second.code == 0, second
    assert second.summary["kinds"] == {"made": 3}
    done = busy.end()
    assert done.code == 0
    assert done.summary["kinds"] == {"made": _BUSY, "fresh": 3}
    assert done.summary["entries_written"] == 2 * _BUSY


def test_failures_and_skips_are_told_as_they_are(
    tmp_path: Path, cache: Path, runtime: dict[str, str], busy: Running
) -> None:
    folder = tmp_path / "photos"
    few(folder, 2)
    (folder / "broken.jpg").write_bytes((folder / "00.jpg").read_bytes()[:3000])
    second = run_pregen("run", "--json", folder, cache=cache, env=runtime)
    assert second.code == 3, second
    assert second.summary["kinds"] == {"made": 2, "truncated": 1}
    again = run_pregen("run", "--json", folder, cache=cache, env=runtime)
    assert again.summary["kinds"]["fresh"] == 2
    assert busy.process.poll() is None


def test_what_a_stopped_run_leaves_is_done_by_who_asked(
    tmp_path: Path, cache: Path, runtime: dict[str, str], busy: Running
) -> None:
    many_slow(tmp_path / "more", 20)
    with Running(
        "run", "--json", "--no-reuse", tmp_path / "more", cache=cache, env=runtime
    ) as second:
        second.wait_for_stderr("these files are next")
        busy.send_to_group(signal.SIGKILL)
        done = second.end()
    assert done.code == 0, done
    assert done.summary["kinds"] == {"made": 20}
    assert not foreign_entries.leftovers(cache)


@pytest.mark.parametrize("flags", [["--flavors", "x-large"], ["--force"], ["--check", "full"]])
def test_who_wants_something_else_is_told_who_holds_the_lock(
    flags: list[str], tmp_path: Path, cache: Path, runtime: dict[str, str], busy: Running
) -> None:
    few(tmp_path / "photos")
    second = run_pregen("run", *flags, tmp_path / "photos", cache=cache, env=runtime)
    assert second.code == 10, second
    assert str(busy.process.pid) in second.err


# -- the socket ------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path, runtime: dict[str, str]) -> bytes:
    found = socket_path(bytes(tmp_path), runtime)
    assert found is not None
    return found


class Answering:
    """A run that answers with what it is given, as soon as it is asked."""

    def __init__(self, path: bytes, answers: dict[bytes, FileAnswer]) -> None:
        self.server = RequestServer(path, what_is_made(PlanConfig()))
        self.asked: list[bytes] = []
        self._answers = answers
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for path in self.server.paths():
            self.asked.append(path)
            if answer := self._answers.get(path, FileAnswer(path, Kind.MADE)):
                self.server.answer(answer)

    def close(self) -> None:
        self.server.close()
        self._thread.join(10)
        assert not self._thread.is_alive()


def asked(root: Path, runtime: dict[str, str], paths: Iterable[bytes | None]) -> list[FileAnswer]:
    client = RequestClient.connect(bytes(root), PlanConfig(), runtime)
    assert client is not None
    assert not client.refusal
    with client:
        return list(client.answers(iter(paths)))


def test_answers_arrive_as_they_were_given(
    tmp_path: Path, runtime: dict[str, str], path: bytes
) -> None:
    answers = {
        name: FileAnswer(name, Kind.NEEDS_EXTRA, "why: é\n", "image/x", "heic", number)
        for number, name in enumerate([b"/a", b"/b\n\xff", b"/" + b"x" * 4000])
    }
    with closing(Answering(path, answers)):
        assert asked(tmp_path, runtime, answers) == list(answers.values())


def test_thousands_of_paths_go_through_and_none_is_lost(
    tmp_path: Path, runtime: dict[str, str], path: bytes
) -> None:
    names = [b"/%05d/%s" % (number, b"n" * (1 + number % 250)) for number in range(5000)]
    with closing(Answering(path, {})) as run:
        found = asked(tmp_path, runtime, (each for name in names for each in (name, None)))
        assert [each.path for each in found] == names
        assert run.asked == names


def test_clients_take_turns_and_a_file_is_done_once(
    tmp_path: Path, runtime: dict[str, str], path: bytes
) -> None:
    many, few = [b"/%d" % number for number in range(400)], [b"/new", b"/399"]
    with (
        closing(RequestServer(path, what_is_made(PlanConfig()))) as server,
        socket.socket(socket.AF_UNIX) as first,
        socket.socket(socket.AF_UNIX) as second,
    ):
        for end, names in ((first, many), (second, few)):
            end.connect(path)
            end.sendall(b"\0".join([b"pregen requests 1", b"normal", *names, b""]))
        # It is answered after all that was sent before.
        assert asked(tmp_path, runtime, []) == []
        taken = list(islice(server.paths(), len(many) + 1))
        assert sorted(taken) == sorted({*many, *few})
        assert set(few) <= set(taken[:4])
        assert [each for each in taken if each not in few] == many[:-1]


def test_a_run_that_ends_says_what_it_did_not_do(
    tmp_path: Path, runtime: dict[str, str], path: bytes
) -> None:
    server = RequestServer(path, what_is_made(PlanConfig()))

    def end() -> None:
        next(server.paths())
        server.close()

    thread = threading.Thread(target=end)
    thread.start()
    found = asked(tmp_path, runtime, [b"/a", b"/b"])
    thread.join(10)
    assert {each.kind for each in found} <= {Kind.INTERRUPTED}
    assert not os.path.lexists(path)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n\0",
        b"pregen requests 1\0normal\0relative\0",
        b"pregen requests 1\0normal\0/a/../b\0",
        b"pregen requests 1\0normal\0/" + b"x" * 5000 + b"\0",
        b"x" * 100_000,
    ],
)
def test_nonsense_is_hung_up_on_and_others_are_served(
    sent: bytes, tmp_path: Path, runtime: dict[str, str], path: bytes
) -> None:
    with closing(Answering(path, {})) as run:
        with socket.socket(socket.AF_UNIX) as end:
            end.settimeout(10)
            end.connect(path)
            with suppress(BrokenPipeError, ConnectionResetError):
                end.sendall(sent)
                while end.recv(100):
                    pass
        assert [each.path for each in asked(tmp_path, runtime, [b"/a"])] == [b"/a"]
        assert run.asked == [b"/a"]


def test_who_does_not_read_its_answers_stops_nobody(
    tmp_path: Path, runtime: dict[str, str], path: bytes
) -> None:
    with closing(Answering(path, {})), socket.socket(socket.AF_UNIX) as deaf:
        deaf.connect(path)
        deaf.settimeout(0)
        deaf.sendall(b"pregen requests 1\0normal\0")
        with suppress(BlockingIOError):
            for number in range(100_000):
                deaf.sendall(b"/deaf/%d\0" % number)
        assert len(asked(tmp_path, runtime, [b"/%d" % number for number in range(1000)])) == 1000


def test_only_its_user_reaches_a_run(tmp_path: Path, runtime: dict[str, str], path: bytes) -> None:
    folder = Path(os.fsdecode(path)).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with closing(Answering(path, {})):
        if os.geteuid() == 0:
            code = (
                "import os, socket, sys; os.setgid(65534); os.setuid(65534)\n"
                "end = socket.socket(socket.AF_UNIX)\n"
                "try: end.connect(sys.argv[1])\n"
                "except OSError: sys.exit(7)\n"
            )
            done = subprocess.run([sys.executable, "-c", code, path], check=False)
            assert done.returncode == 7
    folder.chmod(0o755)
    assert socket_path(bytes(tmp_path), runtime) != path


def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path, runtime: dict[str, str]) -> None:
    folder = Path(runtime["XDG_RUNTIME_DIR"])
    (folder / "pregen").symlink_to(tmp_path)
    found = socket_path(bytes(tmp_path), runtime)
    assert found is None or not found.startswith(bytes(folder))


def test_a_path_too_long_for_a_socket_is_not_used(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir(0o700)
    found = socket_path(bytes(tmp_path), {"XDG_RUNTIME_DIR": str(long)})
    assert found is None or not found.startswith(bytes(long))

"""Opening sources: what they are now, and what keeps them from being read."""

from __future__ import annotations

import fcntl
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pregen.model import Kind
from pregen.source_file import SourceAccessError, open_source
from tests.support.running.capabilities import Capability, modes_count, needs

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
MTIME_NS = 1_700_000_000_123_456_789


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"picture")
    os.utime(path, ns=(MTIME_NS, MTIME_NS))
    return path


def open_fds() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_source_tells_its_facts_and_its_bytes(photo: Path) -> None:
    with open_source(bytes(photo)) as source:
        assert (source.size_bytes, source.mtime_ns) == (7, MTIME_NS)
        assert os.read(source.fd, 100) == b"picture"
        assert not source.changed()
        facts = photo.stat()
        assert (source.facts.device, source.facts.inode) == (facts.st_dev, facts.st_ino)


@pytest.mark.parametrize(
    "name", [b"caf\xe9.jpg", b"IMG[1]", b"-rf", b"a\nb", b"x" * 255, "🙂".encode()]
)
def test_any_name_can_be_opened(tmp_path: Path, name: bytes) -> None:
    path = bytes(tmp_path) + b"/" + name
    with open(path, "wb") as file:
        file.write(b"picture")
    with open_source(path) as source:
        assert source.size_bytes == 7


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def rewrite(path: Path) -> None:
    path.write_bytes(b"another")


def touch(path: Path) -> None:
    os.utime(path, ns=(MTIME_NS, MTIME_NS - 1000))


@pytest.mark.parametrize("change", [append, rewrite, touch])
def test_a_source_written_to_while_it_is_open_is_changed(
    photo: Path, change: Callable[[Path], None]
) -> None:
    with open_source(bytes(photo)) as source:
        before = source.facts
        change(photo)
        assert source.changed()
        assert source.facts == before


def test_a_removed_source_can_be_read_to_its_end_and_counts_as_changed(photo: Path) -> None:
    with open_source(bytes(photo)) as source:
        photo.unlink()
        assert os.read(source.fd, 100) == b"picture"
        assert source.changed()


def test_a_source_replaced_by_another_file_counts_as_changed(photo: Path) -> None:
    with open_source(bytes(photo)) as source:
        other = photo.with_name("other")
        other.write_bytes(b"another")
        other.replace(photo)
        assert source.changed()


def test_a_link_to_a_photo_is_a_source(tmp_path: Path, photo: Path) -> None:
    (tmp_path / "link").symlink_to(photo)
    with open_source(bytes(tmp_path / "link")) as source:
        assert (source.size_bytes, source.mtime_ns) == (7, MTIME_NS)


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    before = Path.cwd()
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(path.parent)  # names of sockets are short
        try:
            server.bind(path.name)
        finally:
            os.chdir(before)


def make_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


def make_nothing(_path: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (make_nothing, Kind.VANISHED),
        (make_dangling_link, Kind.VANISHED),
        (make_loop, Kind.UNREADABLE),
        (make_fifo, Kind.SPECIAL),
        (make_socket, Kind.SPECIAL),
        (Path.mkdir, Kind.SPECIAL),
    ],
)
def test_what_cannot_be_a_source_says_what_it_is(
    tmp_path: Path, make: Callable[[Path], None], kind: Kind
) -> None:
    make(tmp_path / "a.jpg")
    before = open_fds()
    with pytest.raises(SourceAccessError) as caught:
        open_source(bytes(tmp_path / "a.jpg"))
    assert caught.value.kind is kind
    assert str(caught.value)
    assert open_fds() == before


def test_a_file_in_the_place_of_a_folder_means_that_the_source_vanished(photo: Path) -> None:
    with pytest.raises(SourceAccessError) as caught:
        open_source(bytes(photo / "b.jpg"))
    assert caught.value.kind is Kind.VANISHED


def test_a_device_is_special() -> None:
    with pytest.raises(SourceAccessError) as caught:
        open_source(b"/dev/null")
    assert caught.value.kind is Kind.SPECIAL


@needs(Capability.FILE_MODES)
def test_a_source_that_may_not_be_read_is_unreadable(photo: Path) -> None:
    photo.chmod(0)
    code = (
        "import os, sys\n"
        "from pregen.source_file import SourceAccessError, open_source\n"
        "try: open_source(os.fsencode(sys.argv[1]))\n"
        "except SourceAccessError as error: print(error.kind.value, error)"
    )
    run = subprocess.run(
        [*modes_count(), sys.executable, "-c", code, photo],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert run.stdout == "unreadable Permission denied: make it readable for this user\n"


@needs(Capability.FILE_MODES)
def test_a_source_of_somebody_else_is_opened_without_noatime(photo: Path) -> None:
    try:
        os.chown(photo, os.geteuid() + 1, -1)
    except PermissionError:
        pytest.skip("needs running as root: to give files to another user")
    photo.chmod(0o644)
    code = (
        "import os, sys\n"
        "from pregen.source_file import open_source\n"
        "print(open_source(os.fsencode(sys.argv[1])).size_bytes)"
    )
    # Without CAP_FOWNER only the owner may ask for O_NOATIME.
    command = ["setpriv", "--bounding-set=-fowner", "--", sys.executable, "-c", code, str(photo)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (run.stdout, run.stderr) == ("7\n", "")


def test_reading_a_source_of_ours_leaves_its_access_time(photo: Path) -> None:
    os.utime(photo, ns=(MTIME_NS - 10**18, MTIME_NS))
    with open_source(bytes(photo)) as source:
        os.read(source.fd, 100)
    assert photo.stat().st_atime_ns == MTIME_NS - 10**18


def test_a_source_under_a_lease_is_waited_for(photo: Path) -> None:
    """Samba takes leases; they make an open that must not block fail."""
    holder = (
        "import fcntl, os, signal, sys\n"
        "fd = os.open(sys.argv[1], os.O_RDWR)\n"
        "def give_up(*_): fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)\n"
        "signal.signal(signal.SIGIO, give_up)\n"
        "fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n"
        "print('leased', flush=True)\n"
        "sys.stdin.read()"
    )
    if not hasattr(fcntl, "F_SETLEASE"):
        pytest.skip("needs Linux: leases")
    with subprocess.Popen(
        [sys.executable, "-c", holder, photo],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as program:
        assert program.stdout
        if program.stdout.readline() != b"leased\n":
            pytest.skip("needs a file system with leases")
        with open_source(bytes(photo)) as source:
            assert os.read(source.fd, 100) == b"picture"


def test_closing_twice_closes_once(photo: Path) -> None:
    source = open_source(bytes(photo))
    source.close()
    other = os.open(photo, os.O_RDONLY)
    source.close()
    assert os.read(other, 100) == b"picture"
    os.close(other)


def evict(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def blocks_read() -> int:
    return resource.getrusage(resource.RUSAGE_THREAD).ru_inblock


def test_of_a_file_that_is_on_the_disk_only_the_beginning_is_asked_for(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel begins to read what it is asked for: a head would have to go to the middle."""
    real, asked = os.preadv, []

    def noted(fd: int, buffers: list[bytearray], offset: int, flags: int) -> int:
        asked.append(offset)
        return real(fd, buffers, offset, flags)

    monkeypatch.setattr(os, "preadv", noted)
    evict(photo)
    with open_source(bytes(photo)) as source:
        if source.resident():
            pytest.skip("this file system keeps its pages")
        assert asked == [0]
        photo.read_bytes()
        assert source.resident()
        assert asked == [0, 0, photo.stat().st_size // 2]


def test_what_only_the_question_had_read_was_not_in_memory(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel begins to read what it is asked for, and may be done before it looks again."""
    real = os.preadv

    def done_at_once(fd: int, buffers: list[bytearray], offset: int, flags: int) -> int:
        os.pread(fd, 1, offset)
        return real(fd, buffers, offset, flags)

    evict(photo)
    before = blocks_read()
    photo.read_bytes()
    if blocks_read() == before:
        pytest.skip("this file system keeps its pages, or does not count its reads")
    with open_source(bytes(photo)) as source:
        assert source.resident()
        evict(photo)
        monkeypatch.setattr(os, "preadv", done_at_once)
        assert not source.resident()
        assert source.resident()

"""Entries taken over many at once: in C just what Python does one by one, whatever is there."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.model import Flavor, Kind
from pregen.reuse import batch
from pregen.reuse.same_file import Adopter
from pregen.thumbspec import fingerprint
from pregen.thumbspec.pngchunks import END, SIGNATURE, chunk
from tests.support.running.capabilities import Capability, needs
from tests.support.trials import batch_twins
from tests.support.trials.batch_twins import FLAVORS, Moved
from tests.support.trials.sanitized import run_sanitized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pregen.model import Job, Outcome

pytestmark = needs(Capability.COMPILED)

NORMAL, LARGE = FLAVORS
COUNT = 3
#: The one that is changed.
ODD = 1


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the jobs that were not done together."""
    numbers: list[int] = []
    adopt = Adopter.adopt

    def noted(self: Adopter, job: Job) -> Outcome | None:
        numbers.append(job.job_id)
        return adopt(self, job)

    monkeypatch.setattr(Adopter, "adopt", noted)
    return numbers


@pytest.fixture
def twins(tmp_path: Path) -> tuple[Moved, Moved]:
    return Moved(tmp_path / "c", COUNT, together=True), Moved(tmp_path / "p", COUNT, together=False)


def outcomes(twins: tuple[Moved, Moved]) -> list[Outcome | None]:
    """Take over in both ways; they do and tell the same."""
    together, one_by_one = (twin.adopt() for twin in twins)
    assert twins[0].told(together) == twins[1].told(one_by_one)
    assert twins[0].entries() == twins[1].entries()
    return together


def test_sound_entries_are_taken_over_together(
    twins: tuple[Moved, Moved], alone: list[int]
) -> None:
    done = twins[0].adopt()
    assert alone == []
    assert [outcome and outcome.kind for outcome in done] == [Kind.REUSED] * COUNT
    twins[1].adopt()
    assert alone == list(range(COUNT))
    assert twins[0].entries() == twins[1].entries()
    for number, outcome in enumerate(done):
        assert outcome is not None
        found = [twins[0].new(number, flavor).stat() for flavor in FLAVORS]
        assert [(each.st_ino, each.st_mtime_ns, each.st_size) for each in found] == [
            tuple(stamp) for stamp in outcome.stamps
        ]
        assert {each.st_mode & 0o7777 for each in found} == {0o600}
        assert outcome.bytes_written == sum(each.st_size for each in found)


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def a_link(path: Path) -> None:
    path.symlink_to(path.rename(path.with_suffix(".moved")).name)


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def another_flavor(path: Path) -> None:
    other = NORMAL if path.parent.name == LARGE.directory else LARGE
    path.write_bytes((path.parents[1] / other.directory / path.name).read_bytes())


def without_fingerprint(path: Path) -> None:
    data = path.read_bytes()
    at = data.index(fingerprint.KEY.encode()) - 8
    length = int.from_bytes(data[at : at + 4], "big")
    path.write_bytes(data[:at] + data[at + 12 + length :])


def huge(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(2 << 20)


@pytest.mark.parametrize("flavor", FLAVORS)
@pytest.mark.parametrize(
    "change",
    [Path.unlink, flipped, cut, longer, empty, a_link, a_pipe, a_folder, another_flavor,
     without_fingerprint, huge],
)  # fmt: skip
def test_what_is_odd_about_an_entry_is_left_to_a_worker(
    twins: tuple[Moved, Moved], change: Callable[[Path], None], flavor: Flavor
) -> None:
    for twin in twins:
        change(twin.old(ODD, flavor))
    done = outcomes(twins)
    assert [outcome and outcome.kind for outcome in done] == [Kind.REUSED, None, Kind.REUSED]
    assert not any(twins[0].new(ODD, each).exists() for each in FLAVORS)


def test_an_entry_of_ours_under_another_key_is_not_taken(twins: tuple[Moved, Moved]) -> None:
    for twin in twins:
        twin.old(ODD, LARGE).write_bytes(twin.old(ODD + 1, LARGE).read_bytes())
    assert outcomes(twins)[ODD] is None


def written_to(path: Path) -> None:
    there = path.stat()
    path.write_bytes(b"y" * there.st_size)
    os.utime(path, ns=(there.st_atime_ns, there.st_mtime_ns))


def longer_at_the_same_time(path: Path) -> None:
    there = path.stat()
    path.write_bytes(b"x" * (there.st_size + 1))
    os.utime(path, ns=(there.st_atime_ns, there.st_mtime_ns))


def replaced(path: Path) -> None:
    there = path.stat()
    other = path.with_suffix(".other")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(there.st_atime_ns, there.st_mtime_ns))
    other.rename(path)


@pytest.mark.parametrize(
    "change", [Path.unlink, Path.touch, written_to, longer_at_the_same_time, replaced]
)
def test_a_source_that_is_not_as_it_was_gets_nothing(
    twins: tuple[Moved, Moved], change: Callable[[Path], None]
) -> None:
    for twin in twins:
        change(twin.sources[ODD])
    assert outcomes(twins)[ODD] is None
    assert not any(twins[0].new(ODD, each).exists() for each in FLAVORS)


def test_an_old_entry_that_others_have_open_is_left_as_it_is(twins: tuple[Moved, Moved]) -> None:
    """What is there under the new name is replaced by another file; a link itself, too."""
    there, link = twins[0].new(ODD, LARGE), twins[0].new(ODD, NORMAL)
    there.write_bytes(b"of somebody else")
    elsewhere = twins[0].root / "elsewhere"
    elsewhere.write_bytes(b"not to be touched")
    link.symlink_to(elsewhere)
    with there.open("rb") as file:
        assert twins[0].adopt()[ODD] is not None
        assert file.read() == b"of somebody else"
    assert elsewhere.read_bytes() == b"not to be touched"
    assert not link.is_symlink()
    assert [path for path in twins[0].root.rglob("*") if path.name.startswith(".")] == []


def test_a_folder_under_the_new_name_is_told_by_python(
    twins: tuple[Moved, Moved], alone: list[int]
) -> None:
    for twin in twins:
        twin.new(ODD, LARGE).mkdir()
    done = twins[0].adopt()[ODD]
    assert done is not None
    assert done.kind is twins[1].told(twins[1].adopt())[ODD][0]  # type: ignore[index]  # a tuple
    assert done.kind is not Kind.REUSED
    assert alone[0] == ODD
    assert [path for path in twins[0].root.rglob("*") if path.name.startswith(".")] == []


def test_a_fail_record_goes(twins: tuple[Moved, Moved], alone: list[int]) -> None:
    records = [twin.fail_record(ODD) for twin in twins]
    outcomes(twins)
    assert alone == list(range(COUNT)), "of the twin alone"
    assert [record.exists() for record in records] == [False, False]
    assert all(record.parent.exists() for record in records)


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_the_mode_is_0600_under_any_umask(twins: tuple[Moved, Moved], umask: int) -> None:
    before = os.umask(umask)
    try:
        twins[0].adopt()
    finally:
        os.umask(before)
    modes = {twins[0].new(number, LARGE).stat().st_mode & 0o7777 for number in range(COUNT)}
    assert modes == {0o600}


def test_a_full_disk_is_told_of_each_source_in_few_words(twins: tuple[Moved, Moved]) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        done = [twin.adopt() for twin in twins]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    told = {outcome and (outcome.kind, outcome.message) for each in done for outcome in each}
    assert told == {(Kind.CACHE_FULL, os.strerror(errno.EFBIG))}
    assert not any(twins[0].new(number, LARGE).exists() for number in range(COUNT))


def test_where_a_folder_of_the_cache_is_none_a_worker_tells(
    twins: tuple[Moved, Moved],
) -> None:
    for twin in twins:
        (twin.root / "large").rename(twin.root / "other")
        (twin.root / "large").write_bytes(b"")
    told = [twin.told(twin.adopt()) for twin in twins]
    assert told == [[None] * COUNT] * 2


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def copied(folder: int, path: Path, data: bytes) -> bytes | None:
    """Have a file copied as an entry; None: it was refused."""
    name = path / "old"
    name.write_bytes(data)
    there = name.stat()
    new = batch.NewEntry(folder, "old", len(data), data[:8], 8, "new", b"0123456789")
    facts = there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns, there.st_ctime_ns
    [stamps] = batch.write("temp", None, [batch.NewEntries(bytes(name), *facts, "", (new,))])
    assert not (path / "temp").exists()
    if stamps is None:
        return None
    assert stamps[0].size_bytes == (path / "new").stat().st_size
    return (path / "new").read_bytes()


@given(st.lists(st.binary(max_size=600), max_size=4))
def test_check_sums_of_any_length_are_right(bodies: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        fd = os.open(name, os.O_RDONLY)
        try:
            data = SIGNATURE + b"".join(chunk(b"tEXt", body) for body in bodies) + END
            assert copied(fd, Path(name), data) == b"0123456789" + data[8:]
        finally:
            os.close(fd)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        SIGNATURE,
        SIGNATURE + END[:-1],
        SIGNATURE + END + b"\0",
        SIGNATURE + END + END,
        SIGNATURE + chunk(b"tEXt", b"x"),
        SIGNATURE + chunk(b"IEND", b"x"),
        b"\x89PNG\r\n\x1a " + END,
        SIGNATURE + b"\xff\xff\xff\xfftEXt" + END,
        SIGNATURE + chunk(b"tEXt", b"x") * 4096 + END,
        SIGNATURE + (2).to_bytes(4, "big") + b"tEXtab" + zlib.crc32(b"tEXtaB").to_bytes(4, "big"),
    ],
)
def test_what_is_no_whole_png_is_not_written(folder: int, tmp_path: Path, data: bytes) -> None:
    if len(data) >= len(SIGNATURE):
        assert copied(folder, tmp_path, data) is None
    (tmp_path / "old").write_bytes(data)
    head = batch.heads([(folder, "old"), (folder, "none")])
    assert head == [(data[:4096], len(data)), None]


def test_what_changed_since_it_was_judged_is_not_written(folder: int, tmp_path: Path) -> None:
    data = SIGNATURE + END
    (tmp_path / "old").write_bytes(data)
    there = (tmp_path / "old").stat()
    facts = there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns, there.st_ctime_ns
    for old_bytes, head in ((len(data) - 1, data[:8]), (len(data), b"\x89PNG\r\n\x1a\r")):
        new = batch.NewEntry(folder, "old", old_bytes, head, 8, "new", b"")
        source = batch.NewEntries(bytes(tmp_path / "old"), *facts, "", (new,))
        assert batch.write("temp", None, [source]) == [None]
    assert sorted(os.listdir(tmp_path)) == ["old"]


@pytest.mark.parametrize(
    ("old_bytes", "old_from"), [(7, 0), (20, 9), (20, -1), ((16 << 20) + 1, 0), (-1, 0)]
)
def test_impossible_sizes_are_refused(folder: int, old_bytes: int, old_from: int) -> None:
    new = batch.NewEntry(folder, "old", old_bytes, SIGNATURE, old_from, "new", b"")
    with pytest.raises(ValueError, match="sizes"):
        batch.write("temp", None, [batch.NewEntries(b"/", 0, 0, 0, 0, 0, "", (new,))])


def test_more_than_there_is_room_for_is_refused(folder: int) -> None:
    with pytest.raises(ValueError, match="some entries"):
        batch.heads([(folder, "x")] * (batch.MOST_ENTRIES + 1))
    new = batch.NewEntry(folder, "old", 8, SIGNATURE, 0, "new", b"")
    many = (new,) * (batch.MOST_ENTRIES + 1)
    with pytest.raises(ValueError, match="too many entries"):
        batch.write("temp", None, [batch.NewEntries(b"/", 0, 0, 0, 0, 0, "", many)])
    none = batch.NewEntries(b"/", 0, 0, 0, 0, 0, "", ())
    with pytest.raises(ValueError, match="too many jobs"):
        batch.write("temp", None, [none] * (batch.MOST_ENTRIES + 1))
    with pytest.raises(ValueError, match="null"):
        batch.heads([(folder, "a\0b")])


@needs(Capability.SANITIZERS)
@pytest.mark.parametrize("options", [(), ("-DPLAIN_TWIN",)], ids=["folding", "tables"])
def test_under_sanitizers_both_do_the_same_with_damaged_entries(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    trial = batch_twins.__name__, batch_twins.MODULE
    found = run_sanitized(*trial, tmp_path, rounds=30, options=options)
    assert found.code == 0, found.said
    assert "30 alike" in found.said


def test_python_does_it_where_there_was_no_compiler(
    twins: tuple[Moved, Moved], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "COMPILED", False)
    monkeypatch.delattr(batch, "_batch", raising=False)
    assert [outcome and outcome.kind for outcome in outcomes(twins)] == [Kind.REUSED] * COUNT


def test_it_is_imported_without_the_c_module() -> None:
    script = "import sys; sys.modules['pregen.reuse._batch'] = None\n"
    script += "from pregen.reuse import batch; print(batch.COMPILED)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout == b"False\n"

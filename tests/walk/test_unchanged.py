"""Files of a folder that are as they were: in C and in Python alike, whatever is there."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pregen.cache.keyset import KeySet
from pregen.walk import unchanged as module
from pregen.walk.unchanged import EntryFolders, RememberedFolder, Settled, in_python, unchanged
from tests.support.running.capabilities import Capability, needs
from tests.support.trials import unchanged_twins
from tests.support.trials.sanitized import run_sanitized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOURCES = 12


class Library(NamedTuple):
    """A folder of files, and two of their entries."""

    folder: Path
    entries: tuple[Path, Path]
    fds: tuple[int, int, int]

    def name(self, number: int) -> bytes:
        return b"picture-%04d.jpg" % number

    def source(self, number: int) -> Path:
        return self.folder / os.fsdecode(self.name(number))

    def entry(self, number: int, flavor: int = 0) -> Path:
        return self.entries[flavor] / f"{self.key(number).hex()}.png"

    @staticmethod
    def key(number: int) -> bytes:
        return hashlib.md5(b"%d" % number, usedforsecurity=False).digest()

    def fill(self, count: int = SOURCES) -> None:
        for number in range(count):
            self.source(number).write_bytes(b"x" * number)
            for flavor in range(2):
                self.entry(number, flavor).write_bytes(b"entry")

    def facts(self, count: int = SOURCES) -> RememberedFolder:
        names, facts = [], []
        for number in range(count):
            there = self.source(number).stat()
            packed = struct.pack("<qq16s", there.st_size, there.st_mtime_ns, self.key(number))
            for flavor in range(2):
                entry = self.entry(number, flavor).stat()
                packed += struct.pack("<Qqq", entry.st_ino, entry.st_mtime_ns, entry.st_size)
            names.append(self.name(number))
            facts.append(packed)
        return RememberedFolder(b"\0".join(names), b"".join(facts))

    def look(
        self,
        facts: RememberedFolder,
        others: tuple[tuple[bytearray, int], ...] = (),
        *,
        hidden: bool = False,
        most_rest: int = module.MOST_REST,
    ) -> tuple[int, set[bytes]] | None:
        """Ask both; they agree."""
        fd, *entries = self.fds
        asked = fd, os.fstat(fd).st_dev, facts, EntryFolders(tuple(entries), others)
        one, other = (
            plain(ask(*asked, hidden=hidden, most_rest=most_rest)) for ask in (unchanged, in_python)
        )
        assert one == other
        return one


def plain(settled: Settled | None) -> tuple[int, set[bytes]] | None:
    if settled is None:
        return None
    assert len(set(settled.rest)) == len(settled.rest)
    return settled.fresh, set(settled.rest)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    folders = [tmp_path / name for name in ("photos", "normal", "large")]
    for folder in folders:
        folder.mkdir()
    fds = tuple(os.open(folder, os.O_RDONLY) for folder in folders)
    yield Library(folders[0], (folders[1], folders[2]), (fds[0], fds[1], fds[2]))
    for fd in fds:
        os.close(fd)


def test_what_has_not_changed_is_fresh(library: Library) -> None:
    library.fill()
    assert library.look(library.facts()) == (SOURCES, set())


def rewritten(path: Path) -> None:
    """Write anew in place: the same size and inode."""
    there = path.stat()
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(0, there.st_mtime_ns + 1))


def replaced(path: Path) -> None:
    """Put another file in place of this one, of the same size and time."""
    there = path.stat()
    new = path.with_name("new")
    new.write_bytes(path.read_bytes())
    os.utime(new, ns=(0, there.st_mtime_ns))
    new.rename(path)


def truncated(path: Path) -> None:
    """Cut in place, which the folder does not tell; the time is as before."""
    there = path.stat()
    with path.open("r+b") as file:
        file.truncate(1)
    os.utime(path, ns=(0, there.st_mtime_ns))


def made_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def made_a_link(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


def shut(path: Path) -> None:
    path.chmod(0o000)


@pytest.mark.parametrize("flavor", [0, 1])
@pytest.mark.parametrize(
    "change", [Path.unlink, rewritten, replaced, truncated, made_a_folder, made_a_link, shut]
)
def test_a_source_whose_entry_changed_needs_a_look(
    library: Library, change: Callable[[Path], None], flavor: int
) -> None:
    library.fill()
    facts = library.facts()
    change(library.entry(5, flavor))
    assert library.look(facts) == (SOURCES - 1, {library.name(5)})


@pytest.mark.parametrize("change", [rewritten, truncated, made_a_folder])
def test_a_source_that_changed_needs_a_look(
    library: Library, change: Callable[[Path], None]
) -> None:
    library.fill()
    facts = library.facts()
    change(library.source(7))
    assert library.look(facts) == (SOURCES - 1, {library.name(7)})


def test_a_source_that_is_gone_is_neither_fresh_nor_left(library: Library) -> None:
    library.fill()
    facts = library.facts()
    library.source(7).unlink()
    assert library.look(facts) == (SOURCES - 1, set())


def test_a_link_is_what_it_leads_to(library: Library) -> None:
    library.fill()
    facts = library.facts()
    made_a_link(library.source(3))
    assert library.look(facts) == (SOURCES, {b"picture-0003.moved"})
    library.source(3).unlink()
    library.source(3).symlink_to("nowhere")
    assert library.look(facts) == (SOURCES - 1, {b"picture-0003.moved", library.name(3)})


def test_what_came_is_left(library: Library) -> None:
    library.fill()
    facts = library.facts()
    came = [b"new.jpg", b".nomedia", b"-rf", b"a\nb", b"\xff\xfe", b"n" * 255, b"%s%n"]
    for name in came:
        Path(os.fsdecode(bytes(library.folder) + b"/" + name)).write_bytes(b"")
    (library.folder / "folder").mkdir()
    assert library.look(facts) == (SOURCES, {*came, b"folder"})
    assert library.look(facts, most_rest=len(came)) is None
    assert library.look(facts, most_rest=len(came) + 1) is not None


def test_names_of_every_kind_are_known_again(library: Library) -> None:
    names = [b"a\nb", b"\xff\xfe", b"n" * 255, b" ", b"'\"$(x)", b"\x01", b"x.jpg/"[:5]]
    library.fill(len(names))
    facts = library.facts(len(names))
    for number, name in enumerate(names):
        library.source(number).rename(os.fsdecode(bytes(library.folder) + b"/" + name))
    known = facts._replace(names=b"\0".join(names))
    assert library.look(known) == (len(names), set())


def test_hidden_files_are_left_unless_they_are_wanted(library: Library) -> None:
    library.fill(2)
    facts = library.facts(2)
    library.source(0).rename(library.folder / ".0.jpg")
    known = facts._replace(names=b".0.jpg\0" + library.name(1))
    assert library.look(known) == (1, {b".0.jpg"})
    assert library.look(known, hidden=True) == (2, set())


def test_an_entry_that_nobody_wants_asks_for_a_look(library: Library) -> None:
    library.fill()
    facts = library.facts()
    keys = KeySet([f"{library.key(4).hex()}.png"])
    asked = {
        library.name(number)
        for number in range(SOURCES)
        if keys.may_hold(library.key(number).hex())
    }
    assert library.name(4) in asked
    assert library.look(facts, (keys.table,)) == (SOURCES - len(asked), asked)


def test_a_file_of_another_device_is_left(library: Library) -> None:
    library.fill(2)
    facts = library.facts(2)
    fd, *entries = library.fds
    for ask in (unchanged, in_python):
        found = ask(fd, os.fstat(fd).st_dev + 1, facts, EntryFolders(tuple(entries)))
        assert plain(found) == (0, {library.name(0), library.name(1)})


def test_a_row_may_not_name_what_is_elsewhere(library: Library, tmp_path: Path) -> None:
    library.fill(2)
    facts = library.facts(2)
    (tmp_path / "secret.jpg").write_bytes(b"")
    for names in (b"../secret.jpg\0" + library.name(1), b"..\0" + library.name(1)):
        assert library.look(facts._replace(names=names)) == (1, {library.name(0)})


def test_of_a_name_that_a_row_has_twice_the_last_counts(library: Library) -> None:
    library.fill(3)
    facts = library.facts(3)
    twice = facts._replace(names=b"\0".join([library.name(0), library.name(1), library.name(0)]))
    assert library.look(twice) == (1, {library.name(0), library.name(2)})


@pytest.mark.parametrize("change", [-1, 1, -80, 80])
def test_facts_that_do_not_fit_tell_nothing(library: Library, change: int) -> None:
    library.fill()
    facts = library.facts()
    wrong = facts.facts[:change] if change < 0 else facts.facts + bytes(change)
    assert library.look(facts._replace(facts=wrong)) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), max_size=6),
    cut=st.integers(0, 40),
)
def test_any_bytes_of_a_row_are_judged_alike(
    library: Library, changes: list[tuple[int, int]], cut: int
) -> None:
    if not library.source(0).exists():
        library.fill()
    facts = library.facts()
    names, numbers = bytearray(facts.names), bytearray(facts.facts)
    for at, change in changes:
        blob = names if at % 3 == 0 else numbers
        blob[at % len(blob)] ^= change
    library.look(RememberedFolder(bytes(names[: len(names) - cut]), bytes(numbers)))


def test_a_large_folder_is_looked_at_whole(library: Library) -> None:
    count = 3000
    library.fill(count)
    facts = library.facts(count)
    for number in range(0, count, 100):
        library.source(number).write_bytes(b"other" * 1000)
    changed = {library.name(number) for number in range(0, count, 100)}
    assert library.look(facts) == (count - len(changed), changed)
    assert library.look(facts, most_rest=len(changed) - 1) is None


def fnv(name: bytes) -> int:
    value = 2166136261
    for byte in name:
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return value


@needs(Capability.COMPILED)
def test_names_made_to_collide_cost_no_more_than_others(library: Library) -> None:
    count = 200
    alike = (b"%x" % number for number in range(1 << 20))
    names = [name for name, _ in zip((n for n in alike if fnv(n) & 511 == 0), range(count))]  # noqa: B905 - endless
    assert len(names) == count
    library.fill(count)
    facts = library.facts(count)._replace(names=b"\0".join(names))
    for number, name in enumerate(names):
        library.source(number).rename(library.folder / name.decode())
    fd, *entries = library.fds
    asked = fd, os.fstat(fd).st_dev, facts, EntryFolders(tuple(entries))
    assert plain(in_python(*asked, most_rest=0)) == (count, set())
    assert unchanged(*asked, most_rest=0) is None
    assert plain(unchanged(*asked)) == (count, set())  # there is room for some


def test_a_folder_that_changes_meanwhile_is_looked_at_all_the_same(library: Library) -> None:
    library.fill(400)
    facts = library.facts(400)
    ended = threading.Event()

    def stir() -> None:
        number = 0
        while not ended.is_set():
            number = (number + 7) % 400
            library.source(number).rename(library.folder / "away")
            library.entry(number).unlink()
            library.entry(number).write_bytes(b"another")
            (library.folder / "away").rename(library.source(number))

    stirring = threading.Thread(target=stir)
    stirring.start()
    fd, *entries = library.fds
    asked = fd, os.fstat(fd).st_dev, facts, EntryFolders(tuple(entries))
    try:
        for _ in range(100):
            for ask in (unchanged, in_python):
                found = ask(*asked)
                assert found is not None
                assert found.fresh + len(found.rest) <= 401
    finally:
        ended.set()
        stirring.join()


def test_what_is_no_folder_raises(library: Library, tmp_path: Path) -> None:
    library.fill(1)
    facts = library.facts(1)
    (tmp_path / "file").write_bytes(b"")
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    try:
        for ask in (unchanged, in_python):
            with pytest.raises(NotADirectoryError):
                ask(fd, 0, facts, EntryFolders(library.fds[1:]))
    finally:
        os.close(fd)


@needs(Capability.COMPILED)
@pytest.mark.parametrize(
    ("entries", "others"), [((1,) * 9, ()), ((), ((b"", 0),) * 9), ((), ((b"", 32),))]
)
def test_more_than_there_are_flavors_is_refused(
    entries: tuple[int, ...], others: tuple[tuple[bytearray, int], ...]
) -> None:
    with pytest.raises(ValueError, match=r"too many|no prefix"):
        unchanged(0, 0, RememberedFolder(b"", b""), EntryFolders(entries, others))


@needs(Capability.SANITIZERS)
def test_under_sanitizers_both_say_the_same_of_damaged_rows(tmp_path: Path) -> None:
    found = run_sanitized(unchanged_twins.__name__, unchanged_twins.MODULE, tmp_path, rounds=3000)
    assert found.code == 0, found.said
    assert "3000 alike" in found.said


def test_python_does_it_where_there_was_no_compiler(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.fill()
    facts = library.facts()
    monkeypatch.setattr(module, "COMPILED", False)
    monkeypatch.delattr(module, "_unchanged", raising=False)
    assert library.look(facts) == (SOURCES, set())


def test_it_is_imported_without_the_c_module() -> None:
    script = "import sys; sys.modules['pregen.walk._unchanged'] = None\n"
    script += "from pregen.walk import unchanged; print(unchanged.COMPILED)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout == b"False\n"

"""Runs pregen once for each cell of a table (step x fault), and looks at what is left on disk.

For `scripts/soak-faults`, and in part for the suite.

A step is "call class": a system call on a kind of file, as `fault_shim.c` names them; which there
are is not written down but recorded from a run without faults. A cell is a step, which of its calls
fails, and the fault. This program starts itself with the shim in LD_PRELOAD, and forks a child for
each cell, so that a cell costs no start of an interpreter.

After each cell:
* every entry is the old one, byte for byte, or the new one, or missing where none was;
* a run that ended by itself left no temp, ended with a known code and without a traceback;
* a second run, without a fault, ends with 0, leaves exactly the entries a run without faults
  leaves, no temp, and a journal that is sound and knows nothing that is not so.
"""

from __future__ import annotations

import argparse
import ctypes
import io
import os
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from pregen import cli, pipeline, work
from pregen.imaging.decoders import jpeg, vips
from tests.support.files import foreign_entries
from tests.support.files.pictures import put
from tests.support.judges import desktops
from tests.support.trials.kill_storm import flaws

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: What a run loads when it needs it; here once for all children.
_PRELOADED = (pipeline, work, jpeg, vips)
ERRORS = ("ENOSPC", "EDQUOT", "EIO", "EACCES", "EROFS", "EMFILE", "EINTR", "ESTALE")
KILLS = ("kill-before", "kill-after")
#: What others do to a source right before a call, "-soon": within the second of its time, which is
#: all that most desktops compare.
CHANGES = tuple(
    what + when for what in ("replaced", "rewritten", "touched") for when in ("", "-soon")
)
#: The same when a call has read a part.
AMID = tuple(f"{change}-mid" for change in CHANGES)
_TRANSFERS = frozenset({"read", "write", "send", "recv"})
#: The first and the last step of a commit, when the source has been looked at for the last time.
_AFTER_DECODING = frozenset({("open", "temp"), ("rename", "temp")})
_TIMEOUT_S = 60
_OLD_NS, _NEW_NS = 1_600_000_000_123_456_789, 1_700_000_000_987_654_321
_BOX_PX = 128
_HELPERS = ("multiprocessing/forkserver.py", "multiprocessing/resource_tracker.py")
#: done, some files failed, locked, the engine cannot start, the cache cannot be written
_CODES = frozenset({0, 3, 10, 11, 12})


class Cell(NamedTuple):
    """One place of the table."""

    scene: str
    """empty: nothing is there yet; older: an entry of an older version, and a journal."""
    engine: str
    role: str
    """Whose call it is: the run's, or a worker's."""
    call: str
    file: str
    nth: int
    fault: str

    def __str__(self) -> str:
        return " ".join(map(str, self))


class Bed:
    """A library, a cache and a journal that are put back before each cell."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.work = folder / "work"
        self.cache, self.state = self.work / "cache", self.work / "state"
        self.photos = self.work / "photos"
        self.sources = [self.photos / "0.jpg", self.photos / "1.jpg"]
        put(self.sources[0], _flat("navy"), _OLD_NS)
        self.cache.mkdir()
        self._keep("nothing")
        code, errors = self.run("serial")
        assert code == 0, errors
        put(self.sources[0], _flat("orange"), _NEW_NS)
        put(self.sources[1], _flat("olive"), _NEW_NS)
        self._keep("older")
        for name in ("cache", "state"):
            shutil.rmtree(self.work / name)
        self.cache.mkdir()
        self._keep("empty")
        self.old: dict[str, dict[str, bytes]] = {}
        self.new: dict[str, dict[str, bytes]] = {}
        self.before: dict[str, list[tuple[object, ...]]] = {}
        self.known: dict[str, list[tuple[object, ...]]] = {}
        for scene in ("older", "empty"):
            self.put_back(scene)
            self.old[scene] = self.entries()
            self.before[scene] = self.outcomes() if scene == "older" else []
            assert self.run("serial")[0] == 0
            self.new[scene] = self.entries()
            self.known[scene] = self.outcomes()
        assert len(self.old["older"]) == 1
        assert len(self.new["older"]) == len(self.new["empty"]) == len(self.sources)

    def _keep(self, name: str) -> None:
        shutil.copytree(self.work, self._folder / name, symlinks=True)

    def put_back(self, scene: str) -> None:
        """Make everything as it was."""
        shutil.rmtree(self.work)
        shutil.copytree(self._folder / scene, self.work, symlinks=True)
        put(self._folder / "swap.jpg", _flat("crimson"))

    def entries(self) -> dict[str, bytes]:
        """Read all files of the cache but its lock."""
        return {
            str(path.relative_to(self.cache)): path.read_bytes()
            for path in foreign_entries.files(self.cache)
            if path.name != ".pregen.lock"
        }

    def outcomes(self) -> list[tuple[object, ...]]:
        """Read what the journal knows of sources; sqlite3.Error when it is broken."""
        database = sqlite3.connect(self.state / "pregen" / "journal.sqlite3")
        try:
            [answer] = database.execute("PRAGMA integrity_check").fetchone()
            assert answer == "ok", answer
            rows = database.execute("SELECT path, size_bytes, mtime_ns, kind FROM sources")
            return sorted(rows)
        finally:
            database.close()

    def run(self, engine: str, **faults: str) -> tuple[int, str]:
        """Run pregen in a child; return its exit code (of a signal: negative) and its messages."""
        said = self._folder / "said"
        child = os.fork()
        if not child:
            _be_pregen(engine, self.photos, self.cache, self.state, said, faults)
        ending = os.pidfd_open(child)
        try:
            if not select.select([ending], [], [], _TIMEOUT_S)[0]:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return -1000, "it hangs"
        finally:
            os.close(ending)
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status), said.read_text(errors="replace")

    def steps(self, scene: str, engine: str, role: str) -> Counter[tuple[str, str]]:
        """Record the steps of a run without faults, and how often each is taken."""
        self.put_back(scene)
        log = self._folder / "log"
        log.unlink(missing_ok=True)
        code, errors = self.run(engine, PYTHON_FAULT_LOG=str(log), PYTHON_FAULT_ROLE=role)
        assert code == 0, errors
        lines = log.read_text().splitlines()
        return Counter((call, file) for call, file in (line.split() for line in lines))

    def check(self, cell: Cell) -> list[str]:
        """Do one cell; return what is wrong afterwards."""
        self.put_back(cell.scene)
        once = self._folder / "once"
        once.unlink(missing_ok=True)
        code, errors = self.run(
            cell.engine,
            PYTHON_FAULT_PLAN=f"{cell.call} {cell.file} {cell.nth} {cell.fault}",
            PYTHON_FAULT_ROLE=cell.role,
            PYTHON_FAULT_ONCE=str(once),
            PYTHON_FAULT_SWAP_FROM=str(self._folder / "swap.jpg"),
            PYTHON_FAULT_SWAP_TO=str(self.sources[0]),
            PYTHON_FAULT_SWAP_S=str(_NEW_NS // 10**9),
        )
        wrong = [] if once.exists() else ["the fault never came"]
        # With workers the killed one may be the fork server, without which the run goes on.
        killed = cell.role == "run" and cell.fault in KILLS
        codes = {-signal.SIGKILL} if killed and cell.engine == "serial" else _CODES
        if code not in codes and not (killed and code == -signal.SIGKILL):
            wrong.append(f"it ended with {code}: {errors}")
        # What Python's own helper processes say when they are hit is not ours to say otherwise.
        if "Traceback" in errors and not any(helper in errors for helper in _HELPERS):
            wrong.append(errors)
        wrong += self._halfway(cell, ended=cell.fault not in KILLS)
        code, errors = self.run(cell.engine)
        if code:
            wrong.append(f"the next run ended with {code}: {errors}")
        return [*wrong, *self._at_last(cell)]

    def _halfway(self, cell: Cell, *, ended: bool) -> Iterator[str]:
        old, new = self.old[cell.scene], self.new[cell.scene]
        for path, data in self.entries().items():
            if path not in new:
                # Where a temp cannot be removed it stays, for the next run.
                if not path.endswith(".tmp") or (ended and cell.call != "unlink"):
                    yield f"stray: {path}"
            elif data != old.get(path) and (data != new[path] or not _may_be_stale(cell)):
                source = next(s for s in self.sources if self._entry(s) == self.cache / path)
                yield from (f"{path}: {what}" for what in self._flaws(source))
        for path in old.keys() - self.entries().keys():
            yield f"lost: {path}"

    def _at_last(self, cell: Cell) -> Iterator[str]:
        found, new = self.entries(), self.new[cell.scene]
        if found.keys() != new.keys():
            yield f"at last there are {sorted(found)}, not {sorted(new)}"
        for source in self.sources:
            yield from (f"at last, {source.name}: {what}" for what in self._flaws(source))
        if not _changes(cell) and found != new:
            yield "at last an entry is not as without a fault"
        try:
            outcomes = self.outcomes()
        except (sqlite3.Error, AssertionError) as error:
            yield f"the journal is broken: {error}"
            return
        # An entry whose outcome was not noted is fresh for the next run, which notes no such thing.
        allowed = {*self.known[cell.scene], *self.before[cell.scene]}
        if not _changes(cell) and not allowed.issuperset(outcomes):
            yield f"the journal knows {outcomes}"
        if aside := list(self.state.glob("pregen/*corrupt*")):
            yield f"a journal was set aside: {aside}"

    def _entry(self, source: Path) -> Path:
        return desktops.entry_path(self.cache, "normal", desktops.glib_uri(source))

    def _flaws(self, source: Path) -> Iterable[str]:
        return flaws(self._entry(source), source, _BOX_PX)


def _changes(cell: Cell) -> bool:
    return cell.fault in CHANGES or cell.fault in AMID


def _may_be_stale(cell: Cell) -> bool:
    """Whether an entry of the version before the change is as it should be: its MTime tells.

    After the last look at the source nobody can do better.
    """
    return not _changes(cell) or cell.file != "source"


def _flat(colour: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), colour).save(out, "JPEG", quality=95)
    return out.getvalue()


def _be_pregen(
    engine: str, photos: Path, cache: Path, state: Path, said: Path, faults: dict[str, str]
) -> None:
    """Be a run, as the program is; never returns."""
    code = 99
    try:
        os.setpgid(0, 0)
        descriptor = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream, to in enumerate((nowhere, nowhere, descriptor)):
            os.dup2(to, stream)
        os.environ.update(XDG_CACHE_HOME=str(cache), XDG_STATE_HOME=str(state), **faults)
        sys.argv = ["pregen", "run", "-q", "--flavors", "normal", "--workers", "1"]
        sys.argv += ["--engine", engine, str(photos)]
        ctypes.CDLL(None).fault_arm()
        code = cli.run()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 98
    except BaseException:  # noqa: BLE001 - a child must not go on as its parent
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def cells(bed: Bed, engine: str, role: str, *, every: bool) -> Iterator[Cell]:
    """Yield the cells of all steps: the first call, and with `every` a middle one and the last."""
    older, empty = (bed.steps(scene, engine, role) for scene in ("older", "empty"))
    for (call, file), count in sorted((empty | older).items()):
        scene = "older" if (call, file) in older else "empty"
        number = older[call, file] or empty[call, file]
        places = sorted({1, (number + 1) // 2, number}) if every else [1]
        for nth in places:
            faults = [*ERRORS, *KILLS, *(["short"] if call in _TRANSFERS else [])]
            for fault in faults:
                yield Cell(scene, engine, role, call, file, nth, fault)
        # What happens to a source after its commit is for the next run.
        if (file == "source" and call != "close") or (call, file) in _AFTER_DECODING:
            for nth in range(1, count + 1):
                for fault in (*CHANGES, *(AMID if call == "read" else ())):
                    yield Cell(scene, engine, role, call, file, nth, fault)


def shim(folder: Path) -> Path:
    """Compile the shim; CalledProcessError or OSError where there is no C compiler."""
    built = folder / "faultshim.so"
    source = Path(__file__).with_name("fault_shim.c")
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(built), str(source), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return built


def _shimmed() -> int:
    """Do it again with the shim between."""
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "LD_PRELOAD": str(shim(Path(scratch)))}
        again = [sys.executable, "-m", "tests.support.faults.fault_table", *sys.argv[1:]]
        return subprocess.run(again, env=environment, check=False).returncode


def main() -> int:
    """Do a share of the table; print what is wrong, and the number of cells."""
    if not hasattr(ctypes.CDLL(None), "fault_arm"):
        return _shimmed()
    parser = argparse.ArgumentParser(prog="scripts/soak-faults", description=__doc__)
    parser.add_argument("--every", action="store_true", help="middle and last calls, too")
    parser.add_argument("--share", default="0/1", help="I/N: every N-th cell from the I-th on")
    parser.add_argument("--engine", default="serial", choices=("serial", "local"))
    parser.add_argument("--role", default="run", choices=("run", "worker"))
    parser.add_argument("--files", default="", help="only these classes, separated by commas")
    parser.add_argument("--faults", default="", help="only these, separated by commas")
    parser.add_argument("--folder", help="where scratch files go")
    arguments = parser.parse_args()
    first, step = map(int, arguments.share.split("/"))
    files, faults = (set(filter(None, a.split(","))) for a in (arguments.files, arguments.faults))
    wrong = done = 0
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        bed = Bed(Path(scratch))
        table = cells(bed, arguments.engine, arguments.role, every=arguments.every)
        wanted = [
            cell
            for cell in table
            if (not files or cell.file in files) and (not faults or cell.fault in faults)
        ]
        for cell in wanted[first::step]:
            found = bed.check(cell)
            done += 1
            wrong += bool(found)
            sys.stdout.writelines(f"WRONG {cell}: {what}\n" for what in found)
    sys.stdout.write(f"{done} cells, {wrong} wrong\n")
    return int(bool(wrong) or not done)


if __name__ == "__main__":
    sys.exit(main())

"""Coverage-guided search for inputs that a parser of ours cannot stand (`scripts/fuzz-parsers`).

Inputs that reach a pair of lines nobody reached before are mutated further. What raises anything
but the parser's own error, or never ends, is made as small as it can be and kept. So are, with
`--keep-reached`, the few small inputs that reach everything: the suite replays both.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from tests.support.faults.mutations import mutate
from tests.support.trials.parsers import OURS, PARSERS, Edge, Parser, traced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

FINDS = Path(__file__).resolve().parents[2] / "imaging" / "finds"
#: Larger ones are not worth a place in the repository.
_KEPT_BYTES = 8192
#: Mutations grow what they are given.
_MOST_BYTES = 32 * 1024


def finds(name: str) -> list[Path]:
    """Return the kept inputs of a parser."""
    return sorted(FINDS.glob(f"{name}-*.bin"))


class Fuzzer:
    """One parser, the inputs that reach something new, and what was found."""

    def __init__(self, name: str, parser: Parser, seed: int) -> None:
        self._parser = parser
        self._chance = Random(f"{seed}/{name}")  # noqa: S311 - damage, not secrets
        self.reached: dict[bytes, set[Edge]] = {}
        self.edges: set[Edge] = set()
        self.failures: dict[str, bytes] = {}
        """The smallest input known for each way to fail."""
        self.runs = 0
        for data in (*parser.samples(), *(path.read_bytes() for path in finds(name))):
            self._try(data)

    def search(self, seconds: float) -> None:
        """Search for a time."""
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            pool = list(self.reached) or [b"\0"]
            for _ in range(200):
                # Those found last are the least explored.
                newest = self._chance.random() < 0.3
                data = (
                    pool[-1 - int(self._chance.random() ** 2 * len(pool))]
                    if newest
                    else (self._chance.choice(pool))
                )
                self._try(mutate(data, self._chance.choice(pool), self._chance).data[:_MOST_BYTES])

    def _try(self, data: bytes) -> None:
        self.runs += 1
        try:
            edges = traced(self._parser, data)
        except Exception as error:  # noqa: BLE001 - any exception that gets here is a find
            where = _where(error)
            if where not in self.failures or len(data) < len(self.failures[where]):
                self.failures[where] = smallest(data, lambda less: self._fails_at(less, where))
            return
        if not edges <= self.edges:
            self.edges |= edges
            self.reached[data] = edges

    def _fails_at(self, data: bytes, where: str) -> bool:
        try:
            traced(self._parser, data)
        except Exception as error:  # noqa: BLE001 - as above
            return _where(error) == where
        return False

    def cover(self) -> list[bytes]:
        """Return few small inputs that together reach what can be reached by small ones."""
        small = sorted((d for d in self.reached if len(d) <= _KEPT_BYTES), key=len)
        missing = set().union(*(self.reached[data] for data in small)) if small else set()
        chosen: list[bytes] = []
        while missing:
            best = max(small, key=lambda data: (len(self.reached[data] & missing), -len(data)))
            missing -= self.reached[best]
            chosen.append(best)
        return chosen


def smallest(data: bytes, still: Callable[[bytes], bool]) -> bytes:
    """Leave out pieces, half of it first and single bytes last, as long as `still` says yes."""
    size = len(data) // 2
    while size:
        at = 0
        while at < len(data):
            less = data[:at] + data[at + size :]
            if still(less):
                data = less
            else:
                at += size
        size //= 2
    return data


def _where(error: BaseException) -> str:
    """Name the kind of failure: the exception and the last line of ours that it passed."""
    place, trace = "", error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name.startswith(OURS) or name.endswith("parsers.py"):
            place = f"{Path(name).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__} at {place}"


def _keep(name: str, inputs: Iterable[bytes]) -> None:
    FINDS.mkdir(parents=True, exist_ok=True)
    for data in inputs:
        digest = hashlib.sha256(data).hexdigest()[:8]
        (FINDS / f"{name}-{digest}.bin").write_bytes(data)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz each parser for a while; 1 when something was found."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz-parsers", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="for each parser")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parsers", default=",".join(PARSERS), help="names, with commas")
    parser.add_argument("--keep-reached", action="store_true", help="keep inputs of new coverage")
    chosen = parser.parse_args(arguments)
    failed = False
    for name in chosen.parsers.split(","):
        fuzzer = Fuzzer(name, PARSERS[name], chosen.seed)
        before = len(fuzzer.edges)
        fuzzer.search(chosen.seconds)
        sys.stdout.write(
            f"{name:12} {fuzzer.runs:8} inputs, {before} -> {len(fuzzer.edges)} pairs of lines, "
            f"{len(fuzzer.failures)} failures\n"
        )
        for where, data in fuzzer.failures.items():
            sys.stdout.write(f"  {where}: {len(data)} bytes\n")
        sys.stdout.flush()
        failed = failed or bool(fuzzer.failures)
        _keep(name, fuzzer.failures.values())
        if chosen.keep_reached:
            _keep(name, fuzzer.cover())
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

"""Which worker is to have jobs of which share, or of the disks of this machine. Pure.

A worker has jobs of one share at a time, or of none: a share that has stopped answering holds no
job of another one. Workers are shared out over what has jobs. Who is one too many where it is has
to move: it is sent no more, and may return what it has not begun. So at most one waits for a share
that dies, as long as there is something else to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pregen.engines.local.worker_state import Phase, Rules, WorkerState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pregen.engines.local.share_state import Shares
    from pregen.model import Job


class Placement:
    """Looks at the workers and jobs of a supervisor, and changes neither.

    Args:
        rules: of the run.
        workers: by number, in the order of their start.
        pending: jobs of no share that wait for a worker.
        shares: and those of shares.
    """

    def __init__(
        self,
        rules: Rules,
        workers: Mapping[int, WorkerState],
        pending: Sequence[Job],
        shares: Shares,
    ) -> None:
        self._rules = rules
        self._workers = workers
        self._pending = pending
        self._shares = shares

    def served(self) -> dict[int, int]:
        """Return how many workers have jobs of each share, and of none (0)."""
        served: dict[int, int] = {}
        for worker in self._workers.values():
            if worker.open and worker.phase is not Phase.DYING and not worker.recalled:
                served[worker.share] = served.get(worker.share, 0) + 1
        return served

    def share_for(self, worker: WorkerState) -> int | None:
        """Return the share whose jobs a worker is to have next; 0: none; None: no jobs at all.

        That with the fewest workers, and of two the one whose jobs were found first.
        """
        if worker.open:
            return worker.share
        served = self.served()
        choice = [
            (served.get(share, 0), state.pending[0].job_id, share)
            for share, state in self._shares
            if state.pending and self._may_take(worker, share, served)
        ]
        if self._pending:
            choice.append((served.get(0, 0), self._pending[0].job_id, 0))
        return min(choice)[2] if choice else None

    def _may_take(self, worker: WorkerState, share: int, served: Mapping[int, int]) -> bool:
        """Tell whether a worker without jobs may have those of a share.

        Of one from which nothing comes, one worker alone has jobs. Once it counts as one that does
        not answer, that is one which has waited for it already, if there is one: another would wait
        for as long once more.
        """
        state = self._shares[share]
        if not state.stalled:
            return not (state.quiet and served.get(share))
        knowing = {
            each.number
            for each in self._workers.values()
            if share in each.unanswered and each.phase is Phase.SERVING
        }
        return not served.get(share) and (not knowing or worker.number in knowing)

    def waiting_elsewhere(self, worker: WorkerState) -> int:
        """Return how many jobs wait that a worker is to do rather than more of where it is.

        There are fewer workers, by two at least; and of those here it is the last.
        """
        served = self.served()
        fewer = served.get(worker.share, 0) - 2
        here = [each for each in self._workers.values() if each.share == worker.share]
        if fewer < 0 or worker is not next(filter(can_move, reversed(here)), None):
            return 0
        waiting = [(0, len(self._pending))]
        waiting += [
            (other, len(state.pending))
            for other, state in self._shares
            if not (state.stalled and served.get(other))
        ]
        return max((jobs for other, jobs in waiting if served.get(other, 0) <= fewer), default=0)

    def is_surplus(self, worker: WorkerState) -> bool:
        """Tell whether a worker is one too many: those it stood in for go on again."""
        if not self._shares or worker.open or len(self._workers) <= self._rules.workers:
            return False
        if worker.share and self._shares[worker.share].stalled:
            return False  # it knows that its share does not answer, and another would not
        there = sum(each.phase is not Phase.DYING for each in self._workers.values())
        return there - self.held_up() > self._rules.workers

    def is_held_up(self, worker: WorkerState) -> bool:
        """Tell whether a worker waits for a share that does not answer."""
        return worker.waits and bool(worker.open) and self._shares[worker.share].stalled

    def held_up(self) -> int:
        """Return how many workers wait for shares that do not answer: others take their places."""
        return sum(map(self.is_held_up, self._workers.values()))


def can_move(worker: WorkerState) -> bool:
    """Tell whether a worker has jobs that others could do as well."""
    serves = worker.phase is Phase.SERVING and bool(worker.open)
    return serves and not (worker.recalled or worker.alone)

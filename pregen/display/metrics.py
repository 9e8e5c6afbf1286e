"""`--metrics-file`: the figures of a run for Prometheus, by way of node_exporter's text files.

The same figures as a progress record of `--json`, under names as Prometheus wants them: base
units, totals called so. The file is replaced whole, every few seconds and at the end, and stays:
what a run came to is asked for between two runs, too.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, write_to_textfile
from prometheus_client.core import CounterMetricFamily as _Counter
from prometheus_client.core import GaugeMetricFamily as _Gauge
from prometheus_client.registry import Collector

from pregen.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric

    from pregen.display.printer import View

#: node_exporter is asked every 15 s by default, and reads its files then.
INTERVAL_S: Final = 5.0


class MetricsFile(Collector):
    """Writes the figures of one run.

    Args:
        path: where to; node_exporter takes names that end in `.prom`.
        view: what to write.
    """

    def __init__(self, path: str, view: Callable[[], View]) -> None:
        self._path = path
        self._view = view
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self._due_s = 0.0
        self._broken = False
        self._exit_code = ExitCode.UNEXPECTED
        self._began_at_s = time.time_ns() / 1e9
        self._ended_at_s: float | None = None

    def look(self, warn: Callable[[str], None]) -> None:
        """Write when it is time. A file that cannot be written is told once, and given up."""
        now_s = time.monotonic()
        if now_s < self._due_s or self._broken:
            return
        self._due_s = now_s + INTERVAL_S
        try:
            self.write()
        except OSError as error:
            self._broken = True
            warn(f"{self._path} cannot be written ({error.strerror}): no more metrics.")

    def write(self) -> None:
        """Write now.

        Raises:
            OSError: it cannot be written; the file that was there stays.
        """
        write_to_textfile(self._path, self._registry)

    def ended_with(self, exit_code: ExitCode) -> None:
        """Remember how the run ended; otherwise it ended as a bug does."""
        self._exit_code = exit_code

    def finish(self, warn: Callable[[str], None]) -> None:
        """Write how the run ended."""
        self._ended_at_s = time.time_ns() / 1e9
        self._due_s = 0.0
        self.look(warn)

    def collect(self) -> Iterator[Metric]:
        """Yield every figure as it is now."""
        now, rates, eta_s, workers = self._view()
        about = "Files of this run by outcome."
        kinds = _Counter("pregen_sources", about, labels=["kind"])
        for kind, number in now.kinds.items():
            kinds.add_metric([kind.value], number)
        yield kinds
        about = "Time of all workers in each stage."
        stages = _Counter("pregen_stage_seconds", about, labels=["stage"])
        for stage, spent_ns in now.stages._asdict().items():
            stages.add_metric([stage.removesuffix("_ns")], spent_ns / 1e9)
        yield stages
        yield _Counter("pregen_images", "Pictures decoded.", now.images)
        yield _Counter("pregen_pixels", "Pixels of the decoded pictures.", now.pixels)
        yield _Counter("pregen_jobs", "Files that need work.", now.jobs)
        yield _Counter("pregen_jobs_done", "Files that needed work and are done.", now.jobs_done)
        yield _Counter("pregen_entries", "Thumbnails written.", now.entries_written)
        yield _Counter("pregen_read_bytes", "Bytes read from files.", now.bytes_read)
        about = "Bytes read from files that come over a network."
        yield _Counter("pregen_share_read_bytes", about, now.share_bytes_read)
        yield _Counter(
            "pregen_written_bytes", "Bytes of the thumbnails written.", now.bytes_written
        )
        yield _Gauge("pregen_found", "Files found so far.", now.found)
        yield _Gauge("pregen_walking", "1 while folders are searched.", now.walking)
        yield _Gauge("pregen_elapsed_seconds", "Time since the start.", now.elapsed_s)
        about = "Mean of the last seconds."
        yield _Gauge("pregen_images_per_second", about, rates.images_per_s)
        yield _Gauge("pregen_read_bytes_per_second", about, rates.bytes_per_s)
        if eta_s is not None:
            yield _Gauge("pregen_eta_seconds", "Estimated time until the end.", eta_s)
        yield _Gauge("pregen_workers", "Worker processes.", len(workers))
        busy = sum(worker.path is not None for worker in workers)
        yield _Gauge("pregen_workers_busy", "Worker processes that are processing a file.", busy)
        began_at_s, ended_at_s = self._began_at_s, self._ended_at_s
        yield _Gauge("pregen_run_started_timestamp_seconds", "When the run began.", began_at_s)
        yield _Gauge("pregen_run_running", "1 while the run is going on.", ended_at_s is None)
        if ended_at_s is not None:
            yield _Gauge("pregen_run_ended_timestamp_seconds", "When the run ended.", ended_at_s)
            yield _Gauge("pregen_run_exit_code", "Exit code of the run.", self._exit_code)

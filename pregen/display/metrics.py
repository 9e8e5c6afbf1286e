"""`--metrics-file`: the figures of a run for Prometheus, by way of node_exporter's text files.

The same figures as a progress record of `--json`, under names as Prometheus wants them: base
units, totals called so. The file is replaced whole, every few seconds and at the end, and stays:
what a run came to is asked for between two runs, too.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, write_to_textfile
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from pregen.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric

    from pregen.display.printer import View

#: node_exporter is asked every 15 s by default, and reads its files then.
INTERVAL_S: Final = 5.0


class MetricsFile:
    """Writes the figures of one run.

    Args:
        path: where to; node_exporter takes names that end in `.prom`.
        view: what to write.
    """

    def __init__(self, path: str, view: Callable[[], View]) -> None:
        self._path = path
        self._figures = _Figures(view)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self._figures)
        self._due_s = 0.0
        self._broken = False
        self._exit_code = ExitCode.UNEXPECTED

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
        self._figures.ended(self._exit_code)
        self._due_s = 0.0
        self.look(warn)


class _Figures(Collector):
    def __init__(self, view: Callable[[], View]) -> None:
        self._view = view
        self._began_at_s = time.time_ns() / 1e9
        self._exit_code: int | None = None
        self._ended_at_s = 0.0

    def ended(self, exit_code: ExitCode) -> None:
        """Remember how the run ended."""
        self._exit_code = int(exit_code)
        self._ended_at_s = time.time_ns() / 1e9

    def collect(self) -> Iterator[Metric]:
        """Yield every figure as it is now."""
        view = self._view()
        now, rates = view.now, view.rates
        kinds = CounterMetricFamily(
            "pregen_sources", "Sources of this run by what became of them.", labels=["kind"]
        )
        for kind, number in now.kinds.items():
            kinds.add_metric([kind.value], number)
        yield kinds
        stages = CounterMetricFamily(
            "pregen_stage_seconds", "Time of all workers in each stage.", labels=["stage"]
        )
        for stage, spent_ns in now.stages._asdict().items():
            stages.add_metric([stage.removesuffix("_ns")], spent_ns / 1e9)
        yield stages
        yield CounterMetricFamily("pregen_images", "Pictures decoded.", now.images)
        yield CounterMetricFamily("pregen_pixels", "Pixels of these.", now.pixels)
        yield CounterMetricFamily("pregen_jobs", "Sources that needed work.", now.jobs)
        yield CounterMetricFamily("pregen_jobs_done", "Those of them that are done.", now.jobs_done)
        yield CounterMetricFamily("pregen_entries", "Entries written.", now.entries_written)
        yield CounterMetricFamily("pregen_read_bytes", "Read from sources.", now.bytes_read)
        yield CounterMetricFamily("pregen_written_bytes", "Of entries.", now.bytes_written)
        yield GaugeMetricFamily("pregen_found", "Sources found so far.", now.found)
        yield GaugeMetricFamily("pregen_walking", "1 while folders are read.", now.walking)
        yield GaugeMetricFamily("pregen_elapsed_seconds", "Since the start.", now.elapsed_s)
        yield GaugeMetricFamily(
            "pregen_images_per_second", "Over the last seconds.", rates.images_per_s
        )
        yield GaugeMetricFamily(
            "pregen_read_bytes_per_second", "Over the last seconds.", rates.bytes_per_s
        )
        if view.eta_s is not None:
            yield GaugeMetricFamily("pregen_eta_seconds", "Until the end.", view.eta_s)
        yield GaugeMetricFamily("pregen_workers", "Worker processes.", len(view.workers))
        busy = sum(worker.path is not None for worker in view.workers)
        yield GaugeMetricFamily("pregen_workers_busy", "Those with a source in hand.", busy)
        yield from self._run()

    def _run(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "pregen_run_started_timestamp_seconds", "When the run began.", self._began_at_s
        )
        running = self._exit_code is None
        yield GaugeMetricFamily("pregen_run_running", "1 while it goes on.", running)
        if self._exit_code is not None:
            yield GaugeMetricFamily(
                "pregen_run_ended_timestamp_seconds", "When it ended.", self._ended_at_s
            )
            yield GaugeMetricFamily("pregen_run_exit_code", "How it ended.", self._exit_code)

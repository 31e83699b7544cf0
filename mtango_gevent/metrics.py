"""The metrics of the gateway: counted by each worker with prometheus-client, read as those of all workers.

Under gunicorn the workers count in files of a common folder: the multiprocess mode of prometheus-client. A file bears
the number of the worker's slot, not its process id, and the next worker in the slot goes on counting in it. So no count
is lost, and the number of files does not grow with every worker that is replaced. Elsewhere a process counts in memory.
"""

from __future__ import annotations

import logging
import os
import resource
import shutil
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gevent import monkey
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client import metrics as prometheus_metrics
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

from mtango_gevent.metric_table import (
    BUCKETS,
    CALLS,
    FIGURES,
    IN_PROGRESS,
    INTERNAL,
    LABELS,
    METRICS,
    REQUESTS,
    SHOWN,
    USAGE,
)
from mtango_gevent.scoreboard import CACHES, Scoreboard, WorkerSlot

# In place of a label's value once there are too many of them.
OTHER = "other"

# Combinations of labels in a process: room for every route with every status, and for a thousand devices as labels.
_MOST_CHILDREN = 5000

# The files of a slot. The gauges of all workers are added up, or their maximum is taken.
_FILES = ("counter", "histogram", "gauge_livesum", "gauge_livemax")

# Native threads count too. In a worker threading's locks are gevent's, which are for the greenlets of one hub.
_NativeLock: Any = monkey.get_original("threading", "Lock")
values.Lock = prometheus_metrics.Lock = _NativeLock  # pyright: ignore[reportPrivateImportUsage]


# Bytes of a file that are reserved, as many as prometheus-client begins with.
_FILE_BYTES = 1 << 20

logger = logging.getLogger(__name__)


class CacheMetrics:
    """The metrics of one cache."""

    def __init__(self, metrics: Metrics, cache: str, maxsize: int) -> None:
        self.hit = metrics.child("mtango_cache_hits_total", cache).inc
        self.miss = metrics.child("mtango_cache_misses_total", cache).inc
        self.size = metrics.child("mtango_cache_entries", cache).set
        metrics.child("mtango_cache_entries_limit", cache).set(maxsize)


class Metrics:
    """The metrics of this process. Greenlets and threads may count at the same time.

    device_label: whether `mtango_tango_calls_total` has the label `device`.
    """

    def __init__(self, slot: WorkerSlot, device_label: bool = False) -> None:
        self.slot, self.scoreboard, self.device_label = slot, slot.scoreboard, device_label
        self._registry = CollectorRegistry()
        self._labels = {**LABELS, CALLS: (*LABELS[CALLS], "device")} if device_label else LABELS
        self._metrics = {name: self._make(name, text) for name, _, text in (*METRICS, *INTERNAL)}
        self._children: dict[tuple[str, ...], Any] = {}
        self._published: dict[str, float] = {}
        self._guard = _NativeLock()
        self._restore_children()
        self.child("mtango_workers").set(1)
        self.child("mtango_server_start_time_seconds").set(self.scoreboard.started)

    def _make(self, name: str, text: str) -> Any:
        labels, registry = self._labels[name], self._registry
        if name.endswith("_total"):
            return Counter(name, text, labels, registry=registry)
        if name.endswith(("_duration_seconds", "_wait_seconds")):
            return Histogram(name, text, labels, registry=registry, buckets=BUCKETS)
        mode = "livemax" if name.endswith(("start_time_seconds", "lag_seconds")) else "livesum"
        return Gauge(name, text, labels, registry=registry, multiprocess_mode=mode)

    def _restore_children(self) -> None:
        """Begin with the labels that earlier workers have put into the file, as their number is limited."""
        for sample in _samples(_merge(self._files(f"counter_{self.slot.number}.db"))):
            labels = self._labels.get(sample.name)
            if labels and set(labels) == set(sample.labels):
                self.child(sample.name, *(sample.labels[label] for label in labels))

    # --- counting ---

    def child(self, name: str, *labels: str) -> Any:
        """Return prometheus-client's counter, gauge or histogram with these values of its labels."""
        return self._children.get((name, *labels)) or self._add_child(name, labels)

    def _add_child(self, name: str, labels: tuple[str, ...]) -> Any:
        with self._guard:
            if labels and len(self._children) >= _MOST_CHILDREN:
                labels = (*labels[:-1], OTHER)
            metric = self._metrics[name]
            child = self._children[(name, *labels)] = metric.labels(*labels) if labels else metric
            return child

    def count(self, name: str, *labels: str) -> None:
        self.child(name, *labels).inc()

    def observe(self, seconds: float, name: str, *labels: str) -> None:
        self.child(name, *labels).observe(seconds)

    def begin_request(self) -> None:
        with self._guard:
            self.slot.add_in_progress(1)

    def end_request(self, seconds: float, route: str, method: str, status: str) -> None:
        with self._guard:
            self.slot.add_in_progress(-1)
        self.child(REQUESTS, route, method, status).inc()
        self.child("mtango_http_request_duration_seconds", route, method).observe(seconds)

    def publish(self, group: str, figures: Mapping[str, float]) -> None:
        """Bring metrics up to date with figures that another part of the process counts, from its start on."""
        for figure, value in figures.items():
            name, *labels = FIGURES[f"{group}.{figure}"]
            if name.endswith("_total"):
                self._advance(f"{group}.{figure}", value, name, *labels)
            else:
                self.child(name, *labels).set(value)

    def _advance(self, key: str, value: float, name: str, *labels: str) -> None:
        child = self.child(name, *labels)
        with self._guard:  # two threads may publish at a time, and the slower one has the older value
            child.inc(max(0, value - self._published.get(key, 0)))
            self._published[key] = max(value, self._published.get(key, 0))

    def publish_own(self) -> None:
        """Publish the requests in progress, which would cost too much each time, and the resources used."""
        self.child(IN_PROGRESS).set(self.slot.in_progress)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        figures = {name: getattr(usage, key) for name, key in USAGE.items()}
        self.publish("resource", {**figures, "max_resident_mem": usage.ru_maxrss})
        self._advance("cpu", usage.ru_utime + usage.ru_stime, "mtango_workers_cpu_seconds_total")

    # --- reading ---

    def read(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the figures of /sys/stats: of the gateway, and of each worker with its `pid` and start, `since`."""
        slots = self.scoreboard.workers()
        workers = [self._read_worker(slot) for slot in slots]
        total = _figures(self._families("counter_*.db", "gauge_*.db"), sum(slot.in_progress for slot in slots))
        for cache in CACHES:
            total[cache]["currsize"] = sum(worker[cache]["currsize"] for worker in workers)
        return total, workers

    def _read_worker(self, slot: WorkerSlot) -> dict[str, Any]:
        now = self._families(f"counter_{slot.number}.db", f"gauge_*_{slot.number}.db")
        figures = _figures(now, slot.in_progress, _merge(self._files(f"counter_{slot.number}.start")))
        for cache in CACHES:
            if not slot.has_cleared(cache):  # and will before it uses the cache again
                figures[cache]["currsize"] = 0
        return {"pid": slot.pid, "since": slot.started, **figures}

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics of all workers as a client with this Accept header wants them, and their content type."""
        encode, content_type = choose_encoder(accept)
        registry = CollectorRegistry()
        registry.register(self)  # pyright: ignore[reportArgumentType]
        return encode(registry), content_type

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of all workers, as a collector of prometheus-client does."""
        for kind in ("counter", "gauge", "histogram") if self.scoreboard.folder else ("memory",):
            for family in self._families(f"{kind}_*.db", accumulate=True):
                time.sleep(0)  # lets other greenlets run: all families together take several milliseconds
                family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
                if family.name in SHOWN:
                    yield family

    def _families(self, *patterns: str, accumulate: bool = False) -> Iterable[Metric]:
        """Return the metrics in the files, or those in memory."""
        folder = self.scoreboard.folder
        return _merge(self._files(*patterns), accumulate) if folder else self._registry.collect()

    def _files(self, *patterns: str) -> list[str]:
        folder = self.scoreboard.folder
        return [str(path) for pattern in patterns for path in folder.glob(pattern)] if folder else []


def _merge(files: list[str], accumulate: bool = False) -> Iterable[Metric]:
    """Return the metrics of files, added up; accumulate: whether each bucket includes the lower ones."""
    return MultiProcessCollector.merge(files, accumulate)


def _samples(families: Iterable[Metric]) -> Iterator[Any]:
    return (sample for family in families for sample in family.samples)


def _figures(families: Iterable[Metric], in_progress: int, before: Iterable[Metric] = ()) -> dict[str, Any]:
    """Return the figures of /sys/stats, in groups; before: the same metrics at the start of the time that counts."""
    found: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for sign, some in ((1, families), (-1, before)):
        for sample in _samples(some):
            labels = sample.labels.values() if len(sample.labels) == 1 else ()  # otherwise the sum of all
            found[(sample.name, *labels)] += sign * sample.value
    responses = found[REQUESTS,]
    totals = {"requests": responses + in_progress, "responses": responses}
    return grouped({**totals, **{figure: found[key] for figure, key in FIGURES.items()}})


def grouped(figures: Mapping[str, float]) -> dict[str, Any]:
    """Return the figure `a.b` as b within a; whole numbers, but for times and lags in seconds."""
    found: dict[str, Any] = {}
    for name, value in figures.items():
        *groups, key = name.split(".")
        holder = found
        for group in groups:
            holder = holder.setdefault(group, {})
        holder[key] = value if key.endswith(("_time", "lag")) else int(value)
    return found


# --- of this process ---

_slot: WorkerSlot | None = None
_own: Metrics | None = None


def begin(board: Scoreboard, number: int | None) -> None:
    """In a worker that has just been started: count in the files of that slot. Without one it counts for itself."""
    global _slot, _own
    _slot = _own = None
    if number is None or board.folder is None:
        return
    try:
        _prepare_files(board.folder, number)
    except OSError:  # metrics are no reason not to serve
        logger.exception("the metrics of this worker are its own: their folder %s cannot be used", board.folder)
        return
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(board.folder)
    values.ValueClass = values.MultiProcessValue(lambda: number)
    _slot = board.occupy(number)


def _prepare_files(folder: Path, number: int) -> None:
    """Make the files of a slot and reserve their space: a write into mapped memory without it would end the worker."""
    folder.mkdir(mode=0o700, exist_ok=True)  # a clean-up of /dev/shm may have removed it
    for kind in _FILES:
        path = folder / f"{kind}_{number}.db"
        if not path.exists():
            new = path.with_suffix(".new")  # of which other workers read nothing before it is complete
            with new.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, _FILE_BYTES)
            MmapedDict(str(new)).close()
            new.rename(path)
    shutil.copyfile(folder / f"counter_{number}.db", folder / f"counter_{number}.start")


def own(device_label: bool = False) -> Metrics:
    """Return the metrics of this process: under gunicorn always the same, elsewhere new ones for each application."""
    global _own
    if _slot is None:
        return Metrics(Scoreboard(1).occupy(1), device_label)
    _own = _own or Metrics(_slot, device_label)
    return _own

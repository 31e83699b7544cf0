"""The metrics of the gateway: counted by each worker with prometheus-client, read as those of all workers.

Under gunicorn the workers count in files of a common folder: the multiprocess mode of prometheus-client. A file bears
the number of the worker's slot, not its process id, and the next worker in the slot goes on counting in it. So no count
is lost, and the number of files does not grow with every worker that is replaced. Elsewhere a process counts in memory.
"""

from __future__ import annotations

import os
import resource
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import prometheus_client.metrics
from gevent import monkey
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

from mtango_gevent.scoreboard import CACHES, Scoreboard, WorkerSlot

# Upper limits of the buckets of durations, in seconds: from a local read to the longest wait for an event.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

# In place of a label's value once there are too many of them.
OTHER = "other"

# Combinations of labels in a process: room for every route with every status, and for a thousand devices as labels.
_MOST_CHILDREN = 5000

_CACHE, _OUTCOME, _REQUESTS, _CALLS = ("cache",), ("outcome",), "mtango_http_requests_total", "mtango_tango_calls_total"
_IN_PROGRESS = "mtango_http_requests_in_progress"

# Every metric: its name, its labels, its help.
METRICS: tuple[tuple[str, Sequence[str], str], ...] = (
    (_REQUESTS, ("route", "method", "status"), "HTTP requests answered"),
    ("mtango_http_request_duration_seconds", ("route", "method"), "time from request to answer"),
    (_IN_PROGRESS, (), "HTTP requests in progress, including the one for the metrics"),
    ("mtango_http_failures_total", (), "HTTP requests answered with a failure, including those with status 200"),
    (_CALLS, ("kind", "outcome"), "Tango calls"),
    ("mtango_tango_call_duration_seconds", ("kind",), "duration of Tango calls without their wait for a thread"),
    ("mtango_tango_slot_wait_seconds", (), "time that Tango calls waited for a slot of their device and a thread"),
    ("mtango_pool_threads", (), "threads for Tango calls"),
    ("mtango_pool_threads_limit", (), "limit of the threads for Tango calls"),
    ("mtango_pool_calls_in_flight", (), "Tango calls that occupy a thread"),
    ("mtango_pool_calls_abandoned", (), "Tango calls that occupy a thread although their caller has given up"),
    ("mtango_tango_calls_waiting", (), "Tango calls that wait for a slot of their device"),
    ("mtango_devices_open", (), "devices whose circuit breaker is open"),
    ("mtango_servers_silent", (), "device servers that do not answer"),
    ("mtango_cache_hits_total", _CACHE, "cache hits"),
    ("mtango_cache_misses_total", _CACHE, "cache misses"),
    ("mtango_cache_entries", _CACHE, "cache entries"),
    ("mtango_cache_entries_limit", _CACHE, "limit of the cache entries"),
    ("mtango_event_subscriptions", (), "event sources: attributes and kinds of event that have, or had, listeners"),
    ("mtango_event_subscriptions_polled", (), "event sources that the gateway polls because no events come"),
    ("mtango_event_listeners", (), "requests that wait for events"),
    ("mtango_events_received_total", (), "events received"),
    ("mtango_events_missed_total", (), "reports by Tango that events were lost"),
    ("mtango_events_dropped_total", (), "events discarded before a listener had received them"),
    ("mtango_async_jobs_waiting", (), "writes with `async` that have not begun"),
    ("mtango_async_jobs_total", _OUTCOME, "writes with `async` that have ended"),
    ("mtango_workers", (), "worker processes"),
    ("mtango_workers_cpu_seconds_total", (), "CPU time of the worker processes, including those that have ended"),
    ("mtango_server_start_time_seconds", (), "start of the gateway, in seconds since the epoch"),
)

# What /sys/stats shows and /metrics does not.
_HIDDEN, _HIDDEN_GAUGE = "mtango_hidden_total", "mtango_hidden_now"
_INTERNAL = ((_HIDDEN, ("figure",), "figures of /sys/stats"), (_HIDDEN_GAUGE, ("figure",), "figures of /sys/stats"))

_LABELS = {name: labels for name, labels, _ in (*METRICS, *_INTERNAL)}

# mtango-py's `resource` (contract: rc3, section 9), as getrusage(2) counts it.
_USAGE = {
    "user_time": "ru_utime",
    "system_time": "ru_stime",
    "shared_mem": "ru_ixrss",
    "unshared_mem": "ru_idrss",
    "unshared_stack_mem": "ru_isrss",
    "sent_msgs": "ru_msgsnd",
    "recv_msgs": "ru_msgrcv",
    "page_faults.major": "ru_majflt",
    "page_faults.minor": "ru_minflt",
    "swap_out": "ru_nswap",
    "block.input": "ru_inblock",
    "block.output": "ru_oublock",
    "signals": "ru_nsignals",
    "context_switch.voluntary": "ru_nvcsw",
    "context_switch.involuntary": "ru_nivcsw",
}

# Figures of /sys/stats, each with the metric that has it and the values of its labels.
FIGURES: Mapping[str, tuple[str, ...]] = {
    "failures": ("mtango_http_failures_total",),
    **{f"{cache}.hits": ("mtango_cache_hits_total", cache) for cache in CACHES},
    **{f"{cache}.misses": ("mtango_cache_misses_total", cache) for cache in CACHES},
    **{f"{cache}.currsize": ("mtango_cache_entries", cache) for cache in CACHES},
    **{f"{cache}.maxsize": ("mtango_cache_entries_limit", cache) for cache in CACHES},
    "pool.threads": ("mtango_pool_threads",),
    "pool.in_flight": ("mtango_pool_calls_in_flight",),
    "pool.waiting": ("mtango_tango_calls_waiting",),
    "pool.maxsize": ("mtango_pool_threads_limit",),
    "pool.abandoned": ("mtango_pool_calls_abandoned",),
    "pool.refused": (_HIDDEN, "refused"),
    "pool.timed_out": (_HIDDEN, "timed_out"),
    "circuits.devices": ("mtango_devices_open",),
    "circuits.servers": ("mtango_servers_silent",),
    "events.subscriptions": ("mtango_event_subscriptions",),
    "events.polled": ("mtango_event_subscriptions_polled",),
    "events.listeners": ("mtango_event_listeners",),
    "events.received": ("mtango_events_received_total",),
    "events.missed": ("mtango_events_missed_total",),
    "events.dropped": ("mtango_events_dropped_total",),
    "async.waiting": ("mtango_async_jobs_waiting",),
    "async.done": ("mtango_async_jobs_total", "ok"),
    "async.failed": ("mtango_async_jobs_total", "failed"),
    **{f"resource.{name}": (_HIDDEN, name) for name in _USAGE},
    "resource.max_resident_mem": (_HIDDEN_GAUGE, "max_resident_mem"),
}

_SHOWN = {name.removesuffix("_total") for name, _, _ in METRICS}

# The files of a slot: kinds of metrics, of gauges with what becomes of those of several workers.
_FILES = ("counter", "histogram", "gauge_livesum", "gauge_livemax")

# Native threads count too. In a worker threading's locks are gevent's, which are for the greenlets of one hub.
_NativeLock: Any = monkey.get_original("threading", "Lock")
values.Lock = prometheus_client.metrics.Lock = _NativeLock  # pyright: ignore[reportPrivateImportUsage]


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
        self.slot, self.scoreboard = slot, slot.scoreboard
        self._registry = CollectorRegistry()
        self._labels = {**_LABELS, _CALLS: (*_LABELS[_CALLS], "device")} if device_label else _LABELS
        self._metrics = {name: self._make(name, text) for name, _, text in (*METRICS, *_INTERNAL)}
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
        mode = "livemax" if name.endswith("start_time_seconds") else "livesum"
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
        self.child(_IN_PROGRESS).inc()

    def end_request(self, seconds: float, route: str, method: str, status: str) -> None:
        self.child(_IN_PROGRESS).dec()
        self.child(_REQUESTS, route, method, status).inc()
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
        self.child(name, *labels).inc(max(0, value - self._published.get(key, 0)))
        self._published[key] = value

    def publish_resources(self) -> None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        figures = {name: getattr(usage, key) for name, key in _USAGE.items()}
        self.publish("resource", {**figures, "max_resident_mem": usage.ru_maxrss})
        self._advance("cpu", usage.ru_utime + usage.ru_stime, "mtango_workers_cpu_seconds_total")

    # --- reading ---

    def read(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the figures of /sys/stats: of the gateway, and of each worker with its `pid` and start, `since`."""
        workers = [self._read_worker(slot) for slot in self.scoreboard.workers()]
        total = _figures(self._families("counter_*.db", "gauge_*.db"))
        for cache in CACHES:
            total[cache]["currsize"] = sum(worker[cache]["currsize"] for worker in workers)
        return total, workers

    def _read_worker(self, slot: WorkerSlot) -> dict[str, Any]:
        now = self._families(f"counter_{slot.number}.db", f"gauge_*_{slot.number}.db")
        figures = _figures(now, _merge(self._files(f"counter_{slot.number}.start")))
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
        for family in self._families("*.db", accumulate=True):
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            if family.name in _SHOWN:
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


def _figures(families: Iterable[Metric], before: Iterable[Metric] = ()) -> dict[str, Any]:
    """Return the figures of /sys/stats, in groups; before: the same metrics at the start of the time that counts."""
    found: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for sign, some in ((1, families), (-1, before)):
        for sample in _samples(some):
            labels = sample.labels.values() if len(sample.labels) == 1 else ()  # otherwise the sum of all
            found[(sample.name, *labels)] += sign * sample.value
    responses = found[_REQUESTS,]
    totals = {"requests": responses + found[_IN_PROGRESS,], "responses": responses}
    return grouped({**totals, **{figure: found[key] for figure, key in FIGURES.items()}})


def grouped(figures: Mapping[str, float]) -> dict[str, Any]:
    """Return the figure `a.b` as b within a; whole numbers, but for times in seconds."""
    found: dict[str, Any] = {}
    for name, value in figures.items():
        *groups, key = name.split(".")
        holder = found
        for group in groups:
            holder = holder.setdefault(group, {})
        holder[key] = value if key.endswith("_time") else int(value)
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
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(board.folder)
    values.ValueClass = values.MultiProcessValue(lambda: number)
    for kind in _FILES:
        path = board.folder / f"{kind}_{number}.db"
        if not path.exists():
            new = path.with_suffix(".new")  # of which other workers read nothing before it is complete
            MmapedDict(str(new)).close()
            new.rename(path)
    shutil.copyfile(board.folder / f"counter_{number}.db", board.folder / f"counter_{number}.start")
    _slot = board.occupy(number)


def own(device_label: bool = False) -> Metrics:
    """Return the metrics of this process: under gunicorn always the same, elsewhere new ones for each application."""
    global _own
    if _slot is None:
        return Metrics(Scoreboard(1).occupy(1), device_label)
    _own = _own or Metrics(_slot, device_label)
    return _own

"""/metrics: the figures of the server as Prometheus reads them. Not part of a Tango API.

Counted on the board that the workers share, and not by prometheus-client, which only writes them down: its multiprocess
mode keeps the files of every process there has ever been, and would count again what the board counts.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, request

from mtango_gevent import series
from mtango_gevent.api import freshness
from mtango_gevent.api.request_context import app_state, config
from mtango_gevent.errors import NotImplementedHere
from mtango_gevent.series import Key
from mtango_gevent.workers import CACHES, Board

try:
    import prometheus_client as prometheus
except ImportError:
    prometheus: Any = None

blueprint = Blueprint("metrics", __name__)

_CACHE, _OUTCOME, _CALLS = ("cache",), ("outcome",), "mtango_tango_calls_total"

# Every metric: its name, its labels, and what it is.
METRICS: tuple[tuple[str, Sequence[str], str], ...] = (
    ("mtango_http_requests_total", ("route", "method", "status"), "requests that were answered"),
    ("mtango_http_request_duration_seconds", ("route", "method"), "how long an answer took"),
    ("mtango_http_requests_in_progress", (), "requests that are being answered, that for the metrics too"),
    ("mtango_http_failures_total", (), "requests answered with a failure, also those with status 200"),
    (_CALLS, ("kind", "outcome"), "Tango calls"),
    ("mtango_tango_call_duration_seconds", ("kind",), "how long a Tango call took, its wait for a thread left out"),
    ("mtango_tango_slot_wait_seconds", (), "how long a Tango call waited for a slot of its device and a thread"),
    ("mtango_pool_threads", (), "threads for Tango calls"),
    ("mtango_pool_threads_limit", (), "threads for Tango calls that there may be"),
    ("mtango_pool_calls_in_flight", (), "Tango calls that have a thread"),
    ("mtango_pool_calls_abandoned", (), "Tango calls that have a thread, and nobody who waits for them any more"),
    ("mtango_tango_calls_waiting", (), "Tango calls that wait for a slot of their device"),
    ("mtango_devices_open", (), "devices that have not answered for a while, and are left alone"),
    ("mtango_servers_silent", (), "device servers that do not answer, whose devices are left alone"),
    ("mtango_cache_hits_total", _CACHE, "times that a cache had what was asked of it"),
    ("mtango_cache_misses_total", _CACHE, "times that a cache had not what was asked of it"),
    ("mtango_cache_entries", _CACHE, "entries of a cache"),
    ("mtango_cache_entries_limit", _CACHE, "entries that a cache may have"),
    (
        "mtango_event_subscriptions",
        (),
        "sources of events: attributes and kinds that somebody listens, or listened, to",
    ),
    (
        "mtango_event_subscriptions_polled",
        (),
        "sources that send no events, or have ceased to, which the gateway reads",
    ),
    ("mtango_event_listeners", (), "requests that wait for events"),
    ("mtango_events_received_total", (), "events that came"),
    ("mtango_events_missed_total", (), "times that Tango said it had lost events"),
    ("mtango_events_dropped_total", (), "events that went before a listener had them"),
    ("mtango_async_jobs_waiting", (), "writes with `async` that have not begun"),
    ("mtango_async_jobs_total", _OUTCOME, "writes with `async` that were done, or failed"),
    ("mtango_workers", (), "worker processes"),
    ("mtango_workers_cpu_seconds_total", (), "CPU time of the workers, those that have gone too"),
    ("mtango_server_start_time_seconds", (), "when the server was started, since the epoch"),
)

# Those that the board counts without labels, and under which name.
_FIGURES = {
    "mtango_http_failures_total": "failures",
    "mtango_pool_threads": "pool.threads",
    "mtango_pool_threads_limit": "pool.maxsize",
    "mtango_pool_calls_in_flight": "pool.in_flight",
    "mtango_pool_calls_abandoned": "pool.abandoned",
    "mtango_tango_calls_waiting": "pool.waiting",
    "mtango_devices_open": "circuits.devices",
    "mtango_servers_silent": "circuits.servers",
    "mtango_event_subscriptions": "events.subscriptions",
    "mtango_event_subscriptions_polled": "events.polled",
    "mtango_event_listeners": "events.listeners",
    "mtango_events_received_total": "events.received",
    "mtango_events_missed_total": "events.missed",
    "mtango_events_dropped_total": "events.dropped",
    "mtango_async_jobs_waiting": "async.waiting",
}
_OF_CACHES = {
    "mtango_cache_hits_total": "hits",
    "mtango_cache_misses_total": "misses",
    "mtango_cache_entries": "currsize",
    "mtango_cache_entries_limit": "maxsize",
}


@blueprint.get("/metrics")
def show_metrics() -> Response:
    """Of all workers, whichever answers. Raises NotImplementedHere without prometheus-client."""
    if prometheus is None:
        raise NotImplementedHere("metrics need prometheus-client, which is not installed (the extra `metrics`)")
    app_state().client.publish()
    registry = prometheus.CollectorRegistry()
    registry.register(_Board())
    encode, content_type = prometheus.exposition.choose_encoder(request.headers.get("Accept", ""))
    return freshness.add_value_headers(Response(encode(registry), content_type=content_type))


class _Board:
    """A collector in prometheus-client's sense."""

    def collect(self) -> Iterator[Any]:
        board = app_state().figures.board
        values = {**_counted(board), **_by_labels(board.read_series())}
        for name, labels, about in METRICS:
            if name == _CALLS and config().metrics_devices:
                labels = (*labels, "device")
            yield _family(name, about, labels, values.get(name, {}))


def _counted(board: Board) -> Mapping[str, Mapping[Key, float]]:
    """By name of the metric and values of its labels."""
    total, workers = board.read()
    jobs = {("ok",): total["async.done"], ("failed",): total["async.failed"]}
    caches: Any = {name: {(cache,): total[f"{cache}.{key}"] for cache in CACHES} for name, key in _OF_CACHES.items()}
    in_progress = sum(max(0, worker["requests"] - worker["responses"]) for worker in workers)
    cpu = series.seconds(total["resource.user_time"] + total["resource.system_time"])
    return {
        **{name: {(): total[figure]} for name, figure in _FIGURES.items()},
        **caches,
        "mtango_async_jobs_total": jobs,
        "mtango_http_requests_in_progress": {(): in_progress},
        "mtango_workers": {(): len(workers)},
        "mtango_workers_cpu_seconds_total": {(): cpu},
        "mtango_server_start_time_seconds": {(): board.since},
    }


def _by_labels(rows: Mapping[Key, list[int]]) -> dict[str, dict[Key, list[int]]]:
    """The same of the board's rows."""
    found: dict[str, dict[Key, list[int]]] = {}
    for (name, *values), numbers in rows.items():
        found.setdefault(name, {})[tuple(values)] = numbers
    return found


def _family(name: str, about: str, labels: Sequence[str], values: Mapping[Key, Any]) -> Any:
    families = prometheus.metrics_core
    if name.endswith("_total"):
        family, add = families.CounterMetricFamily(name, about, labels=labels), _add_number
    elif name.endswith(("_duration_seconds", "_wait_seconds")):
        family, add = families.HistogramMetricFamily(name, about, labels=labels), _add_times
        values = values or ({} if labels else {(): series.NO_TIMES})
    else:
        family, add = families.GaugeMetricFamily(name, about, labels=labels), _add_number
    for key, numbers in _fitting(values, len(labels)).items():
        add(family, key, numbers)
    return family


def _fitting(values: Mapping[Key, Any], labels: int) -> Mapping[Key, Any]:
    """With so many labels: where a reload has changed the setting there are rows of more or of less."""
    if all(len(key) == labels for key in values):
        return values
    found: dict[Key, list[int]] = {}
    for key, numbers in values.items():
        fitting = (*key, *[""] * labels)[:labels]
        found[fitting] = [sum(each) for each in zip(numbers, found.get(fitting, [0] * len(numbers)), strict=True)]
    return found


def _add_number(family: Any, key: Key, number: float | list[int]) -> None:
    family.add_metric(key, number[0] if isinstance(number, list) else number)


def _add_times(family: Any, key: Key, numbers: list[int]) -> None:
    """Prometheus counts those up to each limit, the board those of each class."""
    up_to = itertools.accumulate(numbers[:-1])
    classes = list(zip([*map(str, series.LIMITS), "+Inf"], up_to, strict=True))
    family.add_metric(key, classes, series.seconds(numbers[-1]))

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
from mtango_gevent.api import reply
from mtango_gevent.api.context import config, context
from mtango_gevent.errors import NotImplementedHere
from mtango_gevent.series import Key
from mtango_gevent.workers import CACHES

try:
    import prometheus_client as prometheus
except ImportError:
    prometheus: Any = None

blueprint = Blueprint("metrics", __name__)

# Of the board: name, what it is, a label, and the figure for each of its values.
FIGURES: tuple[tuple[str, str, str, Mapping[str, str]], ...] = (
    ("mtango_http_failures_total", "requests answered with a failure, also those with status 200", "", {"": "errors"}),
    ("mtango_pool_threads", "threads for Tango calls", "", {"": "pool.threads"}),
    ("mtango_pool_threads_limit", "threads for Tango calls that there may be", "", {"": "pool.maxsize"}),
    ("mtango_pool_calls_in_flight", "Tango calls that have a thread", "", {"": "pool.in_flight"}),
    (
        "mtango_pool_calls_abandoned",
        "Tango calls that have a thread, though nobody waits for them any more",
        "",
        {"": "pool.abandoned"},
    ),
    (
        "mtango_cache_hits_total",
        "times that a cache had what was asked of it",
        "cache",
        {name: f"{name}.hits" for name in CACHES},
    ),
    ("mtango_cache_misses_total", "times that a cache had not", "cache", {name: f"{name}.misses" for name in CACHES}),
    ("mtango_cache_entries", "entries of a cache", "cache", {name: f"{name}.currsize" for name in CACHES}),
    (
        "mtango_cache_entries_limit",
        "entries that a cache may have",
        "cache",
        {name: f"{name}.maxsize" for name in CACHES},
    ),
    ("mtango_event_subscriptions", "attributes whose events are listened to", "", {"": "events.subscriptions"}),
    (
        "mtango_event_subscriptions_polled",
        "attributes that the gateway reads, as they send no events",
        "",
        {"": "events.polled"},
    ),
    ("mtango_event_listeners", "requests that wait for events", "", {"": "events.listeners"}),
    ("mtango_events_received_total", "events that came", "", {"": "events.received"}),
    ("mtango_events_missed_total", "times that Tango said it had lost events", "", {"": "events.missed"}),
    ("mtango_events_dropped_total", "events that went before a listener had them", "", {"": "events.dropped"}),
    ("mtango_async_jobs_waiting", "writes with `async` that have not begun", "", {"": "async.waiting"}),
    (
        "mtango_async_jobs_total",
        "writes with `async` that were done, or failed",
        "outcome",
        {"ok": "async.done", "failed": "async.failed"},
    ),
)

# By labels: name, what it is, the labels.
ROWS: tuple[tuple[str, str, Sequence[str]], ...] = (
    ("mtango_http_requests_total", "requests that were answered", ("route", "method", "status")),
    ("mtango_http_request_duration_seconds", "how long an answer took", ("route", "method")),
    ("mtango_tango_calls_total", "Tango calls", ("kind", "outcome")),
    ("mtango_tango_call_duration_seconds", "how long Tango calls took, once they had a thread", ("kind",)),
    ("mtango_tango_slot_wait_seconds", "how long Tango calls waited for a slot of their device and a thread", ()),
)

# And the rest.
SERVER = {
    "mtango_http_requests_in_progress": "requests that are being answered, the one for the metrics too",
    "mtango_server_start_time_seconds": "when the server was started, since the epoch",
    "mtango_workers": "worker processes",
    "mtango_workers_cpu_seconds_total": "CPU time of the workers, those that have gone too",
}


@blueprint.get("/metrics")
def show_metrics() -> Response:
    """Of all workers, whichever answers. Raises NotImplementedHere without prometheus-client."""
    if prometheus is None:
        raise NotImplementedHere("metrics need prometheus-client, which is not installed (the extra `metrics`)")
    context().client.publish()
    registry = prometheus.CollectorRegistry()
    registry.register(_Board())
    encode, content_type = prometheus.exposition.choose_encoder(request.headers.get("Accept", ""))
    return reply.momentary(Response(encode(registry), content_type=content_type), max_age=0)


class _Board:
    """A collector in prometheus-client's sense."""

    def collect(self) -> Iterator[Any]:
        board = context().figures.board
        total, workers = board.read()
        for name, about, label, figures in FIGURES:
            yield _plain(name, about, label, {value: total[figure] for value, figure in figures.items()})
        rows = board.read_series()
        for name, about, labels in ROWS:
            yield _labelled(name, about, labels, rows)
        values = (
            sum(worker["requests"] - worker["responses"] for worker in workers),
            board.since,
            len(workers),
            series.seconds(total["resource.user_time"] + total["resource.system_time"]),
        )
        for (name, about), value in zip(SERVER.items(), values, strict=True):
            yield _plain(name, about, "", {"": value})


def _plain(name: str, about: str, label: str, values: Mapping[str, float]) -> Any:
    family = (
        prometheus.metrics_core.CounterMetricFamily
        if name.endswith("_total")
        else prometheus.metrics_core.GaugeMetricFamily
    )
    metric = family(name, about, labels=[label] if label else [])
    for value, number in values.items():
        metric.add_metric([value] if label else [], number)
    return metric


def _labelled(name: str, about: str, labels: Sequence[str], rows: Mapping[Key, list[int]]) -> Any:
    if name == "mtango_tango_calls_total" and config().metrics_devices:
        labels = [*labels, "device"]
    counter = name.endswith("_total")
    metric = (
        prometheus.metrics_core.CounterMetricFamily if counter else prometheus.metrics_core.HistogramMetricFamily
    )(name, about, labels=labels)
    for values, numbers in _of(name, len(labels), rows).items():
        if counter:
            metric.add_metric(values, numbers[0])
        else:
            metric.add_metric(values, _classes(numbers), series.seconds(numbers[-1]))
    return metric


def _of(name: str, size: int, rows: Mapping[Key, list[int]]) -> dict[Key, list[int]]:
    """Numbers by the values of `size` labels: there are rows of more, or of less, if the settings were others."""
    found: dict[Key, list[int]] = {}
    for (key, *labels), numbers in rows.items():
        if key == name:
            values = (*labels, *[""] * size)[:size]
            found[values] = [sum(each) for each in zip(numbers, found.get(values, [0] * len(numbers)), strict=True)]
    return found


def _classes(numbers: list[int]) -> list[tuple[str, int]]:
    """How many there were up to each limit."""
    return list(zip([*map(str, series.LIMITS), "+Inf"], itertools.accumulate(numbers[:-1]), strict=True))

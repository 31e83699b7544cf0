"""The table of all metrics, and which of them are the figures of /sys/stats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mtango_gevent.scoreboard import CACHES

# Upper limits of the buckets of durations, in seconds: from a local read to the longest wait for an event.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

_CACHE, _OUTCOME, REQUESTS, CALLS = ("cache",), ("outcome",), "mtango_http_requests_total", "mtango_tango_calls_total"
IN_PROGRESS = "mtango_http_requests_in_progress"

# Every metric: its name, its labels, its help.
METRICS: tuple[tuple[str, Sequence[str], str], ...] = (
    (REQUESTS, ("route", "method", "status"), "HTTP requests answered"),
    ("mtango_http_request_duration_seconds", ("route", "method"), "time from request to answer"),
    (IN_PROGRESS, (), "HTTP requests in progress, including the one for the metrics"),
    ("mtango_http_failures_total", (), "HTTP requests answered with a failure, including those with status 200"),
    (CALLS, ("kind", "outcome"), "Tango calls"),
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
    ("mtango_event_listeners", (), "requests that wait for events, and attributes that streams follow"),
    ("mtango_events_received_total", (), "events received"),
    ("mtango_events_missed_total", (), "reports by Tango that events were lost"),
    ("mtango_events_dropped_total", (), "events discarded before a listener had received them"),
    ("mtango_streams", (), "open streams: server-sent events and WebSockets"),
    ("mtango_stream_attributes", (), "attributes that streams follow, counted in each stream"),
    ("mtango_stream_records_total", (), "records sent in streams"),
    ("mtango_stream_records_dropped_total", (), "events that the clients of streams were too slow for"),
    ("mtango_stream_lag_seconds", (), "greatest age of a record that a stream has not sent"),
    ("mtango_hub_lag_seconds", (), "greatest delay of a timer of a worker, run every 20 ms, in the last ten seconds"),
    ("mtango_async_jobs_waiting", (), "writes with `async` that have not begun"),
    ("mtango_async_jobs_total", _OUTCOME, "writes with `async` that have ended"),
    ("mtango_audit_lines_total", _OUTCOME, "lines of the audit log that were `written` or `lost`"),
    ("mtango_workers", (), "worker processes"),
    ("mtango_workers_cpu_seconds_total", (), "CPU time of the worker processes, including those that have ended"),
    ("mtango_server_start_time_seconds", (), "start of the gateway, in seconds since the epoch"),
)

# What /sys/stats shows and /metrics does not.
HIDDEN, HIDDEN_GAUGE = "mtango_hidden_total", "mtango_hidden_now"
INTERNAL = ((HIDDEN, ("figure",), "figures of /sys/stats"), (HIDDEN_GAUGE, ("figure",), "figures of /sys/stats"))

LABELS = {name: labels for name, labels, _ in (*METRICS, *INTERNAL)}

# mtango-py's `resource` (contract: rc3, section 9), as getrusage(2) counts it.
USAGE = {
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
    "pool.refused": (HIDDEN, "refused"),
    "pool.timed_out": (HIDDEN, "timed_out"),
    "circuits.devices": ("mtango_devices_open",),
    "circuits.servers": ("mtango_servers_silent",),
    "events.subscriptions": ("mtango_event_subscriptions",),
    "events.polled": ("mtango_event_subscriptions_polled",),
    "events.listeners": ("mtango_event_listeners",),
    "events.received": ("mtango_events_received_total",),
    "events.missed": ("mtango_events_missed_total",),
    "events.dropped": ("mtango_events_dropped_total",),
    "streams.open": ("mtango_streams",),
    "streams.feeds": ("mtango_stream_attributes",),
    "streams.sent": ("mtango_stream_records_total",),
    "streams.dropped": ("mtango_stream_records_dropped_total",),
    "streams.lag": ("mtango_stream_lag_seconds",),
    "hub.lag": ("mtango_hub_lag_seconds",),
    "async.waiting": ("mtango_async_jobs_waiting",),
    "async.done": ("mtango_async_jobs_total", "ok"),
    "async.failed": ("mtango_async_jobs_total", "failed"),
    **{f"resource.{name}": (HIDDEN, name) for name in USAGE},
    "resource.max_resident_mem": (HIDDEN_GAUGE, "max_resident_mem"),
}

SHOWN = {name.removesuffix("_total") for name, _, _ in METRICS}

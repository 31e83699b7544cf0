"""The parts of an application that is traced. Imported where OpenTelemetry is installed and switched on."""

from __future__ import annotations

import functools
import os
import socket
import sys
import time
from typing import Any

import tango
from opentelemetry import context, trace

from mtango_gevent.control.calls import ThreadPool, sleep
from mtango_gevent.control.tracing import Job, Tracing
from mtango_gevent.control.tracing.calls import TracedCall, TracedExecutor
from mtango_gevent.control.tracing.flights import TracedFlights
from mtango_gevent.control.tracing.telemetry import Endpoint, Telemetry
from mtango_gevent.tango_environment import SERVICE_NAME

try:
    from tango.telemetry import set_telemetry_tracer_provider_factory
except ImportError:  # PyTango 10.0
    from tango.utils import set_telemetry_tracer_provider_factory

_LOOK_EVERY = 0.02


class ActiveTracing(Tracing):
    """The gateway and PyTango's client have one provider, so that one thread sends the spans of both."""

    make_executor = TracedExecutor
    flights = TracedFlights

    def __init__(self, telemetry: Telemetry) -> None:
        self._spans: Any = None
        provider: Any = self._make_provider(telemetry) if telemetry.endpoints else trace.NoOpTracerProvider()
        self.tracer = provider.get_tracer(SERVICE_NAME)
        self.make_call = functools.partial(TracedCall, self.tracer)
        factory: Any = lambda *_, **__: provider  # noqa: E731
        set_telemetry_tracer_provider_factory(factory)

    def _make_provider(self, telemetry: Telemetry) -> Any:
        from opentelemetry.sdk.trace import TracerProvider

        from mtango_gevent.control.tracing.spans import SpanQueue

        provider = TracerProvider(resource=_resource())
        self._spans = SpanQueue([_make_exporter(endpoint) for endpoint in telemetry.endpoints])
        provider.add_span_processor(self._spans)
        return provider

    def carried(self, job: Job) -> Job:
        return functools.partial(_run_in, context.get_current(), job)

    def finish(self, pool: ThreadPool, seconds: float) -> None:
        until = time.monotonic() + seconds
        if self._spans is not None:
            self._spans.stop()
        _send_spans_of_cpptango(pool, until)
        if self._spans is not None:
            self._spans.wait(until - time.monotonic())


def _run_in(trace_context: context.Context, job: Job) -> object:
    token = context.attach(trace_context)
    try:
        return job()
    finally:
        context.detach(token)


def _send_spans_of_cpptango(pool: ThreadPool, until: float) -> None:
    """Have cppTango send its spans, as it does when the last thread ends that has made a call.

    PyTango drops its own reference at the end of the interpreter, which a worker does not reach. In this order the
    spans are sent by a thread without the GIL.
    """
    tango._tango._telemetry.cleanup_default_telemetry_interface()
    ids = pool.end_threads()
    while time.monotonic() < until and any(os.path.exists(f"/proc/self/task/{number}") for number in ids):
        sleep(_LOOK_EVERY)


def _resource() -> Any:
    """Return what the spans say of their process. Not by Resource.create, which starts threads."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    own = {
        "service.name": SERVICE_NAME,
        "service.namespace": "tango",
        "host.name": socket.gethostname(),
    }
    return Resource(own).merge(OTELResourceDetector().detect())


def _make_exporter(endpoint: Endpoint) -> Any:
    if endpoint.exporter == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter(out=sys.stderr if endpoint.url.lower() == "cerr" else sys.stdout)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=endpoint.url or None)

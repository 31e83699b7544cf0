"""A collector of OpenTelemetry in this process: receives spans over OTLP/HTTP and decodes them."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Span(NamedTuple):
    """A span as it was received. Ids are in hexadecimal digits; links: (trace id, span id) of each."""

    service: str
    scope: str
    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    trace_state: str
    attributes: dict[str, Any]
    links: list[tuple[str, str]]
    status: int
    seconds: float


class Collector:
    """Listens on a free port of 127.0.0.1 until `stop`. spans: all that have been received so far."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"  # keeps connections

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if self.path == "/v1/traces":
                    collector.spans += _decoded(body)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1/traces"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def environment(self) -> dict[str, str]:
        """The settings with which a process of Tango sends its spans here, every 0.2 s."""
        return {
            "TANGO_TELEMETRY_ENABLE": "on",
            "TANGO_TELEMETRY_TYPES": "tracing",
            "TANGO_TELEMETRY_TRACING_EXPORTERS": "http",
            "TANGO_TELEMETRY_TRACING_ENDPOINTS": self.url,
            "TANGO_TELEMETRY_TRACES_EXPORTER": "http",  # PyTango 10.0
            "TANGO_TELEMETRY_TRACES_ENDPOINT": self.url,
            "TANGO_TELEMETRY_LOGS_EXPORTER": "none",
            "PYTANGO_DISABLE_TELEMETRY_PATCHING": "off",  # which the process of the tests has switched on
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }

    def of_trace(self, trace_id: str) -> list[Span]:
        return [span for span in self.spans if span.trace_id == trace_id]


def _decoded(body: bytes) -> list[Span]:
    request = ExportTraceServiceRequest.FromString(body)
    return [
        _span(_attributes(of_resource.resource).get("service.name", ""), of_scope.scope.name, span)
        for of_resource in request.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def _span(service: str, scope: str, span: Any) -> Span:
    return Span(
        service,
        scope,
        span.name,
        span.kind,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.trace_state,
        _attributes(span),
        [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        span.status.code,
        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
    )


def _attributes(item: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value") or "string_value") for each in item.attributes}

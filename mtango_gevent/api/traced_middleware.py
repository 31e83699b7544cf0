"""The middleware with OpenTelemetry: a span for each request, from its arrival until its response begins.

Names and attributes are those of OpenTelemetry's semantic conventions for HTTP servers.
Imported where tracing is on only, as OpenTelemetry may not be installed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask
from opentelemetry import trace
from opentelemetry.context import Context, attach
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mtango_gevent.api.cors import METHODS, CorsPolicy
from mtango_gevent.api.middleware import Middleware
from mtango_gevent.api.request_context import AppState, RequestContext
from mtango_gevent.redaction import redact

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# Characters of a header or a text: the specification wants 512 of `tracestate` to be accepted.
_LONGEST = 512

_PROPAGATOR = TraceContextTextMapPropagator()


class TracedMiddleware(Middleware):
    """The entrance of an application whose requests are traced."""

    def __init__(self, app: Flask, state: AppState, cors: CorsPolicy) -> None:
        super().__init__(app, state, cors)
        self._tracer: trace.Tracer = state.client.tracing.tracer

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        span = self._begin_span(environ)
        attach(trace.set_span_in_context(span))
        try:
            return super().__call__(environ, start_response)
        except BaseException:  # the worker stops
            span.end()
            raise

    def _begin_span(self, environ: WSGIEnvironment) -> trace.Span:
        return self._tracer.start_span(
            _method(environ), _PROPAGATOR.extract(_carrier(environ)), trace.SpanKind.SERVER, _attributes(environ)
        )

    def _finish(self, context: RequestContext, status: str, headers: list[tuple[str, str]]) -> None:
        super()._finish(context, status, headers)
        span = trace.get_current_span()
        if span.is_recording():
            _complete(span, context, int(status))
        span.end()
        _leave_trace()


def _leave_trace() -> None:
    """Have what the greenlet does from here on, such as sending a stream for hours, belong to no request."""
    attach(Context())


def _carrier(environ: WSGIEnvironment) -> dict[str, str]:
    """Return the trace context of a request; the propagator ignores a malformed one."""
    given = {"traceparent": environ.get("HTTP_TRACEPARENT", ""), "tracestate": environ.get("HTTP_TRACESTATE", "")}
    return {name: value for name, value in given.items() if value and len(value) <= _LONGEST}


def _method(environ: WSGIEnvironment) -> str:
    method = environ["REQUEST_METHOD"]
    return method if method in METHODS else "HTTP"


def _attributes(environ: WSGIEnvironment) -> dict[str, Any]:
    """Return what is known of a request at its arrival. WSGI gives texts as bytes, each one a character."""
    method, query = environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")
    given = {
        "http.request.method": method if method in METHODS else "_OTHER",
        "http.request.method_original": None if method in METHODS else _text(method),
        "url.scheme": environ.get("wsgi.url_scheme", "http"),
        "url.path": _text(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")),
        "url.query": _text(redact(query)),
        "server.address": _text(environ.get("SERVER_NAME", "")),
        "client.address": _text(environ.get("REMOTE_ADDR", "")),
        "user_agent.original": _text(environ.get("HTTP_USER_AGENT", "")),
    }
    return {name: value for name, value in given.items() if value}


def _text(text: str) -> str:
    return text.encode("latin-1", "replace").decode("utf-8", "replace")[: 4 * _LONGEST]


def _complete(span: trace.Span, context: RequestContext, status: int) -> None:
    """Give a span what is known when the response begins."""
    method = _method(context.environ)
    if context.route != "none":
        span.update_name(f"{method} {context.route}")
        span.set_attribute("http.route", context.route)
    if context.device != "-":
        span.set_attribute("tango.device.name", context.device)
    span.set_attribute("http.response.status_code", status)
    span.set_attribute("mtango.request_id", context.id)
    if context.outcome != "ok":
        span.set_attribute("error.type", context.error[0] or context.outcome)
    if status >= 500:
        span.set_status(trace.Status(trace.StatusCode.ERROR))

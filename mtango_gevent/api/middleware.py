"""The WSGI middleware of an application, which every request passes in the same order.

Request context, access control, fast values or Flask, headers of every response, metrics, access log.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, request

from mtango_gevent import __version__
from mtango_gevent.api import access, access_log, request_context
from mtango_gevent.api.cors import METHODS, CorsPolicy
from mtango_gevent.api.fast_values import FastValues
from mtango_gevent.api.request_context import AppState, RequestContext, current
from mtango_gevent.metrics import OTHER

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_SERVER = ("x-mtango", f"mtango-gevent {__version__}")


class Middleware:
    """The entrance of an application. Create it after all hooks of the gateway have been registered."""

    def __init__(self, app: Flask, state: AppState, cors: CorsPolicy) -> None:
        self._state, self._cors = state, cors
        self._flask = app.wsgi_app
        self._fast_values = FastValues(app, state)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        context = request_context.begin(self._state, environ)
        self._state.metrics.begin_request()
        self._state.client.apply_pending_clears()

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            return start_response(status, self._finish(context, status[:3], headers), *error)

        try:
            access.check(context)
            response = self._fast_values.answer(context)
        except Exception as error:  # Flask's error handlers answer it
            context.failure, response = error, None
        if response is None:
            return self._flask(environ, start)
        start("200 OK", response.headers)
        return [response.body]

    def _finish(self, context: RequestContext, status: str, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return the headers of the response, with those that every response has; count and log the request."""
        seconds = time.perf_counter() - context.began
        given = {name.lower(): value for name, value in headers}
        complete = self._complete(context, headers, given, seconds)
        self._count(context, status, seconds)
        if self._state.config.access_log:
            access_log.write(context, int(status), int(given.get("content-length", 0)), seconds)
        return complete

    def _complete(
        self, context: RequestContext, headers: list[tuple[str, str]], given: dict[str, str], seconds: float
    ) -> list[tuple[str, str]]:
        complete = [header for header in headers if header[0] != "Vary"]
        if "cache-control" not in given:  # failures, and responses to PUT
            complete.append(("Cache-Control", "no-store"))
        if "access-control-allow-origin" not in given:
            complete += self._cors.headers(context.environ)
        # Also without an Origin, so that a response without CORS headers is not reused for a page of another origin.
        varies = given.get("vary")
        complete += (
            ("Vary", f"{varies}, Origin" if varies and "Origin" not in varies else varies or "Origin"),
            _SERVER,
            ("X-Request-ID", context.id),
            (
                "Server-Timing",
                f"total;dur={seconds * 1000:.1f}, tango;dur={context.tango_time.seconds * 1000:.1f}",
            ),
        )
        return complete

    def _count(self, context: RequestContext, status: str, seconds: float) -> None:
        """Count the request by labels that a client cannot invent, as the value of a label is kept for ever."""
        method = context.environ["REQUEST_METHOD"]
        if method not in METHODS:
            method = OTHER
        self._state.metrics.end_request(seconds, context.route, method, status)


def enter_flask(_endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Note the route of a request, and raise an error from before Flask was called.

    A preprocessor of URL values, as Flask calls these before all other hooks.
    """
    context = current()
    if request.url_rule:
        context.route = request.url_rule.rule
    failure, context.failure = context.failure, None  # its traceback would otherwise form a reference cycle
    if failure is not None:
        raise failure

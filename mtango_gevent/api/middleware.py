"""The WSGI middleware of an application, which every request passes in the same order.

Request context, access control, fast values, short routes or Flask, headers of every response, metrics, audit log,
access log.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, current_app, request

from mtango_gevent import __version__
from mtango_gevent.api import access_log, changes, request_context
from mtango_gevent.api.access import Need, declared
from mtango_gevent.api.cors import METHODS, CorsPolicy
from mtango_gevent.api.fast_values import FastValues
from mtango_gevent.api.flask_hooks import FlaskHooks
from mtango_gevent.api.request_context import AppState, RequestContext, View, current
from mtango_gevent.api.short_routes import ShortRoutes
from mtango_gevent.errors import ApiError
from mtango_gevent.metrics import OTHER

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)

# Headers of every response; `nosniff`: a browser must not take a text of a device for a page or a script.
_ALWAYS = (("x-mtango", f"mtango-gevent {__version__}"), ("X-Content-Type-Options", "nosniff"))


class Middleware:
    """The entrance of an application. Create it after all hooks of the gateway have been registered."""

    def __init__(self, app: Flask, state: AppState, cors: CorsPolicy) -> None:
        self._state, self._metrics, self._cors = state, state.metrics, cors
        self._flask = app.wsgi_app
        self._hooks = FlaskHooks(app)
        self._fast_values = FastValues(app, state, self._hooks)
        self._short_routes = ShortRoutes(app, state, self._hooks)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        context = request_context.begin(self._state, environ)
        self._metrics.begin_request()
        self._state.client.apply_pending_clears()

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Callable[[bytes], object]:
            self._finish(context, status[:3], headers)
            return start_response(status, headers, *error)

        try:
            answer = self._answer_without_flask(context) or self._flask
            return answer(environ, start)
        except BaseException:  # the worker stops
            changes.give_up(context)
            raise

    def _answer_without_flask(self, context: RequestContext) -> WSGIApplication | None:
        """Return the response, or None where Flask has to answer: the request is not plain, or has failed."""
        try:
            self._authenticate(context)
            if not self._hooks.are_own():
                return None
            return self._fast_values.answer(context) or self._short_routes.answer(context)
        except Exception as error:
            context.failure = error
            return None

    def _authenticate(self, context: RequestContext) -> None:
        access = self._state.access
        if access.is_open or context.environ["REQUEST_METHOD"] == "OPTIONS":
            return
        try:
            context.identity = access.authenticate(context.environ)
        except ApiError as refusal:  # which a free view does not care about
            context.refusal = refusal.copy()
        except Exception:
            logger.exception("authentication failed, request %s", context.id)
            context.refusal = ApiError(500, "MTANGO_InternalError", "authentication failed, see the log of the gateway")

    def _finish(self, context: RequestContext, status: str, headers: list[tuple[str, str]]) -> None:
        """Add the headers that every response has; count and log the request."""
        if context.refusal is not None:
            context.refusal.with_traceback(None)  # which would otherwise form a reference cycle
        seconds = time.perf_counter() - context.began
        self._complete(context, headers, seconds)
        self._count(context, status, seconds)
        changes.finish(context, status)
        if context.outcome != "ok":
            self._state.failed_requests.add(access_log.failed_row(context, int(status), seconds))
        if self._state.config.access_log:
            access_log.write(context, int(status), headers, seconds)

    def _complete(self, context: RequestContext, headers: list[tuple[str, str]], seconds: float) -> None:
        given, tango_seconds = dict(headers), context.tango_time.seconds
        if "Cache-Control" not in given and not any(name.lower() == "cache-control" for name in given):
            headers.append(("Cache-Control", "no-store"))  # failures, and responses to PUT
        varies = given.get("Vary", "")
        if "Origin" not in varies:  # a response without CORS headers must not be reused for a page of another origin
            if varies:
                headers.remove(("Vary", varies))
            headers.append(("Vary", f"{varies}, Origin" if varies else "Origin"))
        if "Access-Control-Allow-Origin" not in given:  # which a refusal has that the page may read
            headers += self._cors.headers(context.environ)
        headers += (
            *_ALWAYS,
            ("X-Request-ID", context.id),
            ("Server-Timing", f"total;dur={seconds * 1000:.1f}, tango;dur={tango_seconds * 1000:.1f}"),
        )

    def _count(self, context: RequestContext, status: str, seconds: float) -> None:
        """Count the request by labels that a client cannot invent, as the value of a label is kept for ever."""
        method = context.environ["REQUEST_METHOD"]
        if method not in METHODS:
            method = OTHER
        self._metrics.end_request(seconds, context.route, method, status)


def enter_flask(endpoint: str | None, values: dict[str, str] | None) -> None:
    """Note the view of a request and what it changes, and raise an error from before Flask was called.

    A preprocessor of URL values, as Flask calls these before all other hooks.
    """
    context = current()
    context.request = request._get_current_object()  # pyright: ignore[reportAttributeAccessIssue]
    if request.url_rule:
        context.route = request.url_rule.rule
    context.view = View(endpoint or "", _need(endpoint), {} if values is None else values)
    if not context.changes:  # which a failure of a short route may have
        changes.expect_url(context)
    if context.failure is not None:
        try:
            raise context.failure
        finally:
            context.failure = None  # its traceback would otherwise form a reference cycle


def _need(endpoint: str | None) -> Need | None:
    """Return the need of the view of a request; none for OPTIONS, which is free."""
    if request.method == "OPTIONS":
        return None
    if endpoint is None:  # no such URL
        return Need("read", "gateway", "other")
    return declared(current_app.view_functions[endpoint], request.method)

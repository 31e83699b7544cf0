"""Short routes: views of rc3, v10 and v11 without Flask's dispatch, which would cost more than most of them.

Routes, admission and views are the same as Flask's, so that what is answered has one definition. Requests that are not
plain, and every failure, go to Flask.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from flask import Flask, Response
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request

from mtango_gevent.api import admission, changes, urls, v11
from mtango_gevent.api.access import declared
from mtango_gevent.api.flask_hooks import FlaskHooks
from mtango_gevent.api.recent import Recent
from mtango_gevent.api.request_context import AppState, RequestContext, View

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# The preprocessor of the parts of a URL, as the blueprint of a version has it.
Resolve: TypeAlias = Callable[[str | None, dict[str, Any] | None], None]

# The blueprints whose views use nothing of Flask but its Response.
_RESOLVE: dict[str, Resolve] = {"rc3": urls.resolve, **dict.fromkeys(v11.VERSIONS, v11.urls.resolve)}

_METHODS = ("GET", "PUT")

# Routes that are kept, and the characters of one path: more than all panels of a control room have.
_KEPT, _LONGEST_PATH = 10_000, 2_000


class Route(NamedTuple):
    """What a method and a path lead to. rule: of the URL; view: with the parts of the URL as texts."""

    rule: str
    view: View
    function: Callable[..., Any]
    resolve: Resolve


class Resolved(NamedTuple):
    """A view with the device or Tango host of its URL, and what the request context gets with it."""

    view: View
    device: str
    timestamp_unit: int


class ShortRoutes:
    """The short routes of an application. hooks: tell whether a view is still the gateway's."""

    def __init__(self, app: Flask, state: AppState, hooks: FlaskHooks) -> None:
        self._functions, self._hooks, self._limit = app.view_functions, hooks, state.config.body_limit
        self._rules = app.url_map.bind("")
        self._find = functools.lru_cache(_KEPT)(self._find_route)
        self._recent = Recent[tuple[str, str], Resolved]()  # no longer, as addresses of hosts may change

    def answer(self, context: RequestContext) -> Response | None:
        """Return the response of the view; None for a request that Flask has to answer. Raises what the view raises."""
        method, path = context.environ["REQUEST_METHOD"], context.environ.get("PATH_INFO", "")
        route = self._find(method, path) if _is_plain(context.environ, path) else None
        if route is None or not self._hooks.has_own_view(route.view.endpoint):
            return None
        context.request = self._request(context.environ)
        context.route, context.view = route.rule, route.view
        changes.expect_url(context)
        found = self._recent.get((method, path)) or self._resolve(context, route, (method, path))
        context.view, context.device, context.timestamp_unit = found
        admission.admit()
        return route.function(**context.view.values)

    def _find_route(self, method: str, path: str) -> Route | None:
        try:
            rule, values = self._rules.match(path, method, return_rule=True) if method in _METHODS else (None, {})
        except HTTPException:  # no such URL, or not with this method
            return None
        resolve = _RESOLVE.get(rule.endpoint.partition(".")[0]) if rule else None
        if rule is None or resolve is None:
            return None
        function = self._functions[rule.endpoint]
        return Route(rule.rule, View(rule.endpoint, declared(function, method), {**values}), function, resolve)

    def _resolve(self, context: RequestContext, route: Route, key: tuple[str, str]) -> Resolved:
        values = {**route.view.values}
        route.resolve(route.view.endpoint, values)
        found = Resolved(route.view._replace(values=values), context.device, context.timestamp_unit)
        self._recent.keep(key, found)
        return found

    def _request(self, environ: WSGIEnvironment) -> Request:
        """Return a request that knows no application, with the limits that Flask's has by its application."""
        request = Request(environ, populate_request=False)
        request.max_content_length = request.max_form_memory_size = self._limit
        return request


def _is_plain(environ: WSGIEnvironment, path: str) -> bool:
    """Return whether Flask would find the route by the path alone."""
    return (
        len(path) <= _LONGEST_PATH
        and path.isascii()
        and "HTTP_UPGRADE" not in environ
        and urls.HOST_HEADER.fullmatch(environ.get("HTTP_HOST", "")) is not None
    )

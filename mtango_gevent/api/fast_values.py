"""Fast values: the two URLs of values without Flask's dispatch, which would cost five times as much as the rest.

Only the plain case of a request is answered here, with the device, the reading and the rendering of the Flask view.
Any other request, and every failure, goes to Flask.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from flask import Flask

from mtango_gevent.api import pictures, query, reply, urls
from mtango_gevent.api.flask_hooks import FlaskHooks
from mtango_gevent.api.rc3 import attributes
from mtango_gevent.api.reply import Rendered
from mtango_gevent.api.request_context import AppState, RequestContext
from mtango_gevent.control.device import Device
from mtango_gevent.control.reads import Reading

# Prepared reads that are kept, and the characters of one URL: more than all panels of a control room have.
_PREPARED, _LONGEST_URL = 10_000, 2_000

# Bytes of a body that need not be counted beside the reading that it belongs to.
_SMALL_BODY = 1_000

# Names that need no decoding and no check.
_NAME = r"[A-Za-z0-9_.+~-]{1,255}"
_ATTR = r"[A-Za-z0-9_.~-]{1,255}"
_QUERY = re.compile(rf"attr={_ATTR}(?:&attr={_ATTR})*")

_ENDPOINTS = ("rc3.attributes.read_value", "rc3.attributes.read_values")


@functools.lru_cache(256)
def _is_plain(accept: str, host: str) -> bool:
    """Return whether these headers mean a response in JSON, and a host that Flask accepts."""
    return pictures.prefers_json(accept) and bool(urls.HOST_HEADER.fullmatch(host))


class FastResponse(NamedTuple):
    """A response with status 200."""

    body: bytes
    headers: list[tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class PreparedRead:
    """A read of which everything but the reading itself is done. route: the URL rule of the Flask view."""

    route: str
    device: Device
    read: Callable[[], Reading[Any]]
    render: Callable[[Any], Rendered]


class FastValues:
    """The fast path of an application."""

    def __init__(self, app: Flask, state: AppState) -> None:
        self._state = state
        self._hooks = FlaskHooks(app, _ENDPOINTS)
        self._routes = [next(app.url_map.iter_rules(endpoint)).rule for endpoint in _ENDPOINTS]
        base = re.escape(f"{state.config.app_base}/rc3")
        device = rf"hosts/({_NAME})/([0-9]{{1,5}})/devices/({_NAME})/({_NAME})/({_NAME})"
        self._url = re.compile(rf"{base}/{device}/attributes(?:/({_NAME}))?/value")
        self._prepare = functools.lru_cache(_PREPARED)(self._prepare_read)

    def answer(self, context: RequestContext) -> FastResponse | None:
        """Answer a plain request for values; None for any other. Raises what the view would raise."""
        environ = context.environ
        path, parameters = environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", "")
        if (
            not path.endswith("/value")
            or environ["REQUEST_METHOD"] != "GET"
            or "HTTP_IF_NONE_MATCH" in environ
            or not _is_plain(environ.get("HTTP_ACCEPT", ""), environ.get("HTTP_HOST", ""))
            or len(path) + len(parameters) > _LONGEST_URL
            or not self._hooks.are_own()
        ):
            return None
        prepared = self._prepare(path, parameters)
        if prepared is None:
            return None
        context.route, context.device = prepared.route, prepared.device.full_name
        reading = prepared.read()
        rendered = self._render(prepared, reading)
        return FastResponse(rendered.body, reply.headers(rendered, reading.began))

    def _prepare_read(self, path: str, parameters: str) -> PreparedRead | None:
        """Return the read that a URL asks for; None where it is not plain. Raises what the view would raise."""
        parts = self._url.fullmatch(path)
        if parts is None:
            return None
        host, port, domain, family, member, attribute = parts.groups()
        if bool(attribute) == bool(parameters) or (parameters and not _QUERY.fullmatch(parameters)):
            return None
        device = Device(urls.find_tango_host(host, port), f"{domain}/{family}/{member}")
        if attribute:
            return PreparedRead(
                self._routes[0],
                device,
                lambda: device.read_value(attribute),
                lambda item: attributes.render_value(device, item),
            )
        names = [parameter.removeprefix("attr=") for parameter in parameters.split("&")]
        query.check_names("attribute", names)
        return PreparedRead(
            self._routes[1],
            device,
            lambda: device.read_values(names),
            lambda items: attributes.render_values(device, items),
        )

    def _render(self, prepared: PreparedRead, reading: Reading[Any]) -> Rendered:
        """Render a reading once for all requests that share it, unless the body takes memory that is not counted."""
        rendered: Rendered | None = reading.rendered
        if rendered is None:
            rendered = prepared.render(reading.items)
            if not self._state.config.value_max_age or len(rendered.body) <= _SMALL_BODY:
                reading.rendered = rendered
        return rendered

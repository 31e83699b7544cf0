"""Fast values: the two URLs of values without Flask's dispatch, which would cost five times as much as the rest.

Only the plain case of a request is answered here, with the device, the reading and the rendering of the Flask view.
Any other request, and every failure, goes to Flask.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Callable
from typing import Generic, TypeVar

from flask import Flask

from mtango_gevent.api import guard, pictures, query, reply, request_targets, urls
from mtango_gevent.api.access import Target
from mtango_gevent.api.flask_hooks import FlaskHooks
from mtango_gevent.api.rc3 import attributes
from mtango_gevent.api.reply import Rendered
from mtango_gevent.api.request_context import AppState, RequestContext
from mtango_gevent.control.device import Device
from mtango_gevent.control.reads import Reading
from mtango_gevent.values import AttributeData

T = TypeVar("T")

# Prepared reads that are kept, and the characters of one URL: more than all panels of a control room have.
_PREPARED, _LONGEST_URL = 10_000, 2_000

# Bytes of a body that need not be counted in the memory of the readings that are kept.
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


@dataclasses.dataclass(frozen=True)
class PreparedRead(Generic[T]):
    """A read of which everything but the reading itself is done.

    route: the URL rule of the Flask view; targets: the attributes, for the check of access.
    """

    route: str
    device: Device
    targets: tuple[Target, ...]
    read: Callable[[], Reading[T]]
    render: Callable[[T], Rendered]

    def run(self, body_limit: float) -> tuple[Rendered, float]:
        """Read and return the rendered value, and when it was read (time.perf_counter()).

        A reading is rendered once for all requests that share it. body_limit: bytes of bodies that are kept for that.
        """
        reading = self.read()
        rendered: Rendered | None = reading.rendered
        if rendered is None:
            rendered = self.render(reading.items)
            if len(rendered.body) <= body_limit:
                reading.rendered = rendered
        return rendered, reading.began


class FastValues:
    """The fast path of an application."""

    def __init__(self, app: Flask, state: AppState) -> None:
        self._body_limit = _SMALL_BODY if state.config.value_max_age else math.inf
        self._state, self._hooks = state, FlaskHooks(app, _ENDPOINTS)
        self._routes = [next(app.url_map.iter_rules(endpoint)).rule for endpoint in _ENDPOINTS]
        base = re.escape(f"{state.config.app_base}/rc3")
        device = rf"hosts/({_NAME})/([0-9]{{1,5}})/devices/({_NAME})/({_NAME})/({_NAME})"
        self._url = re.compile(rf"{base}/{device}/attributes(?:/({_NAME}))?/value")
        self._prepare = functools.lru_cache(_PREPARED)(self._prepare_read)

    def answer(self, context: RequestContext) -> tuple[bytes, list[tuple[str, str]]] | None:
        """Return body and headers for a plain request for values; None for any other request.

        Raises what the view would raise.
        """
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
        if prepared is None or not guard.allows_reads(context, prepared.targets):
            return None
        context.route, context.device = prepared.route, prepared.device.full_name
        rendered, began = prepared.run(self._body_limit)
        return rendered.body, reply.headers(rendered, began)

    def _prepare_read(
        self, path: str, parameters: str
    ) -> PreparedRead[AttributeData] | PreparedRead[list[AttributeData]] | None:
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
                self._targets(device, [attribute]),
                lambda: device.read_value(attribute),
                lambda item: attributes.render_value(device, item),
            )
        names = [parameter.removeprefix("attr=") for parameter in parameters.split("&")]
        query.check_names("attribute", names)
        return PreparedRead(
            self._routes[1],
            device,
            self._targets(device, names),
            lambda: device.read_values(names),
            lambda items: attributes.render_values(device, items),
        )

    def _targets(self, device: Device, names: list[str]) -> tuple[Target, ...]:
        """Return what has to be checked for each request."""
        if self._state.access.reads_are_open:
            return ()
        return tuple(request_targets.of_device(self._state, "read", "attribute", device, name) for name in names)

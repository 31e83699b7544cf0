"""Fast values: the URLs of values without Flask's dispatch, which would cost five times as much as the rest.

Only the plain case of a request is answered here, with the device, the reading and the rendering of the Flask view.
Any other request, and every failure, goes to Flask.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from flask import Flask

from mtango_gevent.api import guard, hosts, media_types, query, rc3, reply, request_targets, urls, v11
from mtango_gevent.api.access import Target
from mtango_gevent.api.flask_hooks import FlaskHooks
from mtango_gevent.api.reply import Rendered
from mtango_gevent.api.request_context import AppState, RequestContext
from mtango_gevent.api.v11 import answers
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import TangoHost
from mtango_gevent.control.reads import Reading
from mtango_gevent.values import AttributeData

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

T = TypeVar("T")

# Prepared reads that are kept, and the characters of one URL: more than all panels of a control room have.
_PREPARED, _LONGEST_URL = 10_000, 2_000

# Bytes of a body that need not be counted in the memory of the readings that are kept.
_SMALL_BODY = 1_000

# Names that need no decoding and no check.
_NAME = r"[A-Za-z0-9_.+~-]{1,255}"
_ATTR = r"[A-Za-z0-9_.~-]{1,255}"
_QUERY = re.compile(rf"attr={_ATTR}(?:&attr={_ATTR})*")


class Version(NamedTuple):
    """The values of a version of the API.

    host: expression of the Tango host in a URL, with the groups name and port; conditions: headers of conditional
    requests, which Flask answers; media_types: all of a value, render_value: by the preferred one if that is fast;
    form: what the rendering of a value depends on besides the reading and the media type.
    """

    name: str
    host: str
    find_host: Callable[[str, str], TangoHost]
    conditions: tuple[str, ...]
    media_types: tuple[str, ...]
    render_value: Mapping[str, Callable[[Device, AttributeData], Rendered]]
    render_values: Callable[[Device, list[AttributeData]], Rendered]
    headers: Callable[[Rendered, float], list[tuple[str, str]]]
    form: Callable[[Device], Hashable]

    @property
    def endpoints(self) -> tuple[str, str]:
        return f"{self.name}.attributes.read_value", f"{self.name}.attributes.read_values"


def _by_media_type(
    in_json: Callable[[Device, AttributeData], Rendered], in_preferred: Callable[[Device, AttributeData], Rendered]
) -> dict[str, Callable[[Device, AttributeData], Rendered]]:
    return {media_types.JSON: in_json, media_types.OCTETS: in_preferred, media_types.NPY: in_preferred}


_RC3 = Version(
    "rc3",
    rf"({_NAME})/([0-9]{{1,5}})",
    urls.find_tango_host,
    ("HTTP_IF_NONE_MATCH",),
    tuple(media_types.FORMS),
    _by_media_type(rc3.attributes.render_value, rc3.attributes.render_preferred),
    rc3.attributes.render_values,
    reply.headers,
    lambda _: "rc3",
)
_V11 = Version(
    "v11",
    rf"({_NAME})(?:;port=([0-9]{{1,5}}))?",
    hosts.find_tango_host,
    ("HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE"),
    tuple(v11.attributes.FORMS),
    _by_media_type(v11.attributes.render_value, v11.attributes.render_preferred),
    v11.attributes.render_values,
    answers.headers,
    lambda device: (device.host.host, device.host.port, device.name),  # as the client writes them
)
_VERSIONS = (_RC3, *(_V11._replace(name=name) for name in v11.VERSIONS))


@dataclasses.dataclass(frozen=True)
class PreparedRead(Generic[T]):
    """A read of which everything but the reading itself is done.

    route: the URL rule of the Flask view; targets: the attributes, for the check of access; renderings: by media type.
    """

    version: Version
    route: str
    device: Device
    targets: tuple[Target, ...]
    read: Callable[[], Reading[T]]
    renderings: Mapping[str, Callable[[Device, T], Rendered]]

    def run(self, media_type: str, body_limit: float) -> tuple[Rendered, float]:
        """Read and return the rendered value, and when it was read (time.perf_counter()).

        A reading is rendered once for all requests that share it. media_type: the preferred one, in which texts may not
        be; body_limit: bytes of bodies that are kept for other requests.
        """
        reading, form = self.read(), (media_type, self.version.form(self.device))
        rendered: Rendered | None = reading.rendered.get(form)
        if rendered is None:
            rendered = self.renderings[media_type](self.device, reading.items)
            if rendered.media_type == media_type and len(rendered.body) <= body_limit:
                reading.rendered[form] = rendered
        return rendered, reading.began


class FastValues:
    """The fast path of an application."""

    def __init__(self, app: Flask, state: AppState) -> None:
        self._body_limit = _SMALL_BODY if state.config.value_max_age else math.inf
        self._state = state
        self._hooks = FlaskHooks(app, [endpoint for version in _VERSIONS for endpoint in version.endpoints])
        self._urls = [self._url_of(version, app) for version in _VERSIONS]
        self._prepare = functools.lru_cache(_PREPARED)(self._prepare_read)

    def _url_of(self, version: Version, app: Flask) -> tuple[re.Pattern[str], Version, list[str]]:
        """Return the expression of the URLs of a version, and the URL rules of its two views."""
        base = re.escape(f"{self._state.config.app_base}/{version.name}")
        device = rf"hosts/{version.host}/devices/({_NAME})/({_NAME})/({_NAME})"
        routes = [next(app.url_map.iter_rules(endpoint)).rule for endpoint in version.endpoints]
        return re.compile(rf"{base}/{device}/attributes(?:/({_NAME}))?/value"), version, routes

    def answer(self, context: RequestContext) -> tuple[bytes, list[tuple[str, str]]] | None:
        """Return body and headers for a plain request for values; None for any other request.

        Raises what the view would raise.
        """
        environ = context.environ
        path, parameters = environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", "")
        if (
            not path.endswith("/value")
            or environ["REQUEST_METHOD"] != "GET"
            or len(path) + len(parameters) > _LONGEST_URL
            or not self._hooks.are_own()
        ):
            return None
        prepared = self._prepare(path, parameters)
        if prepared is None or not _has_plain_headers(environ, prepared.version):
            return None
        media_type = media_types.ranked(environ.get("HTTP_ACCEPT", ""), prepared.version.media_types)[0]
        if media_type not in prepared.renderings:
            return None
        if not guard.allows_reads(context, prepared.targets):
            return None
        context.route, context.device = prepared.route, prepared.device.full_name
        rendered, began = prepared.run(media_type, self._body_limit)
        return rendered.body, prepared.version.headers(rendered, began)

    def _prepare_read(
        self, path: str, parameters: str
    ) -> PreparedRead[AttributeData] | PreparedRead[list[AttributeData]] | None:
        """Return the read that a URL asks for; None where it is not plain. Raises what the view would raise."""
        for url, version, routes in self._urls:
            parts = url.fullmatch(path)
            if parts is not None:
                return self._prepare_read_of(version, routes, parts, parameters)
        return None

    def _prepare_read_of(
        self, version: Version, routes: list[str], parts: re.Match[str], parameters: str
    ) -> PreparedRead[AttributeData] | PreparedRead[list[AttributeData]] | None:
        host, port, domain, family, member, attribute = parts.groups()
        if bool(attribute) == bool(parameters) or (parameters and not _QUERY.fullmatch(parameters)):
            return None
        device = Device(version.find_host(host, port or hosts.DEFAULT_PORT), f"{domain}/{family}/{member}")
        if attribute:
            return PreparedRead(
                version,
                routes[0],
                device,
                self._targets(device, [attribute]),
                lambda: device.read_value(attribute),
                version.render_value,
            )
        names = [parameter.removeprefix("attr=") for parameter in parameters.split("&")]
        query.check_names("attribute", names)
        return PreparedRead(
            version,
            routes[1],
            device,
            self._targets(device, names),
            lambda: device.read_values(names),
            {media_types.JSON: version.render_values},
        )

    def _targets(self, device: Device, names: list[str]) -> tuple[Target, ...]:
        """Return what has to be checked for each request."""
        if self._state.access.reads_are_open:
            return ()
        return tuple(request_targets.of_device(self._state, "read", "attribute", device, name) for name in names)


def _has_plain_headers(environ: WSGIEnvironment, version: Version) -> bool:
    """Return whether a request has no conditions, and a host that Flask accepts."""
    has_conditions = any(header in environ for header in version.conditions)
    return not has_conditions and urls.HOST_HEADER.fullmatch(environ.get("HTTP_HOST", "")) is not None

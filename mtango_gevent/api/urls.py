"""URLs: from their parts to TangoHost and Device, and back to links."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

from mtango_gevent.api import guard
from mtango_gevent.api.query import check_name, quoted
from mtango_gevent.api.request_context import app_state, config, current, http_request
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import TangoHost, find_host
from mtango_gevent.errors import ApiError, BadRequest

HOST_HEADER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(:[0-9]{1,5})?")

# An IPv6 address, with or without brackets.
_IPV6 = re.compile(r"(\[)?[0-9A-Fa-f:.]{2,45}(?(1)\])")

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}

# Methods of requests that may change something: their URL has to name the Tango host itself.
_WRITING = ("PUT", "POST", "DELETE")

HOST = "/hosts/<host>/<port>"
DEVICE = HOST + "/devices/<domain>/<family>/<member>"


def resolve(
    _endpoint: str | None, values: dict[str, Any] | None, find: Callable[[str, str], TangoHost] | None = None
) -> None:
    """Replace the parts of the URL by `tango_host`, or by `device` where they name one. Calls no device or database.

    find: returns the Tango host of a name and a port, in place of find_tango_host.
    Raises BadRequest for impossible names, and ApiError 404 for a Tango host that is not served.
    """
    method = http_request().method
    if not values or method == "OPTIONS":  # a page may read a failure only if the preflight has succeeded
        return
    if "property_name" in values:  # a path, of which werkzeug keeps the slash at the end
        values["property_name"] = values["property_name"].removesuffix("/")
    for kind, name in values.items():
        if kind == "host":
            check_host(name)
        elif kind != "port":
            check_name(kind, name)
    if "host" not in values:
        return
    find = find or functools.partial(find_tango_host, writing=method in _WRITING)
    host = find(values.pop("host"), values.pop("port"))
    if "member" in values:
        device = Device(host, "/".join(values.pop(part) for part in ("domain", "family", "member")))
        values["device"], current().device = device, device.full_name
    else:
        values["tango_host"] = host


def check_host(name: str) -> None:
    """Raise BadRequest for the name of a host that cannot be one."""
    if not _IPV6.fullmatch(name):
        check_name("host", name)


def find_tango_host(host: str, port: str, writing: bool = False) -> TangoHost:
    """Return the Tango host that a URL names. writing: for a request that may change something.

    Raises BadRequest for an impossible port, and ApiError 404 for a Tango host that is not served.
    """
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) < 65536):
        raise BadRequest(f"expected a port from 1 to 65535, got {quoted(port)}")
    found = find_host(app_state().client, host, int(port), writing, guard.check_credentials)
    if found is None:
        purpose = "" if config().tango_hosts else " to write to"
        given = quoted(f"{host}:{port}")
        description = f"expected TANGO_HOST or a Tango host of MTANGO_TANGO_HOSTS{purpose}, got {given}"
        raise ApiError(404, "MTANGO_UnknownTangoHost", description)
    return found


def base(version: str) -> str:
    """Return the absolute URL of a version of the API, without a slash at the end."""
    return f"{_root()}{quote(http_request().script_root)}{config().app_base}/{version}"


def _root() -> str:
    """Return scheme and host of the request, as a trusted proxy says where there is one.

    Raises BadRequest for an impossible Host or scheme. werkzeug's `host_url` has no host then, nor for names with `_`,
    which containers have.
    """
    environ, scheme = current().environ, http_request().scheme
    host = environ.get("HTTP_HOST", f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}")
    if not HOST_HEADER.fullmatch(host):
        raise BadRequest(f"expected a name or address in the header Host, with or without a port, got {quoted(host)}")
    if scheme not in _DEFAULT_PORTS:
        raise BadRequest(f"expected http or https in the header X-Forwarded-Proto, got {quoted(scheme)}")
    return f"{scheme}://{host.removesuffix(_DEFAULT_PORTS[scheme])}"


def of_host(version: str, host: TangoHost) -> str:
    return f"{base(version)}/hosts/{quote(host.host)}/{host.port}"


def of_devices(version: str, host: TangoHost) -> str:
    return f"{of_host(version, host)}/devices"


def of_device(version: str, device: Device, name: str) -> str:
    """Return the URL of a device. name: the spelling of the device's name in it."""
    return f"{of_devices(version, device.host)}/{path(name)}"


# Quote the name of a device as several segments of a path.
path = functools.lru_cache(maxsize=10_000)(quote)


def segment(name: str) -> str:
    """Quote a name as one segment of a path."""
    return quote(name, safe="")


def with_parameter(name: str, value: str) -> str:
    """Return the URL of this request with one parameter of its query changed."""
    request = http_request()
    parameters = [(key, text) for key, text in request.args.items(multi=True) if key != name]
    return f"{_root()}{quote(request.script_root + request.path)}?{urlencode([*parameters, (name, value)])}"

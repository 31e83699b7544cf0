"""The parts of a URL as TangoHost and Device, and back to links."""

from __future__ import annotations

import functools
import re
from typing import Any
from urllib.parse import quote, urlencode

from flask import request

from mtango_gevent.api.exchange import config, context
from mtango_gevent.api.query import check_name, quoted
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import TangoHost, find_host
from mtango_gevent.errors import ApiError, BadRequest

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(:[0-9]{1,5})?")

# An address, with or without the brackets that it has in front of a port.
_IPV6 = re.compile(r"(\[)?[0-9A-Fa-f:.]{2,45}(?(1)\])")

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}

# Methods that may change something: they have to name the Tango host that they mean.
_WRITING = ("PUT", "POST", "DELETE")

HOST = "/hosts/<host>/<port>"
DEVICE = HOST + "/devices/<domain>/<family>/<member>"


def resolve(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Replace the parts of the URL by what they stand for: `tango_host`, and `device` where there is one.

    Asks nothing of Tango. Raises BadRequest for names that cannot be, ApiError 404 for a host that is not served.
    """
    if not values or request.method == "OPTIONS":  # a preflight asks for nothing, and must succeed to show what fails
        return
    if "property_name" in values:  # a path, of which werkzeug leaves the slash at the end
        values["property_name"] = values["property_name"].removesuffix("/")
    for kind, name in values.items():
        if kind != "port" and not (kind == "host" and _IPV6.fullmatch(name)):
            check_name(kind, name)
    if "host" not in values:
        return
    tango_host = _find_host(values.pop("host"), values.pop("port"))
    if "domain" in values:
        name = "/".join(values.pop(part) for part in ("domain", "family", "member"))
        values["device"] = Device(tango_host, name)
    else:
        values["tango_host"] = tango_host


def _find_host(host: str, port: str) -> TangoHost:
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) < 65536):
        raise BadRequest(f"the port {quoted(port)} is not a number from 1 to 65535")
    found = find_host(context().client, host, int(port), writing=request.method in _WRITING)
    if found is None:
        listed = "nor is it in" if config().tango_hosts else "and nothing is written to another one that is not in"
        description = f"the Tango host {quoted(f'{host}:{port}')} is not TANGO_HOST, {listed} MTANGO_TANGO_HOSTS"
        raise ApiError(404, "MTANGO_UnknownTangoHost", description)
    return found


def base(version: str) -> str:
    """The absolute URL of one version of the API, without a slash at the end."""
    return f"{_root()}{quote(request.script_root)}{config().app_base}/{version}"


def _root() -> str:
    """Scheme and host as the client used them, or as a trusted proxy says. Raises BadRequest for an impossible Host.

    werkzeug's `host_url` would be without a host then, and also for names with `_`, which containers have.
    """
    server = f"{request.environ['SERVER_NAME']}:{request.environ['SERVER_PORT']}"
    host = request.environ.get("HTTP_HOST", server)
    if not _HOST.fullmatch(host):
        raise BadRequest(f"the header Host, {quoted(host)}, is not a name or address with or without a port")
    if request.scheme not in _DEFAULT_PORTS:
        raise BadRequest(f"the header X-Forwarded-Proto, {quoted(request.scheme)}, is neither http nor https")
    return f"{request.scheme}://{host.removesuffix(_DEFAULT_PORTS[request.scheme])}"


def of_host(version: str, host: TangoHost) -> str:
    return f"{base(version)}/hosts/{quote(host.host)}/{host.port}"


def of_devices(version: str, host: TangoHost) -> str:
    return f"{of_host(version, host)}/devices"


def of_device(version: str, device: Device, name: str) -> str:
    """name: the device's name as it shall stand in the link."""
    return f"{of_devices(version, device.host)}/{path(name)}"


# The name of a device as several parts of a path.
path = functools.lru_cache(maxsize=10_000)(quote)


def segment(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")


def with_parameter(name: str, value: str) -> str:
    """The URL of this request with one parameter of its query changed."""
    parameters = [(key, text) for key, text in request.args.items(multi=True) if key != name]
    return f"{_root()}{quote(request.script_root + request.path)}?{urlencode([*parameters, (name, value)])}"

"""URLs of v11: the Tango host is one part of the path, `host` or `host;port=10000`."""

from __future__ import annotations

import re
from typing import Any

from mtango_gevent.api import hosts, timestamps, urls
from mtango_gevent.api.request_context import current
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import TangoHost
from mtango_gevent.errors import ApiError, BadRequest
from mtango_gevent.values import JsonObject

HOST = "/hosts/<host>"
DEVICE = HOST + "/devices/<domain>/<family>/<member>"

path, segment = urls.path, urls.segment

_HOST = re.compile(r"([^;]*)(?:;port=([0-9]{1,5}))?")


def resolve(endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Replace the parts of the URL, as urls.resolve does. Raises BadRequest, too, for another parameter than `port`."""
    timestamps.use_milliseconds()
    if values and "host" in values:
        found = _HOST.fullmatch(values["host"])
        if found is None:
            raise BadRequest(f"expected a Tango host as host or host;port=10000, got {urls.quoted(values['host'])}")
        values["host"], values["port"] = found[1], found[2] or hosts.DEFAULT_PORT
    urls.resolve(endpoint, values, hosts.find_tango_host)


def parse_host(text: str) -> TangoHost | None:
    """Return the Tango host `host` or `host:port`; None for one that is not served."""
    try:
        return hosts.parse_host(text)
    except ApiError as refusal:
        if refusal.status not in (400, 404):
            raise
        return None


def base() -> str:
    """Return the absolute URL of the version that the request has, without a slash at the end."""
    return urls.base(current().view.endpoint.partition(".")[0])


def of_host(host: TangoHost) -> str:
    return f"{base()}/hosts/{segment(host.host)};port={host.port}"


def of_devices(host: TangoHost) -> str:
    return f"{of_host(host)}/devices"


def of_device(device: Device, name: str) -> str:
    """Return the URL of a device. name: the spelling of the device's name in it."""
    return f"{of_devices(device.host)}/{path(name)}"


def host_id(host: TangoHost) -> str:
    """Return `host:port` as the client calls the host."""
    return f"{host.host}:{host.port}"


def item(device: Device, device_name: str, name: str) -> JsonObject:
    """Return the keys with which each attribute, command and pipe begins.

    device_name: the spelling of the device's name.
    """
    host = host_id(device.host)
    return {"id": f"{host}/{device_name}/{name}", "name": name, "device": device_name, "host": host}


def of_item(device: Device, device_name: str, noun: str, name: str) -> str:
    """Return the URL of an attribute, command or pipe. noun: attributes, commands or pipes."""
    return f"{of_device(device, device_name)}/{noun}/{segment(name)}"

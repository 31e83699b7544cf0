"""URLs of v11: the Tango host is one part of the path, `host` or `host;port=10000`."""

from __future__ import annotations

import re
from typing import Any

from flask import request

from mtango_gevent.api import guard, timestamps, urls
from mtango_gevent.api.request_context import app_state
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import TangoHost, is_name_of_served_host
from mtango_gevent.errors import ApiError, BadRequest
from mtango_gevent.values import JsonObject

HOST = "/hosts/<host>"
DEVICE = HOST + "/devices/<domain>/<family>/<member>"

path, segment = urls.path, urls.segment

_HOST = re.compile(r"([^;]*)(?:;port=([0-9]{1,5}))?")

# The port at the end of `host:port`; an IPv6 address in front of it has brackets.
_WITH_PORT = re.compile(r"(?:^[^:]*|\]):[0-9]{1,5}$")

DEFAULT_PORT = "10000"


def resolve(endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Replace the parts of the URL, as urls.resolve does. Raises BadRequest, too, for another parameter than `port`."""
    timestamps.use_milliseconds()
    if values and "host" in values:
        found = _HOST.fullmatch(values["host"])
        if found is None:
            raise BadRequest(f"expected a Tango host as host or host;port=10000, got {urls.quoted(values['host'])}")
        values["host"], values["port"] = found[1], found[2] or DEFAULT_PORT
    urls.resolve(endpoint, values, find_tango_host)


def find_tango_host(host: str, port: str) -> TangoHost:
    """Return the Tango host of that name: one of MTANGO_TANGO_HOSTS, or TANGO_HOST by any name of its machine.

    Raises ApiError 400 for another port of such a host, and 404 for any other one. Contract: v11, decisions.
    """
    try:
        return urls.find_tango_host(host, port, writing=True)
    except ApiError as refusal:
        if refusal.status != 404:
            raise
    is_known = is_name_of_served_host(app_state().client, host, guard.check_credentials)
    expected = "the port of a Tango host" if is_known else "a Tango host"
    description = f"expected {expected} that is served, got {urls.quoted(f'{host}:{port}')}"
    raise ApiError(400 if is_known else 404, "MTANGO_UnknownTangoHost", description)


def parse_host(text: str) -> TangoHost | None:
    """Return the Tango host `host` or `host:port`; None for one that is not served."""
    host, _, port = text.rpartition(":") if _WITH_PORT.search(text) else (text, "", DEFAULT_PORT)
    try:
        urls.check_host(host)
        return find_tango_host(host, port)
    except ApiError as refusal:
        if refusal.status not in (400, 404):
            raise
        return None


def base() -> str:
    """Return the absolute URL of the version that the request has, without a slash at the end."""
    return urls.base(request.blueprints[-1])


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

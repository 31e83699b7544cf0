"""Tango hosts and devices as the clients of v11 and of the streams name them. Contract: v11, decisions."""

from __future__ import annotations

import re

from mtango_gevent.api import guard, urls
from mtango_gevent.api.query import check_name, quoted
from mtango_gevent.api.request_context import app_state
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import TangoHost, is_name_of_served_host, list_hosts
from mtango_gevent.errors import ApiError, BadRequest, NotFound

DEFAULT_PORT = "10000"

# The port at the end of `host:port`; an IPv6 address in front of it has brackets.
_WITH_PORT = re.compile(r"(?:^[^:]*|\]):[0-9]{1,5}$")


def find_tango_host(host: str, port: str) -> TangoHost:
    """Return the Tango host of that name: one of MTANGO_TANGO_HOSTS, or TANGO_HOST by any name of its machine.

    Raises ApiError 400 for another port of such a host, and 404 for any other one.
    """
    try:
        return urls.find_tango_host(host, port, writing=True)
    except ApiError as refusal:
        if refusal.status != 404:
            raise
    is_known = is_name_of_served_host(app_state().client, host, guard.check_credentials)
    expected = "the port of a Tango host" if is_known else "a Tango host"
    description = f"expected {expected} that is served, got {quoted(f'{host}:{port}')}"
    raise ApiError(400 if is_known else 404, "MTANGO_UnknownTangoHost", description)


def parse_host(text: str) -> TangoHost:
    """Return the Tango host `host` or `host:port`. Raises ApiError as find_tango_host does."""
    host, _, port = text.rpartition(":") if _WITH_PORT.search(text) else (text, "", DEFAULT_PORT)
    urls.check_host(host)
    return find_tango_host(host, port)


def find_device(host: str | None, name: str) -> Device:
    """Return the device of a name `a/b/c`. host: as for parse_host, None for the first one that is served.

    Raises ApiError as find_tango_host does, BadRequest for impossible names, and DevFailed.
    """
    parts = name.split("/")
    if len(parts) != 3:
        raise BadRequest(f"device: expected domain/family/member, got {quoted(name, 300)}")
    for kind, part in zip(("domain", "family", "member"), parts, strict=True):
        check_name(kind, part)
    device = Device(_first_host() if host is None else parse_host(host), name)
    guard.check_device(device)
    return device


def _first_host() -> TangoHost:
    served = list_hosts(app_state().client)
    if not served:
        raise NotFound("the gateway serves no Tango host")
    return served[0]

"""The devices that clients of streams name: with or without their Tango host."""

from __future__ import annotations

import re

from mtango_gevent.api import guard, urls
from mtango_gevent.api.query import check_name, quoted
from mtango_gevent.api.request_context import current
from mtango_gevent.control.client import TangoClient
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import TangoHost, list_hosts
from mtango_gevent.errors import BadRequest, NotFound

_DEVICE = re.compile(r"(?:tango://(\[[0-9A-Fa-f:.]+\]|[^/:]+):([0-9]+)/)?([^/]+)/([^/]+)/([^/]+)")


class DeviceFinder:
    """Finds devices by name, for one client. It remembers the Tango hosts that the client has named."""

    def __init__(self, client: TangoClient) -> None:
        self._client = client
        self._hosts: dict[tuple[str, str], TangoHost] = {}

    def __call__(self, name: str, attribute: str) -> Device:
        """Return the device of a name (`a/b/c` or `tango://host:port/a/b/c`), of which an attribute is wanted.

        Raises BadRequest for impossible names, ApiError 404 for a Tango host that is not served, and DevFailed.
        """
        found = _DEVICE.fullmatch(name)
        if found is None:
            raise BadRequest(f"device: expected a/b/c or tango://host:port/a/b/c, got {quoted(name, 300)}")
        host, port, *parts = found.groups()
        for kind, part in zip(("domain", "family", "member"), parts, strict=True):
            check_name(kind, part)
        check_name("attribute", attribute)
        device = Device(self._host(host or "", port or ""), "/".join(parts))
        state = current().state
        if state.tango_access or not state.access.is_open:
            guard.check_spelling(device)
        return device

    def _host(self, host: str, port: str) -> TangoHost:
        known = self._hosts.get((host, port))
        if known is None:
            known = self._hosts[host, port] = self._find_host(host, port)
        return known

    def _find_host(self, host: str, port: str) -> TangoHost:
        if host:
            urls.check_host(host)
            return urls.find_tango_host(host, port)
        served = list_hosts(self._client)
        if not served:
            raise NotFound("the gateway serves no Tango host")
        return served[0]

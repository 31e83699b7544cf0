"""Targets of requests, from the declaration of a view, the URL, and names in the query or body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtango_gevent.api.access import Action, Kind, Need, Target, comparable
from mtango_gevent.api.request_context import AppState
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import TangoHost

# The parts of a URL that name a device.
_DEVICE = ("domain", "family", "member")


def of_url(need: Need, values: Mapping[str, Any]) -> Target:
    """Return the target of the texts in a URL, before anything is known of them."""
    device = "/".join(str(values[part]) for part in _DEVICE) if "member" in values else ""
    host = (_host_of_url(values),) if "host" in values else ()
    return Target(need.action, need.kind, _name(need, values), comparable("device", device), host)


def _host_of_url(values: Mapping[str, Any]) -> str:
    """Return `host:port`. v11 has both in one part of a URL, `host;port=10000` or `host` with that port."""
    host, _, port = values["host"].partition(";port=")
    return f"{host}:{values.get('port', port or 10000)}"


def of_view(state: AppState, need: Need, values: Mapping[str, Any]) -> Target:
    """Return the target of a view, from what the parts of its URL have become."""
    name = _name(need, values)
    if "device" in values:
        return of_device(state, need.action, need.kind, values["device"], name)
    if "tango_host" in values:
        return _of_host(state, need.action, need.kind, values["tango_host"], "", name)
    return Target(need.action, need.kind, name)


def of_device(state: AppState, action: Action, kind: Kind, device: Device, name: str) -> Target:
    return _of_host(state, action, kind, device.host, device.name, name)


def _of_host(state: AppState, action: Action, kind: Kind, host: TangoHost, device: str, name: str) -> Target:
    return state.access.target(action, kind, name, device, host.names())


def _name(need: Need, values: Mapping[str, Any]) -> str:
    name = need.name or values.get("property_name" if need.kind == "property" else need.kind, "")
    return comparable(need.kind, name) if isinstance(name, str) else ""


def detail(need: Need, values: Mapping[str, Any]) -> str:
    """Return the part of a URL that is not in the target: the property of an attribute, or the cache."""
    return "" if need.kind == "property" else values.get("property_name", values.get("cache", ""))

"""Guard: the check of access of each request, for Flask's views and for fast values."""

from __future__ import annotations

from collections.abc import Iterable

from flask import current_app, request

from mtango_gevent.api.access import Action, Kind, Need, Target, declared
from mtango_gevent.api.request_context import RequestContext, current
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import TangoHost
from mtango_gevent.errors import ApiError
from mtango_gevent.names import folded


def check_view() -> None:
    """Raise ApiError where the client may not make this request of a view. OPTIONS is free.

    Flask calls this before it reads a body.
    """
    if request.method == "OPTIONS":
        return
    need = _need()
    if need is None:
        return
    context = current()
    if context.refusal is not None:
        raise context.refusal
    if not need.by_view:
        _check(context, _target_of_view(need))
        _check_tango_access(context, need)


def _need() -> Need | None:
    if request.endpoint is None:  # no such URL
        return Need("read", "gateway", "other")
    return declared(current_app.view_functions[request.endpoint], request.method)


def _target_of_view(need: Need) -> Target:
    values = request.view_args or {}
    name = need.name or values.get("property_name" if need.kind == "property" else need.kind, "")
    name = name if isinstance(name, str) else ""
    if "device" in values:
        return _target(need.action, need.kind, name, values["device"].host, values["device"].name)
    if "tango_host" in values:
        return _target(need.action, need.kind, name, values["tango_host"])
    return Target(need.action, need.kind, folded(name))


def _target(action: Action, kind: Kind, name: str, host: TangoHost, device: str = "") -> Target:
    return Target(action, kind, folded(name), folded(device), host.names())


def _check_tango_access(context: RequestContext, need: Need) -> None:
    device = (request.view_args or {}).get("device")
    if device is None or need.action == "read":
        return
    if need.in_database:  # as in libtango, which asks about the device that runs the command
        device = Device(device.host, context.state.config.database_device)
    _ask_tango(context, device, (request.view_args or {}).get("command", "") if need.action == "execute" else "")


def _ask_tango(context: RequestContext, device: Device, command: str = "") -> None:
    """Raise ApiError where the TangoAccessControl of the device's host refuses, if the settings ask for it."""
    asked = context.state.tango_access
    refusal = asked and asked.refusal(context.identity.user, context.environ.get("REMOTE_ADDR", ""), device, command)
    if refusal:
        raise refusal


def require(action: Action, kind: Kind, device: Device, names: Iterable[str]) -> None:
    """Raise ApiError where the client of the current request may not do this with one of the names."""
    for name in names:
        _check(current(), _target(action, kind, name, device.host, device.name))
    if action != "read":
        _ask_tango(current(), device)


def refusals(action: Action, kind: Kind, device: Device, names: Iterable[str]) -> dict[str, ApiError]:
    """Return the refusal of each name with which the client of the current request may not do this."""
    context = current()
    if action == "read" and context.state.access.is_open:
        return {}
    found = {name: _refusal(context, _target(action, kind, name, device.host, device.name)) for name in names}
    return {name: refusal for name, refusal in found.items() if refusal is not None}


def allows_reads(context: RequestContext, device: Device, attributes: Iterable[str]) -> bool:
    """Return whether the client of a request may read all these attributes."""
    if context.state.access.is_open:
        return True
    return context.refusal is None and not refusals("read", "attribute", device, attributes)


def allows(action: Action, part: str) -> bool:
    """Return whether the client of the current request may do this with a part of the gateway."""
    context = current()
    return context.refusal is None and _refusal(context, Target(action, "gateway", part)) is None


def _check(context: RequestContext, target: Target) -> None:
    refusal = _refusal(context, target)
    if refusal is not None:
        raise refusal


def _refusal(context: RequestContext, target: Target) -> ApiError | None:
    return context.state.access.refusal(context.identity, context.environ, target)

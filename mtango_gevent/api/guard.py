"""Guard: the check of access of each request, for Flask's views and for fast values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flask import current_app, request

from mtango_gevent.api import changes, writes
from mtango_gevent.api.access import Action, Kind, Need, Target, declared
from mtango_gevent.api.request_context import RequestContext, current
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import TangoHost
from mtango_gevent.errors import ApiError
from mtango_gevent.names import folded
from mtango_gevent.values import RawInput

# The parts of a URL that name a device.
DEVICE = ("domain", "family", "member")


def expect_change(values: Mapping[str, Any]) -> None:
    """Note for the audit log what a request changes, by the parts of its URL, before anything refuses it."""
    context = current()
    if not context.state.audit.is_on or request.method == "OPTIONS":
        return
    need = _need()
    if need is not None and need.action != "read" and need.changes:
        parts = {**values, "device": "/".join(str(values[part]) for part in DEVICE)} if "domain" in values else values
        host = (f"{parts['host']}:{parts['port']}",) if "host" in parts else ()
        target = Target(need.action, need.kind, _name(need, parts), folded(parts.get("device", "")), host)
        changes.expect(context, [target], _detail(need, parts))


def check_view() -> None:
    """Raise ApiError where the client may not make this request of a view. OPTIONS is free.

    Flask calls this before it reads a body.
    """
    if request.method == "OPTIONS":
        return
    need = _need()
    if need is None:
        return
    context, target = current(), _target_of_view(need)
    if context.changes:
        changes.expect(context, [target], _detail(need, request.view_args or {}))
    if context.refusal is not None:
        raise context.refusal
    if not need.by_view:
        _check(context, target)


def begin_change() -> None:
    """Note the new value of a change for the audit log. Called when the request has been read.

    Raises ApiError 503 where the audit log is required and cannot be written.
    """
    context = current()
    if context.changes:
        changes.note_new(context.changes, [writes.sent()])
        need = _need()
        if need is not None and not need.by_view:
            changes.begin(context, (request.view_args or {}).get("device"))


def _need() -> Need | None:
    if request.endpoint is None:  # no such URL
        return Need("read", "gateway", "other")
    return declared(current_app.view_functions[request.endpoint], request.method)


def _target_of_view(need: Need) -> Target:
    values = request.view_args or {}
    name = _name(need, values)
    if "device" in values:
        return _target(need.action, need.kind, name, values["device"].host, values["device"].name)
    if "tango_host" in values:
        return _target(need.action, need.kind, name, values["tango_host"])
    return Target(need.action, need.kind, name)


def _name(need: Need, values: Mapping[str, Any]) -> str:
    name = need.name or values.get("property_name" if need.kind == "property" else need.kind, "")
    return folded(name) if isinstance(name, str) else ""


def _detail(need: Need, values: Mapping[str, Any]) -> str:
    """Return what a URL names besides the target: the property of an attribute, or the cache."""
    return "" if need.kind == "property" else values.get("property_name", values.get("cache", ""))


def _target(action: Action, kind: Kind, name: str, host: TangoHost, device: str = "") -> Target:
    return Target(action, kind, folded(name), folded(device), host.names())


def require(action: Action, kind: Kind, device: Device, sent: Mapping[str, RawInput] | Mapping[str, list[str]]) -> None:
    """Raise ApiError where the client of the current request may not do this with one of the names.

    sent: the new values by name. Called once in a request, before the first change.
    """
    context, targets = current(), [_target(action, kind, name, device.host, device.name) for name in sent]
    if context.changes:
        changes.expect(context, targets)
        changes.note_new(context.changes, sent.values())
    for target in targets:
        _check(context, target)
    if context.changes:
        changes.begin(context, device)


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

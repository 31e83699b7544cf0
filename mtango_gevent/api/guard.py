"""Guard: the check of access of each request, for Flask's views and for fast values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from flask import current_app, request

from mtango_gevent.api import changes, writes
from mtango_gevent.api.access import Action, Decision, Kind, Need, Target, declared
from mtango_gevent.api.request_context import RequestContext, current
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import TangoHost
from mtango_gevent.errors import ApiError
from mtango_gevent.names import folded
from mtango_gevent.values import RawInput

# The parts of a URL that name a device.
_DEVICE = ("domain", "family", "member")


def expect_change(values: Mapping[str, Any]) -> None:
    """Note for the audit log what a request changes, by the parts of its URL, before anything refuses it."""
    context = current()
    if not context.state.audit.is_on or request.method == "OPTIONS":
        return
    need = _need()
    if need is not None and need.action != "read" and need.changes:
        device = "/".join(str(values[part]) for part in _DEVICE) if "domain" in values else ""
        host = (f"{values['host']}:{values['port']}",) if "host" in values else ()
        changes.expect(
            context, [Target(need.action, need.kind, _name(need, values), folded(device), host)], _detail(need, values)
        )


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
    target = _target_of_view(context, need)
    if context.changes:
        changes.expect(context, [target], _detail(need, request.view_args or {}))
    page_action = target.action if need.changes else "read"
    refusal = _refusal_of_page(context, page_action) or context.refusal
    if refusal is not None:
        raise refusal
    if not need.by_view:
        _check(context, target, (request.view_args or {}).get("device"), need.in_database)
    if context.state.tango_access or not context.state.access.is_open:
        _check_spelling((request.view_args or {}).get("device"))


def begin_change() -> None:
    """Note the new value of a change for the audit log. Flask calls this when the request has been read.

    Raises ApiError 503 where the line of the change is required and cannot be written.
    """
    context = current()
    if context.changes:
        changes.note_new(context.changes, [writes.sent()])
        need = _need()
        if need is not None and not need.by_view:
            changes.begin(context, (request.view_args or {}).get("device"))


def _check_spelling(device: Device | None) -> None:
    """Raise DevFailed for a name that a database may take for that of another device, with rules of its own.

    Debian's database compares names without accents and without blanks at the end.
    """
    if device is not None and not (device.name.isascii() and device.name == device.name.rstrip()):
        device.find_name()


def check_credentials() -> None:
    """Raise ApiError for wrong credentials, and for a page or an anonymous client that may not even read."""
    context = current()
    refusal = (
        _refusal_of_page(context, "read")
        or context.refusal
        or context.state.access.refusal_of_anonymous(context.identity)
    )
    if refusal is not None:
        raise refusal


def _refusal_of_page(context: RequestContext, action: Action) -> ApiError | None:
    is_anonymous = context.identity.is_anonymous and context.refusal is None
    return context.state.access.cross_site.refusal(context.environ, action, is_anonymous)


def _need() -> Need | None:
    if request.endpoint is None:  # no such URL
        return Need("read", "gateway", "other")
    return declared(current_app.view_functions[request.endpoint], request.method)


def _target_of_view(context: RequestContext, need: Need) -> Target:
    values = request.view_args or {}
    name = _name(need, values)
    if "device" in values:
        return _target(context, need.action, need.kind, name, values["device"].host, values["device"].name)
    if "tango_host" in values:
        return _target(context, need.action, need.kind, name, values["tango_host"])
    return Target(need.action, need.kind, name)


def _name(need: Need, values: Mapping[str, Any]) -> str:
    name = need.name or values.get("property_name" if need.kind == "property" else need.kind, "")
    return folded(name) if isinstance(name, str) else ""


def _detail(need: Need, values: Mapping[str, Any]) -> str:
    """Return what a URL names besides the target: the property of an attribute, or the cache."""
    return "" if need.kind == "property" else values.get("property_name", values.get("cache", ""))


def _target(
    context: RequestContext, action: Action, kind: Kind, name: str, host: TangoHost, device: str = ""
) -> Target:
    return context.state.access.target(action, kind, name, device, host.names())


def require(action: Action, kind: Kind, device: Device, names: Iterable[str]) -> None:
    """Raise ApiError where the client of the current request may not do this with one of the names."""
    check = checker(action, kind, device)
    for name in names:
        check(name)


def begin_changes(
    action: Action, kind: Kind, device: Device, sent: Mapping[str, RawInput] | Mapping[str, list[str]]
) -> None:
    """Check and begin the changes of a view that makes several of them. sent: the new values by name.

    Raises ApiError where the client of the current request may not make one of them, and as begin_change does.
    """
    context = current()
    if context.changes:
        targets = [_target(context, action, kind, name, device.host, device.name) for name in sent]
        changes.expect(context, targets)
        changes.note_new(context.changes, sent.values())
    require(action, kind, device, sent)
    if context.changes:
        changes.begin(context, device)


def checker(action: Action, kind: Kind, device: Device) -> Callable[[str], None]:
    """Return a function that raises ApiError where the client of the current request may not do this with a name.

    The function may be called after the request has ended.
    """
    context = current()
    return lambda name: _check(context, _target(context, action, kind, name, device.host, device.name), device)


def refusals(action: Action, kind: Kind, device: Device, names: Iterable[str]) -> dict[str, ApiError]:
    """Return the refusal of each name with which the client of the current request may not do this."""
    context = current()
    if action == "read" and context.state.access.is_open:
        return {}
    found = {name: _refusal(context, _target(context, action, kind, name, device.host, device.name)) for name in names}
    return {name: refusal for name, refusal in found.items() if refusal is not None}


def refused_items(kind: Kind, device: Device, names: Collection[str]) -> dict[str, ApiError]:
    """Return the refusal of each name that the client of the current request may not read.

    Raises ApiError where all of them are refused; without names, where the client may not read the device.
    """
    if not names:
        require("read", "device", device, [""])
    refused = refusals("read", kind, device, names)
    if refused and all(name in refused for name in names):
        raise next(iter(refused.values()))
    return refused


def allows_reads(context: RequestContext, device: Device, attributes: Iterable[str]) -> bool:
    """Return whether the client of a request may read all these attributes."""
    if context.state.access.reads_are_open:
        return True
    if context.refusal is not None or _refusal_of_page(context, "read") is not None:
        return False
    if context.state.access.is_open:
        return True
    targets = (_target(context, "read", "attribute", name, device.host, device.name) for name in attributes)
    return all(_refusal(context, target) is None for target in targets)


def allows(action: Action, part: str) -> bool:
    """Return whether the client of the current request may do this with a part of the gateway."""
    context = current()
    if context.refusal is not None or _refusal_of_page(context, action) is not None:
        return False
    return _refusal(context, Target(action, "gateway", part)) is None


def explain(action: Action, kind: Kind, name: str, device: Device | None) -> tuple[Target, Decision]:
    """Return whether the client of the current request may do something, and what that is, without doing it.

    device: None for a part of the gateway.
    """
    context = current()
    host_names = device.host.names() if device else ()
    target = context.state.access.target(action, kind, name, device.name if device else "", host_names)
    decision = context.state.access.decide(context.identity, context.environ, target)
    refusal = _refusal_of_tango(context, target, device) if decision.allowed else None
    return target, Decision(False, refusal.description) if refusal else decision


def _check(context: RequestContext, target: Target, device: Device | None = None, in_database: bool = False) -> None:
    """Raise ApiError where the client may not do this. device: the one of the target; in_database: as for Need."""
    refusal = _refusal(context, target) or _refusal_of_tango(context, target, device, in_database)
    if refusal is not None:
        raise refusal


def _refusal_of_tango(
    context: RequestContext, target: Target, device: Device | None, in_database: bool = False
) -> ApiError | None:
    """Return the refusal of a change by the TangoAccessControl of its host, if the settings ask for it."""
    asked = context.state.tango_access
    if asked is None or device is None or target.action == "read":
        return None
    if in_database or target.kind == "property":  # libtango asks for access to the device that does it
        device = Device(device.host, context.state.config.database_device)
    address, command = context.environ.get("REMOTE_ADDR", ""), target.name if target.kind == "command" else ""
    return asked.refusal(context.identity.user, address, device, command)


def _refusal(context: RequestContext, target: Target) -> ApiError | None:
    return context.state.access.refusal(context.identity, context.environ, target)

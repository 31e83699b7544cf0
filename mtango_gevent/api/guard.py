"""Guard: the check of access of each request, for Flask's views and for fast values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from flask import current_app, request

from mtango_gevent.api.access import Action, Decision, Kind, Need, Target, declared
from mtango_gevent.api.request_context import RequestContext, current
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import TangoHost
from mtango_gevent.errors import ApiError


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
    refusal = _refusal_of_page(context, target.action) or context.refusal
    if refusal is not None:
        raise refusal
    if not need.by_view:
        _check(context, target)
    if not context.state.access.is_open:
        _check_spelling((request.view_args or {}).get("device"))


def _check_spelling(device: Device | None) -> None:
    """Raise DevFailed for a name that a database may take for that of another device, with rules of its own.

    Debian's database compares names without accents and without blanks at the end.
    """
    if device is not None and not (device.name.isascii() and device.name == device.name.rstrip()):
        device.find_name()


def check_credentials() -> None:
    """Raise ApiError for wrong credentials, and for an anonymous client where only users are served."""
    context = current()
    if context.refusal is not None:
        raise context.refusal
    refusal = context.state.access.refusal_of_anonymous(context.identity)
    if refusal is not None:
        raise refusal


def _refusal_of_page(context: RequestContext, action: Action) -> ApiError | None:
    return context.state.access.cross_site.refusal(context.environ, action)


def _need() -> Need | None:
    if request.endpoint is None:  # no such URL
        return Need("read", "gateway", "other")
    return declared(current_app.view_functions[request.endpoint], request.method)


def _target_of_view(context: RequestContext, need: Need) -> Target:
    values = request.view_args or {}
    name = need.name or values.get("property_name" if need.kind == "property" else need.kind, "")
    name = name if isinstance(name, str) else ""
    if "device" in values:
        return _target(context, need.action, need.kind, name, values["device"].host, values["device"].name)
    if "tango_host" in values:
        return _target(context, need.action, need.kind, name, values["tango_host"])
    return Target(need.action, need.kind, name)


def _target(
    context: RequestContext, action: Action, kind: Kind, name: str, host: TangoHost, device: str = ""
) -> Target:
    return context.state.access.target(action, kind, name, device, host.names())


def require(action: Action, kind: Kind, device: Device, names: Iterable[str]) -> None:
    """Raise ApiError where the client of the current request may not do this with one of the names."""
    check = checker(action, kind, device)
    for name in names:
        check(name)


def checker(action: Action, kind: Kind, device: Device) -> Callable[[str], None]:
    """Return a function that raises ApiError where the client of the current request may not do this with a name.

    The function may be called after the request has ended.
    """
    context = current()
    return lambda name: _check(context, _target(context, action, kind, name, device.host, device.name))


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
    return not refusals("read", "attribute", device, attributes)


def allows(action: Action, part: str) -> bool:
    """Return whether the client of the current request may do this with a part of the gateway."""
    context = current()
    return context.refusal is None and _refusal(context, Target(action, "gateway", part)) is None


def explain(action: Action, kind: Kind, name: str, device: Device | None) -> tuple[Target, Decision]:
    """Return whether the client of the current request may do something, and what that is, without doing it.

    device: None for a part of the gateway.
    """
    context = current()
    host_names = device.host.names() if device else ()
    target = context.state.access.target(action, kind, name, device.name if device else "", host_names)
    return target, context.state.access.decide(context.identity, context.environ, target)


def _check(context: RequestContext, target: Target) -> None:
    refusal = _refusal(context, target)
    if refusal is not None:
        raise refusal


def _refusal(context: RequestContext, target: Target) -> ApiError | None:
    return context.state.access.refusal(context.identity, context.environ, target)

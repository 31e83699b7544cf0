"""Guard: the check of access of each request, for Flask's views and for fast values."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable

from mtango_gevent.api import request_targets
from mtango_gevent.api.access import Action, Kind, Target
from mtango_gevent.api.request_context import Checked, RequestContext, current
from mtango_gevent.control.device import Device
from mtango_gevent.errors import ApiError

# Seconds after which a decision is made again, as rules and credentials may have changed.
_VALID = 1.0

# --- before the view ---


def check_view(context: RequestContext) -> None:
    """Raise ApiError where the client may not make this request of a view. To be called before a body is read."""
    need, device = context.view.need, context.view.device
    if need is None:
        return
    target = request_targets.of_view(context.state, need, context.view.values)
    page_action = target.action if need.changes else "read"
    refusal = _refusal_of_page(context, page_action) or context.refusal
    if refusal is not None:
        raise refusal
    if not need.by_view:
        _check(context, Checked(target, device, need.in_database))
    check_device(device)


def check_after_body(context: RequestContext) -> None:
    """Check a request again whose body took long. To be called when the body has been read."""
    if time.perf_counter() - context.began > _VALID and context.view.need is not None:
        check_again(context)


def check_again(context: RequestContext) -> None:
    """Raise ApiError where the client of a request may no longer do all that it was allowed.

    May be called after the request has ended.
    """
    if not context.state.access.is_open:
        try:
            context.identity = context.state.access.authenticate(context.environ)
        except ApiError as refusal:  # which may be kept for other requests
            raise refusal.copy() from None
    for checked in context.state.client.concurrency.in_turns(list(context.checked)):
        _raise_refusal(context, checked)


def check_device(device: Device | None) -> None:
    """Raise DevFailed as check_spelling does, where devices have rules."""
    state = current().state
    if state.tango_access or not state.access.is_open:
        check_spelling(device)


def check_spelling(device: Device | None) -> None:
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


def check_page(action: Action) -> None:
    """Raise ApiError for a page that may not do this, in a free view."""
    refusal = _refusal_of_page(current(), action)
    if refusal is not None:
        raise refusal


def check_handshake() -> None:
    """Raise ApiError for a page of another origin that opens a WebSocket, unless the settings list its origin."""
    context = current()
    cross_site, is_anonymous = context.state.access.cross_site, context.identity.is_anonymous
    refusal = cross_site.refusal_of_handshake(context.environ, is_anonymous)
    if refusal is not None:
        raise refusal


def _refusal_of_page(context: RequestContext, action: Action) -> ApiError | None:
    is_anonymous = context.identity.is_anonymous and context.refusal is None
    return context.state.access.cross_site.refusal(context.environ, action, is_anonymous)


# --- names in a query or body ---


def require(action: Action, kind: Kind, device: Device, names: Iterable[str]) -> None:
    """Raise ApiError where the client of the current request may not do this with one of the names."""
    check = checker(action, kind, device)
    for name in current().state.client.concurrency.in_turns(names):
        check(name)


def checker(action: Action, kind: Kind, device: Device) -> Callable[[str], None]:
    """Return a function that raises ApiError where the client of the current request may not do this with a name.

    The function may be called after the request has ended.
    """
    context = current()

    def check(name: str) -> None:
        _check(context, Checked(request_targets.of_device(context.state, action, kind, device, name), device))

    return check


def refusals(action: Action, kind: Kind, device: Device, names: Iterable[str]) -> dict[str, ApiError]:
    """Return the refusal of each name with which the client of the current request may not do this."""
    context = current()
    if action == "read" and context.state.access.is_open:
        return {}
    found: dict[str, ApiError] = {}
    for name in context.state.client.concurrency.in_turns(names):
        refusal = _refusal(context, request_targets.of_device(context.state, action, kind, device, name))
        if refusal is not None:
            found[name] = refusal
    return found


def refusal(action: Action, kind: Kind, device: Device, name: str = "") -> ApiError | None:
    """Return why the client of the current request may not do this; a device without a name is the Tango host."""
    try:
        checker(action, kind, device)(name)
    except ApiError as found:
        return found
    return None


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


# --- requests without a view ---


def allows_reads(context: RequestContext, targets: tuple[Target, ...]) -> bool:
    """Return whether the client of a request may read all these targets."""
    access = context.state.access
    if access.reads_are_open:
        return True
    if context.refusal is not None or _refusal_of_page(context, "read") is not None:
        return False
    return access.is_open or access.allows(context.identity, context.environ, targets)


def allows(action: Action, part: str) -> bool:
    """Return whether the client of the current request may do this with a part of the gateway."""
    context = current()
    if context.refusal is not None or _refusal_of_page(context, action) is not None:
        return False
    return _refusal(context, Target(action, "gateway", part)) is None


# --- decisions ---


def _check(context: RequestContext, checked: Checked) -> None:
    """Raise ApiError where the client may not do this; else keep it for check_again."""
    _raise_refusal(context, checked)
    context.checked.append(checked)


def _raise_refusal(context: RequestContext, checked: Checked) -> None:
    refusal = _refusal(context, checked.target) or refusal_of_tango(context, checked)
    if refusal is not None:
        raise refusal


def refusal_of_tango(context: RequestContext, checked: Checked) -> ApiError | None:
    """Return the refusal of a change by the TangoAccessControl of its host, if the settings ask for it."""
    asked, (target, device, in_database) = context.state.tango_access, checked
    if asked is None or device is None or target.action == "read":
        return None
    if in_database or target.kind == "property":  # libtango asks for access to the device that does it
        device = Device(device.host, context.state.config.database_device)
    address, command = context.environ.get("REMOTE_ADDR", ""), target.name if target.kind == "command" else ""
    return asked.refusal(context.identity.user, address, device, command)


def _refusal(context: RequestContext, target: Target) -> ApiError | None:
    return context.state.access.refusal(context.identity, context.environ, target)

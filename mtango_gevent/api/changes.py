"""Changes of a request, and their lines in the audit log. Without an audit log a request has none."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from mtango_gevent import values
from mtango_gevent.api import guard, request_targets, writes
from mtango_gevent.api.access import VALUE, Action, Change, Kind, Origin, Target, comparable
from mtango_gevent.api.request_context import RequestContext, current
from mtango_gevent.control.device import Device
from mtango_gevent.errors import ApiError, DevFailed, as_failure, in_one_line, outcome_is_unknown
from mtango_gevent.values import RawInput

logger = logging.getLogger(__name__)


# --- before a change ---


def expect_url(context: RequestContext) -> None:
    """Note the change of a request by the parts of its URL, before anything refuses it."""
    need, values = context.view.need, context.view.values
    if context.state.audit.is_on and need is not None and need.changes:
        _expect(context, [request_targets.of_url(need, values)], request_targets.detail(need, values))


def expect_view(context: RequestContext) -> None:
    """Note the change of a request by its target. To be called before the request is checked."""
    need = context.view.need if context.changes else None
    if need is not None:
        target = request_targets.of_view(context.state, need, context.view.values)
        _expect(context, [target], context.changes[0].detail)


def _expect(context: RequestContext, targets: Iterable[Target], detail: str = "") -> None:
    """Note the changes of a request, in place of those noted before.

    detail: the property of an attribute, or the cache.
    """
    context.changes = [Change(target, detail) for target in targets if target.action != "read"]


def begin_change(context: RequestContext) -> None:
    """Note the new value of a change, and begin it. To be called when the request has been read and checked.

    Raises ApiError 503 where the line of the change is required and cannot be written.
    """
    if context.changes:
        _note_new(context.changes, [writes.sent()])
        need = context.view.need
        if need is not None and not need.by_view:
            _begin(context, context.view.device)


def begin_changes(
    action: Action, kind: Kind, device: Device, sent: Mapping[str, RawInput] | Mapping[str, list[str]]
) -> None:
    """Check and begin the changes of a view that makes several of them. sent: the new values by name.

    Raises ApiError where the client of the current request may not make one of them, and as begin_change does.
    """
    context = current()
    if context.changes:
        _expect(context, [request_targets.of_device(context.state, action, kind, device, name) for name in sent])
        _note_new(context.changes, sent.values())
    guard.require(action, kind, device, sent)
    if context.changes:
        _begin(context, device)


def begin_items(
    action: Action, kind: Kind, items: Sequence[tuple[Device, str, RawInput]]
) -> list[tuple[ApiError | None, Change | None]]:
    """Check and begin the changes of a view that changes several devices; return the refusal and the change of each.

    items: (device, name, new value). Raises ApiError where all are refused, and as begin_change does.
    """
    context = current()
    noted = _expect_items(context, action, kind, items) if context.changes else [None] * len(items)
    refusals = [
        guard.refusal(action, kind, device, name)
        for device, name, _ in context.state.client.concurrency.in_turns(items)
    ]
    for refusal in refusals[:1]:
        if refusal is not None and all(refusals):
            raise refusal
    for change, (device, _, _), refusal in zip(noted, items, refusals, strict=True):
        if change is not None and refusal is not None:
            note_failure([change], refusal)
        elif change is not None:
            _note_known_value(change, device)
    context.state.audit.begin(_origin(context), [change for change in context.changes if not change.outcome])
    return list(zip(refusals, noted, strict=True))


def _expect_items(
    context: RequestContext, action: Action, kind: Kind, items: Sequence[tuple[Device, str, RawInput]]
) -> list[Change | None]:
    """Note the change of each item, with its new value; None for a command that only reads."""
    targets = [request_targets.of_device(context.state, action, kind, device, name) for device, name, _ in items]
    noted = [None if target.action == "read" else Change(target) for target in targets]
    for change, (_, _, raw) in zip(noted, items, strict=True):
        if change is not None:
            change.new = raw.brief(VALUE)
    context.changes = [change for change in noted if change is not None]
    return noted


def begin_deletions(names: Iterable[str]) -> None:
    """Begin the changes of properties that a replacement deletes. Raises ApiError as begin_change does."""
    context = current()
    deletions = [_deletion(context.changes[0].target, name) for name in names] if context.changes else []
    context.state.audit.begin(_origin(context), deletions)
    context.changes += deletions


def _deletion(target: Target, name: str) -> Change:
    """target: of another property of the device, or the attribute whose property it is."""
    if target.kind == "property":
        return Change(target._replace(name=comparable("property", name)))
    return Change(target, name)


def _begin(context: RequestContext, device: Device | None) -> None:
    """Note the old values that are known, and write the lines `begun` where they are required."""
    for change in context.changes:
        if device is not None:
            _note_known_value(change, device)
    context.state.audit.begin(_origin(context), context.changes)


def _note_known_value(change: Change, device: Device) -> None:
    if (change.target.action, change.target.kind) != ("write", "attribute"):
        return
    known = device.known_value(change.target.name)
    if known is not None:
        item, change.age = known
        try:
            change.old = values.brief_value(item, device.host.client.config.text_encoding)
        except Exception as error:  # no reason not to write
            logger.warning("the audit log cannot show an old value: %s", ascii(str(error)))


def _note_new(changes: Sequence[Change], new: Iterable[str | list[str] | RawInput]) -> None:
    """Note the new value of each change."""
    for change, value in zip(changes, new, strict=True):
        if isinstance(value, RawInput):
            value = value.brief(VALUE)
        change.new = value if isinstance(value, str) else values.shown(value, VALUE)


# --- during a change ---


def note_old(changes: Sequence[Change], old: Mapping[str, object]) -> None:
    """Note the old values that a change has read: of the properties of that name, else all of them as one value."""
    by_name = {comparable("property", name): value for name, value in old.items()}
    for change in changes:
        value = by_name.get(_key(change)) if change.names_property else old
        if value is not None and not isinstance(value, Exception):
            change.old = values.shown(value, VALUE)


def note_deleted(changes: list[Change], old: Mapping[str, object]) -> None:
    """Add a change for each property that was deleted as the request did not name it, unless it was begun.

    old: the values by name.
    """
    known = {_key(change) for change in changes}
    for name, value in old.items() if changes else ():
        if comparable("property", name) not in known:
            change = _deletion(changes[0].target, name)
            change.old, change.outcome = values.shown(value, VALUE), "ok"
            changes.append(change)


def note_outcomes(changes: Sequence[Change], failures: Mapping[str, Exception]) -> None:
    """Note the outcome of each change: the failure of its name, otherwise that it was made."""
    of_properties, others = (
        {comparable(kind, name): failure for name, failure in failures.items()} for kind in ("property", "attribute")
    )
    for change in changes:
        failure = (of_properties if change.names_property else others).get(_key(change))
        change.outcome = change.outcome or ("ok" if failure is None else _outcome(failure))


def note_failure(changes: Sequence[Change], error: BaseException) -> None:
    """Note why the changes without an outcome were not made."""
    for change in changes:
        change.outcome = change.outcome or _outcome(error)


def _key(change: Change) -> str:
    """Return the name of a change's own, as it is compared."""
    return comparable("property", change.detail) if change.detail else change.target.name


# --- its end ---


def later(
    device: Device, about: str, job: Callable[[list[Change]], object], part: Sequence[Change] | None = None
) -> None:
    """Queue the job of an asynchronous request, which takes its changes; their outcomes are lines of their own.

    part: those of the changes that the job makes, all by default. The client must still be allowed to make the changes
    when the job begins. Raises DevFailed when too many jobs wait.
    """
    context = current()
    audit, origin = context.state.audit, _origin(context)
    own = context.changes if part is None else part
    changes = [dataclasses.replace(change) for change in own]

    def run() -> None:
        try:
            guard.check_again(context)
            job(changes)
        except BaseException as error:
            note_failure(changes, error)
            raise
        finally:
            audit.write(origin, changes, "ok")

    device.later(about, run)
    for change in own:
        change.outcome = "accepted"


def raise_failures(failures: Iterable[Exception]) -> None:
    """Raise one DevFailed with the errors of all that failed, if any has."""
    errors = [error for failure in failures for error in as_failure(failure, "", "").args]
    if errors:
        raise DevFailed(*errors)


def give_up(context: RequestContext) -> None:
    """Write the lines of a request that the gateway does not finish."""
    context.state.audit.write(_origin(context), context.changes, "outcome unknown: the request was given up")


def finish(context: RequestContext, status: str) -> None:
    """Write the lines of a request. status: the HTTP status, where its view or a hook has not raised a failure."""
    if context.changes:
        context.state.audit.write(
            _origin(context), context.changes, "ok" if status < "400" else f"refused: HTTP {status}"
        )


def _origin(context: RequestContext) -> Origin:
    identity = context.identity
    return Origin(context.id, identity.user, identity.method, context.environ.get("REMOTE_ADDR") or "")


def _outcome(error: BaseException) -> str:
    if isinstance(error, ApiError):
        return f"refused: {error.reason}: {error.description}"
    if isinstance(error, DevFailed):
        return f"{'outcome unknown' if outcome_is_unknown(error) else 'failed'}: {in_one_line(error)}"
    return f"outcome unknown: {type(error).__name__}: {error}"

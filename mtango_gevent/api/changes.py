"""Changes: what a request changes, and its lines in the audit log. Without an audit log a request has none."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from mtango_gevent import values
from mtango_gevent.api.access import VALUE, Change, Origin, Target
from mtango_gevent.api.request_context import RequestContext, current
from mtango_gevent.control.device import Device
from mtango_gevent.errors import ApiError, DevFailed, as_failure, in_one_line, outcome_is_unknown
from mtango_gevent.names import folded
from mtango_gevent.values import RawInput

logger = logging.getLogger(__name__)


def expect(context: RequestContext, targets: Iterable[Target], detail: str = "") -> None:
    """Note what a request is about to change, in place of what was noted before.

    detail: the property of an attribute, or the cache.
    """
    context.changes = [Change(target, detail) for target in targets if target.action != "read"]


def begin(context: RequestContext, device: Device | None) -> None:
    """Note the old values that are known, and write the lines `begun` where they are required.

    Called before a change. Raises ApiError 503 where a line cannot be written.
    """
    for change in context.changes:
        if device is not None and (change.target.action, change.target.kind) == ("write", "attribute"):
            _note_known_value(change, device)
    context.state.audit.begin(_origin(context), context.changes)


def _note_known_value(change: Change, device: Device) -> None:
    known = device.known_value(change.target.name)
    if known is not None:
        item, change.age = known
        try:
            change.old = values.brief_value(item, device.host.client.config.text_encoding)
        except Exception as error:  # no reason not to write
            logger.warning("the audit log cannot show an old value: %s", ascii(str(error)))


def note_new(changes: Sequence[Change], new: Iterable[str | list[str] | RawInput]) -> None:
    """Note the new value of each change."""
    for change, value in zip(changes, new, strict=True):
        if isinstance(value, RawInput):
            value = value.brief(VALUE)
        change.new = value if isinstance(value, str) else values.shown(value, VALUE)


def note_old(changes: Sequence[Change], old: Mapping[str, object]) -> None:
    """Note the old values that a change has read: of the properties of that name, else all of them as one value."""
    by_name = {folded(name): value for name, value in old.items()}
    for change in changes:
        value = by_name.get(folded(change.detail or change.target.name)) if change.names_property else old
        if value is not None and not isinstance(value, Exception):
            change.old = values.shown(value, VALUE)


def note_deleted(changes: list[Change], old: Mapping[str, object]) -> None:
    """Add a change for each property that was deleted as the request did not name it. old: the values by name."""
    if changes:
        target = changes[0].target
        for name, value in old.items():
            named = (target._replace(name=folded(name)), "") if target.kind == "property" else (target, name)
            changes.append(Change(*named, old=values.shown(value, VALUE), outcome="ok"))


def note_outcomes(changes: Sequence[Change], failures: Mapping[str, Exception]) -> None:
    """Note the outcome of each change: the failure of its name, otherwise that it was made."""
    by_name = {folded(name): failure for name, failure in failures.items()}
    for change in changes:
        failure = by_name.get(folded(change.detail or change.target.name))
        change.outcome = change.outcome or ("ok" if failure is None else _outcome(failure))


def note_failure(changes: Sequence[Change], error: BaseException) -> None:
    """Note why the changes without an outcome were not made."""
    for change in changes:
        change.outcome = change.outcome or _outcome(error)


def later(device: Device, about: str, job: Callable[[list[Change]], object]) -> None:
    """Queue the job of an asynchronous request, which takes its changes; their outcomes are lines of their own.

    Raises DevFailed when too many jobs wait.
    """
    context = current()
    audit, origin = context.state.audit, _origin(context)
    changes = [dataclasses.replace(change) for change in context.changes]

    def run() -> None:
        try:
            job(changes)
        except BaseException as error:
            note_failure(changes, error)
            raise
        finally:
            audit.write(origin, changes, "ok")

    device.later(about, run)
    for change in context.changes:
        change.outcome = "accepted"


def raise_failures(failures: Iterable[Exception]) -> None:
    """Raise one DevFailed with the errors of all that failed, if any has."""
    errors = [error for failure in failures for error in as_failure(failure, "", "").args]
    if errors:
        raise DevFailed(*errors)


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

"""Events of attributes by long polls. Contract: v11, 3."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Blueprint, Response

from mtango_gevent.api import access, event_waits, guard, query, reply, value_shapes
from mtango_gevent.api.request_context import app_state, config, current
from mtango_gevent.control.device import Device
from mtango_gevent.control.events import Event, Listener
from mtango_gevent.errors import DevFailed
from mtango_gevent.values import JsonObject

blueprint = Blueprint("events", __name__)

DEFAULT_TIMEOUT = 3_000


@blueprint.get("/<attribute>/<any(change,periodic,archive,user):kind>")
@access.needs("read", "attribute")
def wait_for_event(device: Device, attribute: str, kind: str) -> Response:
    """Answer the next event, or with `last` a list of the events that are newer than it.

    Raises DevFailed, API_EventTimeout (503), where none comes in time.
    """
    seconds = min(query.whole_number("timeout", DEFAULT_TIMEOUT) / 1000, config().event_timeout)
    last = query.whole_number("last", 0)
    with device.listen(attribute, kind) as listener:
        if last:
            listener.go_behind(last, 1)
        event = event_waits.next_event(listener, seconds)
        guard.check_again(current())
        if event is None:
            raise event_waits.no_event(device, listener, kind, seconds)
        events = [event, *_others(listener)] if last else [event]
        listener.note(events[-1].time)
    if last:
        return reply.json([_shape(device, attribute, each) for each in app_state().client.concurrency.in_turns(events)])
    if event.failure is not None:
        raise DevFailed(*event.failure.args)
    return reply.json(_shape(device, attribute, event))


def _others(listener: Listener) -> Iterator[Event]:
    """Yield the other events that are there."""
    return iter(listener.take, None)


def _shape(device: Device, attribute: str, event: Event) -> JsonObject:
    if event.item is not None:
        return value_shapes.shape_value(device, event.item)
    stack = event.failure.args if event.failure else ()
    return {**value_shapes.shape_failure(device, attribute, DevFailed(*stack)), "timestamp": event.time}

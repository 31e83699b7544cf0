"""Events of attributes by long polls. Contract: rc3, 2.3 and Decisions "Events"."""

from __future__ import annotations

import time

from flask import Blueprint, Response

from mtango_gevent import values
from mtango_gevent.api import access, error_handlers, event_waits, failures, guard, query, reply, timestamps
from mtango_gevent.api.rc3.attributes import answer_value
from mtango_gevent.api.request_context import config, current
from mtango_gevent.control.device import Device
from mtango_gevent.control.events import Cursor, Listener
from mtango_gevent.errors import BadRequest, DevFailed, describe

blueprint = Blueprint("events", __name__)

DEFAULT_TIMEOUT = 30_000

# Headers: where the next request continues, and the number of events lost before this one, or `unknown`.
CURSOR, LOST = "X-Event-Cursor", "X-Event-Lost"

STATES = ("CONTINUATION", "INITIAL")


@blueprint.get("/<attribute>/<any(change,periodic,user,archive,alarm):kind>")
@access.needs("read", "attribute")
def wait_for_event(device: Device, attribute: str, kind: str) -> Response:
    """Answer the next event, the present value (`state=INITIAL`), or the first event after `last`.

    An event of a failed reading is that failure.
    """
    milliseconds = query.whole_number("timeout", DEFAULT_TIMEOUT)
    seconds = min(milliseconds / 1000, config().event_timeout)
    initial = query.choice("state", STATES) == "INITIAL"
    last = _last()
    try:
        listener = device.listen(attribute, kind)
    except DevFailed as failure:
        return _with_cursor(
            error_handlers.answer_tango_failure(failure), last if isinstance(last, Cursor) else Cursor.now()
        )
    with listener:
        response = _answer_initial(device, listener) if initial else _answer_next(device, listener, kind, last, seconds)
        if listener.lost != 0:
            response.headers[LOST] = "unknown" if listener.lost is None else str(listener.lost)
        return _with_cursor(response, listener.cursor)


def _last() -> Cursor | int | None:
    """Return the parameter `last`: a cursor or a timestamp."""
    text = query.single("last")
    if text is None or not text.startswith("e"):
        return query.whole_number("last")
    cursor = Cursor.parse(text)
    if cursor is None:
        raise BadRequest(f"last: expected a timestamp or the {CURSOR} of an answer, got {query.quoted(text)}")
    return cursor


def _with_cursor(response: Response, cursor: Cursor) -> Response:
    response.headers[CURSOR] = str(cursor)
    return response


def _answer_initial(device: Device, listener: Listener) -> Response:
    try:
        item = device.read_value(listener.attribute, kept=False).items
    except DevFailed as failure:
        return error_handlers.answer_tango_failure(failure)
    listener.note(timestamps.from_milliseconds(values.milliseconds(item.time)))
    return answer_value(device, item)


def _answer_next(device: Device, listener: Listener, kind: str, last: Cursor | int | None, seconds: float) -> Response:
    if isinstance(last, Cursor):
        listener.follow(last)
    elif last is not None:
        listener.go_behind(last, timestamps.unit())
    event = event_waits.next_event(listener, seconds)
    guard.check_again(current())
    if event is None:
        return _answer_nothing(device, listener, kind, seconds)
    listener.note(timestamps.from_milliseconds(event.time))
    if event.item is not None:
        return answer_value(device, event.item)
    if isinstance(last, int):  # a client that keeps timestamps of values gets the failure once
        listener.note(last)
    stack = event.failure.args if event.failure else ()
    return error_handlers.answer_tango_failure(DevFailed(*stack), event.time)


def _answer_nothing(device: Device, listener: Listener, kind: str, seconds: float) -> Response:
    """Answer that no event came in time: a failure for the client, but not one of the gateway."""
    nothing, now = event_waits.no_event(device, listener, kind, seconds), int(time.time() * 1000)
    listener.note(timestamps.from_milliseconds(now))
    return reply.json(failures.failure_body(describe(nothing), now))

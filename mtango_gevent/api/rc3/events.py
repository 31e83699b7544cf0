"""Events of attributes, as requests that wait for the next one. Contract: rc3, 2.3 and Decisions "Events"."""

from __future__ import annotations

import time

from flask import Blueprint, Response

from mtango_gevent.api import connection, failures, query, reply
from mtango_gevent.api.exchange import config
from mtango_gevent.api.rc3.attributes import answer_value
from mtango_gevent.control.buffer import Event
from mtango_gevent.control.device import Device
from mtango_gevent.control.subscription import Listener
from mtango_gevent.errors import DevFailed, tango_failure

blueprint = Blueprint("events", __name__)

DEFAULT_TIMEOUT = 30_000

# How often a request that waits looks whether its client is still there; seconds.
_LOOK_EVERY = 5.0
STATES = ("CONTINUATION", "INITIAL")


@blueprint.get("/<attribute>/<any(change,periodic,user,archive):kind>")
def wait_for_event(device: Device, attribute: str, kind: str) -> Response:
    """The next event, or with `state=INITIAL` the value of now; with `last` what came after that time, if anything did.

    An event that says that reading has failed is that failure.
    """
    milliseconds = query.whole_number("timeout", DEFAULT_TIMEOUT)
    seconds = min(milliseconds / 1000, config().event_timeout)
    last = query.whole_number("last")
    initial = query.choice("state", STATES) == "INITIAL"
    with device.listen(attribute, kind) as listener:
        if initial:
            return answer_value(device, device.read_value(attribute, kept=False).items)
        if last is not None:
            listener.go_behind(last, reply.unit())
        event = _next(listener, seconds)
    if event is None:
        ended = "before the server stops; ask again" if listener.stopping else f"within {seconds:g} s"
        raise tango_failure("API_EventTimeout", f"no {kind} event of {device.name}/{attribute} {ended}")
    if event.failure is not None:
        return failures.answer_tango_failure(DevFailed(*event.failure.args), event.time)
    return answer_value(device, event.item)


def _next(listener: Listener, seconds: float) -> Event | None:
    """The next event, unless the client goes meanwhile: then there is nobody to wait for it."""
    until = time.monotonic() + seconds
    while True:
        left = until - time.monotonic()
        event = listener.next(min(left, _LOOK_EVERY))
        if event is not None or left <= _LOOK_EVERY or listener.stopping or connection.is_lost():
            return event

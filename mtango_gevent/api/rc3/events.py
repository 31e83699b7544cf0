"""Events of attributes, as requests that wait for the next one. Contract: rc3, 2.3 and Decisions "Events"."""

from __future__ import annotations

from flask import Blueprint, Response

from mtango_gevent.api import query, reply
from mtango_gevent.api.context import config
from mtango_gevent.api.rc3.attributes import answer_value
from mtango_gevent.control.device import Device
from mtango_gevent.errors import tango_failure

blueprint = Blueprint("events", __name__)

DEFAULT_TIMEOUT = 30_000
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
            return answer_value(device, device.read_attribute(attribute), max_age=0)
        if last is not None:
            listener.go_back(lambda event: reply.timestamp(event.time) > last)
        event = listener.next(seconds)
    if event is None:
        ended = "before the server stops; ask again" if device.stopping else f"within {seconds:g} s"
        raise tango_failure("API_EventTimeout", f"no {kind} event of {device.name}/{attribute} {ended}")
    if event.failure is not None:
        raise event.failure
    return answer_value(device, event.item, max_age=0)

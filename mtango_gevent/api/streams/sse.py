"""Server-sent events, as tango-rest-client reads them. Contract: v11, 6."""

from __future__ import annotations

import re
import time

from mtango_gevent.api import reply
from mtango_gevent.api.value_shapes import bare_value
from mtango_gevent.control.device import Device
from mtango_gevent.control.events import Event
from mtango_gevent.errors import ApiError, DevFailed, as_failure, in_one_line

# The key under which an event keeps its record, without the line `event`.
_FORM = "sse"

_LINE_BREAKS = re.compile(r"[\r\n]+")

# What a client can begin with: a line that proxies and browsers pass on at once.
HEARTBEAT = b":\n\n"

# Milliseconds after which a client connects again: less than the two seconds for which its events are kept.
RETRY = b"retry: 1000\n\n"

# What a client is told when the gateway stops.
RECONNECT = b"retry: 1000\n: the gateway stops, connect again\n\n"


def record(number: int, device: Device, event: Event) -> bytes:
    """Return the record of an event. number: of its target."""
    shown = event.shown.get(_FORM)
    if shown is None:
        shown = event.shown[_FORM] = b"id: %d\ndata: %b\n\n" % (event.time, _data(device, event))
    return b"event: %d\n%b" % (number, shown)


def refusal(number: int, error: Exception) -> bytes:
    """Return the record of a target that cannot be followed."""
    failure = as_failure(error, "", "") if isinstance(error, (ApiError, DevFailed)) else error
    return b"event: %d\nid: %d\ndata: %b\n\n" % (number, int(time.time() * 1000), _error(failure))


def comment(text: str) -> bytes:
    return b": %b\n\n" % _LINE_BREAKS.sub(" ", text).encode("utf-8", "replace")


def _data(device: Device, event: Event) -> bytes:
    if event.item is None:
        return _error(event.failure)
    try:
        return reply.encode(bare_value(device, event.item))  # JSON has no line breaks
    except Exception as error:
        return _error(as_failure(error, "MTANGO_NotShown", "the gateway cannot show it"))


def _error(failure: Exception | None) -> bytes:
    text = in_one_line(failure) if isinstance(failure, DevFailed) else str(failure)
    return b"error: " + _LINE_BREAKS.sub(" ", text).encode("utf-8", "replace")

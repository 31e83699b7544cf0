"""Waiting for the next event of an attribute, in a request that is a long poll."""

from __future__ import annotations

import time

from mtango_gevent.api import connection
from mtango_gevent.api.request_context import current
from mtango_gevent.control.device import Device
from mtango_gevent.control.events import Event, Listener
from mtango_gevent.errors import DevFailed, tango_failure

# Seconds between two checks whether the client of a waiting request is still connected.
_CHECK_EVERY = 5.0


def next_event(listener: Listener, seconds: float) -> Event | None:
    """Wait for the next event; return None at the timeout, when the server stops, or when the client is gone."""
    until = time.monotonic() + seconds
    while True:
        left = until - time.monotonic()
        event = listener.next(min(left, _CHECK_EVERY))
        if event is not None or left <= _CHECK_EVERY or listener.stopping or connection.is_lost(current().environ):
            return event


def no_event(device: Device, listener: Listener, kind: str, seconds: float) -> DevFailed:
    """Return the failure of a request for which no event came."""
    ended = "before the server stops; ask again" if listener.stopping else f"within {seconds:g} s"
    return tango_failure("API_EventTimeout", f"no {kind} event of {device.name}/{listener.attribute} {ended}")

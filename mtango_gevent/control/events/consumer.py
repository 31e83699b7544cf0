"""Tango's event consumer: the threads of a process that receive the events of all its subscriptions."""

from __future__ import annotations

from typing import Any

import tango

from mtango_gevent.control.calls import NativeLock

# Seconds after which a thread looks again whether another one has made the consumer.
_LOOK_SECONDS = 0.01

# Of the process, as the consumer is.
_making = NativeLock()


def subscribe_event(proxy: tango.DeviceProxy, *arguments: Any) -> int:
    """Subscribe with a plain proxy and its arguments, and return Tango's number of it. Blocks its thread.

    Tango makes the consumer in the first call, without a lock: first calls at once make several (PyTango 10.3), which
    all receive each event, and pass some on twice and out of order. So one thread calls alone until it is made, which
    is before Tango asks any device. Raises DevFailed.
    """
    while not tango.ApiUtil.instance().is_zmq_event_consumer_created():
        if _making.acquire(timeout=_LOOK_SECONDS):
            try:
                return proxy.subscribe_event(*arguments)
            finally:
                _making.release()
    return proxy.subscribe_event(*arguments)

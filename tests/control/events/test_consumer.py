"""Tango's event consumer, which a process must have once."""

from __future__ import annotations

from pathlib import Path

import gevent

from tests.control.concurrency import new_device
from tests.patched_process import in_patched_process


@in_patched_process
def test_first_subscriptions_at_once_make_one_event_consumer(sender: str) -> None:
    devices = [new_device(sender) for _ in range(4)]
    for device in devices:
        device.describe_attribute("sent0")

    def listen(number: int) -> None:
        with devices[number % len(devices)].listen(f"sent{number}", "change"):
            pass

    gevent.joinall([gevent.spawn(listen, number) for number in range(8)], raise_error=True)
    names = [thread.read_text().strip() for thread in Path("/proc/self/task").glob("*/comm")]
    assert names.count("ZMQbg/Reaper") == 1  # of ZeroMQ, of which each consumer has a context

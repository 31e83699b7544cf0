"""Tango's event consumer, which a process must have once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gevent
import pytest
import tango

from mtango_gevent.control.events.consumer import subscribe_event
from tests.control.concurrency import native_sleep, new_device
from tests.patched_process import in_patched_process
from tests.waiting import wait_until


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


@pytest.mark.slow
@in_patched_process
def test_burst_of_events_waits_for_a_consumer_that_is_busy(sender: str) -> None:
    device, events, got = new_device(sender), 40_000, list[Any]()

    def receive(event: tango.EventData) -> None:
        if len(got) == 1:
            native_sleep(6.0)
        got.append(event.errors[0].reason if event.err else event.attr_value.value)

    proxy = tango.DeviceProxy(sender)
    subscribe_event(proxy, "sent0", tango.EventType.CHANGE_EVENT, receive)
    gevent.sleep(0.1)
    device.run_command(device.describe_command("Send"), [1, events, 10_000])
    wait_until(lambda: got[-1] == events, 60)
    assert got == list(range(events + 1))

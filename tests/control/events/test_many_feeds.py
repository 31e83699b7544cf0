"""Streams of hundreds and thousands of attributes, and hundreds of streams, in a process like a gunicorn worker."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import psutil
import pytest
import tango

from mtango_gevent.control.device import Device
from mtango_gevent.control.events import SUBSCRIBES_WITHOUT_READING, Listener, Stream
from mtango_gevent.demo.embedded import EmbeddedTango
from tests.control.concurrency import new_device
from tests.patched_process import in_patched_process
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timing]

DEVICES = str(Path(__file__).parents[2] / "devices.py")


def listen(device: Device, attribute: str) -> Callable[[], Listener]:
    return functools.partial(device.listen, attribute, "change", from_last=True)


def run(device: Device, command: str, argument: Any = None) -> None:
    device.run_command(device.describe_command(command), argument)


@pytest.fixture(scope="session")
def feed_devices(tango_system: EmbeddedTango) -> list[str]:
    """The names of 95 devices of two servers; the first 30 are those of one server."""
    names = [f"test/feeds/{number}" for number in range(95)]
    for server, own in (("hung", names[:30]), ("feeds", names[30:])):
        tango_system.add_server([sys.executable, DEVICES, server], f"Slow/{server}", dict.fromkeys(own, "Light"))
    return names


@pytest.mark.skipif(not SUBSCRIBES_WITHOUT_READING, reason="this PyTango reads the attribute as it subscribes")
@in_patched_process
def test_hundreds_of_feeds_begin_at_once_although_twenty_devices_hang(feed_devices: list[str]) -> None:
    first = new_device(feed_devices[0])
    devices = [Device(first.host, name) for name in feed_devices]
    hung = [tango.DeviceProxy(name) for name in feed_devices[:20]]
    for proxy in hung:
        proxy.command_inout_asynch("Hang", 20.0, True)
    stream = Stream(first.host.client.concurrency)
    began, latest, values = time.monotonic(), 0.0, set[Any]()
    for device in devices:
        for number in range(4):
            stream.add((device.name, number), listen(device, f"level{number}"))
    good = {(name, number) for name in feed_devices[20:] for number in range(4)}
    failures = Counter[str]()
    while not good <= values:
        for record in stream.take(1):
            if record.event.item is not None:
                values.add(record.feed.key)
                if record.feed.key in good:
                    latest = time.monotonic() - began
            elif record.feed.key in good:
                failures[record.event.failure.args[0].reason] += 1
        assert time.monotonic() < began + 60, (len(good - values), failures)
    print("seconds until the first value of all that answer:", latest, failures)
    assert not failures
    assert latest < 3 * 2
    os._exit(0)  # with calls of hanging devices in flight, an orderly end would be aborted


@pytest.fixture(scope="session")
def sending_devices(tango_system: EmbeddedTango) -> list[str]:
    """The names of 50 devices that send events of 100 attributes each; their server may keep a burst of all."""
    names = [f"test/sending/{number}" for number in range(50)]
    command = ["env", "TANGO_DS_EVENT_BUFFER_HWM=20000", sys.executable, DEVICES, "sending"]
    tango_system.add_server(command, "Slow/sending", dict.fromkeys(names, "Sender"))
    return names


def take_values(stream: Stream, devices: list[Device], events: int) -> tuple[dict[Any, list[int]], list[float]]:
    """Have all attributes send so many events, one per second, and take the records until each has its last value.

    Returns the values of each feed, and how many seconds after it was sent each was taken.
    """
    for device in devices:
        run(device, "Send", [100, events, 1])
    values, late = dict[Any, list[int]](), list[float]()
    missing, until = len(stream.feeds), time.monotonic() + events + 60
    while missing:
        assert time.monotonic() < until, Counter(len(of_feed) for of_feed in values.values())
        for record in stream.take(1):
            item = record.event.item
            values.setdefault(record.feed.key, []).append(item.value)
            late.append(time.time() - item.time.totime())
            missing -= len(values[record.feed.key]) == events
    return values, late


@in_patched_process
def test_five_thousand_feeds_of_one_client_are_never_late(sending_devices: list[str]) -> None:
    first = new_device(sending_devices[0])
    devices = [Device(first.host, name) for name in sending_devices]
    stream, began = Stream(first.host.client.concurrency), time.monotonic()
    before = psutil.Process().memory_info().rss
    for device in devices:
        for number in range(100):
            stream.add((device.name, number), listen(device, f"sent{number}"))
        gevent.sleep(0)
    begun = set[Any]()
    failures = Counter[str]()
    while len(begun) < 5000:
        for record in stream.take(1):
            if record.event.item:
                begun.add(record.feed.key)
            else:
                failures[record.event.failure.args[0].reason] += 1
        assert time.monotonic() < began + 60, (len(begun), failures)
    print(
        "begun after",
        time.monotonic() - began,
        failures,
        "KiB each",
        (psutil.Process().memory_info().rss - before) / 5000 / 1024,
    )
    # A server takes in new subscriptions as it sends: the first events of thousands may be lost.
    take_values(stream, devices, events=1)
    values, late = take_values(stream, devices, events=8)
    assert all(values[feed] == list(range(2, 10)) for feed in begun)
    late.sort()
    print("behind p50, p99, max:", [late[int(len(late) * part)] for part in (0.5, 0.99, 0.9999)])
    assert late[-1] < 3 * 1
    closing = time.monotonic()
    stream.close()
    print("closed after", time.monotonic() - closing)
    wait_until(lambda: not first.host.client.events.info()["subscriptions"])
    print("released after", time.monotonic() - closing)
    os._exit(0)

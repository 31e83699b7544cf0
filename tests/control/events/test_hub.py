"""The event hub, under greenlets and under threads."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import psutil
import pytest
import tango

from mtango_gevent.config import Config
from mtango_gevent.control.client import TangoClient
from mtango_gevent.control.device import Device
from mtango_gevent.control.events import SUBSCRIBES_WITHOUT_READING, Cursor, Event
from mtango_gevent.control.events.buffer import EventBuffer
from mtango_gevent.control.host import list_hosts
from mtango_gevent.control.records import _size
from mtango_gevent.demo.embedded import EmbeddedTango
from mtango_gevent.errors import tango_failure
from tests.control.concurrency import new_client, new_device, outcomes, reasons
from tests.patched_process import in_patched_process
from tests.pytango_process import PyTango
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


def send(device: Device, attributes: int, events: int, per_second: int) -> None:
    device.run_command(device.describe_command("Send"), [attributes, events, per_second])


@pytest.mark.parametrize(
    ("attributes", "events", "per_second"), [(1, 3000, 1000), pytest.param(100, 200, 100, marks=pytest.mark.timing)]
)
@in_patched_process
def test_listener_that_listens_on_gets_every_event_in_order(
    sender: str, attributes: int, events: int, per_second: int
) -> None:
    device, got = new_device(sender), [[] for _ in range(attributes)]
    hub = device.host.client.events

    def listen(number: int) -> None:
        with device.listen(f"sent{number}", "change") as listener:
            while len(got[number]) < events and (event := listener.next(30)):
                got[number].append(event.item.value)

    greenlets = [gevent.spawn(listen, number) for number in range(attributes)]
    wait_until(lambda: hub.info()["listeners"] == attributes)
    send(device, attributes, events, per_second)
    gevent.joinall(greenlets)
    assert sum(values == list(range(1, events + 1)) for values in got) == attributes
    assert (hub.info()["missed"], hub.info()["dropped"]) == (0, 0)


@in_patched_process
def test_full_buffer_drops_the_oldest_events_and_counts_them(sender: str) -> None:
    device = new_device(sender, event_buffer=10)
    hub = device.host.client.events
    with device.listen("sent0", "change") as listener:
        send(device, 1, 100, 1000)
        wait_until(lambda: hub.info()["received"] == 100)
        assert [listener.next(0).item.value for _ in range(10)] == list(range(91, 101))
        assert listener.next(0) is None
        assert hub.info()["dropped"] == 90


@in_patched_process
def test_event_limit_holds_while_subscriptions_are_made_and_a_failed_one_gives_its_place_back(sender: str) -> None:
    device, most = new_device(sender, event_limit=10), 0
    hub = device.host.client.events

    def listen(attribute: str) -> None:
        nonlocal most
        with device.listen(attribute, "change") as listener:
            most = max(most, hub.info()["listeners"])
            listener.next(1)

    assert reasons(outcomes(listen, 50, "sent0")) == ["MTANGO_TooManyListeners"] * 40
    assert most == 10
    for _ in range(2):
        assert reasons(outcomes(listen, 10, "nope")) == ["API_AttrNotFound"] * 10
    assert hub.places == 0


@pytest.fixture(scope="session")
def light_devices(tango_system: EmbeddedTango) -> list[str]:
    """The names of 75 devices of one server."""
    command = [sys.executable, str(Path(__file__).parents[2] / "devices.py"), "light"]
    names = [f"test/light/{number}" for number in range(75)]
    tango_system.add_server(command, "Slow/light", dict.fromkeys(names, "Light"))
    return names


@pytest.mark.skipif(not SUBSCRIBES_WITHOUT_READING, reason="this PyTango reads the attribute as it subscribes")
@in_patched_process
def test_devices_that_hang_delay_no_subscription_of_other_devices(light_devices: list[str]) -> None:
    first = new_device(light_devices[0])
    hanging, others = (
        [Device(first.host, name) for name in names] for names in (light_devices[:20], light_devices[20:])
    )
    for device in [*hanging, *others]:  # connections to one server are made two at a time
        device.read_attribute("level0")
    for device in hanging:
        tango.DeviceProxy(device.name).command_inout_asynch("Hang", 20.0, True)
    seconds: dict[str, list[float]] = {device.name: [] for device in [*hanging, *others]}
    got, began = [], time.monotonic()

    def listen(device: Device, attribute: str) -> None:
        with device.listen(attribute, "change") as listener:
            seconds[device.name].append(time.monotonic() - began)
            event = listener.next(30)
            got.append(event and event.item and event.item.value)

    for number in range(4):
        for device in [*hanging, *others]:
            gevent.spawn(listen, device, f"level{number}")
    wait_until(lambda: all(len(each) == 4 for each in seconds.values()))
    latest = max(max(seconds[device.name]) for device in others)
    print("seconds until all listen:", latest, "those that hang:", max(max(seconds[device.name]) for device in hanging))
    assert latest < 3 * 2

    step = others[0].describe_command("Step")
    for device in others:
        device.run_command(step, None)
    wait_until(lambda: len(got) >= 4 * len(others))
    assert got == [1] * 4 * len(others)
    os._exit(0)  # with calls of hanging devices in flight, an orderly end would be aborted


@in_patched_process
def test_large_values_are_kept_within_event_memory() -> None:
    device = new_device("sys/tg_test/1", event_memory=3 * 251 * 251 * 8, event_poll_period=0.05)
    hub = device.host.client.events
    with device.listen("double_image_ro", "periodic") as listener:
        wait_until(lambda: hub.info()["received"] >= 6)
        gevent.sleep(0)
        received = hub.info()["received"]
        kept = 0
        while listener.next(0) is not None and kept < received:
            kept += 1
    assert 1 <= kept <= 3
    assert hub.info()["dropped"] >= 2


@in_patched_process
def test_hundred_waiting_listeners_cost_no_thread_and_a_killed_one_is_forgotten(sender: str) -> None:
    device, got = new_device(sender), []
    hub = device.host.client.events
    with device.listen("sent0", "change"):
        threads = len(psutil.Process().threads())

    def wait() -> None:
        with device.listen("sent0", "change") as listener:
            got.append(listener.next(30).item.value)

    waiting = [gevent.spawn(wait) for _ in range(101)]
    wait_until(lambda: hub.info()["listeners"] == 101)
    assert len(psutil.Process().threads()) == threads
    waiting.pop().kill()
    send(device, 1, 1, 1)
    gevent.joinall(waiting)
    assert got == [1] * 100
    assert (hub.info()["subscriptions"], hub.info()["listeners"]) == (1, 0)


@pytest.fixture
def device(sender: str) -> Iterator[Device]:
    """A device that is not read any more after the test."""
    client = TangoClient(Config(event_poll_period=0.05))
    yield Device(list_hosts(client)[0], sender)
    client.events.clear()
    wait_until(lambda: not client.events.info()["subscriptions"])


def test_threads_listen_too(device: Device, pytango: PyTango) -> None:
    got, hub = [], device.host.client.events

    def wait() -> None:
        with device.listen("sent0", "change") as listener:
            event = listener.next(30)
            got.append(event and event.item.value)

    threads = [threading.Thread(target=wait) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: hub.info()["listeners"] == 8)
    pytango.run(device.name, "SendOne", "change")
    for thread in threads:
        thread.join(30)
    assert got == [1] * 8
    assert hub.info()["subscriptions"] == 1
    hub.clear()


def test_each_listener_goes_at_its_own_pace(device: Device, pytango: PyTango) -> None:
    with device.listen("sent0", "change") as early:
        pytango.run(device.name, "SendOne", "change")
        assert early.next(30).item.value == 1
        with device.listen("sent0", "change") as late:
            pytango.run(device.name, "SendOne", "change")
            assert (early.next(30).item.value, late.next(30).item.value) == (2, 2)
            assert early.next(0) is late.next(0) is None
    device.host.client.events.clear()


def test_kinds_are_apart(device: Device, pytango: PyTango) -> None:
    with device.listen("sent0", "change") as change, device.listen("sent0", "user") as user:
        pytango.run(device.name, "SendOne", "user")
        assert user.next(30).item.value == 1
        assert change.next(0) is None
    device.host.client.events.clear()
    wait_until(lambda: device.host.client.events.info()["subscriptions"] == 0)


def test_a_listener_is_told_that_tango_has_lost_events(device: Device, pytango: PyTango) -> None:
    """Which it does under a load that no test should need."""
    missed: Any = tango.EventData()
    missed.err, missed.errors = True, tango_failure("API_MissedEvents", "queue full")
    hub = device.host.client.events
    with device.listen("sent0", "change") as listener:
        (subscription,) = hub._poller.subscriptions()
        subscription._receive(subscription._serial, missed)
        for lost in (None, 0):
            pytango.run(device.name, "SendOne", "change")
            listener.lost = 0
            assert listener.next(30).item
            assert listener.lost == lost
    assert hub.info()["missed"] == 1
    hub.clear()


def test_a_failure_that_is_kept_holds_nothing_else(device: Device, pytango: PyTango) -> None:
    """Least of all the frames that it was raised in, with their proxies."""
    pytango.run(device.name, "Break", True)
    with device.listen("silent", "change") as listener:
        failure = listener.next(30).failure
    assert "broken" in failure.args[0].desc
    assert failure.__traceback__ is None
    device.host.client.events.clear()


def event(time: int, came: int = 0, mark: int = 0) -> Event:
    return Event(None, None, time, 0, mark, came=came)


def append(buffer: EventBuffer, event: Event) -> None:
    if not buffer.begin_with(event):
        buffer.append(event)


@pytest.mark.parametrize(
    ("times", "last", "unit", "next_one"),
    [
        ([10, 20, 30], 20, 1, 2),
        ([10, 20, 30], 25, 1, 2),
        ([10, 20, 30], 5, 1, 0),
        ([10, 20, 30], 99, 1, 3),
        ([10, 20, 20, 30], 20, 1, 3),
        ([10, 990, 20], 10, 1, 1),  # a failure, by another clock
        ([10, 990, 20], 990, 1, 2),
        ([1000, 10, 1001], 1000, 1, 1),
        ([1000, 10, 1001], 10, 1, 2),
        ([1000, 1900, 2000], 1, 1000, 2),
        ([], 5, 1, 1),
    ],
)
def test_buffer_finds_the_first_event_after_a_time(times: list[int], last: int, unit: int, next_one: int) -> None:
    buffer = EventBuffer(9, 100)
    for each in times:
        append(buffer, event(each))
    assert buffer.behind(last, unit) == next_one


def test_a_buffer_keeps_so_many_and_so_much() -> None:
    buffer = EventBuffer(3, 100)
    for each in range(5):
        append(buffer, Event(None, None, each, 10))
    assert (buffer.first, buffer.end, buffer[2].time) == (2, 5, 2)
    buffer.append(Event(None, None, 5, 500))
    assert (buffer.first, buffer.end, buffer[5].time) == (5, 6, 5)


def test_the_value_from_before_is_kept_only_if_no_event_has_come() -> None:
    buffer = EventBuffer(9, 100)
    buffer.append(event(20))
    assert not buffer.begin_with(event(10))
    assert (buffer.first, buffer.end, buffer.origin) == (1, 2, 1)


def test_an_event_of_another_worker_is_recognised_by_the_time_of_the_device() -> None:
    buffer = EventBuffer(9, 100)
    for number in range(4):
        append(buffer, event(0, came=1000 * number, mark=7 * number))
    assert buffer.same_event(Cursor("x", 99, 2100, 14)) == 2
    assert buffer.same_event(Cursor("x", 99, 2100, 15)) is None
    assert buffer.same_event(Cursor("x", 99, 2100, 0)) is None
    assert buffer.same_event(Cursor("x", 99, 10_000_000, 14)) is None
    assert [buffer.after(came) for came in (-1, 0, 1999, 3000)] == [0, 1, 2, 4]


def test_cursor_survives_formatting_and_parsing() -> None:
    cursor = Cursor("0123456789ab", 12, 1795246250801123, 1795246250800999)
    assert Cursor.parse(str(cursor)) == cursor
    for text in ("e", "1795246250801", "e0123456789ab.12.1", "e0123456789AB.1.1.1", "e0123456789ab.1.1.1\n"):
        assert Cursor.parse(text) is None


def test_texts_are_counted_with_all_that_python_needs_for_them() -> None:
    assert _size(("abcdef",) * 1000) > 50_000


def test_forms_of_large_values_are_kept_for_the_last_events_only() -> None:
    buffer = EventBuffer(9, 1 << 20)
    for size in (10, 5000, 5000, 5000, 5000):
        buffer.append(Event(None, None, 0, size))
        for number in range(buffer.first, buffer.end):
            buffer[number].shown["form"] = b"text"
    assert [bool(buffer[number].shown) for number in range(buffer.first, buffer.end)] == [
        False,
        False,
        False,
        True,
        True,
    ]


def test_hundreds_of_subscriptions_keep_fewer_events_each() -> None:
    poller = new_client().events._poller
    found = dict[int, int]()
    for count in (1, 256, 512, 5000):
        poller._open = set(range(count))
        found[count] = poller.event_buffer()
    assert found == {1: 256, 256: 256, 512: 128, 5000: 16}

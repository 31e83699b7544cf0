"""The event hub: in a patched process (see patched.py), and in plain threads."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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
from tests.live.conftest import wait_until
from tests.witness import Witness


@pytest.mark.parametrize(("attributes", "events", "per_second"), [(1, 3000, 1000), (100, 200, 100)])
def test_whoever_listens_on_has_every_event(
    patched: Callable[..., dict], sender: str, attributes: int, events: int, per_second: int
) -> None:
    found = patched("stream", attributes, events, per_second)
    assert found["complete"] == attributes
    assert (found["missed"], found["dropped"]) == (0, 0)


def test_beyond_the_buffer_the_oldest_go_and_are_counted(patched: Callable[..., dict], sender: str) -> None:
    found = patched("overload")
    assert found["values"] == list(range(91, 101))
    assert found["next"] is None
    assert found["dropped"] == 90


def test_the_limit_of_listeners_holds_while_their_subscription_is_made(
    patched: Callable[..., dict], sender: str
) -> None:
    found = patched("limited")
    assert found["listening"] == 10
    assert found["refused"] == ["MTANGO_TooManyListeners"] * 40
    assert found["unknown"] == ["API_AttrNotFound"] * 20
    assert found["places"] == 0


@pytest.fixture(scope="module")
def light_devices(tango_system: EmbeddedTango) -> int:
    """How many there are, in one server."""
    command = [sys.executable, str(Path(__file__).parents[1] / "devices.py"), "light"]
    names = [f"test/light/{number}" for number in range(75)]
    tango_system.add_server(command, "Slow/light", dict.fromkeys(names, "Light"))
    return len(names)


@pytest.mark.skipif(not SUBSCRIBES_WITHOUT_READING, reason="this PyTango reads the attribute as it subscribes")
def test_devices_that_hang_hold_up_no_subscription(patched: Callable[..., dict], light_devices: int) -> None:
    found = patched("hundreds", light_devices, 20)
    print("seconds until all listen:", max(found["good"]), "those that hang:", max(found["others"]))
    assert (len(found["good"]), len(found["others"])) == (4 * (light_devices - 20), 4 * 20)
    assert max(found["good"]) < 3 * 2
    assert found["got"] == [1] * 4 * (light_devices - 20)


def test_large_values_are_kept_within_the_memory_for_them(patched: Callable[..., dict]) -> None:
    found = patched("memory")
    assert 1 <= found["kept"] <= 3
    assert found["dropped"] >= 2


def test_a_hundred_who_wait_cost_no_thread(patched: Callable[..., dict], sender: str) -> None:
    found = patched("crowd")
    assert found["more_threads"] == 0
    assert found["got"] == [1] * 100
    assert (found["subscriptions"], found["listeners"]) == (1, 0)


@pytest.fixture
def device(sender: str) -> Iterator[Device]:
    """A device that is not read any more after the test."""
    client = TangoClient(Config(event_poll_period=0.05))
    yield Device(list_hosts(client)[0], sender)
    client.events.clear()
    wait_until(lambda: not client.events.info()["subscriptions"])


def test_threads_listen_too(device: Device, witness: Witness) -> None:
    got, hub = [], device.host.client.events

    def wait() -> None:
        with device.listen("sent0", "change") as listener:
            event = listener.next(30)
            got.append(event and event.item.value)

    threads = [threading.Thread(target=wait) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: hub.info()["listeners"] == 8)
    witness.runs(device.name, "SendOne", "change")
    for thread in threads:
        thread.join(30)
    assert got == [1] * 8
    assert hub.info()["subscriptions"] == 1
    hub.clear()


def test_each_listener_goes_at_its_own_pace(device: Device, witness: Witness) -> None:
    with device.listen("sent0", "change") as early:
        witness.runs(device.name, "SendOne", "change")
        assert early.next(30).item.value == 1
        with device.listen("sent0", "change") as late:
            witness.runs(device.name, "SendOne", "change")
            assert (early.next(30).item.value, late.next(30).item.value) == (2, 2)
            assert early.next(0) is late.next(0) is None
    device.host.client.events.clear()


def test_kinds_are_apart(device: Device, witness: Witness) -> None:
    with device.listen("sent0", "change") as change, device.listen("sent0", "user") as user:
        witness.runs(device.name, "SendOne", "user")
        assert user.next(30).item.value == 1
        assert change.next(0) is None
    device.host.client.events.clear()
    wait_until(lambda: device.host.client.events.info()["subscriptions"] == 0)


def test_a_listener_is_told_that_tango_has_lost_events(device: Device, witness: Witness) -> None:
    """Which it does under a load that no test should need."""
    missed: Any = tango.EventData()
    missed.err, missed.errors = True, tango_failure("API_MissedEvents", "queue full")
    hub = device.host.client.events
    with device.listen("sent0", "change") as listener:
        (subscription,) = hub.subscriptions()
        subscription._receive(subscription._serial, missed)
        for lost in (None, 0):
            witness.runs(device.name, "SendOne", "change")
            listener.lost = 0
            assert listener.next(30).item
            assert listener.lost == lost
    assert hub.info()["missed"] == 1
    hub.clear()


def test_a_failure_that_is_kept_holds_nothing_else(device: Device, witness: Witness) -> None:
    """Least of all the frames that it was raised in, with their proxies."""
    witness.runs(device.name, "Break", True)
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
def test_what_is_behind_a_time(times: list[int], last: int, unit: int, next_one: int) -> None:
    buffer = EventBuffer(9, 100)
    for time in times:
        append(buffer, event(time))
    assert buffer.behind(last, unit) == next_one


def test_a_buffer_keeps_so_many_and_so_much() -> None:
    buffer = EventBuffer(3, 100)
    for time in range(5):
        append(buffer, Event(None, None, time, 10))
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


def test_a_cursor_is_what_it_was_when_it_comes_back() -> None:
    cursor = Cursor("0123456789ab", 12, 1795246250801123, 1795246250800999)
    assert Cursor.parse(str(cursor)) == cursor
    for text in ("e", "1795246250801", "e0123456789ab.12.1", "e0123456789AB.1.1.1", "e0123456789ab.1.1.1\n"):
        assert Cursor.parse(text) is None


def test_texts_are_counted_with_all_that_python_needs_for_them() -> None:
    assert _size(("abcdef",) * 1000) > 50_000

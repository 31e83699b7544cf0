"""Streams: the events of many sources for one client, under greenlets and under threads."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import tango

from mtango_gevent.config import Config
from mtango_gevent.control.client import TangoClient
from mtango_gevent.control.device import Device
from mtango_gevent.control.events import Cursor, Filter, Record, Stream
from mtango_gevent.control.host import list_hosts
from mtango_gevent.demo.embedded import ServerProcess
from tests.conftest import DEMO_DEVICE
from tests.control.concurrency import new_device
from tests.patched_process import in_patched_process
from tests.pytango_process import PyTango
from tests.waiting import wait_until


def listen(device: Device, attribute: str, kind: str = "change") -> Callable[[], Any]:
    return functools.partial(device.listen, attribute, kind, from_last=True)


def send(device: Device, attributes: int, events: int, per_second: int) -> None:
    device.run_command(device.describe_command("Send"), [attributes, events, per_second])


def take(stream: Stream, count: int, most: int = 100) -> list[Record]:
    """Take so many records, or fail."""
    records = list[Record]()
    deadline = time.monotonic() + 30
    while len(records) < count:
        assert time.monotonic() < deadline, f"{len(records)} of {count} records: {records}"
        records += stream.take(1, most)
    return records


def shown(records: list[Record]) -> list[tuple[Any, Any]]:
    """The key and the value of each record, or the reason of its failure."""
    return [
        (record.feed.key, record.event.item.value if record.event.item else record.event.failure.args[0].reason)
        for record in records
    ]


@pytest.fixture
def device(sender: str) -> Iterator[Device]:
    """A device that is not read any more after the test."""
    client = TangoClient(Config(event_poll_period=0.05, event_linger=0))
    yield Device(list_hosts(client)[0], sender)
    client.events.clear()
    wait_until(lambda: not client.events.info()["subscriptions"])


@pytest.fixture
def stream(device: Device) -> Iterator[Stream]:
    stream = Stream(device.host.client.concurrency)
    yield stream
    stream.close()
    wait_until(lambda: not device.host.client.events.info()["listeners"])


def test_stream_begins_with_the_value_and_goes_on_with_the_events(
    device: Device, stream: Stream, pytango: PyTango
) -> None:
    stream.add("a", listen(device, "sent0"))
    assert shown(take(stream, 1)) == [("a", 0)]
    for value in (1, 2):
        pytango.run(device.name, "SendOne", "change")
        assert shown(take(stream, 1)) == [("a", value)]
    assert stream.feeds["a"].sent == 3


def test_feed_of_an_unknown_attribute_tells_its_failure_once(device: Device, stream: Stream) -> None:
    stream.add("a", listen(device, "nope"))
    assert shown(take(stream, 1)) == [("a", "API_AttrNotFound")]
    assert stream.take(1.3) == []  # it is tried again after a second


def test_feed_begins_once_its_attribute_is_there(device: Device, stream: Stream, pytango: PyTango) -> None:
    pytango.run(device.name, "Have", False)
    stream.add("a", listen(device, "sent99"))
    try:
        assert shown(take(stream, 1)) == [("a", "API_AttrNotFound")]
    finally:
        pytango.run(device.name, "Have", True)
    assert shown(take(stream, 1)) == [("a", 0)]


def test_event_that_a_read_value_has_overtaken_is_left_out(device: Device, stream: Stream, pytango: PyTango) -> None:
    stream.add("a", listen(device, "Position"))
    assert shown(take(stream, 1)) == [("a", 0)]
    with device.listen("Position", "change") as listener:
        pytango.run(device.name, "SendPositionFromPast", 1.0)
        pytango.run(device.name, "SendPosition", "change")
        assert shown(take(stream, 1)) == [("a", 2)]
        assert [listener.next(30).item.value for _ in range(2)] == [1, 2]  # a long poll gets each event


@pytest.mark.slow
def test_event_that_is_left_out_comes_late_if_no_other_one_comes(
    device: Device, stream: Stream, pytango: PyTango
) -> None:
    stream.add("a", listen(device, "Position"))
    take(stream, 1)
    began = time.monotonic()
    pytango.run(device.name, "SendPositionFromPast", 1.0)
    assert shown(take(stream, 1)) == [("a", 1)]
    assert time.monotonic() - began > 1
    pytango.run(device.name, "SendPositionFromPast", 1.0)
    assert shown(take(stream, 1)) == [("a", 2)]


def test_second_stream_begins_with_the_last_event(device: Device, stream: Stream, pytango: PyTango) -> None:
    stream.add("a", listen(device, "sent0"))
    take(stream, 1)
    pytango.run(device.name, "SendOne", "change")
    take(stream, 1)
    other = Stream(device.host.client.concurrency)
    other.add("b", listen(device, "sent0"))
    assert shown(take(other, 1)) == [("b", 1)]
    assert device.host.client.events.info()["subscriptions"] == 1
    other.close()


def test_removed_feed_sends_no_more(device: Device, stream: Stream, pytango: PyTango) -> None:
    for key in ("a", "b"):
        stream.add(key, listen(device, "sent0"))
    take(stream, 2)
    pytango.run(device.name, "SendOne", "change")
    stream.remove("a")
    assert shown(take(stream, 1)) == [("b", 1)]
    assert stream.take(0.3) == []
    assert device.host.client.events.info()["listeners"] == 1


def test_feed_that_is_removed_before_it_begins_listens_to_nothing(device: Device, stream: Stream) -> None:
    stream.add("a", listen(device, "sent0"))
    stream.remove("a")
    assert stream.take(0.5) == []
    wait_until(lambda: not device.host.client.events.info()["listeners"])


@pytest.mark.slow
def test_slow_client_loses_the_oldest_events_and_is_told_how_many(sender: str, pytango: PyTango) -> None:
    client = TangoClient(Config(event_buffer=10, event_poll_period=0.05, event_linger=0))
    device = Device(list_hosts(client)[0], sender)
    stream = Stream(client.concurrency)
    stream.add("a", listen(device, "sent0"))
    take(stream, 1)
    send(device, 1, 100, 1000)
    wait_until(lambda: client.events.info()["received"] == 100)
    records = take(stream, 10)
    assert [record.event.item.value for record in records] == list(range(91, 101))
    assert [record.missed for record in records] == [90] + [0] * 9
    assert stream.feeds["a"].dropped == 90
    stream.close()
    wait_until(lambda: not client.events.info()["subscriptions"])


def test_few_records_are_taken_at_a_time_in_the_order_of_each_feed(device: Device, stream: Stream) -> None:
    for number in range(3):
        stream.add(number, listen(device, f"sent{number}"))
    take(stream, 3)
    send(device, 3, 20, 1000)
    wait_until(lambda: device.host.client.events.info()["received"] == 60)
    records = list[Record]()
    while len(records) < 60:
        taken = stream.take(1, 7)
        assert 0 < len(taken) <= 7
        records += taken
    for number in range(3):
        assert [value for key, value in shown(records) if key == number] == list(range(1, 21))


def test_large_values_are_taken_a_few_at_a_time(device: Device, stream: Stream) -> None:
    camera = Device(device.host, DEMO_DEVICE)
    for number in range(10):
        stream.add(number, listen(camera, "short_image_ro"))  # no test writes it
    wait_until(lambda: len(stream._ready) == 10)
    counts = [len(stream.take(1)) for _ in range(4)]
    assert counts == [3, 3, 3, 1]


def test_wake_ends_the_wait(device: Device, stream: Stream) -> None:
    began = time.monotonic()
    threading.Timer(0.2, stream.wake).start()
    assert stream.take(30) == []
    assert time.monotonic() - began < 10


def test_feed_continues_behind_the_event_that_another_client_got(
    device: Device, stream: Stream, pytango: PyTango
) -> None:
    stream.add("a", listen(device, "sent0"))
    take(stream, 1)
    for _ in range(4):
        pytango.run(device.name, "SendOne", "change")
    second = take(stream, 4)[1].event
    other = Stream(device.host.client.concurrency)
    other.add("b", listen(device, "sent0"), Cursor("0" * 12, 0, second.came, second.mark))
    records = take(other, 2)
    assert shown(records) == [("b", 3), ("b", 4)]
    assert [record.missed for record in records] == [0, 0]
    other.close()


def test_feed_that_cannot_continue_exactly_tells_so(device: Device, stream: Stream) -> None:
    stream.add("a", listen(device, "sent0"), Cursor("0" * 12, 0, 1, 1))
    (record,) = take(stream, 1)
    assert (record.event.item.value, record.missed) == (0, None)


@pytest.mark.slow
@in_patched_process
def test_stream_of_hundred_feeds_gets_every_event_in_order(sender: str) -> None:
    device = new_device(sender)
    stream = Stream(device.host.client.concurrency)
    for number in range(100):
        stream.add(number, listen(device, f"sent{number}"))
    take(stream, 100)
    send(device, 100, 50, 20)
    records = take(stream, 5000)
    got = dict[Any, list[Any]]()
    for key, value in shown(records):
        got.setdefault(key, []).append(value)
    assert got == {number: list(range(1, 51)) for number in range(100)}
    assert not any(record.missed for record in records)
    stream.close()
    assert device.host.client.events.info()["listeners"] == 0


def test_feed_follows_to_a_new_channel_without_losing_or_repeating_an_event(
    device: Device, stream: Stream, pytango: PyTango
) -> None:
    hub = device.host.client.events
    stream.add("a", listen(device, "sent0"))
    take(stream, 1)
    for round in range(3):
        pytango.run(device.name, "SendOne", "change")
        hub.clear()
        pytango.run(device.name, "SendOne", "change")
        records = take(stream, 2)
        assert shown(records) == [("a", 2 * round + 1), ("a", 2 * round + 2)]
        assert [record.missed for record in records] == [0, 0]
        wait_until(lambda: stream.take(0.1) == [] and hub.info()["subscriptions"] == 1)
    assert hub.info()["listeners"] == 1


def test_max_hz_sends_the_latest_value_so_often_and_failures_at_once(
    device: Device, stream: Stream, pytango: PyTango
) -> None:
    stream.add("a", listen(device, "sent0"), through=Filter(max_hz=2, latest=True))
    take(stream, 1)
    began = time.monotonic()
    send(device, 1, 100, 100)
    got = list[Any]()
    while not got or got[-1] != 100:
        got += [value for _, value in shown(stream.take(1))]
    assert len(got) <= 2 + 2 * (time.monotonic() - began)
    assert stream.feeds["a"].dropped == 0
    pytango.run(device.name, "SendFailure")
    assert shown(stream.take(0.3)) == [("a", "Sender_Broken")]


def test_max_hz_with_all_events_sends_them_together(device: Device, stream: Stream) -> None:
    stream.add("a", listen(device, "sent0"), through=Filter(max_hz=2))
    take(stream, 1)
    send(device, 1, 100, 100)
    taken = list[list[Record]]()
    while sum(map(len, taken)) < 100:
        taken += [records] if (records := stream.take(5)) else []
    assert [value for records in taken for _, value in shown(records)] == list(range(1, 101))
    assert len(taken) <= 10


def test_latest_skips_what_a_slow_client_has_not_taken_and_counts_it(device: Device, stream: Stream) -> None:
    stream.add("a", listen(device, "sent0"), through=Filter(latest=True))
    take(stream, 1)
    send(device, 1, 20, 1000)
    wait_until(lambda: device.host.client.events.info()["received"] == 20)
    (record,) = take(stream, 1)
    assert (record.event.item.value, record.missed) == (20, 19)


def test_deadband_suppresses_small_changes_but_no_failures(device: Device, stream: Stream, pytango: PyTango) -> None:
    stream.add("a", listen(device, "sent0"), through=Filter(deadband=2.5))
    take(stream, 1)
    send(device, 1, 10, 1000)
    wait_until(lambda: device.host.client.events.info()["received"] == 10)
    assert [value for _, value in shown(take(stream, 3))] == [3, 6, 9]
    pytango.run(device.name, "SendFailure")
    pytango.run(device.name, "SendOne", "change")
    assert [value for _, value in shown(take(stream, 2))] == ["Sender_Broken", 11]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["change", "user", "periodic"])
def test_killed_server_is_told_in_time_and_a_restarted_one_sends_values_again(
    kind: str, sender_server: ServerProcess, sender: str, pytango: PyTango
) -> None:
    client = TangoClient(Config())
    device = Device(list_hosts(client)[0], sender)
    stream = Stream(client.concurrency)
    stream.add("a", listen(device, "sent0", kind))
    take(stream, 1)
    sender_server.kill()
    killed = time.monotonic()
    try:
        while (record := take(stream, 1, 1)[0]).event.failure is None:
            pass
        print("failure after", time.monotonic() - killed, record.event.failure.args[0].reason)
        assert time.monotonic() - killed < 15
    finally:
        sender_server.start()
    restarted = time.monotonic()
    missed = list[Any]()
    while True:
        if time.monotonic() > restarted + 45:
            raise AssertionError("no value again")
        try:
            pytango.run(device.name, "SendOne", kind)
        except Exception:
            continue
        for record in stream.take(1):
            missed.append(record.missed)
            if record.event.item is not None and record.event.item.value:
                break
        else:
            continue
        break
    print("value again after", time.monotonic() - restarted, missed)
    assert None in missed
    stream.close()
    wait_until(lambda: not client.events.info()["subscriptions"])


def test_open_streams_are_limited_and_shown(sender: str) -> None:
    config = Config(stream_limit=3, stream_client_limit=2, stream_items=2, event_linger=0, event_poll_period=0.05)
    client = TangoClient(config)
    device = Device(list_hosts(client)[0], sender)
    first, second = (client.streams.open("sse", "", "10.0.0.1") for _ in range(2))
    with pytest.raises(tango.DevFailed, match="TooManyStreams"):
        client.streams.open("websocket", "", "10.0.0.1")
    third = client.streams.open("websocket", "ada", "10.0.0.1")
    with pytest.raises(tango.DevFailed, match="TooManyStreams"):
        client.streams.open("websocket", "eve", "10.0.0.2")
    for number in range(2):
        first.add(number, listen(device, f"sent{number}"))
    with pytest.raises(tango.DevFailed, match="TooManyItems"):
        first.add(2, listen(device, "sent2"))
    take(first, 2)
    third.add("missing", listen(device, "nope"))
    take(third, 1)
    rows = {row["id"]: row for row in client.streams.status()}
    assert set(rows) == {first.id, second.id, third.id}
    row = rows[first.id]
    assert (row["transport"], row["user"], row["address"], row["attributes"]) == ("sse", None, "10.0.0.1", 2)
    assert (row["sent"], row["dropped"], row["lag"]) == (2, 0, 0)
    assert [(feed["source"], feed["sent"], feed["failure"]) for feed in row["feeds"]] == [
        (f"change of {sender}/sent0", 1, None),
        (f"change of {sender}/sent1", 1, None),
    ]
    (failing,) = rows[third.id]["feeds"]
    assert failing["source"] == "missing"
    assert "API_AttrNotFound" in failing["failure"]
    assert client.streams.info() == {"open": 3, "feeds": 3, "sent": 3, "dropped": 0, "lag": 0}
    for stream in (first, second, third):
        stream.close()
        stream.close()
    assert client.streams.info() == {"open": 0, "feeds": 0, "sent": 3, "dropped": 0, "lag": 0}
    client.streams.stop()
    assert client.streams.open("sse", "", "").stopping
    wait_until(lambda: not client.events.info()["subscriptions"])

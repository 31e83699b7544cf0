"""Event streams: first values, records, errors, heartbeat, changes of a subscription, replay. Contract: v11, 6."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from mtango_gevent.demo.embedded import ServerProcess
from tests.api.streams.conftest import SUBSCRIPTIONS, Streams
from tests.api.streams.sse import EventSource, Message
from tests.conftest import SENDER_DEVICE, TYPES_DEVICE
from tests.pytango_process import PyTango
from tests.waiting import wait_until


@pytest.fixture
def send(pytango: PyTango, sender: str) -> Callable[..., None]:
    """Return a function that has the sender send events."""
    return lambda command="SendOne", argument="change": pytango.run(SENDER_DEVICE, command, argument)


def take(source: EventSource, number: int) -> list[Message]:
    return [source.next() for _ in range(number)]


def test_stream_begins_with_the_current_value_and_goes_on_with_events(streams: Streams, send: Any) -> None:
    made = streams.create(streams.target("sent0"))
    source = streams.follow(made["id"])
    assert source.status == 200
    first = source.next()
    assert (first.event, first.value) == ("1", 0)
    assert abs(first.id - time.time() * 1000) < 60_000
    send()
    send()
    assert [(message.event, message.value) for message in take(source, 2)] == [("1", 1), ("1", 2)]


def test_headers_of_a_stream(streams: Streams, sender: str) -> None:
    source = streams.follow(streams.create()["id"], Origin="http://other.example")
    assert source.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert source.headers["Cache-Control"] == "no-cache, no-transform"
    assert source.headers["X-Accel-Buffering"] == "no"
    assert source.headers["Access-Control-Allow-Origin"] == "http://other.example"
    assert source.headers["Access-Control-Allow-Credentials"] == "true"


def test_quiet_stream_sends_comments(streams: Streams) -> None:
    source = streams.follow(streams.create()["id"])
    wait_until(lambda: source.text.count(":\n\n") >= 3)
    assert source.messages.empty()


def test_each_target_has_its_own_event_also_in_another_spelling(streams: Streams, send: Any) -> None:
    targets = [streams.target("sent0"), streams.target("SENT0"), streams.target("sent0", kind="Archive")]
    made = streams.create(*targets)
    source = streams.follow(made["id"])
    assert sorted(message.event for message in take(source, 3)) == ["1", "2", "3"]
    send()
    assert sorted(message.event for message in take(source, 2)) == ["1", "2"]
    send(argument="archive")
    assert source.next().event == "3"


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("State", "ON"),
        ("float_spectrum", None),
        ("string_scalar", "one\ntwo\r\n\ndata: three"),
    ],
)
def test_values_are_shown_as_in_v11(
    streams: Streams, fresh_types: str, pytango: PyTango, attribute: str, expected: Any
) -> None:
    if attribute == "string_scalar":
        pytango.write(TYPES_DEVICE, attribute, expected)
    source = streams.follow(streams.create(streams.target(attribute, TYPES_DEVICE))["id"])
    message = source.next()
    url = f"/tango/rest/v11/hosts/{streams.tango_host.replace(':', ';port=')}/devices/{TYPES_DEVICE}/attributes"
    value = streams.client.get(f"{url}/{attribute}/value", expect_errors=True)
    if value.status_int == 200:
        assert message.value == value.json["value"]
    assert expected is None or message.value == expected


def test_failure_sent_as_event_is_an_error_record(streams: Streams, send: Any) -> None:
    source = streams.follow(streams.create(streams.target("sent0"))["id"])
    source.next()
    send("SendFailure", None)
    message = source.next()
    assert message.error is not None
    assert message.error.startswith("Sender_Broken: this event is a failure")
    assert abs(message.id - time.time() * 1000) < 60_000
    send()
    assert source.next().value == 1


@pytest.mark.parametrize(("device", "attribute"), [("no/such/device", "a"), (SENDER_DEVICE, "nope")])
def test_device_or_attribute_that_is_not_there_is_told_once(
    streams: Streams, sender: str, device: str, attribute: str
) -> None:
    source = streams.follow(streams.create(streams.target(attribute, device), streams.target("sent0"))["id"])
    found = {message.event: message for message in take(source, 2)}
    assert found["1"].error
    assert found["2"].value == 0
    assert "\n" not in found["1"].data


def test_targets_are_added_and_removed_while_the_stream_runs(streams: Streams, send: Any) -> None:
    url = f"{SUBSCRIPTIONS}/{streams.create()['id']}"
    source = streams.follow(int(url.rpartition("/")[2]))
    (event,) = streams.client.put_json(url, [streams.target("sent0")]).json
    assert source.next().event == str(event["id"])
    streams.client.delete_json(url, [event["target"]])
    wait_until(lambda: streams.client.get("/tango/rest/sys/streams").json[0]["attributes"] == 0)
    send()
    streams.client.put_json(url, [streams.target("sent1")])
    assert source.next().event == "2"
    assert source.messages.empty()


def test_deleted_subscription_ends_its_stream(streams: Streams, sender: str) -> None:
    made = streams.create(streams.target("sent0"))
    source = streams.follow(made["id"])
    source.next()
    streams.client.delete(f"{SUBSCRIPTIONS}/{made['id']}")
    assert source.ended.wait(20)
    assert source.text.endswith(": the subscription has been deleted\n\n")


def test_stream_ends_at_once_when_the_gateway_stops(streams: Streams) -> None:
    source = streams.follow(streams.create()["id"])
    wait_until(lambda: source.text)
    streams.client.app.extensions["mtango"].client.streams.stop()
    assert source.ended.wait(20)
    assert source.text.endswith("retry: 1000\n: the gateway stops, connect again\n\n")


def test_streams_of_a_client_are_limited(make_streams: Callable[..., Streams]) -> None:
    streams = make_streams(stream_client_limit=1)
    id = streams.create()["id"]
    first = streams.follow(id)
    here = {"REMOTE_ADDR": "127.0.0.1"}
    refused = streams.client.get(f"{SUBSCRIPTIONS}/{id}/event-stream", status=503, extra_environ=here)
    assert refused.json["errors"][0]["reason"] == "MTANGO_TooManyStreams"
    first.close()
    streams.follow(id).close()


@pytest.mark.slow
def test_streamed_subscription_is_kept_and_forgotten_afterwards(make_streams: Callable[..., Streams]) -> None:
    streams = make_streams(stream_linger=1.0)
    url = f"{SUBSCRIPTIONS}/{streams.create()['id']}"
    source = streams.follow(int(url.rpartition("/")[2]))
    time.sleep(2.5)
    source.close()
    assert streams.client.get(url).status_int == 200
    wait_until(lambda: streams.client.get(url, expect_errors=True).status_int == 404)


# --- replay ---


@pytest.fixture
def lingering(make_streams: Callable[..., Streams], sender: str) -> Streams:
    """An application whose buffers stay when a stream has ended."""
    return make_streams(event_linger=60.0)


def received(streams: Streams) -> int:
    return streams.client.get("/tango/rest/sys/stats").json["events"]["received"]


def send_all(streams: Streams, send: Any, number: int) -> None:
    for _ in range(number):
        before = received(streams)
        send()
        wait_until(lambda before=before: received(streams) > before)


def test_gap_is_replayed_after_a_reconnect(lingering: Streams, send: Any) -> None:
    made = lingering.create(lingering.target("sent0"), lingering.target("sent1"))
    source = lingering.follow(made["id"])
    take(source, 2)
    send_all(lingering, send, 2)
    last = take(source, 2)[-1]
    keeper = lingering.follow(lingering.create(lingering.target("sent0"))["id"])
    source.close()
    send_all(lingering, send, 3)
    again = lingering.follow(made["id"], Last_Event_ID=str(last.id))
    found = take(again, 4)
    assert [message.value for message in found if message.event == "1"] == [3, 4, 5]
    assert [message.value for message in found if message.event == "2"] == [0]  # the current value, in any case
    send_all(lingering, send, 1)
    assert again.next().value == 6
    assert keeper.next().value is not None


@pytest.mark.slow
def test_client_that_comes_back_after_a_second_gets_the_gap_exactly(streams: Streams, send: Any) -> None:
    made = streams.create(streams.target("sent0"))
    source = streams.follow(made["id"])
    assert source.text.startswith("retry: 1000\n\n")
    source.next()
    send_all(streams, send, 2)
    last = take(source, 2)[-1]
    source.close()
    closed = time.monotonic()
    send_all(streams, send, 3)
    time.sleep(max(0.0, closed + 1.0 - time.monotonic()))  # as the line `retry` says
    again = streams.follow(made["id"], Last_Event_ID=str(last.id))
    assert [message.value for message in take(again, 3)] == [3, 4, 5]
    send_all(streams, send, 1)
    assert again.next().value == 6
    assert again.messages.empty()


def test_events_of_a_device_whose_clock_is_behind_are_replayed(lingering: Streams, send: Any) -> None:
    made = lingering.create(lingering.target("sent0"), lingering.target("Position"))
    source = lingering.follow(made["id"])
    take(source, 2)
    send_all(lingering, send, 1)
    last = source.next()
    source.close()
    for _ in range(2):
        before = received(lingering)
        send("SendPositionFromPast", 3600.0)
        wait_until(lambda before=before: received(lingering) > before)
    again = lingering.follow(made["id"], Last_Event_ID=str(last.id))
    found = take(again, 3)
    assert [message.value for message in found if message.event == "2"] == [1, 2]
    assert [message.value for message in found if message.event == "1"] == [1]


def test_unknown_last_event_replays_what_is_later(lingering: Streams, send: Any) -> None:
    made = lingering.create(lingering.target("sent0"))
    source = lingering.follow(made["id"])
    times = [source.next().id]
    send_all(lingering, send, 3)
    times += [message.id for message in take(source, 3)]
    source.close()
    again = lingering.follow(made["id"], Last_Event_ID=str(times[1] - 1))
    assert [message.value for message in take(again, 3)] == [1, 2, 3]
    future = lingering.follow(made["id"], Last_Event_ID="99999999999999")
    assert future.next().value == 3


@pytest.mark.parametrize("last", ["", "x", "-1", "1" * 400, "1.5", "\u0661"])
def test_last_event_that_is_no_time_is_ignored(streams: Streams, sender: str, last: str) -> None:
    if not last.isascii():
        last = last.encode().decode("latin-1")
    made = streams.create(streams.target("sent0"))
    assert streams.follow(made["id"], Last_Event_ID=last).next().value == 0


# --- a device that goes and comes back ---


@pytest.mark.slow
def test_killed_device_is_told_and_its_values_come_again(
    make_streams: Callable[..., Streams], sender: str, sender_server: ServerProcess, pytango: PyTango
) -> None:
    streams = make_streams(event_silence=1.0)
    source = streams.follow(streams.create(streams.target("sent0"))["id"])
    assert source.next().value == 0
    sender_server.kill()
    try:
        assert wait_until(lambda: source.next(30).error, 60)
    finally:
        sender_server.restart()

    def sends_again() -> bool:
        pytango.run(SENDER_DEVICE, "SendOne", "change")
        time.sleep(0.5)
        messages = [source.messages.get() for _ in range(source.messages.qsize())]
        return any(message.error is None for message in messages)

    wait_until(sends_again, 60)

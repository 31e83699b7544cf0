"""Subscriptions: made, shown, extended and deleted. Contract: v11, 6."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import pytest

from mtango_gevent.api import request_context
from mtango_gevent.api.streams import subscriptions
from mtango_gevent.store import Subscription, Target
from tests.api.streams.conftest import SUBSCRIPTIONS, Streams
from tests.hub_thread import in_hub_thread


def test_answer_repeats_each_target_exactly_and_in_order(streams: Streams) -> None:
    odd = {"type": "CHANGE", "attribute": "DOUBLE_scalar", "device": "SYS/tg_test/1", "host": streams.tango_host}
    one, two = streams.target("sent0"), streams.target("sent1", kind="archive")
    reply = streams.client.post_json(SUBSCRIPTIONS, [one, odd, two, one])
    assert (reply.status_int, list(reply.json)) == (200, ["id", "events", "failures"])
    assert [event["target"] for event in reply.json["events"]] == [one, odd, two]
    assert all(list(event["target"]) == ["host", "device", "attribute", "type"] for event in reply.json["events"])
    assert [event["id"] for event in reply.json["events"]] == [1, 2, 3]
    assert 0 < reply.json["id"] < 2**53
    assert streams.client.get(f"{SUBSCRIPTIONS}/{reply.json['id']}").json == reply.json
    again = streams.create(two, one)
    assert [event["id"] for event in again["events"]] == [1, 3]
    assert again["id"] != reply.json["id"]


@pytest.mark.parametrize("body", ["", "[]", "{}", "null"])
def test_subscription_without_targets(streams: Streams, body: str) -> None:
    assert streams.client.post(SUBSCRIPTIONS, body).json["events"] == []


def test_put_answers_each_target_also_those_that_are_there(streams: Streams) -> None:
    one, two = streams.target("sent0"), streams.target("sent1")
    url = f"{SUBSCRIPTIONS}/{streams.create(one)['id']}"
    expected = [{"id": 2, "target": two}, {"id": 1, "target": one}]
    assert streams.client.put_json(url, [two, one]).json == expected
    assert streams.client.put_json(url, [two, one]).json == expected
    assert streams.client.put(url, "{}").json == []
    assert [event["target"] for event in streams.client.get(url).json["events"]] == [one, two]


def test_delete_of_targets_and_of_the_subscription(streams: Streams) -> None:
    one, two = streams.target("sent0"), streams.target("sent1")
    url = f"{SUBSCRIPTIONS}/{streams.create(one, two)['id']}"
    reply = streams.client.delete_json(url, [one])
    assert [event["target"] for event in reply.json["events"]] == [two]
    assert streams.client.delete(url, status=204).body == b""
    for method in ("get", "put", "delete"):
        refused = getattr(streams.client, method)(url, status=404)
        assert refused.json["errors"][0]["reason"] == "MTANGO_NotFound"
    streams.client.get(f"{url}/event-stream", status=404)


@pytest.mark.parametrize("id", ["0", "1", "-1", "x", "9007199254740992", "9" * 400, "1.0", "%00"])
def test_unknown_ids_are_404_with_the_failure_body(streams: Streams, id: str) -> None:
    for path in (id, f"{id}/event-stream"):
        assert streams.client.get(f"{SUBSCRIPTIONS}/{path}", status=404).json["quality"] == "FAILURE"
    for method in (streams.client.put_json, streams.client.delete):
        assert method(f"{SUBSCRIPTIONS}/{id}", status=404).json["quality"] == "FAILURE"


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({"host": "no.such.host.invalid:10000"}, 404, "no.such.host.invalid"),
        ({"host": "x:99999"}, 400, "expected a port"),
        ({"host": "127.0.0.1:1"}, 400, "the port of a Tango host that is served"),
        ({"host": "a'b:1"}, 400, "expected a name without"),
        ({"host": ""}, 400, "expected 1 to 255 characters"),
        ({"device": "sys/tg_test"}, 400, "domain/family/member"),
        ({"device": "sys/tg\x00/1"}, 400, "expected a name without"),
        ({"device": "tango://h:1/a/b/c"}, 400, "domain/family/member"),
        ({"attribute": "a/b"}, 400, "expected a name without"),
        ({"attribute": "x" * 256}, 400, "expected 1 to 255 characters"),
        ({"attribute": "All attributes"}, 400, "Tango's name for all"),
        ({"type": "chang"}, 400, "expected one of change, periodic"),
    ],
)
def test_target_that_cannot_be_is_a_failure_of_its_own(
    streams: Streams, change: dict[str, str], status: int, text: str
) -> None:
    good, bad = streams.target("sent0"), {**streams.target("sent1"), **change}
    made = streams.create(good, bad)
    assert [event["target"] for event in made["events"]] == [good]
    (failure,) = made["failures"]
    assert (failure["target"], failure["quality"]) == (bad, "FAILURE")
    assert text in failure["errors"][0]["description"]
    assert failure["timestamp"] > 10**12
    url = f"{SUBSCRIPTIONS}/{made['id']}"
    mixed = streams.client.put_json(url, [bad, good]).json
    assert [item.get("id") for item in mixed] == [None, made["events"][0]["id"]]
    assert text in streams.client.put_json(url, [bad], status=status).json["errors"][0]["description"]


def test_device_that_is_away_is_no_failure(streams: Streams) -> None:
    assert streams.create(streams.target("a", "no/such/device"))["failures"] == []


@pytest.mark.parametrize("body", ["[", "1", '"x"', "[1]", "[{}]", '[{"host": 1}]', '[["a", "b", "c", "d"]]', "[null]"])
def test_bodies_that_are_no_targets_are_refused(streams: Streams, body: str) -> None:
    url = f"{SUBSCRIPTIONS}/{streams.create()['id']}"
    for method in ("post", "put", "delete"):
        refused = streams.client.request(
            SUBSCRIPTIONS if method == "post" else url, method=method.upper(), body=body.encode(), status=400
        )
        assert refused.json["errors"][0]["description"].startswith("the body: expected")


def test_more_targets_than_a_stream_may_have_are_refused(make_streams: Callable[..., Streams]) -> None:
    streams = make_streams(stream_items=2)
    named = [streams.target(f"sent{number}") for number in range(3)]
    streams.client.post_json(SUBSCRIPTIONS, named, status=400)
    url = f"{SUBSCRIPTIONS}/{streams.create(*named[:2])['id']}"
    streams.client.put_json(url, named, status=400)
    refused: Any = streams.client.put_json(url, named[2:], status=503).json
    assert refused["errors"][0]["reason"] == "MTANGO_TooManySubscriptions"
    assert len(streams.client.get(url).json["events"]) == 2


def test_head_and_options(streams: Streams) -> None:
    url = f"{SUBSCRIPTIONS}/{streams.create()['id']}/event-stream"
    assert streams.client.head(url).headers["Content-Type"].startswith("text/event-stream")
    assert streams.client.options(url).status_int == 200
    assert streams.client.get("/tango/rest/sys/streams").json == []


def test_v10_and_v11_clients_find_no_subscriptions_below_rest(streams: Streams) -> None:
    streams.client.get("/tango/rest/v11/subscriptions/1", status=404)


def test_store_that_is_away_is_told(make_streams: Callable[..., Streams]) -> None:
    streams = make_streams(store="redis://:secret@127.0.0.1:1/0")
    refused = streams.client.post(SUBSCRIPTIONS, "[]", status=503)
    assert refused.json["errors"][0]["reason"] == "MTANGO_StoreFailed"
    assert "Redis" in refused.json["errors"][0]["description"]
    ready = streams.client.get("/readyz")
    assert any("the store of subscriptions: Redis" in text for text in ready.json["warnings"])
    assert "secret" not in refused.text + ready.text
    assert streams.client.get("/tango/rest/sys/config").json["store"] == "redis://***@127.0.0.1:1/0"


@in_hub_thread
def test_many_targets_are_shaped_in_turns_with_other_requests(streams: Streams) -> None:
    events = {number: Target("here:10000", "a/b/c", f"x{number}", "change") for number in range(1_000)}
    turns = 0

    def count() -> None:
        nonlocal turns
        while True:
            gevent.sleep(0)
            turns += 1

    def shape() -> Any:
        request_context.begin(streams.client.app.extensions["mtango"], {})
        return subscriptions._shape(Subscription(1, 1, events))

    other = gevent.spawn(count)
    try:
        assert len(gevent.spawn(shape).get()["events"]) == 1_000
    finally:
        other.kill()
    assert turns >= 10

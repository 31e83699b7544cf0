"""Requests for many devices, some of which hang or are dead: their items fail, the others come all the same."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from tests.http_clients import Connection
from tests.live.conftest import Gateway, wait_until

from .conftest import DEVICES, FIXED, NEIGHBOUR, Tango, ask, is_good, said
from .readers import Readers, late

pytestmark = pytest.mark.timing

# What the settings promise by default for one call.
DEADLINE = 5.0

HANGS = 8.0  # seconds
HANGING = DEVICES[:10]


@pytest.fixture
def hanging(gateway: Gateway, tango: Tango) -> Iterator[list[str]]:
    """Ten devices that take longer than the deadline for a read of `slow`; all others take no time."""
    for device in [*DEVICES, NEIGHBOUR]:
        seconds = HANGS if device in HANGING else 0.0
        assert is_good(ask(gateway, tango.path(device, "commands/TakeSeconds"), "PUT", f"{seconds}"))
    yield HANGING
    time.sleep(HANGS)  # until the last read has ended


def bulk(gateway: Gateway, method: str, path: str, body: object = None) -> tuple[float, dict[str, dict[str, Any]]]:
    """Return the seconds that a request took, and the items of the answer by device."""
    connection = Connection(gateway.port)
    answer = connection.ask(method, f"/tango/rest/v11/{path}", "" if body is None else orjson.dumps(body).decode())
    connection.close()
    assert answer.status == 200, answer.body
    return answer.seconds, {item["device"]: item for item in answer.body}


def test_hanging_devices_delay_a_bulk_read_once_and_no_other_request(
    gateway: Gateway, tango: Tango, hanging: list[str]
) -> None:
    host, others = tango.system.tango_host, [tango.path(NEIGHBOUR, "attributes/quick/value")]
    with Readers(gateway.port, others) as meanwhile:
        seconds, items = bulk(gateway, "GET", f"attributes/value?wildcard={host}/test/mortal/*/slow")
    said("seconds of the request, p99 of others in ms", seconds, 1000 * late(meanwhile.all))
    assert {device for device, item in items.items() if item["quality"] == "FAILURE"} == set(hanging)
    assert {item["value"] for device, item in items.items() if device not in hanging} == {0.0}
    assert len(items) == len(DEVICES) + 1
    assert all(item["name"] == "slow" and item["host"] == host for item in items.values())
    assert seconds < 3 * DEADLINE  # one after the other they take ten times as long
    assert all(is_good(answer) for answer in meanwhile.all)
    assert late(meanwhile.all) < 3 * 0.1


def test_hanging_devices_delay_bulk_writes_once(gateway: Gateway, tango: Tango) -> None:
    """Of a hanging device with several items only the first one is tried."""
    host = tango.system.tango_host
    changes = [
        {"host": host, "device": device, "name": "lazy", "value": HANGS if device in HANGING else 0.0}
        for device in DEVICES[:20]
        for _ in range(3)
    ]
    seconds, items = bulk(gateway, "PUT", "attributes/value", changes)
    said("seconds of the request", seconds)
    assert {device for device, item in items.items() if item["quality"] == "FAILURE"} == set(HANGING)
    assert "not tried" in items[HANGING[0]]["errors"][0]["description"]
    assert {item["value"] for device, item in items.items() if device not in HANGING} == {0.0}
    assert seconds < 3 * DEADLINE
    time.sleep(HANGS)


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_lost_server_has_its_failures_among_the_values_of_others(gateway: Gateway, tango: Tango, fault: str) -> None:
    host, server = tango.system.tango_host, tango.fixed.server
    path = f"attributes/value?wildcard={host}/{FIXED}/quick&wildcard={host}/{NEIGHBOUR}/quick"
    assert bulk(gateway, "GET", path)[1][FIXED]["quality"] == "ATTR_VALID"
    server.kill() if fault == "kill" else server.freeze()
    for _ in range(2):
        seconds, items = bulk(gateway, "GET", path)
        said("seconds of the request", seconds)
        assert (items[FIXED]["quality"], items[NEIGHBOUR]["quality"]) == ("FAILURE", "ATTR_VALID")
        assert (items[FIXED]["name"], items[FIXED]["host"]) == ("quick", host)
        assert seconds < 3 * DEADLINE
    server.thaw()
    server.start()
    wait_until(lambda: bulk(gateway, "GET", path)[1][FIXED]["quality"] == "ATTR_VALID")


@pytest.mark.parametrize("path", ["attributes", "attributes/value", "commands"])
def test_frozen_server_that_was_never_asked_delays_a_list_once(gateway: Gateway, tango: Tango, path: str) -> None:
    host = tango.system.tango_host
    tango.server.server.freeze()
    seconds, items = bulk(gateway, "GET", f"{path}?wildcard={host}/test/*/*/State")
    said("seconds of the request", seconds)
    assert {items[device]["quality"] for device in DEVICES} == {"FAILURE"}
    assert items[FIXED].get("quality") != "FAILURE"
    assert seconds < 3 * 2 * DEADLINE  # of a connection and a call

"""Writes and commands of many devices in one request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from webtest import TestApp

from tests.api.v11.conftest import V11
from tests.conftest import DEMO_DEVICE, HAS_PIPES, TYPES_DEVICE
from tests.pytango_process import PyTango
from tests.waiting import wait_until

Put = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def put(client: TestApp) -> Put:
    """Return a function that puts items to a path, and returns those of the answer."""

    def put(path: str, *items: object, status: int = 200) -> list[dict[str, Any]]:
        answer = client.put(f"{V11}/{path}", orjson.dumps(items), status=status)
        return answer.json if answer.body else []

    return put


def item(host: str, device: str, name: str, **rest: object) -> dict[str, object]:
    return {"host": host, "device": device, "name": name, **rest}


@pytest.mark.parametrize("path", ["attributes", "attributes/value"])
def test_written_attributes_are_read_back(put: Put, host: str, path: str) -> None:
    scalar, spectrum, same = put(
        path,
        item(host, DEMO_DEVICE, "Double_Scalar", value=3.14),
        item(host, DEMO_DEVICE.upper(), "double_spectrum", value=[1.5, 2.5]),
        item(host, DEMO_DEVICE, "double_scalar_w", value="2.5"),
    )
    assert scalar.pop("timestamp") > 1e12
    assert "value" in scalar
    assert (scalar["host"], scalar["device"], scalar["name"]) == (host, DEMO_DEVICE, "double_scalar")
    assert (spectrum["device"], spectrum["name"]) == (DEMO_DEVICE.upper(), "double_spectrum")
    assert same["value"] == 2.5


def test_items_are_written_in_their_order(put: Put, host: str, pytango: PyTango) -> None:
    items = [item(host, DEMO_DEVICE, "double_scalar_w", value=number) for number in range(5)]
    assert [each["value"] for each in put("attributes/value", *items)] == [4.0] * 5


def test_each_item_fails_for_itself(put: Put, host: str) -> None:
    answers = put(
        "attributes/value",
        item(host, DEMO_DEVICE, "double_scalar_w", value="text"),
        item(host, DEMO_DEVICE, "nope", value=1),
        item(host, "no/such/device", "nope", value=1),
        item("nowhere.invalid:1", DEMO_DEVICE, "double_scalar_w", value=1),
        item(host, "sys/tg_test", "double_scalar_w", value=1),
        item(host, DEMO_DEVICE, "double_scalar_w"),
        item(host, DEMO_DEVICE, "double_scalar_w", value=7),
    )
    *failed, good = answers
    assert [each["quality"] for each in failed] == ["FAILURE"] * 6
    assert failed[0]["errors"][0]["severity"] == "PANIC"
    assert [each["errors"][0]["reason"] for each in failed[1:4]] == [
        "API_AttrNotFound",
        "DB_DeviceNotDefined",
        "MTANGO_NotFound",
    ]
    assert (failed[3]["host"], failed[3]["device"], failed[3]["name"]) == (
        "nowhere.invalid:1",
        DEMO_DEVICE,
        "double_scalar_w",
    )
    assert (good["value"], good["quality"]) == (7, "ATTR_VALID")


@pytest.mark.parametrize("body", ["", "{}", "[1]", '[{"host": "a"}]', '[{"host": 1, "device": "a/b/c", "name": "d"}]'])
@pytest.mark.parametrize("path", ["attributes/value", "commands", "pipes/value"])
def test_body_that_is_no_list_of_items_is_400(client: TestApp, path: str, body: str) -> None:
    assert client.put(f"{V11}/{path}", body, status=400).json["quality"] == "FAILURE"


def test_asynchronous_writes_are_made_later(put: Put, host: str, pytango: PyTango) -> None:
    items = [
        item(host, DEMO_DEVICE, "double_scalar_w", value=8.5),
        item(host, TYPES_DEVICE, "double_scalar", value=9.5),
    ]
    assert put("attributes/value?async=true", items[0], status=204) == []
    wait_until(lambda: pytango.read(DEMO_DEVICE, "double_scalar_w") == 8.5)
    put("attributes/value?async=true", items[0], item(host, DEMO_DEVICE, "double_scalar_w", value="x"), status=400)
    put("attributes/value?async=true", item("nowhere.invalid", DEMO_DEVICE, "double_scalar_w", value=1), status=404)


def test_commands_of_several_devices(put: Put, host: str) -> None:
    answers = put(
        "commands",
        item(host, DEMO_DEVICE, "devdouble", input=1.5),
        item(host, "sys/database/2", "DbGetDeviceMemberList", input="sys/tg_test/*"),
        item(host, DEMO_DEVICE, "DevVoid", input=None),
        item(host, DEMO_DEVICE, "DevString", input="a,b"),
        item(host, DEMO_DEVICE, "DevDouble", input="x"),
        item(host, DEMO_DEVICE, "Nope"),
    )
    assert answers[0] == item(host, DEMO_DEVICE, "DevDouble", input=1.5, output=1.5)
    assert "1" in answers[1]["output"]
    assert answers[2] == item(host, DEMO_DEVICE, "DevVoid")
    assert answers[3]["output"] == "a,b"
    assert {"reason", "severity", "desc", "origin"} <= answers[4]["errors"][0].keys()
    assert answers[4]["input"] == "x"
    assert answers[5]["errors"][0]["reason"] == "API_CommandNotFound"


def test_pipes_of_several_devices(put: Put, host: str, fresh_types: str) -> None:
    data = [{"name": "x", "type": "DevLong", "value": [7]}]
    written, refused = put(
        "pipes/value", item(host, TYPES_DEVICE, "blob", data=data), item(host, TYPES_DEVICE, "blob", data=1)
    )
    assert (refused["quality"], refused["host"]) == ("FAILURE", host)
    if HAS_PIPES:
        assert (written["host"], written["device"], written["name"]) == (host, TYPES_DEVICE, "blob")
        assert written["data"] == data
    else:
        assert written["errors"][0]["reason"] == "MTANGO_NotImplemented"


def test_items_and_hosts_of_a_request_are_bounded(put: Put, host: str) -> None:
    put("commands", *[item(host, "no/such/device", "State")] * 1001, status=400)
    put("commands", *[item(f"host{number}.invalid", "no/such/device", "State") for number in range(17)], status=400)


def test_item_with_another_name_of_the_host_is_of_the_same_device(put: Put, host: str) -> None:
    other = host.replace("127.0.0.1", "localhost")
    first, second = put("commands", item(host, DEMO_DEVICE, "State"), item(other, DEMO_DEVICE, "State"))
    assert (first["host"], second["host"]) == (host, other)
    assert first["output"] == second["output"] == "RUNNING"

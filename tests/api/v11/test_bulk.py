"""Attributes, commands and pipes of many devices, selected by wildcards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import tango
from webtest import TestApp

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.api.v11.conftest import V11
from tests.conftest import DEMO_DEVICE, HAS_PIPES, TYPES_DEVICE

Get = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def get(client: TestApp, host: str) -> Get:
    """Return a function that asks for what wildcards select on the host."""

    def get(path: str, *wildcards: str, more: str = "") -> list[dict[str, Any]]:
        query = "&".join(f"wildcard={host}/{wildcard}" for wildcard in wildcards)
        return client.get(f"{V11}/{path}?{query}{more}", status=200).json

    return get


def test_attributes_are_those_of_the_devices(client: TestApp, get: Get, v11_demo_url: str, v11_types_url: str) -> None:
    found = get("attributes", f"{DEMO_DEVICE}/*", f"{TYPES_DEVICE}/State")
    of_demo = client.get(f"{v11_demo_url}/attributes").json
    assert found[:-1] == of_demo
    assert found[-1] == client.get(f"{v11_types_url}/attributes/state").json


def test_exact_names_have_any_case(get: Get, host: str) -> None:
    (found,) = get("commands", f"{DEMO_DEVICE}/devdouble")
    assert (found["id"], found["name"]) == (f"{host}/{DEMO_DEVICE}/DevDouble", "DevDouble")
    (value,) = get("attributes/value", f"{DEMO_DEVICE.upper()}/DOUBLE_SCALAR")
    assert value.pop("timestamp") > 1e12
    assert value.keys() == {"name", "host", "device", "value", "quality"}
    assert (value["name"], value["host"], value["device"]) == ("double_scalar", host, DEMO_DEVICE)


def test_a_device_is_read_once_for_several_wildcards(get: Get) -> None:
    names = [f"{DEMO_DEVICE}/state", f"{DEMO_DEVICE}/status", "sys/tg_*/*/State"]
    assert [item["name"] for item in get("attributes/value", *names)] == ["State", "Status"]


def test_patterns_select_devices_that_have_the_item(get: Get, host: str) -> None:
    found = get("attributes/value", "*/*/*/double_scalar")
    assert {DEMO_DEVICE, TYPES_DEVICE} <= {item["device"] for item in found}
    assert all(item["host"] == host and item["name"].lower() == "double_scalar" for item in found)
    assert "sys/database/2" not in {item["device"] for item in found}


@pytest.mark.parametrize("path", ["attributes", "attributes/value", "commands", "pipes", "pipes/value"])
@pytest.mark.parametrize("wildcard", ["no/such/device/*", "sys/tg_test/1/nope", "sys/tg_test/1", "sys", "a/b/c/d/e/f"])
def test_what_does_not_exist_is_left_out(get: Get, path: str, wildcard: str) -> None:
    assert get(path, wildcard) == []


@pytest.mark.parametrize("host_of_wildcard", ["nowhere.invalid:10000", "127.0.0.1:1", "127.0.0.1", "a:b", ""])
def test_hosts_that_are_not_served_are_left_out(client: TestApp, host_of_wildcard: str) -> None:
    assert client.get(f"{V11}/attributes?wildcard={host_of_wildcard}/{DEMO_DEVICE}/*").json == []


@pytest.mark.parametrize("path", ["attributes", "attributes/value", "commands", "pipes", "pipes/value"])
def test_request_without_a_wildcard_is_400(client: TestApp, path: str) -> None:
    for query in ("", "?wildcard="):
        failure = client.get(f"{V11}/{path}{query}", status=400).json
        assert "wildcard" in failure["errors"][0]["description"]


def test_impossible_names_are_400(client: TestApp, host: str) -> None:
    client.get(f"{V11}/attributes?wildcard={host}/a/b/c'd/e", status=400)
    client.get(f"{V11}/attributes?wildcard={host}/a/b/c%25/e", status=400)


def test_part_of_a_list(client: TestApp, host: str) -> None:
    url = f"{V11}/attributes?wildcard={host}/{DEMO_DEVICE}/*"
    answer = client.get(f"{url}&range=5-10", status=206)
    assert len(answer.json) == 5
    assert answer.headers["Accept-Ranges"] == "items"
    assert int(answer.headers["X-size"]) == len(client.get(url).json)
    client.get(f"{url}&range=XXX", status=416)


def test_filter_applies_to_each_item(get: Get) -> None:
    assert get("attributes", f"{DEMO_DEVICE}/double_scalar", more="&filter=name&filter=data_format") == [
        {"name": "double_scalar", "info": {"name": "double_scalar", "data_format": "SCALAR"}}
    ]


def test_attribute_that_cannot_be_read_is_a_failure_with_its_place(get: Get, host: str) -> None:
    (failure,) = get("attributes/value", f"{DEMO_DEVICE}/throw_exception")
    assert failure["quality"] == "FAILURE"
    assert (failure["host"], failure["device"], failure["name"]) == (host, DEMO_DEVICE, "throw_exception")
    assert {"reason", "desc", "severity", "origin"} <= failure["errors"][0].keys()


def test_device_that_is_not_exported_is_a_failure_with_its_place(
    get: Get, tango_system: EmbeddedTango, host: str
) -> None:
    database = tango.Database()
    info = tango.DbDevInfo()
    info.name, info._class, info.server = "test/absent/1", "Absent", "Absent/absent"
    database.add_device(info)
    try:
        for path in ("attributes", "attributes/value", "commands"):
            (failure,) = get(path, "test/absent/1/State")
            assert (failure["quality"], failure["device"], failure["name"]) == ("FAILURE", "test/absent/1", "State")
    finally:
        database.delete_device("test/absent/1")


def test_pipes_are_those_of_the_devices(client: TestApp, get: Get, v11_demo_url: str) -> None:
    assert get("pipes", f"{DEMO_DEVICE}/*") == client.get(f"{v11_demo_url}/pipes").json
    found = get("pipes/value", f"{DEMO_DEVICE}/*")
    if HAS_PIPES:
        (value,) = found
        shown = client.get(f"{v11_demo_url}/pipes/string_long_short_ro/value").json
        assert {**value, "timestamp": 0} == {**shown, "timestamp": 0}
    else:
        assert found == []

"""Requests of v11 for many devices: each item is checked, and nothing is listed for a client that may not list it."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.api.access.conftest import DENY_ALL, Gateway
from tests.conftest import DEMO_DEVICE, TYPES_DEVICE

V11 = "/tango/rest/v11"


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], tango_system: EmbeddedTango) -> Gateway:
    """anna may do all with State and double_scalar of one device, ben may read all devices, cara nothing."""
    return make_gateway(
        f"""
[[rule]]
users = ["anna"]
may = ["read", "write"]
devices = ["{DEMO_DEVICE}"]
attributes = ["State", "double_scalar*"]

[[rule]]
users = ["ben"]
may = ["read"]
devices = ["*"]

{DENY_ALL}"""
    )


@pytest.fixture
def host(tango_system: EmbeddedTango) -> str:
    return tango_system.tango_host


def values_of(gateway: Gateway, user: str, *wildcards: str) -> list[tuple[str, str, str]]:
    query = "&".join(f"wildcard={wildcard}" for wildcard in wildcards)
    answer = gateway.ask("GET", f"{V11}/attributes/value?{query}", user)
    assert answer.status_int == 200, answer.text
    return [(item["device"], item["name"], item["quality"]) for item in answer.json]


def test_refused_items_are_failures_among_others(gateway: Gateway, host: str) -> None:
    wildcards = [f"{host}/{DEMO_DEVICE}/State", f"{host}/{DEMO_DEVICE}/long_scalar", f"{host}/{TYPES_DEVICE}/State"]
    assert values_of(gateway, "anna", *wildcards) == [
        (DEMO_DEVICE, "State", "ATTR_VALID"),
        (DEMO_DEVICE, "long_scalar", "FAILURE"),
        (TYPES_DEVICE, "State", "FAILURE"),
    ]


@pytest.mark.parametrize("wildcard", ["sys/tg_test/*/State", "sys/tg_test/1/*", "sys/tg_test/1/long_scalar", "*/*/*/*"])
@pytest.mark.parametrize("path", ["attributes", "attributes/value", "commands", "pipes", "pipes/value"])
def test_client_without_access_lists_nothing_and_reaches_no_device(
    gateway: Gateway, host: str, wildcard: str, path: str
) -> None:
    for user in ("anna", "cara"):
        before = gateway.calls_of_requests
        answer = gateway.ask("GET", f"{V11}/{path}?wildcard={host}/{wildcard}", user)
        assert answer.status_int == 403, answer.text
        assert gateway.calls_of_requests == before


def test_client_that_may_read_all_reads_all(gateway: Gateway, host: str) -> None:
    found = values_of(gateway, "ben", f"{host}/*/*/*/State")
    assert (DEMO_DEVICE, "State", "ATTR_VALID") in found
    assert (TYPES_DEVICE, "State", "ATTR_VALID") in found


def test_refused_writes_are_failures_among_others(gateway: Gateway, host: str) -> None:
    items = [
        {"host": host, "device": device, "name": name, "value": 1}
        for device, name in (
            (DEMO_DEVICE, "double_scalar"),
            (DEMO_DEVICE, "long_scalar"),
            (TYPES_DEVICE, "double_scalar"),
        )
    ]
    body = orjson.dumps(items).decode()
    answer = gateway.ask("PUT", f"{V11}/attributes/value", "anna", body)
    assert [item["quality"] == "FAILURE" for item in answer.json] == [False, True, True]
    assert {item["errors"][0]["reason"] for item in answer.json[1:]} == {"MTANGO_Forbidden"}
    assert gateway.ask("PUT", f"{V11}/attributes/value?async=1", "anna", body).status_int == 403
    assert gateway.ask("PUT", f"{V11}/attributes/value", "ben", body).status_int == 403


def test_tree_is_for_clients_that_may_list_the_host(gateway: Gateway, host: str) -> None:
    assert gateway.ask("GET", f"{V11}/devices/tree?host={host}", "ben").json[0]["isAlive"]
    for user in ("anna", "cara"):
        assert gateway.ask("GET", f"{V11}/devices/tree?host={host}", user).status_int == 403


def test_name_in_other_characters_is_no_way_around_a_rule(gateway: Gateway, host: str) -> None:
    """Databases compare names without accents."""
    found = gateway.ask("GET", f"{V11}/attributes/value?wildcard={host}/sys/tg_test/%C2%B9/State", "ben")
    assert (found.status_int, found.json) == (200, [])
    item = {"host": host, "device": "sys/tg_t\u00e9st/1", "name": "double_scalar", "value": 1}
    assert gateway.ask("PUT", f"{V11}/attributes/value", "anna", orjson.dumps([item]).decode()).status_int == 403

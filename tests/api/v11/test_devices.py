"""A device and its state: contract v11, section 3, and rows 6 to 10 of section 7."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import tango
from webtest import TestApp

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.conftest import DEMO_DEVICE, TYPES_DEVICE

INFO_KEYS = {
    *("name", "ior", "version", "server", "hostname", "last_exported", "last_unexported", "classname"),
    *("exported", "pid", "is_taco"),
}


@pytest.fixture
def alias(tango_system: EmbeddedTango) -> Iterator[str]:
    """An alias of the device with one of everything."""
    database = tango.DeviceProxy("sys/database/2")
    database.DbPutDeviceAlias([TYPES_DEVICE, "every-type"])
    yield "every-type"
    database.DbDeleteDeviceAlias("every-type")


def test_device_has_keys_of_contract(client: TestApp, v11_demo_url: str, tango_system: EmbeddedTango) -> None:
    device = client.get(v11_demo_url).json
    url = f"http://localhost{v11_demo_url}"
    assert device.pop("info").keys() == INFO_KEYS
    assert device == {
        "id": f"{tango_system.tango_host}/{DEMO_DEVICE}",
        "name": DEMO_DEVICE,
        "host": tango_system.tango_host,
        **{noun: f"{url}/{noun}" for noun in ("attributes", "commands", "pipes", "properties", "state")},
    }


def test_links_of_device_work_and_v10_has_its_own(client: TestApp, v11_demo_url: str) -> None:
    for version in ("v10", "v11"):
        device = client.get(v11_demo_url.replace("v11", version)).json
        for noun in ("attributes", "commands", "pipes", "properties", "state"):
            assert f"/{version}/" in device[noun]
            client.get(device[noun], status=200)


def test_name_of_device_has_spelling_of_database(client: TestApp, v11_host_url: str) -> None:
    device = client.get(f"{v11_host_url}/devices/SYS/TG_TEST/1").json
    assert device["name"] == DEMO_DEVICE
    assert device["attributes"].endswith(f"/devices/{DEMO_DEVICE}/attributes")


def test_name_or_alias_that_a_database_does_not_have_is_no_failure_of_the_database(
    make_client: Callable[..., TestApp], v11_host_url: str
) -> None:
    client = make_client()  # with no failures of other tests
    for name in (DEMO_DEVICE, "no/such/device"):
        assert "alias" not in client.get(f"{v11_host_url}/devices/{name}", expect_errors=True).json
    for command in ("DbGetAliasDevice", "DbGetDeviceAlias", "DbGetDeviceInfo", "DbImportDevice"):
        url = f"{v11_host_url}/devices/sys/database/2/commands/{command}"
        answer = client.put_json(url, {"input": "no/such/device"}, expect_errors=True)
        assert answer.json["errors"][0]["reason"] == "DB_DeviceNotDefined"
    rows = client.get("/tango/rest/sys/devices").json
    assert "sys/database/2" in {row["name"] for row in rows}
    assert [row for row in rows if row["failures"] or row["last_error"]] == []


def test_alias_is_shown_where_device_has_one(client: TestApp, v11_types_url: str, alias: str) -> None:
    assert client.get(v11_types_url).json["alias"] == alias
    filtered = client.get(f"{v11_types_url}?filter=name&filter=alias").json
    assert filtered == {"name": TYPES_DEVICE, "alias": alias, "info": {"name": TYPES_DEVICE}}


def test_filters_of_the_clients(client: TestApp, v11_demo_url: str, tango_system: EmbeddedTango) -> None:
    assert client.get(f"{v11_demo_url}?filter=server").json == {"info": {"server": "MtangoDemo/demo"}}
    exported = client.get(f"{v11_demo_url}?filter=name&filter=alias&filter=exported").json
    assert exported == {"name": DEMO_DEVICE, "info": {"name": DEMO_DEVICE, "exported": True}}
    without_info = client.get(f"{v11_demo_url}?filter=!info").json
    assert (without_info["id"], without_info["host"]) == (
        f"{tango_system.tango_host}/{DEMO_DEVICE}",
        tango_system.tango_host,
    )
    assert "info" not in without_info


def test_unknown_device_is_404(client: TestApp, v11_host_url: str) -> None:
    for path in ("", "/attributes/a", "/attributes/a/value", "/attributes/value?attr=a", "/properties"):
        failure = client.get(f"{v11_host_url}/devices/no/such/device{path}", status=404).json
        assert failure["quality"] == "FAILURE"
        assert "DeviceNotDefined" in failure["errors"][0]["reason"]


def test_state_has_state_and_status(client: TestApp, v11_demo_url: str) -> None:
    state = client.get(f"{v11_demo_url}/state").json
    assert state == {"state": "RUNNING", "status": "The device is in RUNNING state."}


def test_state_of_unreachable_device_is_unknown(client: TestApp, v11_host_url: str, not_exported: str) -> None:
    state = client.get(f"{v11_host_url}/devices/{not_exported}/state", status=200).json
    assert state == {"state": "UNKNOWN", "status": f"Failed to read state&status from {not_exported}"}


def test_timestamps_are_milliseconds_whatever_the_settings_say_for_rc3(
    make_client: Callable[..., TestApp], v11_demo_url: str
) -> None:
    client = make_client(rc3_timestamps="s", rc3_errors="tango", rc3_mode="implementation")
    value = client.get(f"{v11_demo_url}/attributes/ampli/value").json
    failure = client.get(f"{v11_demo_url}/attributes/nope", status=404).json
    assert value["timestamp"] > 1e12
    assert failure["timestamp"] > 1e12

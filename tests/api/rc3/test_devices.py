"""A device and its state."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import tango
from webtest import TestApp

from mtango_gevent.demo.embedded import EmbeddedTango

INFO = {
    "last_exported": str,
    "last_unexported": str,
    "name": str,
    "ior": str,
    "version": str,
    "exported": bool,
    "pid": int,
    "server": str,
    "hostname": str,
    "classname": str,
    "is_taco": bool,
}


def test_a_device_describes_itself_and_links_to_its_parts(
    client: TestApp, device_url: str, tangotest: str, host_url: str
) -> None:
    device = client.get(device_url).json
    assert device["name"] == tangotest
    assert {key: type(value) for key, value in device["info"].items()} == INFO
    assert device["info"]["classname"] == "TangoTest"
    assert device["info"]["exported"] is True
    assert device["_links"] == {
        "_self": f"http://localhost{device_url}",
        "_parent": f"http://localhost{host_url}/devices",
    }
    for part in ("attributes", "commands", "pipes", "properties"):
        assert isinstance(client.get(device[part]).json, list)
    assert client.get(device["state"]).json["state"] in tango.DevState.names


def test_names_have_the_spelling_of_the_database(client: TestApp, device_url: str, tangotest: str) -> None:
    device = client.get(device_url.replace(tangotest, tangotest.upper())).json
    assert device["name"] == device["info"]["name"] == tangotest
    assert device["_links"]["_self"] == f"http://localhost{device_url}"


def test_the_state_has_a_status_and_links(client: TestApp, device_url: str) -> None:
    state = client.get(f"{device_url}/state").json
    assert state["state"] == "RUNNING"
    assert state["status"] == "The device is in RUNNING state."
    links = state["_links"]
    assert client.get(links["_state"]).json["name"] == "State"
    assert client.get(links["_status"]).json["name"] == "Status"
    assert client.get(links["_parent"]).json["state"] == links["_self"]


def test_an_unknown_device_is_a_tango_failure(client: TestApp, host_url: str) -> None:
    for path in ("", "/state", "/attributes", "/attributes/a/value", "/commands", "/properties", "/pipes"):
        failure = client.get(f"{host_url}/devices/no/such/device{path}", status=200).json
        assert failure["quality"] == "FAILURE"
        assert "DB_DeviceNotDefined" in {error["reason"] for error in failure["errors"]}, path
        assert set(failure["errors"][0]) == {"reason", "description", "severity", "origin"}


@pytest.fixture
def dead_device(tango_system: EmbeddedTango) -> str:
    """In the database, but with no server that ever ran."""
    database = tango.Database(*tango_system.tango_host.split(":"))
    info = tango.DbDevInfo()
    info.name, info.server, info._class = "test/Dead/1", "Dead/1", "Dead"
    database.add_device(info)
    return "test/Dead/1"


def test_a_device_without_server_still_has_what_the_database_knows(
    client: TestApp, host_url: str, dead_device: str
) -> None:
    url = f"{host_url}/devices/{dead_device.lower()}"
    device = client.get(url).json
    assert device["name"] == dead_device
    assert device["info"]["exported"] is False
    assert client.get(f"{url}/properties").json == []
    failure = client.get(f"{url}/state").json
    assert "API_CantConnectToDevice" in str(failure) or "API_DeviceNotExported" in str(failure)


def test_implementation_mode_answers_as_java_did(
    make_client: Callable[..., TestApp], host_url: str, demo_url: str, dead_device: str
) -> None:
    client = make_client(rc3_mode="implementation")
    assert client.get(demo_url).json["info"]["classname"] == "unknown"
    assert client.get(f"{host_url}/devices/{dead_device}/state").json == {
        "state": "UNKNOWN",
        "status": f"Failed to read state&status from {dead_device}",
    }


def test_failures_have_statuses_where_they_are_asked_for(
    make_client: Callable[..., TestApp], host_url: str, demo_url: str, dead_device: str
) -> None:
    client = make_client(rc3_errors="http")
    assert client.get(f"{host_url}/devices/no/such/device", status=404).json["http_status"] == 404
    assert client.get(f"{demo_url}/attributes/nope/value", status=404).json["quality"] == "FAILURE"
    assert client.get(f"{demo_url}/attributes/throw_exception/value", status=400)
    assert client.get(f"{host_url}/devices/{dead_device}/state", status=503).headers["Retry-After"] == "1"

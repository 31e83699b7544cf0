"""Properties of devices."""

from __future__ import annotations

import pytest
import tango
from webtest import TestApp

from mtango_gevent.demo.embedded import EmbeddedTango


@pytest.fixture(autouse=True)
def _stored_properties(tango_system: EmbeddedTango, tangotest: str) -> None:
    """By the database's own command: PyTango's `put_device_property` stores UTF-8, where Tango's texts are Latin-1."""
    properties = {"Axis": ["x", "y"], "limit": ["1.5"], "text": ['a, "b"\nc é']}
    flat = [text for name, values in properties.items() for text in (name, str(len(values)), *values)]
    tango.DeviceProxy("sys/database/2").DbPutDeviceProperty([tangotest, str(len(properties)), *flat])


def test_properties_are_a_list_of_names_and_values(client: TestApp, device_url: str) -> None:
    found = {item["name"]: item["values"] for item in client.get(f"{device_url}/properties").json}
    assert found["Axis"] == ["x", "y"]
    assert found["limit"] == ["1.5"]
    assert found["text"] == ['a, "b"\nc é']


def test_one_property_in_the_databases_spelling(client: TestApp, device_url: str) -> None:
    assert client.get(f"{device_url}/properties/AXIS").json == {"name": "Axis", "values": ["x", "y"]}


def test_a_name_is_no_pattern(client: TestApp, host_url: str, tango_system: EmbeddedTango) -> None:
    database = tango.Database(*tango_system.tango_host.split(":"))
    for name in ("test/pattern/a_1", "test/pattern/ax1"):
        info = tango.DbDevInfo()
        info.name, info.server, info._class = name, "Pattern/1", "Pattern"
        database.add_device(info)
        database.put_device_property(name, {f"of_{name[-3:]}": ["1"]})
    assert client.get(f"{host_url}/devices/test/pattern/a_1/properties").json == [{"name": "of_a_1", "values": ["1"]}]
    failure = client.get(f"{host_url}/devices/test/pattern/%25/properties").json
    assert failure["errors"][0]["reason"] == "DB_DeviceNotDefined"


def test_a_property_that_is_not_there_has_no_values(client: TestApp, device_url: str) -> None:
    assert client.get(f"{device_url}/properties/nope").json == {"name": "nope", "values": []}


def test_a_part_of_the_properties(client: TestApp, device_url: str) -> None:
    *items, about = client.get(f"{device_url}/properties?range=0-1", status=206).json
    assert len(items) == 1
    assert about["total"] >= 3

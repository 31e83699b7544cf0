"""Names as Tango allows them: whatever is listed can be used in every URL, query and body."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import orjson
import pytest
import tango
from webtest import TestApp

from tests.odd_devices import ODD_NAMES
from tests.pytango_process import PyTango

from .conftest import ODD_DEVICE


def segment(name: str) -> str:
    return quote(name, safe="")


@pytest.mark.slow
def test_every_attribute_is_listed_with_links_that_work(client: TestApp, odd_url: str) -> None:
    listed = client.get(f"{odd_url}/attributes").json
    assert {item["name"] for item in listed} >= set(ODD_NAMES)
    for item in listed:
        assert client.get(item["_links"]["_self"]).json == item
        assert client.get(item["info"]).json["name"] == item["name"]
        assert "API_AttrNotFound" not in client.get(item["value"]).text
        assert client.get(item["properties"], status=200).json == {}


@pytest.mark.parametrize("name", ODD_NAMES)
def test_one_is_read_written_and_configured(client: TestApp, odd_url: str, pytango: PyTango, name: str) -> None:
    url = f"{odd_url}/attributes/{segment(name)}"
    assert client.put(f"{url}/value?v=2.5", status=200).json["value"] == 2.5
    assert pytango.read(ODD_DEVICE, name) == 2.5
    for _ in range(2):  # the second time without Flask
        assert client.get(f"{url}/value").json["value"] == 2.5
    assert client.put(f"{url}/info", '{"unit": "km"}').json["unit"] == "km"
    assert client.get(f"{url}/info").json["unit"] == "km"
    assert client.get(f"{url}/history").json["errors"][0]["reason"] == "API_AttrNotPolled"
    assert client.put(f"{url}/properties/mine?value=1").json == {"mine": ["1"]}
    client.delete(f"{url}/properties/mine", status=204)
    assert client.get(f"{url}/change?state=INITIAL").json["value"] == 2.5


def test_all_are_read_and_written_in_one_request(client: TestApp, odd_url: str) -> None:
    query = urlencode([("attr", name) for name in (*ODD_NAMES, "Value")])
    assert [item["name"] for item in client.get(f"{odd_url}/attributes/info?{query}").json] == [*ODD_NAMES, "Value"]
    values = {name: float(number) for number, name in enumerate((*ODD_NAMES, "Value"))}
    for answer in (
        client.put(f"{odd_url}/attributes/value?{urlencode(values)}"),
        client.put(f"{odd_url}/attributes/value", orjson.dumps(values)),
        client.get(f"{odd_url}/attributes/value?{query}"),
    ):
        assert {item["name"]: item["value"] for item in answer.json} == values


def test_case_matters_where_it_does_to_tango(client: TestApp, odd_url: str) -> None:
    """Tango compares names byte by byte: É and é are two attributes, TEMP:1 and temp:1 are one."""
    client.put(f"{odd_url}/attributes/value?{urlencode({'é': 1, 'É': 2, 'TEMP:1': 3})}")
    query = urlencode([("attr", name) for name in ("É", "é", "Temp:1")])
    for _ in range(2):
        items = client.get(f"{odd_url}/attributes/value?{query}").json
        assert [(item["name"], item["value"]) for item in items] == [("É", 2), ("é", 1), ("temp:1", 3)]


@pytest.mark.parametrize("name", ["nope", "a#c", "Kelvin\u212a", "日本", "*", "%", "#", "?", " ", "\n"])
def test_what_no_attribute_is_called_fails_in_its_place(client: TestApp, odd_url: str, name: str) -> None:
    url = f"{odd_url}/attributes/{segment(name)}"
    for answer in (client.get(f"{url}/value"), client.get(f"{url}/info"), client.put(f"{url}/value?v=1")):
        assert answer.json["errors"][0]["reason"] == "API_AttrNotFound"
    both = urlencode([("attr", name), ("attr", "Value")])
    for answer in (
        client.get(f"{odd_url}/attributes/value?{both}"),
        client.get(f"{odd_url}/attributes/info?{both}"),
        client.put(f"{odd_url}/attributes/value?{urlencode({name: 1, 'Value': 2})}"),
    ):
        failure, found = answer.json
        assert (failure["name"], failure["errors"][0]["reason"]) == (name, "API_AttrNotFound")
        assert found["name"] == "Value"
        assert "errors" not in found


@pytest.mark.parametrize("name", ["Do it 1%", "#dbase=no"])
def test_commands_have_odd_names_too(client: TestApp, odd_url: str, name: str) -> None:
    (listed,) = [item for item in client.get(f"{odd_url}/commands").json if item["name"] == name]
    assert client.get(listed["_links"]["_self"]).json == listed
    assert client.put(f"{odd_url}/commands/{segment(name)}").json == {"name": name, "output": "done"}


@pytest.mark.parametrize("name", ["no#pe", "All commands", "日本", "%"])
def test_what_no_command_is_called_is_tangos_failure(client: TestApp, odd_url: str, name: str) -> None:
    assert client.put(f"{odd_url}/commands/{segment(name)}").json["errors"][0]["reason"] == "API_CommandNotFound"


@pytest.mark.skipif(not hasattr(tango.DeviceProxy, "read_pipe"), reason="this PyTango has no pipes")
@pytest.mark.parametrize("name", ["no#pe", "All pipes", "日本", "%"])
def test_what_no_pipe_is_called_is_tangos_failure(client: TestApp, odd_url: str, name: str) -> None:
    assert client.get(f"{odd_url}/pipes/{segment(name)}").json["errors"][0]["reason"] == "API_PipeNotFound"


@pytest.mark.parametrize("name", ["All attributes", "All attributes_3", "a\0b", "x" * 256, "a%2fb"])
def test_what_cannot_be_a_name_is_refused(client: TestApp, odd_url: str, name: str) -> None:
    query = urlencode({"attr": name.replace("%2f", "/")})
    client.get(f"{odd_url}/attributes/value?{query}", status=400)
    client.get(f"{odd_url}/attributes/info?{query}", status=400)
    client.put(f"{odd_url}/attributes/value?{urlencode({name.replace('%2f', '/'): 1})}", status=400)


@pytest.mark.parametrize("member", ["1#dbase=no", "1#dbase=yes", "1:10000", "1->x", "%", "*", "1'", '1"', "1\\"])
def test_no_device_name_leads_elsewhere(client: TestApp, host_url: str, member: str) -> None:
    client.get(f"{host_url}/devices/sys/tg_test/{segment(member)}/state", status=400)


@pytest.mark.parametrize("member", ["a b", "x?", "a,b", "1 "])
def test_a_device_with_another_odd_name_is_found(
    client: TestApp, host_url: str, tango_system: object, member: str
) -> None:
    info = tango.DbDevInfo()
    info.name, info.server, info._class = f"test/named/{member}", "Named/1", "Named"
    tango.Database().add_device(info)
    listed = client.get(f"{host_url}/devices?wildcard={quote(info.name)}").json
    (href,) = [item["href"] for item in listed if item["name"] == info.name]
    assert client.get(href).json["name"] == info.name
    assert client.get(f"{href}/state").json["errors"][0]["reason"] == "API_DeviceNotExported"

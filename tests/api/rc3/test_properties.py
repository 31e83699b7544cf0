"""Properties of devices and attributes: what they say is what a plain client finds in the database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import orjson
import pytest
import tango
from hypothesis import given
from hypothesis import strategies as st
from webtest import TestApp

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.live.conftest import wait_until
from tests.pytango_process import PyTango
from tests.tango_values import many_examples


@pytest.fixture(autouse=True)
def _stored_properties(tango_system: EmbeddedTango, tangotest: str) -> Iterator[None]:
    """And afterwards none at all but the polling's."""
    database = tango.Database(*tango_system.tango_host.split(":"))
    database.put_device_property(tangotest, {"Axis": ["x", "y"], "limit": ["1.5"], "text": ['a, "b"\nc é €']})
    yield
    for name in database.get_device_property_list(tangotest, "*"):
        if not name.startswith("polled_"):
            database.delete_device_property(tangotest, name)


def test_properties_are_a_list_of_names_and_values(client: TestApp, device_url: str) -> None:
    found = {item["name"]: item["values"] for item in client.get(f"{device_url}/properties").json}
    assert found["Axis"] == ["x", "y"]
    assert found["limit"] == ["1.5"]
    assert found["text"] == ['a, "b"\nc é €']


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
    client.get(f"{host_url}/devices/test/pattern/%25/properties", status=400)


def test_a_property_that_is_not_there_has_no_values(client: TestApp, device_url: str) -> None:
    assert client.get(f"{device_url}/properties/nope").json == {"name": "nope", "values": []}


def test_a_part_of_the_properties(client: TestApp, device_url: str) -> None:
    *items, about = client.get(f"{device_url}/properties?range=0-1", status=206).json
    assert len(items) == 1
    assert about["total"] >= 3


def test_what_was_kept_in_latin_1_is_read_as_such(client: TestApp, device_url: str, tangotest: str) -> None:
    """As programs in other languages do; PyTango's own functions cannot read it."""
    tango.DeviceProxy("sys/database/2").DbPutDeviceProperty([tangotest, "1", "unit", "1", "°C"])
    assert client.get(f"{device_url}/properties/unit").json["values"] == ["°C"]


# --- put, of devices ---


def as_object(items: list[dict[str, Any]]) -> dict[str, list[str]]:
    return {item["name"]: item["values"] for item in items if not item["name"].startswith("polled_")}


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_one_is_put(client: TestApp, device_url: str, tangotest: str, pytango: PyTango, method: str) -> None:
    answer = client.request(f"{device_url}/properties/new?value=1&value=a,b", method=method, status=200).json
    assert answer == {"name": "new", "values": ["1", "a,b"]}
    assert pytango.get_property(tangotest, "new") == ["1", "a,b"]


@pytest.mark.parametrize(
    ("body", "content_type", "texts"),
    [
        ("value=1&value=2", "application/x-www-form-urlencoded", ["1", "2"]),
        ('["a", "b, c", 5, 1.5]', "application/json", ["a", "b, c", "5", "1.5"]),
        ('{"name": "new", "values": ["x"]}', "application/json", ["x"]),
        ('{"new": ["x", "y"]}', "application/json", ["x", "y"]),
        ('"quoted"', "application/json", ["quoted"]),
        ("plain, text", "text/plain", ["plain, text"]),
        ("5", "application/json", ["5"]),
        ('[""]', "application/json", [""]),
    ],
)
def test_one_is_put_in_a_body(
    client: TestApp, device_url: str, tangotest: str, pytango: PyTango, body: str, content_type: str, texts: list[str]
) -> None:
    answer = client.put(f"{device_url}/properties/new", body, content_type=content_type).json
    assert answer == {"name": "new", "values": texts}
    assert pytango.get_property(tangotest, "new") == texts


@many_examples
@given(
    texts=st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1, max_size=5)
)
def test_any_text_comes_back(client: TestApp, demo_url: str, pytango: PyTango, texts: list[str]) -> None:
    answer = client.put(f"{demo_url}/properties/text", orjson.dumps(texts), content_type="application/json").json
    assert answer["values"] == texts
    assert pytango.get_property("sys/tg_test/1", "text") == texts


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize(
    ("query", "body", "content_type"),
    [
        ("?new=1&new=2&AXIS=z", "", "text/plain"),
        ("?new=1", "new=2&AXIS=z", "application/x-www-form-urlencoded"),
        ("", '{"new": ["1", "2"], "axis": "z"}', "application/json"),
        ("", '[{"name": "new", "values": [1, 2]}, {"name": "axis", "values": ["z"]}]', "application/json"),
    ],
)
def test_many_are_put_and_the_others_stay(
    client: TestApp,
    device_url: str,
    tangotest: str,
    pytango: PyTango,
    method: str,
    query: str,
    body: str,
    content_type: str,
) -> None:
    url = f"{device_url}/properties{query}"
    found = as_object(client.request(url, method=method, body=body.encode(), content_type=content_type).json)
    assert {name.lower(): texts for name, texts in found.items()} == {
        "axis": ["z"],
        "limit": ["1.5"],
        "new": ["1", "2"],
        "text": ['a, "b"\nc é €'],
    }
    assert list(found).count("Axis") == 1
    assert pytango.get_property(tangotest, "new") == ["1", "2"]
    assert pytango.get_property(tangotest, "Axis") == ["z"]


def test_replace_leaves_no_others(client: TestApp, device_url: str, tangotest: str, pytango: PyTango) -> None:
    found = client.put(f"{device_url}/properties?replace=true&new=1&axis=z").json
    assert sorted(item["name"].lower() for item in found) == ["axis", "new"]
    assert pytango.get_property(tangotest, "limit") == []


@pytest.mark.parametrize("name", ["range", "filter", "value", "v", "with blank", "a/b", "été"])
def test_a_property_may_have_any_name(
    client: TestApp, device_url: str, tangotest: str, pytango: PyTango, name: str
) -> None:
    found = as_object(client.put(f"{device_url}/properties", orjson.dumps({name: ["0-1"]})).json)
    assert found[name] == ["0-1"]
    assert found["Axis"] == ["x", "y"]
    assert pytango.get_property(tangotest, name) == ["0-1"]


def test_what_is_read_can_be_put_back(client: TestApp, device_url: str) -> None:
    items = client.get(f"{device_url}/properties").json
    assert client.put(f"{device_url}/properties?replace=true", orjson.dumps(items)).json == items


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("", "", ["got neither"]),
        ("?replace=true", "", ["got neither"]),
        ("", "no json", ["JSON"]),
        ("", "5", ["5"]),
        ("", "[5]", ["name"]),
        ("", '{"new": []}', ["new", "DELETE"]),
        ("", '{"new": {"a": 1}}', ["new", "texts"]),
        ("", '{"new": [null]}', ["null"]),
        ("", '{"": ["1"]}', ["1 to 255 characters"]),
        ("/new", "", ["new", "DELETE"]),
        ("/new", "[]", ["DELETE"]),
        ("/new", "[true]", ["true"]),
        ("/new", "a\0b", ["new"]),
        ("/new", '{"name": "other", "values": ["1"]}', ["new", "other"]),
        ("/new", '{"other": ["1"]}', ["new", "other"]),
        ("?new=1&NEW=2", "", ["twice"]),
        ("", '[{"name": "new", "values": ["1"]}, {"name": "New", "values": ["2"]}]', ["twice"]),
    ],
)
def test_what_cannot_be_put_is_refused(
    client: TestApp, device_url: str, tangotest: str, pytango: PyTango, path: str, body: str, words: list[str]
) -> None:
    refusal = client.put(f"{device_url}/properties{path}", body.encode(), status=400).json
    assert all(word in refusal["errors"][0]["description"] for word in words), refusal
    assert pytango.get_property(tangotest, "new") == []
    assert pytango.get_property(tangotest, "Axis") == ["x", "y"]


def test_numbers_keep_their_digits(client: TestApp, device_url: str, tangotest: str, pytango: PyTango) -> None:
    numbers = ["123456789012345678901234567890", "1.10", "-0", "1e-400"]
    body = f"[{', '.join(numbers)}]"
    assert client.put(f"{device_url}/properties/new", body).json["values"] == numbers
    assert client.put(f"{device_url}/properties", f'{{"new": {body}}}').status_int == 200
    assert pytango.get_property(tangotest, "new") == numbers


def test_a_name_in_a_body_has_any_case(client: TestApp, device_url: str, tangotest: str, pytango: PyTango) -> None:
    client.put(f"{device_url}/properties/new", '{"NEW": ["1"]}')
    assert pytango.get_property(tangotest, "new") == ["1"]


def test_a_form_may_say_how(client: TestApp, device_url: str, tangotest: str, pytango: PyTango) -> None:
    client.put(f"{device_url}/properties", {"new": "1", "replace": "true"})
    assert pytango.get_property(tangotest, "Axis") == []
    client.put(f"{device_url}/properties", {"newer": "1", "async": "true"}, status=204)
    wait_until(lambda: pytango.get_property(tangotest, "newer") == ["1"])


@pytest.fixture
def pattern(tangotest: str) -> Iterator[str]:
    """The name of a property that the database takes for a pattern, as another program may have made it."""
    database = tango.Database()
    database.put_device_property(tangotest, {"A*": ["1"]})
    yield "A*"
    database.delete_device_property(tangotest, "A*")


def test_a_property_with_a_pattern_for_a_name_costs_no_other(
    client: TestApp, device_url: str, tangotest: str, pytango: PyTango, pattern: str
) -> None:
    found = {item["name"]: item for item in client.get(f"{device_url}/properties").json}
    assert found["Axis"]["values"] == ["x", "y"]
    assert refused(found[pattern])
    assert refused(client.get(f"{device_url}/properties/A%2A").json)
    assert refused(client.delete(f"{device_url}/properties/A%2A", status=200).json)
    assert refused(client.put(f"{device_url}/properties/A%2A?value=2", status=200).json)
    assert pytango.get_property(tangotest, "Axis") == ["x", "y"]
    found = {item["name"]: item for item in client.put(f"{device_url}/properties", {"new": "1", pattern: "2"}).json}
    assert found["new"]["values"] == ["1"]
    assert refused(found[pattern])
    assert pytango.get_property(tangotest, "Axis") == ["x", "y"]
    everything = {"new": ["2"], "Axis": ["z"]}
    answer = client.put(f"{device_url}/properties?replace=true", orjson.dumps(everything), status=200).json
    found = {item["name"]: item for item in answer}
    assert set(found) - {"polled_attr", "polled_cmd"} == {"new", "Axis", pattern}
    assert refused(found[pattern])
    assert pytango.get_property(tangotest, "Axis") == ["z"]


def refused(item: dict[str, Any]) -> bool:
    return [error["reason"] for error in item.get("errors", [])] == ["MTANGO_NotAddressable"]


@pytest.mark.parametrize(
    "name", ["Humidity%", "*star", "100%*", "a_b", "#1", "x?", "a:b", "Ω", "tab\tx", "a/b", "a//b/c"]
)
def test_a_property_with_an_odd_name_that_means_no_other_is_as_any(
    client: TestApp, device_url: str, tangotest: str, pytango: PyTango, name: str
) -> None:
    url = f"{device_url}/properties/{quote(name, safe='')}"
    assert client.put(f"{url}?value=1").json == {"name": name, "values": ["1"]}
    assert client.put(f"{device_url}/properties", {name: "2"}).status_int == 200
    assert client.get(url).json == {"name": name, "values": ["2"]}
    assert {"name": name, "values": ["2"]} in client.get(f"{device_url}/properties").json
    assert client.get(f"{url}/").json == {"name": name, "values": ["2"]}
    assert pytango.get_property(tangotest, name) == ["2"]
    client.delete(url, status=204)
    assert client.get(url).json["values"] == []
    assert pytango.get_property(tangotest, "Axis") == ["x", "y"]


def test_what_would_be_a_part_of_a_query_fails_in_its_place(client: TestApp, device_url: str) -> None:
    found = {item["name"]: item for item in client.put(f"{device_url}/properties", {'a"b': "1", "new": "2"}).json}
    assert found["new"]["values"] == ["2"]
    assert refused(found['a"b'])
    assert refused(client.put(f"{device_url}/properties/a'b?value=1").json)
    client.delete(f"{device_url}/properties/a'b", status=204)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_device_that_is_not_defined_gets_none(client: TestApp, host_url: str, pytango: PyTango, method: str) -> None:
    url = f"{host_url}/devices/no/such/device/properties/new?value=1"
    assert client.request(url, method=method, status=200).json["errors"][0]["reason"] == "DB_DeviceNotDefined"
    assert pytango.get_property("no/such/device", "new") == []


def test_async_puts_later(client: TestApp, device_url: str, tangotest: str, pytango: PyTango) -> None:
    client.put(f"{device_url}/properties/new?value=1&async=true", status=204)
    client.put(f"{device_url}/properties?newer=2&async=true", status=204)
    wait_until(lambda: pytango.get_property(tangotest, "newer") == ["2"])
    assert pytango.get_property(tangotest, "new") == ["1"]


# --- delete, of devices ---


def test_one_is_deleted_whatever_the_case(client: TestApp, device_url: str, tangotest: str, pytango: PyTango) -> None:
    answer = client.delete(f"{device_url}/properties/AXIS", status=204)
    assert answer.body == b""
    assert pytango.get_property(tangotest, "Axis") == []
    assert pytango.get_property(tangotest, "limit") == ["1.5"]
    client.delete(f"{device_url}/properties/AXIS", status=204)


# --- of attributes ---


@pytest.fixture
def attribute_url(device_url: str, tango_system: EmbeddedTango, tangotest: str) -> Iterator[str]:
    database = tango.Database(*tango_system.tango_host.split(":"))
    database.put_device_attribute_property(tangotest, {"ampli": {"Colour": ["red", "blue"], "size": ["5"]}})
    yield f"{device_url}/attributes/ampli/properties"
    found = database.get_device_attribute_property(tangotest, "ampli")["ampli"]
    database.delete_device_attribute_property(tangotest, {"ampli": list(found)})


def test_of_an_attribute_one_is_put(client: TestApp, attribute_url: str, tangotest: str, pytango: PyTango) -> None:
    assert client.put(f"{attribute_url}/COLOUR?value=5%20%C2%B5m").json == {"Colour": ["5 µm"]}
    assert client.put(f"{attribute_url}/new", b'["a,b", "c"]').json == {"new": ["a,b", "c"]}
    assert client.put(f"{attribute_url}/new", b'{"new": ["d"]}').json == {"new": ["d"]}
    assert pytango.get_attribute_property(tangotest, "ampli", "Colour") == ["5 µm"]
    assert pytango.get_attribute_property(tangotest, "ampli", "new") == ["d"]


def test_of_an_attribute_many_are_put(client: TestApp, attribute_url: str, tangotest: str, pytango: PyTango) -> None:
    found = client.put(f"{attribute_url}?new=1&new=2").json
    assert found == {"Colour": ["red", "blue"], "size": ["5"], "new": ["1", "2"]}
    assert client.put(f"{attribute_url}?replace=true", orjson.dumps(found)).json == found
    assert client.post(f"{attribute_url}?replace=true", {"new": "3"}).json == {"new": ["3"]}
    assert pytango.get_attribute_property(tangotest, "ampli", "Colour") is None


def test_of_an_attribute_one_is_deleted(client: TestApp, attribute_url: str, tangotest: str, pytango: PyTango) -> None:
    client.delete(f"{attribute_url}/colour", status=204)
    client.delete(f"{attribute_url}/colour", status=204)
    client.get(f"{attribute_url}/colour", status=404)
    assert pytango.get_attribute_property(tangotest, "ampli", "Colour") is None
    assert pytango.get_attribute_property(tangotest, "ampli", "size") == ["5"]


def test_of_an_attribute_that_is_not_there_none_is_put(client: TestApp, demo_url: str) -> None:
    failure = client.put(f"{demo_url}/attributes/nope/properties/x?value=1").json
    assert failure["errors"][0]["reason"] == "API_AttrNotFound"


def test_the_java_servers_shape_after_a_put(make_client: Callable[..., TestApp], attribute_url: str) -> None:
    found = make_client(rc3_mode="implementation").put(f"{attribute_url}?new=1").json
    assert {"name": "new", "_empty": False} in found


@pytest.mark.parametrize("name", ["%" * 254 + "x", "%a" * 100 + "x", "*" * 254 + "x"])
def test_a_pattern_is_compared_with_other_names_in_no_time(
    client: TestApp, device_url: str, tango_system: EmbeddedTango, tangotest: str, name: str
) -> None:
    database = tango.Database(*tango_system.tango_host.split(":"))
    database.put_device_property(tangotest, {"a" * 200: ["1"]})
    began = time.monotonic()
    client.delete(f"{device_url}/properties/{quote(name)}", status=204)
    assert client.put_json(f"{device_url}/properties", {"plain": "1", name: "2"}).json
    assert time.monotonic() - began < 5

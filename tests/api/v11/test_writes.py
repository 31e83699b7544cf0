"""Writes of values, configurations and properties of attributes: contract v11, constraint 3 and rows 19, 21, 22."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from webtest import TestApp

from tests.conftest import TYPES_DEVICE
from tests.pytango_process import PyTango
from tests.waiting import wait_until


@pytest.fixture
def attributes(v11_types_url: str, fresh_types: str) -> str:
    return f"{v11_types_url}/attributes"


def put(client: TestApp, url: str, body: Any = None, **options: Any) -> Any:
    """Send what tango-rest-client sends: always a body of JSON, an empty object where there is no data."""
    return client.put_json(url, {} if body is None else body, **options)


# --- values ---


def test_value_in_query_wins_over_empty_object(client: TestApp, attributes: str, pytango: PyTango) -> None:
    written = put(client, f"{attributes}/double_scalar/value?v=3.14", status=200).json
    assert written == client.get(f"{attributes}/double_scalar/value").json | {"timestamp": written["timestamp"]}
    assert written["value"] == pytango.read(TYPES_DEVICE, "double_scalar") == 3.14


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("long_spectrum", "1,2,3", [1, 2, 3]),
        ("string_scalar", "two words", "two words"),
        ("boolean_scalar", "true", True),
        ("enum_scalar", "MIDDLE", "MIDDLE"),
    ],
)
def test_values_as_the_client_writes_them(
    client: TestApp, attributes: str, name: str, text: str, expected: object
) -> None:
    assert put(client, f"{attributes}/{name}/value?v={text}").json["value"] == expected


def test_value_in_body(client: TestApp, attributes: str) -> None:
    assert put(client, f"{attributes}/long_spectrum/value", [4, 5]).json["value"] == [4, 5]


def test_asynchronous_write_is_204(client: TestApp, attributes: str, pytango: PyTango) -> None:
    answer = put(client, f"{attributes}/double_scalar/value?v=6.5&async=true", status=204)
    assert answer.body == b""
    wait_until(lambda: pytango.read(TYPES_DEVICE, "double_scalar") == 6.5)


def test_empty_object_alone_is_no_value(client: TestApp, attributes: str) -> None:
    put(client, f"{attributes}/double_scalar/value", status=400)


def test_several_values_and_their_failures(client: TestApp, attributes: str, pytango: PyTango) -> None:
    query = "?double_scalar=1.5&nope=1&long_scalar=text&string_scalar=a"
    written = put(client, f"{attributes}/value{query}", status=200).json
    assert [each["name"] for each in written] == ["double_scalar", "nope", "long_scalar", "string_scalar"]
    assert [each["quality"] for each in written] == ["ATTR_VALID", "FAILURE", "FAILURE", "ATTR_VALID"]
    assert (written[0]["value"], written[3]["value"]) == (1.5, "a")
    assert pytango.read(TYPES_DEVICE, "string_scalar") == "a"
    assert written[0].keys() == {"name", "value", "quality", "timestamp"}


def test_image_that_is_written_is_read_back_flat(client: TestApp, attributes: str) -> None:
    image = put(client, f"{attributes}/long_image/value", [[1, 2, 3], [4, 5, 6]]).json["value"]
    assert image == {"data": [1, 2, 3, 4, 5, 6], "width": 3, "height": 2}


# --- configurations ---


def test_whole_configuration_is_taken_back(client: TestApp, attributes: str, pytango: PyTango) -> None:
    """Waltz sends the whole object, with the type State, and asks for no answer."""
    url = f"{attributes}/double_scalar/info"
    info = client.get(url).json
    put(client, f"{url}?async=true", info | {"label": "of a test"}, status=204)
    wait_until(lambda: pytango.get_configuration(TYPES_DEVICE, "double_scalar", "label") == "of a test")
    assert put(client, url, info, status=200).json == info
    state = client.get(f"{attributes}/State/info").json
    put(client, f"{attributes}/State/info?async=true", state, status=204)


def test_impossible_configuration_is_400(client: TestApp, attributes: str) -> None:
    put(client, f"{attributes}/double_scalar/info?async=true", {"data_type": "DevLong"}, status=400)
    put(client, f"{attributes}/double_scalar/info", {"nope": 1}, status=400)


# --- properties of attributes ---


@pytest.fixture
def properties(attributes: str, pytango: PyTango) -> Iterator[str]:
    yield f"{attributes}/double_scalar/properties"
    for name in ("first", "second"):
        pytango.delete_attribute_property(TYPES_DEVICE, "double_scalar", name)


def test_properties_are_names_with_values(client: TestApp, properties: str) -> None:
    put(client, f"{properties}?first=a&second=b&second=c", status=200)
    found = {each["name"]: each for each in client.get(properties).json}
    assert found["second"] == {"name": "second", "values": ["b", "c"]}
    assert client.get(f"{properties}/first").json == {"name": "first", "values": ["a"]}


def test_one_property_is_answered_as_it_is_now(client: TestApp, properties: str, pytango: PyTango) -> None:
    written = put(client, f"{properties}/first?value=x", status=200).json
    assert written == {"name": "first", "values": ["x"]}
    assert pytango.get_attribute_property(TYPES_DEVICE, "double_scalar", "first") == ["x"]
    put(client, f"{properties}/first?value=y&async=true", status=204)
    wait_until(lambda: pytango.get_attribute_property(TYPES_DEVICE, "double_scalar", "first") == ["y"])


def test_deleted_property_is_gone(client: TestApp, properties: str) -> None:
    put(client, f"{properties}?first=a")
    client.delete(f"{properties}/first", status=204)
    client.get(f"{properties}/first", status=404)

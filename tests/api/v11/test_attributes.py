"""Attributes: lists, configurations, values, histories: contract v11, sections 3 and 5, rows 11 to 23 of section 7."""

from __future__ import annotations

import base64
import io
import json
import math
import time
from collections.abc import Callable, Iterator

import pytest
from PIL import Image
from webtest import TestApp

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.api.rc3.test_attributes import INFO_KEYS
from tests.conftest import DEMO_DEVICE, TYPES_DEVICE
from tests.pytango_process import PyTango
from tests.waiting import wait_until

# --- objects ---


def test_attribute_has_keys_of_contract(client: TestApp, v11_demo_url: str, tango_system: EmbeddedTango) -> None:
    attribute = client.get(f"{v11_demo_url}/attributes/ampli").json
    url = f"http://localhost{v11_demo_url}/attributes/ampli"
    assert attribute.pop("info").keys() == INFO_KEYS
    assert attribute == {
        "id": f"{tango_system.tango_host}/{DEMO_DEVICE}/ampli",
        "name": "ampli",
        "device": DEMO_DEVICE,
        "host": tango_system.tango_host,
        "value": f"{url}/value",
        "properties": f"{url}/properties",
        "history": f"{url}/history",
    }


def test_list_has_the_same_objects(client: TestApp, v11_demo_url: str) -> None:
    attributes = client.get(f"{v11_demo_url}/attributes").json
    assert len(attributes) > 50
    for attribute in attributes[:3]:
        assert client.get(f"{v11_demo_url}/attributes/{attribute['name']}").json == attribute
        client.get(attribute["value"], status=200)


def test_name_has_spelling_of_device(client: TestApp, v11_demo_url: str) -> None:
    attribute = client.get(f"{v11_demo_url}/attributes/AMPLI").json
    assert (attribute["name"], attribute["info"]["name"]) == ("ampli", "ampli")


def test_filter_of_plots(client: TestApp, v11_demo_url: str, tango_system: EmbeddedTango) -> None:
    query = "?filter=id&filter=name&filter=data_type&filter=data_format"
    assert client.get(f"{v11_demo_url}/attributes/double_scalar{query}").json == {
        "id": f"{tango_system.tango_host}/{DEMO_DEVICE}/double_scalar",
        "name": "double_scalar",
        "info": {"name": "double_scalar", "data_format": "SCALAR", "data_type": "DevDouble"},
    }


def test_type_of_states_is_state(client: TestApp, v11_demo_url: str) -> None:
    info = client.get(f"{v11_demo_url}/attributes/State").json["info"]
    assert info["data_type"] == "State"
    assert client.get(f"{v11_demo_url}/attributes/State/info").json == info
    assert "WRITE" in client.get(f"{v11_demo_url}/attributes/ampli").json["info"]["writable"]


def test_infos_of_several_attributes(client: TestApp, v11_demo_url: str) -> None:
    state, missing = client.get(f"{v11_demo_url}/attributes/info?attr=State&attr=nope").json
    assert state == client.get(f"{v11_demo_url}/attributes/State/info").json
    assert (missing["name"], missing["errors"][0]["reason"]) == ("nope", "API_AttrNotFound")


# --- values ---


def test_value_has_keys_of_contract(client: TestApp, v11_demo_url: str, tango_system: EmbeddedTango) -> None:
    before = time.time() * 1000
    answer = client.get(f"{v11_demo_url}/attributes/Double_Scalar/value")
    value = answer.json
    assert value.keys() == {"name", "host", "device", "value", "quality", "timestamp"}
    assert (value["name"], value["device"], value["host"]) == ("double_scalar", DEMO_DEVICE, tango_system.tango_host)
    assert (value["quality"], type(value["value"])) == ("ATTR_VALID", float)
    assert abs(value["timestamp"] - before) < 60_000
    assert "Accept" in answer.headers["Vary"]


VALUES = [
    *(("nan_scalar", "NaN"), ("infinity_scalar", "Infinity"), ("empty_spectrum", []), ("empty_string", "")),
    ("nonfinite_spectrum", ["NaN", "Infinity", "-Infinity", 1.5]),
    ("nonfinite_image", {"data": ["NaN", "Infinity", "-Infinity", 1.5], "width": 2, "height": 2}),
    ("State", "ON"),
]


@pytest.mark.parametrize(("name", "expected"), VALUES, ids=[name for name, _ in VALUES])
def test_values_are_json(client: TestApp, v11_types_url: str, fresh_types: str, name: str, expected: object) -> None:
    """JSON.parse reads them: a bare NaN is a syntax error."""
    url = f"{v11_types_url}/attributes/{name}/value"

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} in JSON")

    assert json.loads(client.get(url).text, parse_constant=refuse)["value"] == expected
    text = client.get(url, headers={"Accept": "text/plain"}, status=200)
    assert json.loads(text.text, parse_constant=refuse) == expected


def test_image_is_flat_with_its_size(client: TestApp, v11_demo_url: str, demo_url: str) -> None:
    rows = client.get(f"{demo_url}/attributes/ushort_image_ro/value").json["value"]
    image = client.get(f"{v11_demo_url}/attributes/ushort_image_ro/value").json["value"]
    assert (image["width"], image["height"]) == (len(rows[0]), len(rows))
    assert len(image["data"]) == image["width"] * image["height"]


@pytest.mark.parametrize("kind", ["boolean", "uchar", "double", "string", "state", "enum"])
def test_images_of_every_kind_are_row_by_row(
    client: TestApp, v11_types_url: str, types_url: str, fresh_types: str, kind: str
) -> None:
    path = f"/attributes/{kind}_image/value"
    rows = client.get(types_url + path).json["value"]
    image = client.get(v11_types_url + path).json["value"]
    assert image == {"data": [cell for row in rows for cell in row], "width": len(rows[0]), "height": len(rows)}


def test_bytes_are_numbers(client: TestApp, v11_types_url: str, fresh_types: str) -> None:
    spectrum = client.get(f"{v11_types_url}/attributes/uchar_spectrum/value").json["value"]
    assert all(isinstance(number, int) for number in spectrum)
    assert spectrum


def test_invalid_value_is_null(client: TestApp, v11_types_url: str) -> None:
    value = client.get(f"{v11_types_url}/attributes/quality_invalid/value").json
    assert (value["value"], value["quality"]) == (None, "ATTR_INVALID")


def test_filter_of_value(client: TestApp, v11_demo_url: str) -> None:
    assert client.get(f"{v11_demo_url}/attributes/ampli/value?filter=quality").json == {"quality": "ATTR_VALID"}


# --- Accept ---


@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "text/html", "text/plain;q=0.5, application/json"])
def test_json_is_the_default(client: TestApp, v11_demo_url: str, accept: str) -> None:
    answer = client.get(f"{v11_demo_url}/attributes/ampli/value", headers={"Accept": accept} if accept else {})
    assert answer.content_type == "application/json"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("long_scalar", 12345, "12345"),
        ("double_scalar", 3.14, "3.14"),
        ("string_scalar", "Hello", '"Hello"'),
        ("double_spectrum", [3.14, 2.87], "[3.14,2.87]"),
        ("enum_scalar", 1, '"MIDDLE"'),
    ],
)
def test_text_is_json_of_value_alone(
    client: TestApp, v11_types_url: str, fresh_types: str, pytango: PyTango, name: str, value: object, text: str
) -> None:
    pytango.write(TYPES_DEVICE, name, value)
    answer = client.get(f"{v11_types_url}/attributes/{name}/value", headers={"Accept": "text/plain"})
    assert (answer.content_type, answer.text) == ("text/plain", text)


def test_failure_of_text_is_json(client: TestApp, v11_demo_url: str) -> None:
    answer = client.get(f"{v11_demo_url}/attributes/nope/value", headers={"Accept": "text/plain"}, status=404)
    assert answer.json["errors"][0]["reason"] == "API_AttrNotFound"


def test_jpeg_is_text_of_data_url(client: TestApp, v11_demo_url: str) -> None:
    answer = client.get(f"{v11_demo_url}/attributes/ushort_image_ro/value", headers={"Accept": "image/jpeg"})
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Content-Disposition"] == "inline"
    head, picture = answer.body.decode("ascii").split(",")
    assert head == "data:/jpeg;base64"
    image = Image.open(io.BytesIO(base64.b64decode(picture)))
    assert (image.format, image.size) == ("JPEG", (251, 251))


def test_png_is_a_picture(client: TestApp, v11_demo_url: str) -> None:
    answer = client.get(f"{v11_demo_url}/attributes/ushort_image_ro/value", headers={"Accept": "image/png"})
    image = Image.open(io.BytesIO(answer.body))
    assert (answer.content_type, image.format, image.size) == ("image/png", "PNG", (251, 251))


@pytest.mark.parametrize("name", ["double_scalar", "double_spectrum_ro", "string_image_ro"])
@pytest.mark.parametrize("accept", ["image/jpeg", "image/png"])
def test_picture_of_anything_else_is_400(client: TestApp, v11_demo_url: str, name: str, accept: str) -> None:
    url = f"{v11_demo_url}/attributes/{name}/value"
    assert client.get(url, headers={"Accept": accept}, status=400).json["quality"] == "FAILURE"
    client.get(url, headers={"Accept": f"{accept}, application/json;q=0.1"}, status=200)


# --- several values ---


def test_several_values_have_neither_host_nor_device(client: TestApp, v11_demo_url: str) -> None:
    found = client.get(f"{v11_demo_url}/attributes/value?attr=State&attr=ampli&attr=nope").json
    assert [each["name"] for each in found] == ["State", "ampli", "nope"]
    assert [each.keys() for each in found[:2]] == [{"name", "value", "quality", "timestamp"}] * 2
    assert found[2].keys() == {"name", "errors", "quality", "timestamp"}
    assert found[2]["quality"] == "FAILURE"
    assert {"reason", "severity", "desc", "origin"} <= found[2]["errors"][0].keys()


def test_no_names_are_no_values(client: TestApp, v11_demo_url: str) -> None:
    assert client.get(f"{v11_demo_url}/attributes/value").json == []


# --- history ---


@pytest.fixture
def polled(pytango: PyTango) -> Iterator[str]:
    pytango.poll(TYPES_DEVICE, "double_scalar", 50)
    yield "double_scalar"
    pytango.poll(TYPES_DEVICE, "double_scalar", 0)


def test_history_has_values_with_host_and_device(
    client: TestApp, v11_types_url: str, polled: str, tango_system: EmbeddedTango
) -> None:
    url = f"{v11_types_url}/attributes/{polled}/history"
    wait_until(lambda: len(client.get(url, expect_errors=True).json) > 2)
    answer = client.get(url)
    records = answer.json
    assert [each.keys() for each in records] == [
        {"name", "host", "device", "value", "quality", "timestamp"} for _ in records
    ]
    assert records[0]["device"] == TYPES_DEVICE
    assert records[0]["host"] == tango_system.tango_host
    assert [each["timestamp"] for each in records] == sorted(each["timestamp"] for each in records)
    assert len(client.get(f"{url}?range=0-2", status=206).json) == 2


def test_history_of_an_attribute_that_is_not_polled_is_a_failure_or_empty(
    make_client: Callable[..., TestApp], v11_demo_url: str
) -> None:
    client = make_client()  # with no failures of other tests
    url = f"{v11_demo_url}/attributes/float_scalar/history"
    for query in ("", "?unpolled=failure"):
        assert client.get(f"{url}{query}", status=400).json["errors"][0]["reason"] == "API_AttrNotPolled"
    assert client.get(f"{url}?unpolled=empty", status=200).json == []
    assert client.get(f"{url}?unpolled=empty", headers={"Accept": "text/csv"}, status=200).body
    assert "expected one of" in client.get(f"{url}?unpolled=no", status=400).json["errors"][0]["description"]
    (row,) = [each for each in client.get("/tango/rest/sys/devices").json if each["name"] == DEMO_DEVICE]
    assert row["failures"] == 0
    client.get(f"{v11_demo_url}/attributes/nope/history?unpolled=empty", status=404)


def test_numbers_keep_their_digits(client: TestApp, v11_types_url: str, pytango: PyTango, fresh_types: str) -> None:
    pytango.write(TYPES_DEVICE, "double_scalar", math.pi)
    assert client.get(f"{v11_types_url}/attributes/double_scalar/value").json["value"] == math.pi


def test_implementation_mode_of_rc3_is_none_of_v11(make_client: Callable[..., TestApp], v11_demo_url: str) -> None:
    client = make_client(rc3_mode="implementation")
    assert client.get(f"{v11_demo_url}/attributes/ushort_image_ro/value").json["value"].keys() == {
        "data",
        "width",
        "height",
    }

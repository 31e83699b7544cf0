"""The value of every Tango type, format and quality, as the device with one of everything has it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable

import numpy
import pytest
import tango
from webtest import TestApp

from mtango_gevent.values import types

NUMBERS = ["short", "ushort", "long", "ulong", "long64", "ulong64", "uchar", "float", "double"]
TYPES = ["boolean", *NUMBERS, "string", "state", "enum"]


@pytest.fixture
def read(client: TestApp, types_url: str) -> Callable[[str], object]:
    def read(attribute: str) -> object:
        item = client.get(f"{types_url}/attributes/{attribute}/value").json
        assert "errors" not in item, item
        return item["value"]

    return read


@pytest.fixture(scope="module")
def proxy(tango_system: object) -> tango.DeviceProxy:
    return tango.DeviceProxy("demo/types/1")


def expected(name: str, value: object, labels: list[str]) -> object:
    """What a plain client reads, as JSON has it."""
    if isinstance(value, (tuple, list, numpy.ndarray)):
        return [expected(name, item, labels) for item in value]
    if name.startswith("enum"):
        return labels[int(value)]
    if name.startswith("state"):
        return str(tango.DevState.values[int(value)])
    if name.startswith("float"):
        return pytest.approx(float(value), rel=1e-6)
    return value.item() if isinstance(value, numpy.generic) else value


@pytest.mark.parametrize("data_format", ["scalar", "spectrum", "image"])
@pytest.mark.parametrize("kind", TYPES)
def test_every_type_in_every_format(read: Callable, proxy: tango.DeviceProxy, kind: str, data_format: str) -> None:
    name = f"{kind}_{data_format}"
    value = proxy.read_attribute(name).value
    labels = list(proxy.get_attribute_config(name).enum_labels) if kind == "enum" else []
    got = read(name)
    assert got == expected(name, value, labels)
    if data_format == "image":
        assert isinstance(got[0], list)


def test_integers_of_64_bits_are_exact(read: Callable, proxy: tango.DeviceProxy) -> None:
    assert {-(2**63), 2**63 - 1} <= set(read("long64_spectrum"))
    assert 2**64 - 1 in read("ulong64_spectrum")


def test_numbers_that_json_has_not_are_texts(read: Callable) -> None:
    assert read("nan_scalar") == "NaN"
    assert read("infinity_scalar") == "Infinity"
    assert read("nonfinite_spectrum") == ["NaN", "Infinity", "-Infinity", 1.5]
    flat = [item for row in read("nonfinite_image") for item in row]
    assert {"NaN", "Infinity", "-Infinity"} <= {item for item in flat if isinstance(item, str)}
    assert any(isinstance(item, float) for item in flat)


def test_only_rows_with_such_numbers_become_lists() -> None:
    image = numpy.ones((3, 2), dtype="f4")
    image[1, 0] = numpy.nan
    first, second, third = types.TYPES[tango.CmdArgType.DevFloat].array(image)
    assert second == ["NaN", 1.0]
    assert isinstance(first, numpy.ndarray)
    assert isinstance(third, numpy.ndarray)


def test_strings_are_what_they_are(read: Callable, proxy: tango.DeviceProxy) -> None:
    assert read("empty_string") == ""
    text = read("unicode_string")
    assert text == proxy.read_attribute("unicode_string").value
    assert {'"', ",", "\n"} <= set(text)
    assert any(ord(character) > 127 for character in text)


def test_an_empty_spectrum_is_an_empty_list(read: Callable) -> None:
    assert read("empty_spectrum") == []


def test_encoded_has_a_format_and_base64(read: Callable, proxy: tango.DeviceProxy) -> None:
    value = read("encoded_scalar")
    assert set(value) == {"encoded_format", "encoded_data"}
    encoding, data = proxy.read_attribute("encoded_scalar", extract_as=tango.ExtractAs.Bytes).value
    assert (value["encoded_format"], base64.b64decode(value["encoded_data"])) == (encoding, bytes(data))


@pytest.mark.parametrize("quality", ["VALID", "INVALID", "ALARM", "CHANGING", "WARNING"])
def test_qualities_have_tangos_names(client: TestApp, types_url: str, quality: str) -> None:
    item = client.get(f"{types_url}/attributes/quality_{quality.lower()}/value").json
    assert item["quality"] == f"ATTR_{quality}"
    assert (item["value"] is None) == (quality == "INVALID")


def test_a_value_that_was_not_set_is_a_failure(client: TestApp, device_url: str) -> None:
    item = client.get(f"{device_url}/attributes/no_value/value").json
    assert [error["reason"] for error in item["errors"]] == ["API_AttrValueNotSet", "API_AttributeFailed"]


# --- pictures ---


@pytest.mark.parametrize(("mimetype", "signature"), [("image/png", b"\x89PNG"), ("image/jpeg", b"\xff\xd8")])
@pytest.mark.parametrize("attribute", ["ushort_image_ro", "uchar_image_ro", "double_image_ro"])
def test_an_image_as_a_picture(
    client: TestApp, device_url: str, mimetype: str, signature: bytes, attribute: str
) -> None:
    image = pytest.importorskip("PIL.Image")
    reply = client.get(f"{device_url}/attributes/{attribute}/value", headers={"Accept": mimetype})
    assert reply.content_type == mimetype
    assert reply.body.startswith(signature)
    assert image.open(io.BytesIO(reply.body)).size == (251, 251)


def test_a_picture_of_bytes_has_just_those(client: TestApp, types_url: str, read: Callable) -> None:
    image = pytest.importorskip("PIL.Image")
    reply = client.get(f"{types_url}/attributes/uchar_image/value", headers={"Accept": "image/png"})
    assert numpy.asarray(image.open(io.BytesIO(reply.body))).tolist() == read("uchar_image")


def test_what_is_no_image_has_no_picture(client: TestApp, demo_url: str) -> None:
    for attribute in ("wave", "string_image_ro"):
        refusal = client.get(
            f"{demo_url}/attributes/{attribute}/value", headers={"Accept": "image/png"}, status=406
        ).json
        assert attribute in refusal["errors"][0]["description"]


BROWSER = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/png,image/svg+xml,*/*;q=0.8"
)


@pytest.mark.parametrize("attribute", ["ampli", "wave", "string_image_ro", "no_value"])
def test_a_browser_gets_json_where_there_is_no_picture(client: TestApp, demo_url: str, attribute: str) -> None:
    reply = client.get(f"{demo_url}/attributes/{attribute}/value", headers={"Accept": BROWSER}, status=200)
    assert reply.content_type == "application/json"


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html,application/xhtml+xml,*/*;q=0.8", "bad"])
def test_anybody_else_gets_json(client: TestApp, demo_url: str, accept: str) -> None:
    reply = client.get(f"{demo_url}/attributes/ushort_image_ro/value", headers={"Accept": accept})
    assert reply.content_type == "application/json"


def test_implementation_mode_gives_images_as_java_did(make_client: Callable[..., TestApp], demo_url: str) -> None:
    pytest.importorskip("PIL")
    item = make_client(rc3_mode="implementation").get(f"{demo_url}/attributes/ushort_image_ro/value").json
    prefix, _, data = item["value"].partition(",")
    assert prefix == "data:/jpeg;base64"
    assert base64.b64decode(data).startswith(b"\xff\xd8")


def test_without_pillow_only_what_needs_it_fails(
    make_client: Callable[..., TestApp], demo_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtango_gevent.api.pictures.Image", None)
    client = make_client(rc3_mode="implementation")
    image, state = client.get(f"{demo_url}/attributes/value?attr=ushort_image_ro&attr=State").json
    assert "mtango-gevent[image]" in image["errors"][0]["desc"]
    assert state["value"] == "RUNNING"
    strict = make_client()
    assert strict.get(f"{demo_url}/attributes/ushort_image_ro/value").json["quality"] == "ATTR_VALID"
    refusal = strict.get(f"{demo_url}/attributes/ushort_image_ro/value", headers={"Accept": "image/png"}, status=406)
    assert "mtango-gevent[image]" in refusal.json["errors"][0]["description"]

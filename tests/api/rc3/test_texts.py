"""Texts: their encoding in values, arguments and outputs, in Status and in failures."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
import tango
from webtest import TestApp

from mtango_gevent.text import read_texts
from mtango_gevent.values.converters import FORMAT_IS_UTF8
from tests.odd_devices import LATIN_1, UTF_8
from tests.pytango_process import PyTango

from .conftest import TEXTS_DEVICE

AS_LATIN_1 = UTF_8.encode("utf-8").decode("latin-1")


@pytest.fixture
def utf8_client(make_client: Callable[..., TestApp]) -> TestApp:
    return make_client(text_encoding="utf-8")


@pytest.fixture(autouse=True)
def _fresh(odd_server: None, pytango: PyTango) -> None:
    pytango.run(TEXTS_DEVICE, "Init")


def values(client: TestApp, url: str) -> dict[str, Any]:
    names = ("text", "texts", "rows", "encoded")
    items = client.get(f"{url}/attributes/value?" + urlencode([("attr", name) for name in names])).json
    return {item["name"]: item["value"] for item in items}


def test_values_are_utf_8_where_they_can_be(utf8_client: TestApp, texts_url: str) -> None:
    found = values(utf8_client, texts_url)
    assert found["encoded"].pop("encoded_data") == base64.b64encode(b"\xff\x00").decode()
    assert found == {
        "text": UTF_8,
        "texts": [UTF_8, LATIN_1],
        "rows": [[UTF_8, LATIN_1]],
        "encoded": {"encoded_format": "µ"},
    }


def test_by_default_values_are_latin_1(client: TestApp, texts_url: str) -> None:
    found = values(client, texts_url)
    assert found["text"] == AS_LATIN_1
    assert found["texts"] == [AS_LATIN_1, LATIN_1]
    assert found["rows"] == [[AS_LATIN_1, LATIN_1]]
    assert found["encoded"]["encoded_format"] == "Âµ"


def test_what_is_written_arrives_as_utf_8(utf8_client: TestApp, texts_url: str, pytango: PyTango) -> None:
    url = f"{texts_url}/attributes"
    assert utf8_client.put(f"{url}/text/value", UTF_8.encode(), content_type="text/plain").json["value"] == UTF_8
    assert pytango.read(TEXTS_DEVICE, "text") == AS_LATIN_1
    answer = utf8_client.put(f"{url}/value", orjson.dumps({"text": "Ω", "texts": ["€", "x"]})).json
    assert [item["value"] for item in answer] == ["Ω", ["€", "x"]]
    encoded = {"encoded_format": "Ω", "encoded_data": base64.b64encode(b"\xff\x00").decode()}
    assert utf8_client.put(f"{url}/encoded/value", orjson.dumps(encoded)).json["value"] == encoded


def test_by_default_only_latin_1_can_be_written(client: TestApp, texts_url: str, pytango: PyTango) -> None:
    url = f"{texts_url}/attributes/text/value"
    assert client.put(url, LATIN_1.encode(), content_type="text/plain").json["value"] == LATIN_1
    assert pytango.read(TEXTS_DEVICE, "text") == LATIN_1
    client.put(url, "Ω".encode(), content_type="text/plain", status=400)


ECHOES = {
    "Echo": "Ω",
    "EchoMany": ["Ω", "€"],
    "EchoBoth": {"lvalue": [1], "svalue": ["Ω"]},
    "EchoEncoded": {"encoded_format": "Ω", "encoded_data": "/wA="},
}


@pytest.mark.parametrize(("command", "argument"), ECHOES.items())
def test_commands_take_and_give_utf_8(
    utf8_client: TestApp, client: TestApp, texts_url: str, command: str, argument: Any
) -> None:
    if command == "EchoEncoded" and FORMAT_IS_UTF8:
        pytest.skip("a server of this PyTango reads the format as Latin-1, and writes it as UTF-8")
    url = f"{texts_url}/commands/{command}"
    assert utf8_client.put(url, orjson.dumps(argument)).json["output"] == argument
    client.put(url, orjson.dumps(argument), status=400)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_the_status_is_utf_8_whatever_the_setting(
    make_client: Callable[..., TestApp], texts_url: str, encoding: str
) -> None:
    client, status = make_client(text_encoding=encoding), "läuft, 5 µm"
    assert client.get(f"{texts_url}/state").json["status"] == status
    for _ in range(2):
        assert client.get(f"{texts_url}/attributes/Status/value").json["value"] == status
        assert client.get(f"{texts_url}/attributes/value?attr=status").json[0]["value"] == status
    assert client.put(f"{texts_url}/commands/STATUS").json["output"] == status


def test_failures_are_utf_8(client: TestApp, texts_url: str, odd_url: str) -> None:
    wanted = ("Texts_Läuft", "läuft, 5 µm", "Texts.läuft")
    (error, *_) = client.get(f"{texts_url}/attributes/fails/value").json["errors"]
    assert (error["reason"], error["description"], error["origin"]) == wanted
    (item, _) = client.get(f"{texts_url}/attributes/value?attr=fails&attr=text").json
    assert (item["errors"][0]["reason"], item["errors"][0]["desc"], item["errors"][0]["origin"]) == wanted


def test_what_the_gateway_adds_to_a_failure_may_be_any_text(utf8_client: TestApp, texts_url: str) -> None:
    answer = utf8_client.put(f"{texts_url}/attributes/value?{urlencode({'rows': 'Ω', 'text': 'Ω'})}").json
    assert "Ω" in answer[0]["errors"][0]["description"]
    assert answer[1]["value"] == "Ω"


def test_a_state_is_told_without_a_status(client: TestApp, no_status_url: str) -> None:
    answer = client.get(f"{no_status_url}/state").json
    assert answer["state"] == "MOVING"
    assert "NoStatus_Läuft" in answer["status"]
    assert "läuft nicht, 5 µm" in answer["status"]


@pytest.mark.parametrize("unit", ["Ω", "°C", "µm", "k€Ω"])
def test_units_and_labels_have_any_text(client: TestApp, texts_url: str, pytango: PyTango, unit: str) -> None:
    url = f"{texts_url}/attributes/fails/info"
    changed = client.put(url, orjson.dumps({"unit": unit, "label": unit, "description": unit})).json
    assert (changed["unit"], changed["label"], changed["description"]) == (unit, unit, unit)
    assert pytango.get_configuration(TEXTS_DEVICE, "fails", "unit") == unit


def test_labels_and_units_in_latin_1_are_read_as_such(client: TestApp, texts_url: str) -> None:
    """As they are in the database; PyTango takes all of them for UTF-8."""
    texts, choice = client.get(f"{texts_url}/attributes/info?attr=texts&attr=choice").json
    assert (texts["label"], texts["unit"]) == ("Wärme", "°C")
    assert choice["enum_label"] == ["läuft", "hält"]
    assert client.put(f"{texts_url}/attributes/choice/value?v=h%C3%A4lt").json["value"] == "hält"
    assert client.get(f"{texts_url}/attributes", status=200).json


# --- the argument of a command as a parameter ---


@pytest.mark.parametrize("body", ["", "v=hello"])
def test_v_is_the_argument(client: TestApp, odd_url: str, body: str) -> None:
    query = "" if body else "?v=hello"
    content_type = "application/x-www-form-urlencoded"
    answer = client.put(f"{odd_url}/commands/Str{query}", body, content_type=content_type).json
    assert answer == {"name": "Str", "output": "hello"}


@pytest.mark.parametrize("query", ["v=1&v=2.5", "v=1,2.5", "v=[1,2.5]"])
def test_v_is_an_array(client: TestApp, odd_url: str, query: str) -> None:
    assert client.put(f"{odd_url}/commands/Numbers?{query}").json["output"] == [1.0, 2.5]
    assert client.put(f"{odd_url}/commands/Numbers?{query}&async", status=204).body == b""


@pytest.mark.parametrize("body", ["other", "v=other"])
def test_v_and_a_body_are_refused(client: TestApp, odd_url: str, body: str) -> None:
    content_type = "application/x-www-form-urlencoded"
    refusal = client.put(f"{odd_url}/commands/Str?v=hello", body, content_type=content_type, status=400).json
    assert "parameter v" in refusal["errors"][0]["description"]
    assert "body" in refusal["errors"][0]["description"]


# --- pipes ---


def test_texts_of_pipes(utf8_client: TestApp, types_url: str) -> None:
    """Names, and texts in arrays; PyTango's own servers cannot send a single text that is not ASCII."""
    if not hasattr(tango.DeviceProxy, "read_pipe"):
        pytest.skip("this PyTango has no pipes")
    data = [
        {"name": "Ω", "type": "DevString", "value": ["x"]},
        {"name": "many", "type": "DevVarStringArray", "value": ["Ω", "€"]},
    ]
    before = utf8_client.get(f"{types_url}/pipes/blob").json
    try:
        written = utf8_client.put(f"{types_url}/pipes/blob", orjson.dumps({"name": "b", "data": data})).json
        assert written.get("data") == data, written
    finally:
        utf8_client.put(f"{types_url}/pipes/blob", orjson.dumps(before))


def test_each_of_several_texts_is_decoded_by_itself() -> None:
    texts = tango.StdStringVector()
    for text in ("hält".encode(), b"l\xe4uft", b"x"):
        texts.append(text)
    info = tango.AttributeInfoEx()
    info.enum_labels = texts
    assert read_texts(info, "enum_labels") == ["hält", "läuft", "x"]

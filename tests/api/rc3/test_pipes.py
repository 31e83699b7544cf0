"""Pipes: as they are where PyTango has them, an empty list and 501 where it has not."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from webtest import TestApp

from tests.conftest import HAS_PIPES
from tests.live.conftest import wait_until
from tests.pytango_process import PyTango
from tests.tango_values import KINDS, many_examples

with_pipes = pytest.mark.skipif(not HAS_PIPES, reason="this PyTango has no pipes")
without_pipes = pytest.mark.skipif(HAS_PIPES, reason="this PyTango has pipes")


@with_pipes
def test_a_pipe_has_its_elements(client: TestApp, device_url: str) -> None:
    (listed,) = client.get(f"{device_url}/pipes").json
    assert listed == {
        "name": "string_long_short_ro",
        "href": f"http://localhost{device_url}/pipes/string_long_short_ro",
    }
    pipe = client.get(listed["href"].upper().replace("HTTP://LOCALHOST", "").lower()).json
    assert abs(pipe.pop("timestamp") / 1000 - time.time()) < 60
    assert pipe == {
        "name": "string_long_short_ro",
        "size": 3,
        "data": [
            {"name": "FirstDE", "type": "DevString", "value": ["The string"]},
            {"name": "SecondDE", "type": "DevLong", "value": [666]},
            {"name": "ThirdDE", "type": "DevShort", "value": [12]},
        ],
        "_links": {"_self": listed["href"]},
    }


@with_pipes
def test_blobs_within_blobs_and_arrays(client: TestApp, types_url: str) -> None:
    data = client.get(f"{types_url}/pipes/blob").json["data"]
    assert all(isinstance(element["value"], list) for element in data)
    nested = [element["value"][0] for element in data if element["value"] and isinstance(element["value"][0], dict)]
    blobs = [blob for blob in nested if "data" in blob]
    assert blobs
    assert {"name", "type", "value"} == set(blobs[0]["data"][0])
    assert any(len(element["value"]) > 1 for element in data)


@with_pipes
def test_an_unknown_pipe_is_a_tango_failure(client: TestApp, device_url: str) -> None:
    failure = client.get(f"{device_url}/pipes/nope", status=200).json
    assert failure["errors"][0]["reason"] == "API_PipeNotFound"


@without_pipes
def test_without_pipes_the_list_is_empty_and_one_says_who_has_them(client: TestApp, device_url: str) -> None:
    assert client.get(f"{device_url}/pipes").json == []
    refusal = client.get(f"{device_url}/pipes/string_long_short_ro", status=501).json
    assert "10.0" in refusal["errors"][0]["description"]


# --- written ---


@with_pipes
def test_what_is_read_can_be_written_back(client: TestApp, types_url: str, pytango: PyTango, fresh_types: str) -> None:
    before = client.get(f"{types_url}/pipes/blob").json
    as_found = pytango.read_pipe(fresh_types, "blob")
    written = client.put(f"{types_url}/pipes/BLOB", orjson.dumps(before), status=200).json
    assert written["data"] == before["data"]
    assert repr(pytango.read_pipe(fresh_types, "blob")[1]) == repr(as_found[1])


def element(data_type: str, kind: str) -> st.SearchStrategy[tuple[Any, dict[str, Any]]]:
    """(what a plain client reads, the element in JSON)"""
    return KINDS[kind].map(lambda pair: (pair[0], {"name": "x", "type": data_type, "value": [pair[1]]}))


def elements(data_type: str, kind: str) -> st.SearchStrategy[tuple[Any, dict[str, Any]]]:
    return st.lists(KINDS[kind], max_size=10).map(
        lambda pairs: (
            [pair[0] for pair in pairs],
            {"name": "x", "type": data_type, "value": [pair[1] for pair in pairs]},
        )
    )


ELEMENTS = {
    "DevBoolean": element("DevBoolean", "boolean"),
    "DevShort": element("DevShort", "short"),
    "DevUShort": element("DevUShort", "ushort"),
    "DevLong": element("DevLong", "long"),
    "DevULong": element("DevULong", "ulong"),
    "DevLong64": element("DevLong64", "long64"),
    "DevULong64": element("DevULong64", "ulong64"),
    "DevDouble": element("DevDouble", "double"),
    "DevString": KINDS["string"]
    .filter(lambda pair: pair[0].isascii())  # others the demo's server writes in Latin-1, and PyTango cannot read them
    .map(lambda pair: (pair[0], {"name": "x", "type": "DevString", "value": [pair[0]]})),
    "DevState": element("DevState", "state"),
    "DevVarBooleanArray": elements("DevVarBooleanArray", "boolean"),
    "DevVarCharArray": elements("DevVarCharArray", "uchar"),
    "DevVarShortArray": elements("DevVarShortArray", "short"),
    "DevVarLongArray": elements("DevVarLongArray", "long"),
    "DevVarULong64Array": elements("DevVarULong64Array", "ulong64"),
    "DevVarDoubleArray": elements("DevVarDoubleArray", "double"),
    "DevVarStringArray": elements("DevVarStringArray", "string"),
    "DevVarStateArray": elements("DevVarStateArray", "state"),
}


@with_pipes
@pytest.mark.parametrize("data_type", ELEMENTS)
@many_examples
@given(data=st.data())
def test_elements_of_every_type(
    client: TestApp, types_url: str, pytango: PyTango, fresh_types: str, data_type: str, data: st.DataObject
) -> None:
    plain, sent = data.draw(ELEMENTS[data_type])
    nested = {"name": "inner", "type": "DevPipeBlob", "value": [{"name": "in", "data": [sent]}]}
    answer = client.put(f"{types_url}/pipes/blob", orjson.dumps({"name": "root", "data": [sent, nested]})).json
    assert answer["data"] == [sent, nested]
    assert pytango.read_pipe(fresh_types, "blob") == ("root", {"x": plain, "inner": ("in", {"x": plain})})


@with_pipes
def test_a_pipe_that_is_only_read_refuses_in_its_own_words(client: TestApp, device_url: str) -> None:
    body = orjson.dumps({"data": [{"name": "x", "type": "DevLong", "value": [1]}]})
    failure = client.put(f"{device_url}/pipes/string_long_short_ro", body, status=200).json
    assert failure["errors"][0]["reason"] == "API_PipeNotWritable"


@with_pipes
def test_async_writes_later(client: TestApp, types_url: str, pytango: PyTango, fresh_types: str) -> None:
    body = orjson.dumps({"name": "later", "data": [{"name": "x", "type": "DevLong", "value": 7}]})
    client.put(f"{types_url}/pipes/blob?async=1", body, status=204)
    wait_until(lambda: pytango.read_pipe(fresh_types, "blob") == ("later", {"x": 7}))


NESTED = '{"name": "b", "data": [{"name": "x", "type": "DevPipeBlob", "value": [' * 240 + "]}]}" * 240


@with_pipes
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", ["JSON"]),
        ("[1]", ["object"]),
        ("{}", ["data"]),
        ('{"data": 5}', ["data"]),
        ('{"data": [5]}', ["element", "5"]),
        ('{"data": [{"name": "x", "value": [1]}]}', ["x", "type"]),
        ('{"data": [{"name": "x", "type": "DevLong"}]}', ["value"]),
        ('{"data": [{"name": "x", "type": "Integer", "value": [1]}]}', ["x", "Integer"]),
        ('{"data": [{"name": "x", "type": ["DevLong"], "value": [1]}]}', ["x", "type"]),
        ('{"data": [{"name": "x\\u0000", "type": "DevLong", "value": [1]}]}', ["NUL"]),
        ('{"name": 5, "data": []}', ["5"]),
        ('{"data": [{"name": "x", "type": "DevVoid", "value": [1]}]}', ["x", "DevVoid"]),
        ('{"data": [{"name": "x", "type": "DevUChar", "value": [1]}]}', ["x", "DevUChar"]),
        ('{"data": [{"name": "x", "type": "ConstDevString", "value": ["a"]}]}', ["x", "ConstDevString"]),
        ('{"data": [{"name": "x", "type": "DevLong", "value": [1, 2]}]}', ["x", "one value"]),
        ('{"data": [{"name": "x", "type": "DevLong", "value": [1.5]}]}', ["x", "1.5"]),
        ('{"data": [{"name": "x", "type": "DevPipeBlob", "value": [5]}]}', ["x", "blob"]),
        (NESTED, ["expected at most 50 blobs within each other"]),
    ],
)
def test_what_is_no_blob_is_refused(client: TestApp, types_url: str, body: str, words: list[str]) -> None:
    refusal = client.put(f"{types_url}/pipes/blob", body.encode(), status=400).json
    assert all(word in refusal["errors"][0]["description"] for word in words), refusal


@without_pipes
def test_without_pipes_a_write_says_who_has_them(client: TestApp, types_url: str) -> None:
    refusal = client.put(f"{types_url}/pipes/blob", b"{}", status=501).json
    assert "10.0" in refusal["errors"][0]["description"]

"""Pipes in v11: an empty list where PyTango has none."""

from __future__ import annotations

import orjson
import pytest
from webtest import TestApp

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.conftest import DEMO_DEVICE, HAS_PIPES, TYPES_DEVICE
from tests.pytango_process import PyTango

with_pipes = pytest.mark.skipif(not HAS_PIPES, reason="this PyTango has no pipes")
without_pipes = pytest.mark.skipif(HAS_PIPES, reason="this PyTango has pipes")


@without_pipes
def test_list_is_empty_without_pipes(client: TestApp, v11_demo_url: str) -> None:
    assert client.get(f"{v11_demo_url}/pipes", status=200).json == []
    assert client.get(f"{v11_demo_url}/pipes/x", status=501).json["quality"] == "FAILURE"


@with_pipes
def test_pipes_have_what_clients_read(client: TestApp, v11_demo_url: str, tango_system: EmbeddedTango) -> None:
    (listed,) = client.get(f"{v11_demo_url}/pipes").json
    name = "string_long_short_ro"
    assert client.get(f"{v11_demo_url}/pipes/{name.upper()}").json == listed
    info = listed.pop("info")
    assert listed == {
        "id": f"{tango_system.tango_host}/{DEMO_DEVICE}/{name}",
        "name": name,
        "device": DEMO_DEVICE,
        "host": tango_system.tango_host,
        "value": f"http://localhost{v11_demo_url}/pipes/{name}/value",
    }
    assert info.keys() == {"name", "description", "label", "level", "writeType", "writable"}
    assert (info["name"], info["level"], info["writeType"], info["writable"]) == (name, "OPERATOR", "PIPE_READ", False)


@with_pipes
def test_value_of_a_pipe(client: TestApp, v11_demo_url: str, tango_system: EmbeddedTango) -> None:
    shown = client.get(f"{v11_demo_url}/pipes/string_long_short_ro/value").json
    assert shown.pop("timestamp") > 1e12
    assert shown == {
        "host": tango_system.tango_host,
        "device": DEMO_DEVICE,
        "name": "string_long_short_ro",
        "size": 3,
        "data": [
            {"name": "FirstDE", "type": "DevString", "value": ["The string"]},
            {"name": "SecondDE", "type": "DevLong", "value": [666]},
            {"name": "ThirdDE", "type": "DevShort", "value": [12]},
        ],
    }
    assert client.get(f"{v11_demo_url}/pipes/nope", status=404).json["quality"] == "FAILURE"
    assert client.get(f"{v11_demo_url}/pipes/nope/value", status=404).json["quality"] == "FAILURE"


@with_pipes
def test_written_pipe_is_read_back(client: TestApp, v11_types_url: str, pytango: PyTango, fresh_types: str) -> None:
    elements = [{"name": "x", "type": "DevLong", "value": [7]}]
    url = f"{v11_types_url}/pipes/blob/value"
    assert client.put(url, orjson.dumps(elements)).json["data"] == elements
    assert pytango.read_pipe(TYPES_DEVICE, "blob")[1] == {"x": 7}
    client.put(f"{url}?async=true", orjson.dumps(elements), status=204)
    assert client.put(url, "7", status=400).json["quality"] == "FAILURE"


@with_pipes
def test_pipe_that_is_only_read_is_400(client: TestApp, v11_demo_url: str) -> None:
    body = orjson.dumps([{"name": "x", "type": "DevLong", "value": [1]}])
    failure = client.put(f"{v11_demo_url}/pipes/string_long_short_ro/value", body, status=400).json
    assert failure["errors"][0]["reason"] == "API_PipeNotWritable"

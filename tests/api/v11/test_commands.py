"""Commands in v11: their envelope, and their shapes."""

from __future__ import annotations

import time

import orjson
import pytest
from webtest import TestApp

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.conftest import DEMO_DEVICE
from tests.pytango_process import PyTango
from tests.waiting import wait_until


def test_commands_have_what_clients_read(client: TestApp, v11_demo_url: str, tango_system: EmbeddedTango) -> None:
    listed = {command["name"]: command for command in client.get(f"{v11_demo_url}/commands").json}
    shown = client.get(f"{v11_demo_url}/commands/devdouble").json
    assert shown == listed["DevDouble"]
    info = shown.pop("info")
    assert shown == {
        "id": f"{tango_system.tango_host}/{DEMO_DEVICE}/DevDouble",
        "name": "DevDouble",
        "device": DEMO_DEVICE,
        "host": tango_system.tango_host,
        "history": f"http://localhost{v11_demo_url}/commands/DevDouble/history",
    }
    assert (info["cmd_name"], info["in_type"], info["out_type"]) == ("DevDouble", "DevDouble", "DevDouble")
    assert info.keys() == {"cmd_name", "level", "cmd_tag", "in_type", "out_type", "in_type_desc", "out_type_desc"}


def test_unknown_command_is_404(client: TestApp, v11_demo_url: str) -> None:
    assert client.get(f"{v11_demo_url}/commands/nope", status=404).json["quality"] == "FAILURE"
    assert client.put(f"{v11_demo_url}/commands/nope", "{}", status=404).json["quality"] == "FAILURE"


@pytest.mark.parametrize(
    ("command", "given", "output"),
    [
        ("DevDouble", 3.5, 3.5),
        ("DevDouble", "3.5", 3.5),
        ("DevString", "a, b", "a, b"),
        ("DevString", "[1]", "[1]"),
        ("DevVarDoubleArray", [1.5, 2], [1.5, 2.0]),
        ("DevVarDoubleArray", "1.5,2", [1.5, 2.0]),
        ("DevVarStringArray", ["a", "b,c"], ["a", "b,c"]),
        ("DevVarLongStringArray", {"lvalue": ["3000"], "svalue": ["x"]}, {"lvalue": [3000], "svalue": ["x"]}),
        ("DevVoid", None, None),
        ("DevVoid", "", None),
    ],
)
def test_input_of_an_envelope(
    client: TestApp, v11_demo_url: str, tango_system: EmbeddedTango, command: str, given: object, output: object
) -> None:
    identity = {"host": tango_system.tango_host, "device": DEMO_DEVICE, "name": command}
    url = f"{v11_demo_url}/commands/{command}"
    body = orjson.dumps({**identity, "input": given})
    answer = client.put(url, body, status=200).json
    shown = {key: value for key, value in (("input", given), ("output", output)) if value is not None}
    assert answer == {**identity, **shown}
    answer = client.put(f"{url}?filter=!input", body).json
    assert answer == {**identity, **({} if output is None else {"output": output})}


def test_argument_without_an_envelope(client: TestApp, v11_demo_url: str) -> None:
    url = f"{v11_demo_url}/commands"
    assert client.put(f"{url}/DevDouble?v=2.5", "{}").json["output"] == 2.5
    assert client.put(f"{url}/DevDouble", "2.5").json["output"] == 2.5
    assert client.put(f"{url}/DevString", "{x").json["output"] == "{x"
    raw = '{"lvalue": [1], "svalue": ["a"]}'
    assert client.put(f"{url}/DevVarLongStringArray", raw).json["output"] == orjson.loads(raw)
    assert "output" not in client.put(f"{url}/DevVoid", "{}").json


@pytest.mark.parametrize("body", ['{"input": "text"}', '{"name": "DevDouble"}', "{}", '{"input": {"a": 1}}', "[1, 2]"])
def test_input_that_does_not_fit_is_400(client: TestApp, v11_demo_url: str, body: str) -> None:
    failure = client.put(f"{v11_demo_url}/commands/DevDouble", body, status=400).json
    assert "DevDouble" in failure["errors"][0]["description"]


def test_query_and_envelope_together_are_400(client: TestApp, v11_demo_url: str) -> None:
    client.put(f"{v11_demo_url}/commands/DevDouble?v=1", '{"input": 2}', status=400)


def test_asynchronous_command_is_204(client: TestApp, v11_demo_url: str) -> None:
    answer = client.put(f"{v11_demo_url}/commands/DevDouble?async=true", '{"input": 2}', status=204)
    assert answer.body == b""
    client.put(f"{v11_demo_url}/commands/DevDouble?async=true", '{"input": "x"}', status=400)


def test_commands_of_the_database(client: TestApp, v11_host_url: str, pytango: PyTango) -> None:
    url = f"{v11_host_url}/devices/sys/database/2/commands"
    found = client.put(f"{url}/DbGetDeviceMemberList?filter=!input", '{"input": "sys/tg_test/*"}').json
    assert "1" in found["output"]


def test_history_repeats_the_device(client: TestApp, v11_demo_url: str, tango_system: EmbeddedTango) -> None:
    url = f"{v11_demo_url}/commands/state/history"
    wait_until(lambda: client.get(url, status="*").status_int == 200 and client.get(url).json)
    record = client.get(url).json[0]
    assert abs(record.pop("timestamp") / 1000 - time.time()) < 60
    assert record == {
        "host": tango_system.tango_host,
        "device": DEMO_DEVICE,
        "name": "State",
        "output": "RUNNING",
    }


def test_command_that_is_not_polled_has_no_history(client: TestApp, v11_demo_url: str) -> None:
    failure = client.get(f"{v11_demo_url}/commands/DevVoid/history", status=400).json
    assert failure["errors"][0]["reason"] == "API_CmdNotPolled"

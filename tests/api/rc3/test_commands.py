"""Commands and their histories, against both TangoTests."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
import tango
from hypothesis import given
from hypothesis import strategies as st
from webtest import TestApp

from mtango_gevent.demo.every_type import ECHOES
from tests.live.conftest import wait_until
from tests.pytango_process import PyTango
from tests.tango_values import INTEGERS, KINDS, NOT_FINITE, STATES, TEXTS, many_examples


def test_the_list_has_every_command_with_links_that_work(client: TestApp, device_url: str, tangotest: str) -> None:
    commands = client.get(f"{device_url}/commands").json
    assert [c["name"] for c in commands] == list(tango.DeviceProxy(tangotest).get_command_list())
    (echo,) = [c for c in commands if c["name"] == "DevVarLongStringArray"]
    url = f"http://localhost{device_url}/commands"
    assert echo == {
        "name": "DevVarLongStringArray",
        "info": {
            "cmd_name": "DevVarLongStringArray",
            "level": "OPERATOR",
            "cmd_tag": 0,
            "in_type": "DevVarLongStringArray",
            "out_type": "DevVarLongStringArray",
            "in_type_desc": "-",
            "out_type_desc": "-",
        },
        "history": f"{url}/DevVarLongStringArray/history",
        "_links": {"_self": f"{url}/DevVarLongStringArray", "_parent": url},
    }
    assert client.get(echo["_links"]["_self"].upper().replace("HTTP://LOCALHOST", "").lower()).json == echo


def test_a_part_of_the_commands(client: TestApp, device_url: str) -> None:
    *items, about = client.get(f"{device_url}/commands?range=2-4", status=206).json
    assert len(items) == 2
    assert about["name"] == "partial_content"


def test_an_unknown_command_is_a_tango_failure(client: TestApp, device_url: str) -> None:
    for path in ("", "/history"):
        failure = client.get(f"{device_url}/commands/nope{path}", status=200).json
        assert failure["errors"][0]["reason"] == "API_CommandNotFound"


@pytest.fixture
def polled(tangotest: str) -> Iterator[None]:
    proxy = tango.DeviceProxy(tangotest)
    already = proxy.is_command_polled("State")
    if not already:
        proxy.poll_command("State", 50)
    yield
    if not already:
        proxy.stop_poll_command("State")


def test_a_history_is_a_list_of_outputs(client: TestApp, device_url: str, polled: None) -> None:
    until = time.monotonic() + 10
    while not (isinstance(items := client.get(f"{device_url}/commands/state/history").json, list) and items):
        assert time.monotonic() < until
    assert set(items[0]) == {"name", "output", "timestamp"}
    assert (items[0]["name"], items[0]["output"]) == ("State", "RUNNING")
    assert abs(items[-1]["timestamp"] / 1000 - time.time()) < 60


def test_what_is_not_polled_has_no_history(client: TestApp, device_url: str) -> None:
    failure = client.get(f"{device_url}/commands/DevVoid/history").json
    assert failure["errors"][0]["reason"] == "API_CmdNotPolled"


# --- run ---


def in_json(kind: str) -> st.SearchStrategy[Any]:
    """Values of a kind as JSON has them; the floats also those that JSON has no numbers for."""
    finite = KINDS[kind].map(lambda pair: pair[1])
    return st.one_of(finite, st.sampled_from(list(NOT_FINITE))) if kind in ("float", "double") else finite


def with_texts(key: str, kind: str) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({key: st.lists(in_json(kind), max_size=5), "svalue": st.lists(TEXTS, max_size=5)})


SCALARS = {
    "DevBoolean": in_json("boolean"),
    **{f"Dev{name[:2].upper() + name[2:] if name[0] == 'u' else name.title()}": in_json(name) for name in INTEGERS},
    "DevFloat": in_json("float"),
    "DevDouble": in_json("double"),
    "DevString": TEXTS,
    "DevState": st.sampled_from(STATES),
}
ARGUMENTS: dict[str, st.SearchStrategy[Any]] = {
    **SCALARS,
    **{f"DevVar{name[3:]}Array": st.lists(values, max_size=20) for name, values in SCALARS.items()},
    "DevVarCharArray": st.lists(in_json("uchar"), max_size=20),
    "DevEnum": st.integers(0, 2**15 - 1),
    "DevEncoded": st.builds(
        lambda encoding, content: {"encoded_format": encoding, "encoded_data": base64.b64encode(content).decode()},
        st.sampled_from(["", "JSON"]),
        st.binary(max_size=100),
    ),
    "DevVarLongStringArray": with_texts("lvalue", "long"),
    "DevVarDoubleStringArray": with_texts("dvalue", "double"),
}


@pytest.mark.parametrize("data_type", ECHOES)
@many_examples
@given(data=st.data())
def test_arguments_and_outputs_of_every_type(
    client: TestApp, types_url: str, data_type: str, data: st.DataObject
) -> None:
    argument = data.draw(ARGUMENTS[data_type])
    answer = client.put(
        f"{types_url}/commands/ECHO{data_type}", orjson.dumps(argument), content_type="application/json"
    ).json
    assert answer == {"name": f"Echo{data_type}", "output": argument}


@pytest.mark.parametrize(
    ("data_type", "argument"),
    [
        ("DevBoolean", True),
        ("DevShort", -32768),
        ("DevUShort", 65535),
        ("DevLong", -5),
        ("DevULong", 2**32 - 1),
        ("DevLong64", -(2**63)),
        ("DevULong64", 2**64 - 1),
        ("DevFloat", 0.5),
        ("DevDouble", -1.5),
        ("DevString", 'Ångström, "quoted"'),
        ("DevVarCharArray", [0, 255]),
        ("DevVarShortArray", [1, -2]),
        ("DevVarLongArray", [1, -2]),
        ("DevVarDoubleArray", [0.5, 1.5]),
        ("DevVarStringArray", ["a,b", "c"]),
        ("DevVarLongStringArray", {"lvalue": [1], "svalue": ["a"]}),
        ("DevVarDoubleStringArray", {"dvalue": [1.5], "svalue": []}),
    ],
)
def test_both_tangotests_take_it(client: TestApp, device_url: str, data_type: str, argument: Any) -> None:
    answer = client.put(f"{device_url}/commands/{data_type}", orjson.dumps(argument)).json
    assert answer == {"name": data_type, "output": argument}


@pytest.mark.parametrize(
    ("command", "body", "content_type", "output"),
    [
        ("DevString", '"Hi!"', "application/json", "Hi!"),
        ("DevString", "Hello World!!!", "application/json", "Hello World!!!"),
        ("DevString", "Hello World!!!", "text/plain", "Hello World!!!"),
        ("DevString", "a=b&c=d", "application/x-www-form-urlencoded", "a=b&c=d"),
        ("DevString", "", "text/plain", ""),
        ("DevString", "5", "application/json", "5"),
        ("DevString", '["a"]', "application/json", '["a"]'),
        ("DevVarStringArray", "a,b", "text/plain", ["a", "b"]),
        ("DevVarStringArray", "5", "text/plain", ["5"]),
        ("DevVarLongArray", "1,2,3", "text/plain;charset=UTF-8", [1, 2, 3]),
        ("DevVarLongArray", "7", "text/plain", [7]),
        ("DevVarLongArray", "", "text/plain", []),
        ("DevBoolean", "true", "text/plain", True),
        ("DevLong", " 42 ", "text/plain", 42),
        ("DevDouble", "1e3", "text/plain", 1000.0),
        ("DevVarLongStringArray", '[[1, 2], ["a"]]', "application/json", {"lvalue": [1, 2], "svalue": ["a"]}),
    ],
)
def test_arguments_as_clients_write_them(
    client: TestApp, device_url: str, command: str, body: str, content_type: str, output: Any
) -> None:
    answer = client.put(f"{device_url}/commands/{command}", body, content_type=content_type).json
    assert answer["output"] == output


@pytest.mark.parametrize("body", ["", "anything", "{}"])
def test_a_command_of_void_takes_no_notice_of_a_body_and_has_no_output(
    client: TestApp, device_url: str, body: str
) -> None:
    assert client.put(f"{device_url}/commands/devvoid", body).json == {"name": "DevVoid"}


def test_outputs_that_are_nothing_much_are_outputs(client: TestApp, types_url: str) -> None:
    for command, output in [("DevLong", 0), ("DevBoolean", False), ("DevString", ""), ("DevVarLongArray", [])]:
        answer = client.put(f"{types_url}/commands/Echo{command}", orjson.dumps(output)).json
        assert answer == {"name": f"Echo{command}", "output": output}


@pytest.mark.parametrize(
    ("command", "body", "words"),
    [
        ("DevLong", "", ["DevLong", "whole number"]),
        ("DevLong", "1.5", ["1.5"]),
        ("DevUShort", "70000", ["70000", "65535"]),
        ("DevVarLongArray", "[1, true]", ["true at index 1"]),
        ("DevString", "€", ["Latin-1"]),
        ("DevVarLongStringArray", "[1]", ["lvalue"]),
    ],
)
def test_an_argument_that_does_not_fit_is_refused(
    client: TestApp, device_url: str, command: str, body: str, words: list[str]
) -> None:
    refusal = client.put(f"{device_url}/commands/{command}", body.encode(), status=400).json
    assert all(word in refusal["errors"][0]["description"] for word in words)


def test_an_unknown_command_and_a_command_that_fails_are_tango_failures(client: TestApp, types_url: str) -> None:
    assert client.put(f"{types_url}/commands/nope").json["errors"][0]["reason"] == "API_CommandNotFound"


def test_async_runs_the_command_and_answers_nothing(
    client: TestApp, types_url: str, pytango: PyTango, fresh_types: str
) -> None:
    client.put(f"{types_url}/attributes/long_scalar/value?v=77")
    client.put(f"{types_url}/commands/Init?async=true", status=204)
    wait_until(lambda: pytango.read(fresh_types, "long_scalar") != 77)
    assert (
        "1.5"
        in client.put(f"{types_url}/commands/EchoDevLong?async", "1.5", status=400).json["errors"][0]["description"]
    )


def test_a_failing_command_is_its_devices_failure(
    make_client: Callable[..., TestApp], client: TestApp, host_url: str
) -> None:
    url = f"{host_url}/devices/sys/database/2/commands/DbGetDeviceInfo"
    assert client.put(url, "no/such/device").json["errors"][0]["reason"] == "DB_DeviceNotDefined"
    assert make_client(rc3_errors="http").put(url, "no/such/device", status=404)

"""Commands and their histories, against both TangoTests."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import tango
from webtest import TestApp


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

"""Devices that other clients and restarts change: labels, types of attributes and of commands."""

from __future__ import annotations

from typing import Any

import pytest
from webtest import TestApp

from mtango_gevent.api import AppState
from mtango_gevent.demo.embedded import ServerProcess
from tests.conftest import CHANGING_DEVICE
from tests.live.conftest import wait_until
from tests.metric_values import metric_value
from tests.pytango_process import PyTango

pytestmark = pytest.mark.slow

# Seconds within which a change is seen; three times what is promised.
SOON = 3.0


@pytest.fixture
def server(changing_server: ServerProcess) -> ServerProcess:
    return changing_server


@pytest.fixture
def url(host_url: str, server: ServerProcess) -> str:
    return f"{host_url}/devices/{CHANGING_DEVICE}"


def restart_as(server: ServerProcess, pytango: PyTango, **properties: list[str]) -> None:
    pytango.put_properties(CHANGING_DEVICE, **properties)
    server.restart()


def value(client: TestApp, url: str) -> Any:
    return client.get(f"{url}/attributes/mode/value").json.get("value")


def until_back(client: TestApp, url: str) -> None:
    wait_until(lambda: "value" in client.get(f"{url}/attributes/State/value").json)


def metadata_calls(client: TestApp) -> int:
    context: AppState = client.app.extensions["mtango"]
    return int(metric_value(context.metrics, "mtango_tango_calls_total", kind="metadata"))


def test_labels_that_another_client_changes_are_seen(client: TestApp, url: str, pytango: PyTango) -> None:
    assert value(client, url) == "on"
    pytango.configure(CHANGING_DEVICE, "mode", enum_labels=["closed", "open"])
    wait_until(lambda: value(client, url) == "open", SOON)


def test_labels_that_a_restart_changes_are_seen(
    client: TestApp, url: str, server: ServerProcess, pytango: PyTango
) -> None:
    assert value(client, url) == "on"
    restart_as(server, pytango, labels=["closed", "open"])
    until_back(client, url)
    wait_until(lambda: value(client, url) == "open", SOON)


def test_a_configuration_that_another_client_changes_is_seen_at_once(
    client: TestApp, url: str, pytango: PyTango
) -> None:
    assert client.get(f"{url}/attributes/typed/info").json["label"] == "typed"
    pytango.configure(CHANGING_DEVICE, "typed", label="new")
    assert client.get(f"{url}/attributes/typed/info").json["label"] == "new"
    assert client.get(f"{url}/attributes/info?attr=typed").json[0]["label"] == "new"


def test_an_argument_of_a_type_that_a_restart_has_changed_is_taken(
    client: TestApp, url: str, server: ServerProcess, pytango: PyTango
) -> None:
    assert put_both(client, url, "5") == (5, 5)
    for kind, text, taken in [("DevString", "hello", "hello"), ("DevDouble", "0.5", 0.5)]:
        restart_as(server, pytango, kind=[kind])
        until_back(client, url)
        assert put_both(client, url, text) == (taken, taken)


def put_both(client: TestApp, url: str, text: str) -> tuple[Any, Any]:
    """Send `text` to the command and to the attribute, and return what they answer."""
    output = client.put(f"{url}/commands/Take", text).json["output"]
    return output, client.put(f"{url}/attributes/typed/value?v={text}").json["value"]


def test_an_output_has_the_type_that_the_device_gives_it(
    client: TestApp, url: str, server: ServerProcess, pytango: PyTango
) -> None:
    for answers in ("true", "false", "true"):
        restart_as(server, pytango, answers=[answers])
        until_back(client, url)
        output = client.put(f"{url}/commands/Take", "5").json
        assert output == ({"name": "Take", "output": 5} if answers == "true" else {"name": "Take"})


def test_a_value_that_fits_the_old_type_is_sent_as_the_new_one(
    client: TestApp, url: str, server: ServerProcess, pytango: PyTango
) -> None:
    """The device refuses it first, as it comes as the old type."""
    assert put_both(client, url, "5") == (5, 5)
    restart_as(server, pytango, kind=["DevString"])
    until_back(client, url)
    assert put_both(client, url, "5") == ("5", "5")


def test_a_refusal_makes_the_gateway_ask_once(client: TestApp, url: str) -> None:
    client.put(f"{url}/commands/Take", "5")
    before = metadata_calls(client)
    for _ in range(3):
        client.put(f"{url}/commands/Take", "no number", status=400)
    assert metadata_calls(client) - before == 3


def test_an_event_keeps_the_label_of_its_time(client: TestApp, url: str, pytango: PyTango) -> None:
    change = f"{url}/attributes/mode/change"
    first = client.get(f"{change}?state=INITIAL")
    assert first.json["value"] == "on"
    send_mode(client, pytango, 0)
    pytango.configure(CHANGING_DEVICE, "mode", enum_labels=["closed", "open"])
    wait_until(lambda: value(client, url) == "closed", SOON)
    send_mode(client, pytango, 1)
    second = client.get(f"{change}?last={first.headers['X-Event-Cursor']}")
    third = client.get(f"{change}?last={second.headers['X-Event-Cursor']}")
    assert (second.json["value"], third.json["value"]) == ("off", "open")


def send_mode(client: TestApp, pytango: PyTango, mode: int) -> None:
    """Have the device send an event, and wait until the gateway has it."""
    context: AppState = client.app.extensions["mtango"]
    came = context.client.events.info()["received"]
    pytango.run(CHANGING_DEVICE, "SetMode", mode)
    wait_until(lambda: context.client.events.info()["received"] > came)

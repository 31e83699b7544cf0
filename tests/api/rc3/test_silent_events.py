"""Events that do not come any more: the gateway finds out, reads the attribute, and goes back when they come again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from webtest import TestApp

from mtango_gevent.demo.embedded import EmbeddedTango
from mtango_gevent.errors import DevFailed
from tests.conftest import SENDER_DEVICE
from tests.live.conftest import wait_until
from tests.pytango_process import PyTango

pytestmark = pytest.mark.slow

WALLED_DEVICE, MOVED_DEVICE = "test/walled/1", "test/moved/1"


class Follower:
    """A client that follows the change events of an attribute."""

    def __init__(self, client: TestApp, url: str) -> None:
        self._client, self._url = client, url
        self._cursor = client.get(f"{url}?state=INITIAL").headers["X-Event-Cursor"]

    def next(self, milliseconds: int = 5000) -> object:
        """The next value, or the reason of the next failure."""
        answer = self._client.get(f"{self._url}?last={self._cursor}&timeout={milliseconds}")
        self._cursor = answer.headers["X-Event-Cursor"]
        assert "X-Event-Lost" not in answer.headers
        return answer.json["errors"][0]["reason"] if "errors" in answer.json else answer.json["value"]

    def hears(self, value: object) -> bool:
        return self.next() == value

    @property
    def is_reading(self) -> bool:
        return self._client.get("/tango/rest/sys/stats").json["events"]["polled"] == 1


@pytest.fixture
def follow(make_client: Callable[..., TestApp], host_url: str) -> Iterator[Callable[..., Follower]]:
    clients: list[TestApp] = []

    def follow(attribute: str, device: str = SENDER_DEVICE, silence: float = 1) -> Follower:
        clients.append(make_client(event_poll_period=0.05, event_silence=silence))
        return Follower(clients[-1], f"{host_url}/devices/{device}/attributes/{attribute}/change")

    yield follow
    for client in clients:
        client.get("/tango/rest/sys/clean/devices", status=204)


def test_a_change_without_an_event_is_found_by_reading(
    follow: Callable[..., Follower], sender: str, pytango: PyTango
) -> None:
    follower = follow("Position")
    pytango.run(sender, "SendPosition", "change")
    assert follower.next() == 1
    assert not follower.is_reading
    pytango.run(sender, "MovePosition")
    assert follower.next(20_000) == 2
    assert follower.is_reading
    pytango.run(sender, "MovePosition")
    assert follower.next() == 3
    pytango.run(sender, "SendPosition", "change")
    assert follower.next() == 4
    assert not follower.is_reading


def test_what_does_not_change_is_not_read_all_the_time(
    follow: Callable[..., Follower], sender: str, pytango: PyTango
) -> None:
    follower = follow("sent0")
    assert follower.next(4000) == "API_EventTimeout"
    assert not follower.is_reading


def test_polling_that_is_switched_off_is_done_by_the_gateway(
    follow: Callable[..., Follower], sender: str, pytango: PyTango
) -> None:
    pytango.poll(sender, "silent", 50)
    try:
        follower = follow("silent", silence=3600)
        pytango.write(sender, "silent", 1.0)
        wait_until(lambda: follower.hears(1.0))
        assert not follower.is_reading
        pytango.poll(sender, "silent", 0)
        wait_until(lambda: follower.is_reading, 5)
        pytango.write(sender, "silent", 2.0)
        assert follower.next() == 2.0
        pytango.poll(sender, "silent", 50)
        wait_until(lambda: not follower.is_reading)  # the server has sent the value that is known already
        pytango.write(sender, "silent", 3.0)
        assert follower.next() == 3.0
    finally:
        pytango.poll(sender, "silent", 0)


def test_an_attribute_that_is_removed_and_added_again(
    follow: Callable[..., Follower], sender: str, pytango: PyTango
) -> None:
    follower = follow("sent99")
    pytango.run(sender, "Have", False)
    try:
        wait_until(lambda: follower.hears("API_AttrNotFound"))
    finally:
        pytango.run(sender, "Have", True)
    wait_until(lambda: follower.hears(0))
    pytango.run(sender, "Send", [100.0, 1.0, 1.0])
    wait_until(lambda: follower.hears(1))


@pytest.mark.parametrize("command", ["DevRestart", "RestartServer"])
def test_devices_that_are_restarted_by_their_server(
    follow: Callable[..., Follower], sender: str, pytango: PyTango, command: str
) -> None:
    for _ in range(2):  # to a position that the restarted device has not when the follower hears of it
        pytango.run(sender, "MovePosition")
    follower = follow("Position")
    pytango.run("dserver/Slow/sender", command, sender if command == "DevRestart" else None)
    wait_until(lambda: is_new(sender, pytango))
    pytango.run(sender, "MovePosition")
    wait_until(lambda: follower.hears(1))
    wait_until(lambda: comes_by_event(follower, sender, pytango), 60)


def is_new(sender: str, pytango: PyTango) -> bool:
    """Return whether the new device is there: RestartServer answers before the old one, which has moved, is gone."""
    try:
        return pytango.read(sender, "Position") == 0
    except DevFailed:
        return False


def comes_by_event(follower: Follower, sender: str, pytango: PyTango) -> bool:
    pytango.run(sender, "SendPosition", "change")
    return follower.hears(pytango.read(sender, "Position")) and not follower.is_reading


def test_a_device_that_moves_to_another_server(
    follow: Callable[..., Follower], tango_system: EmbeddedTango, pytango: PyTango
) -> None:
    """Tango itself goes on asking the old server."""
    command = [sys.executable, str(Path(__file__).parents[2] / "devices.py")]
    old = tango_system.add_server([*command, "old"], "Slow/old", {MOVED_DEVICE: "Sender"})
    follower = follow("Position", MOVED_DEVICE)
    assert comes_by_event(follower, MOVED_DEVICE, pytango)
    old.stop()
    wait_until(lambda: follower.next(1000) and follower.is_reading)
    pytango.run("sys/database/2", "DbDeleteDevice", MOVED_DEVICE)
    new = tango_system.add_server([*command, "new"], "Slow/new", {MOVED_DEVICE: "Sender"})
    try:
        wait_until(lambda: is_new(MOVED_DEVICE, pytango))
        wait_until(lambda: comes_by_event(follower, MOVED_DEVICE, pytango), 60)
    finally:
        new.stop()


@pytest.fixture
def walled(tango_system: EmbeddedTango, pytango: PyTango) -> Iterator[str]:
    """The name of a device whose server has its event ports closed."""
    command = [sys.executable, str(Path(__file__).parents[2] / "devices.py"), "walled"]
    server = tango_system.add_server(command, "Slow/walled", {WALLED_DEVICE: "Sender"})
    # Tango opens the port of the events for the first subscription.
    pytango.run(
        "dserver/Slow/walled", "ZmqEventSubscriptionChange", [WALLED_DEVICE, "sent0", "subscribe", "change", "5"]
    )
    pytango.run(WALLED_DEVICE, "CloseEventPorts", True)
    yield WALLED_DEVICE
    server.stop()


@pytest.mark.parametrize("silence", [1, 3600], ids=["the value has changed", "Tango says so"])
def test_a_device_server_whose_event_ports_are_closed_is_read(
    follow: Callable[..., Follower], walled: str, pytango: PyTango, silence: float
) -> None:
    """Subscribing succeeds, then Tango says every ten seconds that the heartbeat is missing."""
    follower = follow("Position", walled, silence)
    assert not follower.is_reading
    pytango.run(walled, "SendPosition", "change")
    assert follower.next(40_000) == 1
    wait_until(lambda: follower.is_reading)
    for value in range(2, 13):  # longer than until Tango says so again, and passes on what it has read
        pytango.run(walled, "SendPosition", "change")
        assert follower.next() == value
        assert follower.next(1000) == "API_EventTimeout"  # the gateway's: nothing more
        assert follower.is_reading
    pytango.run(walled, "CloseEventPorts", False)
    wait_until(lambda: comes_by_event(follower, walled, pytango), 60)

"""Long-polling through a real gunicorn: crowds that wait, and servers that die or stop meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from mtango_gevent.demo.embedded import EmbeddedTango, ServerProcess
from tests.pytango_process import PyTango

from .conftest import Gateway, wait_until
from .test_yielding import Watch

pytestmark = pytest.mark.slow

MORTAL = "test/mortal/1"
RATE = 2  # events per second; at 10 the clients alone need a processor, at 4 most of what a slow machine has


def figures(gateway: Gateway) -> dict[str, int]:
    return gateway.get("/sys/stats")["events"]


@pytest.mark.timing
def test_two_hundred_clients_have_each_event_in_time(
    gateway: Gateway, host_path: str, sender: str, pytango: PyTango
) -> None:
    gateway.clean()
    path = f"{host_path}/devices/{sender}/attributes/sent0/change"
    gateway.get(f"{path}?timeout=1")
    threads = gateway.worker().num_threads()
    pytango.fill_black_box("dserver/Slow/sender")
    pytango.run(sender, "Send", [1, 8 * RATE, RATE])
    command = [sys.executable, str(Path(__file__).with_name("long_polling.py"))]
    arguments = [str(gateway.port), "/tango/rest" + path, "200", "4"]
    with Watch(gateway) as watch:
        ended = subprocess.run([*command, *arguments], stdout=subprocess.PIPE, timeout=60, check=True)
    found = json.loads(ended.stdout)
    assert found["failures"] == 0
    for events in found["events"]:
        values = [value for value, _ in events]
        assert values == list(range(int(values[0]), int(values[0]) + len(values)))
        assert len(values) > 2 * RATE
    delays = sorted(delay for events in found["events"] for _, delay in events)
    assert delays[len(delays) * 99 // 100] < 3 * 300
    assert watch.longest < 3 * 0.3
    assert gateway.worker().num_threads() <= threads + 4
    assert pytango.count_in_black_box("dserver/Slow/sender", "ZmqEventSubscriptionChange") == 0


@pytest.fixture
def mortal(tango_system: EmbeddedTango) -> Iterator[ServerProcess]:
    """A server that may die; it lives again when the test is over."""
    if not _mortals:
        command = [sys.executable, str(Path(__file__).parents[1] / "devices.py"), "mortal"]
        _mortals.append(tango_system.add_server(command, "Slow/mortal", {MORTAL: "Sender"}))
    yield _mortals[0]
    _mortals[0].thaw()
    _mortals[0].start()


_mortals: list[ServerProcess] = []


@pytest.fixture
def wait_for_event(gateway: Gateway, host_path: str) -> Iterator[Callable[[str], Future[dict]]]:
    """Begin a request that waits for an event of the mortal device, and come back when it listens."""
    with ThreadPoolExecutor(8) as threads:

        def begin(attribute: str) -> Future[dict]:
            before = figures(gateway)["listeners"]
            path = f"{host_path}/devices/{MORTAL}/attributes/{attribute}/change?timeout=50000"
            request = threads.submit(gateway.get, path, 60)
            wait_until(lambda: figures(gateway)["listeners"] > before or request.done())
            return request

        yield begin


@pytest.mark.parametrize("attribute", ["sent0", "silent"])
def test_listener_is_told_that_its_device_is_gone(
    gateway: Gateway,
    mortal: ServerProcess,
    wait_for_event: Callable[[str], Future[dict]],
    pytango: PyTango,
    attribute: str,
) -> None:
    gateway.clean()
    requests = [wait_for_event(attribute) for _ in range(3)]
    mortal.kill()
    for request in requests:  # Tango's heartbeat comes every ten seconds
        assert request.result(30)["quality"] == "FAILURE"
    began = time.monotonic()
    assert wait_for_event(attribute).result(30)["quality"] == "FAILURE"
    assert time.monotonic() - began < 3 * 2
    mortal.start()

    def comes_again() -> bool:
        request = wait_for_event(attribute)
        pytango.run(MORTAL, "SendOne", "change")
        pytango.write(MORTAL, "silent", time.time())
        return request.result(30)["quality"] == "ATTR_VALID"

    wait_until(comes_again)
    wait_until(lambda: figures(gateway)["subscriptions"] == 1)


def test_reading_many_frozen_devices_leaves_the_others_their_threads(
    tango_system: EmbeddedTango, gateway: Gateway, host_path: str
) -> None:
    devices = [f"test/crowd/{number}" for number in range(40)]
    command = [sys.executable, str(Path(__file__).parents[1] / "devices.py"), "crowd"]
    server = tango_system.add_server(command, "Slow/crowd", dict.fromkeys(devices, "Sender"))
    gateway.clean()
    for device in devices:
        gateway.get(f"{host_path}/devices/{device}/attributes/silent/change?state=INITIAL")
    wait_until(lambda: figures(gateway)["polled"] == len(devices))
    server.freeze()
    try:
        wait_until(lambda: gateway.get("/sys/stats")["pool"]["in_flight"] >= 5)
        with Watch(gateway) as watch:
            for _ in range(50):
                value = gateway.get(f"{host_path}/devices/sys/tg_test/1/attributes/ampli/value")
                assert value["quality"] == "ATTR_VALID"
        assert gateway.get("/sys/stats")["pool"]["in_flight"] <= 24
        assert watch.longest < 3 * 0.1
    finally:
        server.stop()


def test_frozen_device_server_delays_no_other_listeners(
    gateway: Gateway, mortal: ServerProcess, wait_for_event: Callable[[str], Future[dict]], pytango: PyTango
) -> None:
    gateway.clean()
    requests = [wait_for_event("sent0"), wait_for_event("silent")]
    mortal.freeze()
    with Watch(gateway) as watch:
        for request in requests:
            (error, *_) = request.result(60)["errors"]
            assert (error["reason"], error["origin"]) != ("API_EventTimeout", "mtango-gevent")  # nothing in time
        assert wait_for_event("sent1").result(60)["quality"] == "FAILURE"
    assert watch.longest < 3 * 0.1
    mortal.thaw()

    def comes_again() -> bool:
        request = wait_for_event("sent0")
        pytango.run(MORTAL, "SendOne", "change")
        return request.result(60)["quality"] == "ATTR_VALID"

    wait_until(comes_again, 60)

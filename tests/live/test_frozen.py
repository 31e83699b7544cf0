"""A device server that is stopped in its tracks, which answers nothing and refuses nothing either."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mtango_gevent.demo.embedded import EmbeddedTango, ServerProcess
from tests.conftest import DEMO_DEVICE
from tests.stream_client import StreamClient

from .conftest import Gateway, served, wait_until
from .test_yielding import Watch

pytestmark = [pytest.mark.slow, pytest.mark.timing]

DEVICES = [f"test/frozen/{number}" for number in range(1, 17)]


@pytest.fixture(scope="session")
def server(tango_system: EmbeddedTango) -> ServerProcess:
    """Many devices, as many as connections are made at a time."""
    command = [sys.executable, str(Path(__file__).parents[1] / "devices.py"), "frozen"]
    return tango_system.add_server(command, "Slow/frozen", dict.fromkeys(DEVICES, "Slow"))


@pytest.fixture
def frozen(server: ServerProcess) -> Iterator[ServerProcess]:
    server.freeze()
    yield server
    server.thaw()


@pytest.fixture
def fresh(frozen: ServerProcess, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway that has not spoken to any device."""
    with served([sys.executable, "-m", "mtango_gevent", "serve"], tmp_path / "log") as gateway:
        yield gateway


def test_connecting_to_a_frozen_server_delays_no_other_requests(fresh: Gateway, host_path: str) -> None:
    with Watch(fresh) as watch:
        failure = fresh.get(f"{host_path}/devices/{DEVICES[0]}/state")
    assert failure["quality"] == "FAILURE"
    assert watch.longest < 3 * 0.1
    assert watch.asked > 10


def test_others_can_still_be_connected_while_many_of_its_devices_are_polled(
    fresh: Gateway, frozen: ServerProcess, host_path: str
) -> None:
    paths = [f"{host_path}/devices/{name}/attributes/quick/value" for name in DEVICES]

    def all_fail() -> bool:
        return all("errors" in answer for answer in threads.map(fresh.get, paths))

    with ThreadPoolExecutor(len(DEVICES)) as threads:
        assert all_fail()
        polls = [threads.submit(fresh.get, path) for path in paths]
        for name in ("sys/tg_test/1", "demo/motor/1", "demo/camera/1", "demo/powersupply/1"):
            assert fresh.get(f"{host_path}/devices/{name}/attributes/State/value")["quality"] == "ATTR_VALID"
        for poll in polls:
            poll.result()
        frozen.thaw()
        wait_until(lambda: not any("errors" in answer for answer in threads.map(fresh.get, paths)))
    wait_until(lambda: fresh.get("/sys/stats")["pool"]["in_flight"] == 0)
    assert fresh.get("/sys/stats")["pool"]["abandoned"] == 0


WRITES = [
    ("attributes/lazy/value?v=0", ""),
    ("attributes/value?lazy=0", ""),
    ("attributes/lazy/info", '{"unit": "s"}'),
    ("commands/Rest", "0"),
]


@pytest.mark.parametrize("known", [False, True], ids=["unknown configuration", "known configuration"])
def test_writing_to_a_frozen_server_delays_no_other_requests(
    gateway: Gateway, server: ServerProcess, host_path: str, known: bool
) -> None:
    devices = [f"{host_path}/devices/{name}" for name in DEVICES[: len(WRITES)]]
    gateway.clean()
    for url in devices:
        gateway.get(f"{url}/attributes/{'lazy/info' if known else 'quick/value'}")
        gateway.get(f"{url}/commands/{'Rest' if known else 'State'}")
    server.freeze()
    try:
        with ThreadPoolExecutor(len(WRITES)) as threads, Watch(gateway) as watch:
            urls = [(f"{url}/{path}", body) for url, (path, body) in zip(devices, WRITES, strict=True)]
            answers = list(threads.map(lambda write: gateway.put(*write), urls))
        assert all("FAILURE" in str(answer) for answer in answers)
        assert watch.longest < 3 * 0.1
    finally:
        server.thaw()
    wait_until(lambda: all("ATTR_VALID" in str(gateway.get(f"{url}/attributes/quick/value")) for url in devices))


@pytest.mark.parametrize("known", [False, True], ids=["unknown configuration", "known configuration"])
def test_a_write_of_many_to_it_takes_no_longer_than_of_one(
    gateway: Gateway, server: ServerProcess, host_path: str, known: bool
) -> None:
    """Whatever the device is asked for after the first failure would take as long again."""
    url = f"{host_path}/devices/{DEVICES[0]}"
    names = ["lazy", *(f"name{number}" for number in range(12))]
    gateway.clean()
    gateway.get(f"{url}/attributes/{'lazy/info' if known else 'quick/value'}")
    server.freeze()
    try:
        began = time.monotonic()
        answers = gateway.put(f"{url}/attributes/value?" + "&".join(f"{name}=0" for name in names))
        assert [answer["name"] for answer in answers] == names
        assert all(answer["quality"] == "FAILURE" for answer in answers)
        assert time.monotonic() - began < 3 * 5
    finally:
        server.thaw()
    wait_until(lambda: "ATTR_VALID" in str(gateway.get(f"{url}/attributes/quick/value")))


def test_metadata_of_connected_devices_delays_no_other_requests(
    gateway: Gateway, server: ServerProcess, host_path: str
) -> None:
    paths = [f"{host_path}/devices/{name}" for name in DEVICES[:8]]
    for path in paths:
        gateway.get(f"{path}/attributes/quick/value")
    server.freeze()
    try:
        with ThreadPoolExecutor(len(paths)) as threads, Watch(gateway) as watch:
            answers = list(threads.map(gateway.get, [f"{path}/attributes" for path in paths]))
        assert all(answer["quality"] == "FAILURE" for answer in answers)
        assert watch.longest < 3 * 0.1
    finally:
        server.thaw()
    wait_until(lambda: all(isinstance(gateway.get(f"{path}/attributes"), list) for path in paths))


def test_streams_of_a_frozen_server_begin_when_it_answers_and_delay_no_others(
    fresh: Gateway, frozen: ServerProcess
) -> None:
    others = ["double_scalar", "long_scalar", "State"]
    with StreamClient(fresh.port) as client:
        for number, device in enumerate(DEVICES, 1):
            client.follow(device, "quick", first=number)
        began = time.monotonic()
        client.follow(DEMO_DEVICE, *others, first=101)
        client.receive_until(lambda: all(client.values(101 + number) for number in range(len(others))))
        assert time.monotonic() - began < 3 * 2
        wait_until(lambda: client.receive() or all(client.of(number) for number in range(1, len(DEVICES) + 1)))
        assert not any(client.values(number) for number in range(1, len(DEVICES) + 1))
        frozen.thaw()
        wait_until(lambda: client.receive() or all(client.values(number) for number in range(1, len(DEVICES) + 1)))

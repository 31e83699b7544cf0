"""Health is answered whatever happens to Tango."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import orjson
import pytest

from mtango_gevent.demo.embedded import EmbeddedTango

from .conftest import Gateway, served, wait_until

pytestmark = pytest.mark.slow

CLIENTS = 500


@pytest.fixture
def other_tango() -> Iterator[EmbeddedTango]:
    """One whose database may stop."""
    with EmbeddedTango() as system:
        yield system
        system.database.thaw()


@pytest.fixture
def other_gateway(other_tango: EmbeddedTango, tmp_path: Path) -> Iterator[Gateway]:
    command = [sys.executable, "-m", "mtango_gevent", "serve"]
    variables = {"TANGO_HOST": other_tango.tango_host, "MTANGO_POOL_SIZE": "20"}
    with served(command, tmp_path / "log", **variables) as gateway:
        yield gateway


def ask(gateway: Gateway, path: str) -> HTTPConnection:
    """Without waiting for the answer."""
    connection = gateway.connection()
    connection.request("GET", path)
    return connection


def readiness(gateway: Gateway) -> tuple[int, str]:
    with contextlib.closing(ask(gateway, "/readyz")) as connection:
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_health_answers_with_a_frozen_database_and_hundreds_of_waiting_requests(
    other_gateway: Gateway, other_tango: EmbeddedTango
) -> None:
    base = "/tango/rest/rc3/hosts/x/1/devices"
    assert other_gateway.get("/rc3/hosts/x/1/devices/demo/motor/1/state")["state"]
    waiting = [ask(other_gateway, f"{base}/demo/motor/1/attributes/velocity/user") for _ in range(CLIENTS)]
    wait_until(lambda: other_gateway.get("/sys/stats")["events"]["listeners"] == CLIENTS)
    other_tango.database.freeze()
    with ThreadPoolExecutor(32) as threads:
        asking = [
            threads.submit(other_gateway.get, f"/rc3/hosts/x/1/devices/a/b/{number}/state") for number in range(32)
        ]
        wait_until(lambda: other_gateway.get("/sys/stats")["circuits"]["servers"] == 1)
        times = []
        connection = other_gateway.connection()
        for _ in range(50):
            began = time.monotonic()
            connection.request("GET", "/healthz")
            assert orjson.loads(connection.getresponse().read()) == {"status": "ok"}
            times.append(time.monotonic() - began)
        connection.close()
        status, problems = readiness(other_gateway)
        assert (status, "database" in problems) == (503, True)
        other_tango.database.thaw()
        assert all(each.result() for each in asking)
    assert sorted(times)[len(times) * 9 // 10] < 3 * 0.05
    for connection in waiting:
        connection.close()

    wait_until(lambda: readiness(other_gateway)[0] == 200)
    wait_until(lambda: other_gateway.get("/sys/stats")["events"]["listeners"] == 0)


def test_a_server_whose_threads_are_all_busy_is_not_ready(
    tango_system: EmbeddedTango, slow_devices: list[str], host_path: str, tmp_path: Path
) -> None:
    with served([sys.executable, "-m", "mtango_gevent", "serve"], tmp_path / "log", MTANGO_POOL_SIZE="7") as gateway:
        path = f"{host_path}/devices/{slow_devices[0]}/attributes"
        gateway.get(f"{path}/quick/value")
        with ThreadPoolExecutor(1) as threads:
            read = threads.submit(gateway.get, f"{path}/slow/value")
            wait_until(lambda: gateway.get("/sys/stats")["pool"]["in_flight"] == 1)
            status, problems = readiness(gateway)
            assert (status, "all 1 threads" in problems) == (503, True)
            assert read.result()["value"] == 1.0
        assert readiness(gateway)[0] == 200

"""Health is answered whatever happens to Tango."""

from __future__ import annotations

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
    variables = {"TANGO_HOST": other_tango.tango_host, "MTANGO_POOL_SIZE": "8", "MTANGO_DATABASE_LIMIT": "8"}
    with served(command, tmp_path / "log", **variables) as gateway:
        yield gateway


def ask(gateway: Gateway, path: str) -> HTTPConnection:
    """Without waiting for the answer."""
    connection = gateway.connection()
    connection.request("GET", path)
    return connection


def test_a_saturated_pool_and_a_frozen_database_leave_it_alone(
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
        wait_until(lambda: other_gateway.get("/sys/stats")["pool"]["in_flight"] == 8)
        times = []
        connection = other_gateway.connection()
        for _ in range(50):
            began = time.monotonic()
            connection.request("GET", "/healthz")
            assert orjson.loads(connection.getresponse().read()) == {"status": "ok"}
            times.append(time.monotonic() - began)
        connection.request("GET", "/readyz")
        unready = connection.getresponse()
        assert unready.status == 503
        assert "8 threads" in orjson.loads(unready.read())["problems"][0]
        connection.close()
        other_tango.database.thaw()
        assert all(each.result() for each in asking)
    assert sorted(times)[len(times) * 9 // 10] < 3 * 0.05
    for connection in waiting:
        connection.close()

    def ready() -> bool:
        probe = ask(other_gateway, "/readyz")
        status = probe.getresponse().status
        probe.close()
        return status == 200

    wait_until(ready)
    wait_until(lambda: other_gateway.get("/sys/stats")["events"]["listeners"] == 0)

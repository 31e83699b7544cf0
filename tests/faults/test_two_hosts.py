"""Two Tango hosts behind one gateway, with servers and devices of the same names: faults of one spare the other."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtango_gevent.demo.embedded import DEMO_SERVER, EmbeddedTango
from tests.live.conftest import Gateway, served, wait_until

from .conftest import COMMAND, ask, is_failure, is_good
from .readers import Readers, late

pytestmark = pytest.mark.timing

MOTOR = "demo/motor/1"


@dataclasses.dataclass
class Hosts:
    """own: that of TANGO_HOST; other: that of MTANGO_TANGO_HOSTS."""

    own: EmbeddedTango
    other: EmbeddedTango

    def thaw(self) -> None:
        for system in (self.own, self.other):
            system.database.thaw()
            system.device_server.thaw()


@pytest.fixture(scope="module")
def pair() -> Iterator[Hosts]:
    with EmbeddedTango() as own, EmbeddedTango() as other:
        yield Hosts(own, other)


@pytest.fixture
def hosts(pair: Hosts) -> Iterator[Hosts]:
    yield pair
    pair.thaw()


@pytest.fixture
def gateway(hosts: Hosts, tmp_path: Path) -> Iterator[Gateway]:
    variables = {
        "TANGO_HOST": hosts.own.tango_host,
        "MTANGO_TANGO_HOSTS": hosts.other.tango_host,
        "MTANGO_METRICS_DEVICES": "true",
        "MTANGO_OPEN_AFTER": "1",
    }
    with served(COMMAND, tmp_path / "log", **variables) as gateway:
        yield gateway
        hosts.thaw()
        assert "Traceback" not in gateway.log.read_text()


def _url(system: EmbeddedTango, device: str = MOTOR) -> str:
    return f"/tango/rest/rc3/hosts/{system.tango_host.replace(':', '/')}/devices/{device}"


def _value(system: EmbeddedTango, device: str = MOTOR) -> str:
    return f"{_url(system, device)}/attributes/State/value"


def test_frozen_server_does_not_affect_the_server_of_the_same_name_of_another_host(
    gateway: Gateway, hosts: Hosts
) -> None:
    full_name = f"tango://{hosts.other.tango_host}/{MOTOR}"
    server = f"tango://{hosts.other.tango_host}/{DEMO_SERVER}"
    for system in (hosts.own, hosts.other):
        assert is_good(ask(gateway, _value(system)))
    with Readers(gateway.port, [_value(hosts.own)]) as reading, Readers(gateway.port, [_value(hosts.other)], 0.1):
        hosts.other.device_server.freeze()
        wait_until(lambda: gateway.get("/sys/stats")["circuits"]["servers"] == 1)
        reading.go_on(50)
        assert is_failure(ask(gateway, _value(hosts.other, "demo/camera/1")))
        assert is_good(ask(gateway, _value(hosts.own, "demo/camera/1")))  # connected now
        rows = {row["name"]: row for row in gateway.get("/sys/devices")}
        assert (rows[MOTOR]["state"], rows[MOTOR]["server"]) == ("closed", DEMO_SERVER)
        assert (rows[full_name]["state"], rows[full_name]["server"]) == ("open", server)
    assert all(is_good(answer) for answer in reading.all)
    assert late(reading.all) < 3 * 0.2
    assert late(reading.all, 1) < 3 * 1
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.port}/metrics") as answer:
        metrics = answer.read().decode()
    assert f'device="{full_name}"' in metrics
    assert f'device="{MOTOR}"' in metrics
    log = gateway.log.read_text()
    assert f"{server} does not answer" in log
    assert f" {full_name} " in log  # the access log


def test_frozen_database_does_not_affect_another_host(gateway: Gateway, hosts: Hosts) -> None:
    """PyTango would hold up all connections while it makes the first one to a frozen database."""
    with Readers(gateway.port, [_value(hosts.own)]) as reading, contextlib.ExitStack() as stack:
        hosts.other.database.freeze()
        stack.callback(hosts.other.database.thaw)
        with Readers(gateway.port, [_value(hosts.other), f"{_url(hosts.other)}/properties"], 0.1) as vain:
            vain.go_on(1)
            for device in ("demo/camera/1", "demo/powersupply/1", "demo/types/1", "sys/tg_test/1"):
                began = time.monotonic()
                assert is_good(ask(gateway, _value(hosts.own, device)))
                assert time.monotonic() - began < 3 * 0.5
            ready = ask(gateway, "/readyz")
    assert ready.status == 200
    assert hosts.other.tango_host in ready.body["warnings"][0]
    assert ready.seconds < 3 * 1.2
    assert all(is_failure(answer) for answer in vain.all[:2])
    assert all(is_good(answer) for answer in reading.all)
    assert late(reading.all) < 3 * 0.2
    assert late(reading.all, 1) < 3 * 1
    wait_until(lambda: is_good(ask(gateway, _value(hosts.other))))
    wait_until(lambda: "warnings" not in ask(gateway, "/readyz").body)


def test_properties_configurations_and_values_are_those_of_the_host(gateway: Gateway, hosts: Hosts) -> None:
    for system, text in ((hosts.own, "one"), (hosts.other, "two")):
        body = f'{{"description": "{text}"}}'
        assert is_good(ask(gateway, f"{_url(system)}/attributes/position/info", "PUT", body))
        assert is_good(ask(gateway, f"{_url(system)}/properties?which={text}", "PUT"))
    for system, text in ((hosts.own, "one"), (hosts.other, "two")):
        info = ask(gateway, f"{_url(system)}/attributes/position/info").body
        assert info["description"] == text
        assert {"name": "which", "values": [text]} in ask(gateway, f"{_url(system)}/properties").body

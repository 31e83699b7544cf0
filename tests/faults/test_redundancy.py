"""TANGO_HOST with two database servers: everything works as long as one of them answers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.conftest import Gateway, served, wait_until

from .conftest import COMMAND, Redundant, ask, is_failure, is_good, said
from .readers import Readers, late

FIRST, SECOND = 0, 1
DEMO = ("demo/motor/1", "demo/camera/1", "demo/powersupply/1", "demo/types/1", "sys/tg_test/1")


@pytest.fixture
def gateway(redundant: Redundant, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway that has not spoken to any device."""
    with served(COMMAND, tmp_path / "log", TANGO_HOST=redundant.tango_host) as gateway:
        yield gateway
        redundant.mend()
        assert "Traceback" not in gateway.log.read_text()


def _paths(base: str, device: str) -> list[str]:
    """URLs that need the database."""
    return [
        f"{base}/devices?wildcard=demo/*",
        base,
        f"{base}/devices/{device}",
        f"{base}/devices/{device}/properties",
        f"{base}/devices/{device}/state",
        "/readyz",
    ]


def _ask_all(gateway: Gateway, base: str, device: str) -> int:
    """Ask every URL that needs the database; return the number of failures."""
    put = ask(gateway, f"{base}/devices/{device}/properties?written=yes", "PUT")
    return [is_good(ask(gateway, path)) for path in _paths(base, device)].count(False) + (not is_good(put))


@pytest.mark.parametrize("order", [(FIRST, SECOND), (SECOND, FIRST)], ids=["first then second", "second then first"])
def test_gateway_works_while_either_database_is_dead(
    gateway: Gateway, redundant: Redundant, order: tuple[int, int]
) -> None:
    devices = iter(DEMO)  # one that is not connected yet each time
    assert _ask_all(gateway, redundant.base, next(devices)) == 0
    for number in order:
        redundant.databases[number].kill()
        assert _ask_all(gateway, redundant.base, next(devices)) <= 1
        assert _ask_all(gateway, redundant.base, next(devices)) == 0
        (warning,) = ask(gateway, "/readyz").body["warnings"]
        assert redundant.tango_host.split(",")[number] in warning
        redundant.databases[number].start()


@pytest.mark.parametrize("number", [FIRST, SECOND])
def test_a_gateway_starts_with_one_dead_database(redundant: Redundant, tmp_path: Path, number: int) -> None:
    redundant.databases[number].kill()
    with served(COMMAND, tmp_path / "log", TANGO_HOST=redundant.tango_host) as gateway:
        assert _ask_all(gateway, redundant.base, DEMO[0]) == 0


def test_a_failure_names_both_dead_databases(gateway: Gateway, redundant: Redundant) -> None:
    for lives in redundant.databases:
        lives.kill()
    answer = ask(gateway, f"{redundant.base}/devices")
    assert is_failure(answer)
    for address in redundant.tango_host.split(","):
        assert address.rpartition(":")[2] in str(answer.body)
    assert ask(gateway, "/readyz").status == 503
    redundant.databases[SECOND].start()
    wait_until(lambda: _ask_all(gateway, redundant.base, DEMO[0]) == 0)


@pytest.mark.parametrize("number", [FIRST, SECOND])
def test_check_succeeds_and_names_the_dead_database(redundant: Redundant, number: int) -> None:
    redundant.databases[number].kill()
    environment = {**os.environ, "TANGO_HOST": redundant.tango_host}
    command = [sys.executable, "-m", "mtango_gevent", "check"]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    failed = [line for line in found.stdout.splitlines() if "FAILED" in line]
    assert found.returncode == 0
    assert len(failed) == 1
    assert redundant.tango_host.split(",")[number] in failed[0]


def test_frozen_database_delays_only_requests_that_need_it(gateway: Gateway, redundant: Redundant) -> None:
    connected = f"{redundant.base}/devices/{DEMO[0]}/attributes/position/value"
    assert _ask_all(gateway, redundant.base, DEMO[0]) == 0
    assert is_good(ask(gateway, connected))
    with Readers(gateway.port, [connected, "/healthz"]) as reading:
        redundant.databases[FIRST].server.freeze()
        began = time.monotonic()
        failures = _ask_all(gateway, redundant.base, DEMO[1])
        seconds = time.monotonic() - began
        began = time.monotonic()
        later = _ask_all(gateway, redundant.base, DEMO[2])
        at_once = time.monotonic() - began
        redundant.databases[FIRST].server.thaw()
    said("first and second time in s", seconds, at_once)
    assert failures <= 1
    assert later == 0
    assert seconds < 3 * 2.5
    assert at_once < 3 * 1
    assert all(is_good(answer) for answer in reading.all)
    assert late(reading.all) < 3 * 0.2
    assert late(reading.all, 1) < 3 * 1


def test_a_gateway_starts_with_a_frozen_first_database(redundant: Redundant, tmp_path: Path) -> None:
    """PyTango's own connections would wait for it without end."""
    redundant.databases[FIRST].server.freeze()
    with served(COMMAND, tmp_path / "log", TANGO_HOST=redundant.tango_host) as gateway:
        assert _ask_all(gateway, redundant.base, DEMO[0]) <= 1
        for device in DEMO[1:4]:
            assert _ask_all(gateway, redundant.base, device) == 0
        redundant.databases[FIRST].server.thaw()
        wait_until(lambda: gateway.get("/sys/stats")["circuits"]["servers"] == 0)
        redundant.databases[SECOND].kill()
        assert sum(_ask_all(gateway, redundant.base, device) for device in DEMO) <= 1

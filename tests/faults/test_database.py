"""The database is killed or frozen and comes back: connected devices are read meanwhile, other reads fail cleanly."""

from __future__ import annotations

import time

import pytest

from tests.live.conftest import Gateway

from .conftest import DEVICES, NEIGHBOUR, Tango, ask, is_failure, is_good, said, until_good
from .readers import Readers, late

pytestmark = pytest.mark.timing

AWAY = 10.0  # seconds


def _lose(tango: Tango, how: str) -> None:
    tango.database.server.freeze() if how == "frozen" else tango.database.kill()


def _bring_back(tango: Tango) -> tuple[float, float]:
    """When it was still away, and since when it has been there."""
    away = time.monotonic()
    tango.database.server.thaw()
    return away, tango.database.start()


@pytest.mark.parametrize("how", ["frozen", "killed"])
def test_connected_devices_are_read_without_the_database(gateway: Gateway, tango: Tango, how: str) -> None:
    cached = [tango.path(DEVICES[0]), tango.path(NEIGHBOUR), tango.path("sys/tg_test/1", "attributes/ampli/value")]
    new = [tango.path(name) for name in DEVICES[1:5]]
    lists = [f"{tango.base}/devices?wildcard=test/*", tango.path(DEVICES[5], "properties")]
    for path in cached:
        assert is_good(ask(gateway, path))
    with Readers(gateway.port, [*cached, "/healthz"]) as reading, Readers(gateway.port, [*new, *lists], 0.1) as vain:
        _lose(tango, how)
        gone = time.monotonic()
        time.sleep(AWAY)  # that is the fault
        away, back = _bring_back(tango)
        seconds = until_good(gateway, [*new, *lists], back)
    failed = [answer for answer in vain.all if gone < answer.began and answer.ended < away]
    said("p99 and longest of connected devices in ms", 1000 * late(reading.all), 1000 * late(reading.all, 1))
    said(f"{len(failed)} failures, the longest took s", late(failed, 1))
    said("new devices and lists good again after s", seconds)
    assert len(reading.all) > 100
    assert all(answer.status == 200 and not answer.reasons for answer in reading.all)
    assert late(reading.all, 1) < 3 * 0.2
    assert failed
    assert all(is_failure(answer) for answer in failed)
    assert late(vain.all, 1) < 3 * 6
    assert seconds < 3 * 5


@pytest.mark.parametrize("how", ["frozen", "killed"])
def test_gateway_that_starts_without_the_database_works_when_it_is_back(
    gateway: Gateway, tango: Tango, how: str
) -> None:
    paths = [tango.path(DEVICES[0]), f"{tango.base}/devices", tango.path(DEVICES[1], "properties")]
    _lose(tango, how)
    with Readers(gateway.port, ["/healthz"]) as health, Readers(gateway.port, paths, 0.1) as vain:
        vain.go_on(1)
        away, back = _bring_back(tango)
        seconds = until_good(gateway, paths, back)
    said("longest of /healthz in ms, good after s", 1000 * late(health.all, 1), seconds)
    assert all(is_good(answer) for answer in health.all)
    assert all(is_failure(answer) for answer in vain.all if answer.ended < away)
    assert late(health.all, 1) < 3 * 0.2
    assert seconds < 3 * 5

"""A device that does not answer delays only the requests to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.http_clients import ask_all
from tests.live.conftest import Gateway, wait_until

from .conftest import DEVICES, NEIGHBOUR, Tango, ask, is_failure, is_good, said
from .readers import Readers, late

pytestmark = pytest.mark.timing

CROWD = 200
HANGS = 6.0  # seconds

# What the settings promise by default.
QUEUE_TIMEOUT, DEADLINE, IN_FLIGHT = 1.0, 5.0, 4

Request = tuple[str, str, str]


def _reads(tango: Tango) -> list[Request]:
    return [("GET", tango.path(DEVICES[0], "attributes/slow/value"), "")] * CROWD


def _commands(tango: Tango) -> list[Request]:
    """Each another call, in the sense that nothing but the calling itself could be shared."""
    return [("PUT", tango.path(DEVICES[0], "commands/Rest"), f"{HANGS + number / 1000}") for number in range(CROWD)]


def _threads(worker: psutil.Process, over: Callable[[], bool]) -> int:
    """The most that there are."""
    most = 0
    while not over():
        most = max(most, worker.num_threads())
        time.sleep(0.05)
    return most


@pytest.mark.parametrize("crowd", [_reads, _commands])
def test_two_hundred_requests_to_a_hanging_device_delay_no_others(
    gateway: Gateway, tango: Tango, crowd: Callable[[Tango], list[Request]]
) -> None:
    others = [tango.path(NEIGHBOUR), tango.path("sys/tg_test/1", "attributes/ampli/value")]
    device = tango.path(DEVICES[0], "attributes/quick/value")
    assert is_good(ask(gateway, tango.path(DEVICES[0], "commands/TakeSeconds"), "PUT", f"{HANGS}"))
    for path in (*others, device):
        assert is_good(ask(gateway, path))
    with Readers(gateway.port, others) as idle:
        wait_until(lambda: len(idle.all) >= 600)

    with ThreadPoolExecutor(2) as beside, Readers(gateway.port, others) as meanwhile:
        hung = time.monotonic()
        asking = beside.submit(ask_all, gateway.port, crowd(tango), 30)
        threads = beside.submit(_threads, gateway.worker(), asking.done)
        answers = asking.result()
    while time.monotonic() < hung + HANGS + 0.2:  # only then the device is itself again
        assert ask(gateway, "/healthz").status == 200
    wait_until(lambda: is_good(ask(gateway, device)))
    back = time.monotonic() - hung - HANGS

    seconds = sorted(answer.seconds for answer in answers)
    excess = seconds[: CROWD - IN_FLIGHT][-1]
    said("p99 of others in ms, idle and meanwhile", 1000 * late(idle.all), 1000 * late(meanwhile.all))
    said("longest in s: of the excess, of all; good again; most threads", excess, seconds[-1], back, threads.result())
    assert all(is_failure(answer) for answer in answers)
    assert all(is_good(answer) for answer in meanwhile.all)
    assert late(meanwhile.all) < 3 * 0.1  # two hundred requests at once take a slow processor for a while, too
    assert seconds[-1] < 3 * DEADLINE
    if crowd is _commands:
        assert excess < 3 * QUEUE_TIMEOUT
    assert threads.result() < 100
    assert back < 3 * 5
    wait_until(lambda: gateway.get("/sys/stats")["pool"]["in_flight"] == 0)
    assert gateway.get("/sys/stats")["pool"]["abandoned"] == 0

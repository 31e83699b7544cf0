"""Circuit breakers of devices and health of servers: what happens to the calls of devices that do not answer."""

from __future__ import annotations

import functools
import logging
import time

import pytest

from mtango_gevent.errors import tango_failure
from tests.control.concurrency import Item, NativeEvent, native_sleep, new_client, outcomes, reasons
from tests.patched_process import in_patched_process
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@in_patched_process
def test_device_that_hangs_is_refused_at_once_until_a_probe_comes_back() -> None:
    logging.disable(logging.WARNING)
    client = new_client(call_deadline=1, open_after=2, retry_after=0.2)
    bulkhead, release, made, probed = client.bulkhead("a/b/c"), NativeEvent(), 0, 0

    def read(_: object) -> Item:
        nonlocal made
        made += 1
        release.wait()
        return Item(7)

    def probe() -> None:
        nonlocal probed
        probed += 1
        release.wait()

    def read_value() -> int:
        return client.reads.get("a/b/c", "slow", bulkhead, lambda: None, read).items.value

    def check_reads(reason: str, seconds: float) -> None:
        began = time.monotonic()
        assert reasons(outcomes(read_value, 10)) == [reason] * 10
        assert time.monotonic() - began < seconds

    bulkhead.health._probe = probe
    check_reads("MTANGO_CallTimedOut", 3 * 1)
    check_reads("MTANGO_CallTimedOut", 3 * 1)
    check_reads("MTANGO_CircuitOpen", 0.5)
    figures = bulkhead.status()
    assert (figures["state"], figures["timeouts"], figures["in_flight"]) == ("open", 2, 2)

    wait_until(lambda: probed)
    check_reads("MTANGO_CircuitOpen", 0.5)
    assert bulkhead.status()["state"] == "half-open"

    release.set()
    wait_until(lambda: not bulkhead.is_open)
    assert [outcome.value for outcome in outcomes(read_value, 10)] == [7] * 10
    assert (probed, made) == (1, 3)
    wait_until(lambda: not client.pool_info()["in_flight"])
    figures = bulkhead.status()
    assert (figures["state"], figures["in_flight"], figures["waiting"]) == ("closed", 0, 0)
    assert client.pool_info()["abandoned"] == 0


@in_patched_process
def test_each_device_whose_circuit_is_open_is_probed_in_its_turn() -> None:
    """However often clients ask for one of them."""
    logging.disable(logging.WARNING)
    client = new_client(pool_size=20, open_after=1, retry_after=0.05, tango_timeout=0.1)  # two threads for probes
    hanging = set(range(10))

    def probe(number: int) -> None:
        if number in hanging:
            native_sleep(0.2)
            raise tango_failure("API_DeviceTimedOut", "too late")

    bulkheads = [client.bulkhead(f"a/b/{number}") for number in range(10)]
    for number, bulkhead in enumerate(bulkheads):
        bulkhead.health._probe = functools.partial(probe, number)
        outcomes(bulkhead.call, 1, "other", probe, number)
    assert all(bulkhead.is_open for bulkhead in bulkheads)

    hanging.discard(9)

    def is_closed() -> bool:
        outcomes(bulkheads[0].call, 1, "other", int)
        return not bulkheads[9].is_open

    wait_until(is_closed)
    assert [bulkhead.is_open for bulkhead in bulkheads] == [True] * 9 + [False]
    assert client.bulkheads.info() == {"devices": 9, "servers": 0}


@pytest.mark.parametrize("kind", ["values", "metadata"])
@in_patched_process
def test_devices_of_a_server_that_does_not_answer_a_ping_are_refused_until_it_does(kind: str) -> None:
    logging.disable(logging.WARNING)
    client = new_client(call_deadline=0.2, retry_after=0.1)
    release = NativeEvent()
    client.bulkheads._ping = lambda url: url == "a/b/3" or release.wait()
    first, second, healthy = bulkheads = [client.bulkhead(f"a/b/{number}") for number in (1, 2, 3)]
    for bulkhead, server in zip(bulkheads, ("frozen", "frozen", "healthy"), strict=True):
        client.bulkheads.assign_server(bulkhead, server)
    calls = first.metadata if kind == "metadata" else first
    assert reasons(outcomes(calls.call, 1, "other", release.wait)) == ["MTANGO_CallTimedOut"]
    assert reasons(outcomes(healthy.call, 1, "other", native_sleep, 0.5)) == ["MTANGO_CallTimedOut"]

    wait_until(lambda: first.is_silent)
    assert reasons(outcomes(second.call, 1, "other", int)) == ["MTANGO_CircuitOpen"]
    assert reasons(outcomes(second.metadata.call, 1, "other", int)) == ["MTANGO_CircuitOpen"]
    client.publish()
    assert client.metrics.read()[0]["circuits"]["servers"] == 1
    assert healthy.call("other", int, "7") == 7
    assert [bulkhead.status()["state"] for bulkhead in bulkheads] == ["open", "open", "closed"]

    release.set()
    wait_until(lambda: not first.is_silent)
    assert [bulkhead.call("other", int, "7") for bulkhead in bulkheads] == [7, 7, 7]

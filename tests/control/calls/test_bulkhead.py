"""Limits of the calls in flight: of one device and of the pool."""

from __future__ import annotations

import contextlib
import gc
import time

import gevent
import pytest

from mtango_gevent.control.single_flight import Route
from mtango_gevent.errors import tango_failure
from tests.control.concurrency import NativeEvent, native_sleep, new_client, outcomes, reasons
from tests.metric_values import metric_value, metric_values
from tests.patched_process import in_patched_process
from tests.waiting import wait_until


@pytest.mark.slow
@in_patched_process
def test_device_has_at_most_device_limit_calls_in_flight_and_others_wait_for_queue_timeout() -> None:
    client = new_client(device_limit=2, queue_timeout=0.3, call_deadline=10)
    bulkhead = client.bulkhead("a/b/c")
    most = now = 0

    def work() -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        native_sleep(1)
        now -= 1

    began = time.monotonic()
    assert reasons(outcomes(bulkhead.call, 10, "other", work)) == ["MTANGO_DeviceBusy"] * 8
    assert client.bulkhead("d/e/f").call("other", int, "7") == 7
    assert time.monotonic() - began < 3 * 1.0
    assert most == 2
    assert client.pool_info()["refused"] == 8


@pytest.mark.slow
@in_patched_process
def test_late_call_frees_its_caller_at_once_and_its_slot_when_its_thread_ends() -> None:
    client = new_client(device_limit=1, call_deadline=0.2, queue_timeout=0.1)
    bulkhead, release = client.bulkhead("a/b/c"), NativeEvent()
    assert reasons(outcomes(bulkhead.call, 1, "other", release.wait)) == ["MTANGO_CallTimedOut"]
    info = client.pool_info()
    assert (info["in_flight"], info["abandoned"]) == (1, 1)
    assert reasons(outcomes(bulkhead.call, 1, "other", int)) == ["MTANGO_DeviceBusy"]

    release.set()
    wait_until(lambda: not client.pool_info()["in_flight"])
    assert bulkhead.call("other", int, "7") == 7
    info = client.pool_info()
    assert (info["in_flight"], info["abandoned"], info["timed_out"]) == (0, 0, 1)


@pytest.mark.slow
@in_patched_process
def test_each_call_is_counted_once_with_its_outcome() -> None:
    client = new_client(device_limit=1, queue_timeout=0.2, call_deadline=0.5)
    bulkhead = client.bulkhead("a/b/c")

    def fail() -> None:
        raise tango_failure("API_DeviceTimedOut", "of Tango")

    bulkhead.call("outer", lambda: bulkhead.call("inner", int, "7"))
    with contextlib.suppress(ValueError):
        bulkhead.call("other", int, "x")
    outcomes(bulkhead.call, 1, "other", fail)
    outcomes(bulkhead.call, 2, "other", native_sleep, 1)
    native_sleep(0.7)
    gevent.sleep(0.1)
    route = Route(bulkhead, "connection")
    outcomes(lambda: client.proxies.get("a/b/c", False, object, route=route), 3)

    assert metric_values(client.metrics, "mtango_tango_calls_total", "kind", "outcome") == {
        "outer ok": 1,
        "other failed": 1,
        "other timed_out": 2,  # Tango's own, and the gateway's
        "other refused": 1,
        "connection ok": 1,
    }
    assert metric_value(client.metrics, "mtango_tango_slot_wait_seconds_count") == 6
    assert 0.2 <= metric_value(client.metrics, "mtango_tango_slot_wait_seconds_sum") < 0.5


@in_patched_process
def test_pool_is_bounded_and_metadata_has_threads_of_its_own() -> None:
    client = new_client(pool_size=9, queue_timeout=0.1)
    bulkheads = [client.bulkhead(f"a/b/{number}") for number in range(3)]
    release = NativeEvent()
    busy = [gevent.spawn(bulkhead.call, "other", release.wait) for bulkhead in bulkheads[:2]]
    gevent.sleep(0)
    assert reasons(outcomes(bulkheads[2].call, 1, "other", int)) == ["MTANGO_PoolExhausted"]
    assert bulkheads[2].metadata.call("other", int, "7") == 7

    release.set()
    gevent.joinall(busy)
    assert client.pool_info()["threads"] == 3
    assert bulkheads[2].call("other", int, "7") == 7


def test_bulkheads_of_unused_devices_are_forgotten() -> None:
    client = new_client(cache_size=10)
    for number in range(1000):
        client.bulkhead(f"a/b/{number}")
    gc.collect()
    assert len(client.bulkheads._all()) <= 10

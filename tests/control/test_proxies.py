"""The cache of proxies, under threads and under greenlets."""

from __future__ import annotations

import threading
import time

import gevent
import pytest

from mtango_gevent.config import Config
from mtango_gevent.control.calls import Bulkhead, ThreadSignal
from mtango_gevent.control.client import TangoClient
from mtango_gevent.control.proxies import ProxyCache
from mtango_gevent.metrics import CacheMetrics, own
from tests.control.concurrency import NativeEvent, native_sleep, new_client, new_device, outcome_of, outcomes, reasons
from tests.patched_process import in_patched_process


@pytest.fixture
def bulkhead() -> Bulkhead:
    return TangoClient(Config()).partitions.whole


def test_the_least_recently_used_proxy_is_let_go(bulkhead: Bulkhead) -> None:
    metrics = own()
    cache = ProxyCache(2, 60, ThreadSignal, CacheMetrics(metrics, "devices", 2))
    first = cache.get("a", bulkhead, lambda: bulkhead, object)
    cache.get("b", bulkhead, lambda: bulkhead, object)
    assert cache.get("a", bulkhead, lambda: bulkhead, object) is first
    cache.get("c", bulkhead, lambda: bulkhead, object)
    assert cache.get("a", bulkhead, lambda: bulkhead, object) is first
    assert metrics.read()[0]["devices"] == {"hits": 2, "misses": 3, "currsize": 2, "maxsize": 2}


def test_a_proxy_that_is_used_stays_and_one_that_is_not_goes(bulkhead: Bulkhead) -> None:
    cache = ProxyCache(size=9, idle=0.3, make_signal=ThreadSignal)
    used, idle = (
        cache.get("used", bulkhead, lambda: bulkhead, object),
        cache.get("idle", bulkhead, lambda: bulkhead, object),
    )
    until = time.monotonic() + 0.6
    while time.monotonic() < until:
        assert cache.get("used", bulkhead, lambda: bulkhead, object) is used
        time.sleep(0.01)
    assert cache.get("idle", bulkhead, lambda: bulkhead, object) is not idle


def test_a_failed_attempt_is_not_kept(bulkhead: Bulkhead) -> None:
    cache = ProxyCache(size=2, idle=60, make_signal=ThreadSignal)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", bulkhead, lambda: bulkhead, lambda: 1 / 0)
    assert cache.get("a", bulkhead, lambda: bulkhead, lambda: 7) == 7


def test_threads_make_one_attempt_together_and_others_do_not_wait(bulkhead: Bulkhead) -> None:
    cache, made, begun, release = (
        ProxyCache(size=9, idle=60, make_signal=ThreadSignal),
        [],
        threading.Event(),
        threading.Event(),
    )

    def connect() -> object:
        made.append(1)
        begun.set()
        release.wait(10)
        return object()

    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(cache.get("a", bulkhead, lambda: bulkhead, connect)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    assert begun.wait(10)
    assert cache.get("b", bulkhead, lambda: bulkhead, lambda: 7) == 7
    release.set()
    for thread in threads:
        thread.join(10)
    assert len(made) == 1
    assert len(set(map(id, found))) == 1


@in_patched_process
def test_twenty_callers_of_one_device_make_one_connection() -> None:
    client = new_client()
    bulkhead, made = client.bulkhead("connecting"), []

    def connect() -> object:
        made.append(1)
        native_sleep(0.3)
        return object()

    found = outcomes(client.proxies.get, 20, "a/b/c", bulkhead, lambda: bulkhead, connect)
    assert len(made) == 1
    assert len({id(outcome.value) for outcome in found}) == 1
    assert client.metrics.read()[0]["devices"]["currsize"] >= 1


@in_patched_process
def test_failed_connection_reaches_all_its_callers() -> None:
    device = new_device("no/such/device")
    assert reasons(outcomes(device.read_state, 5)) == ["DB_DeviceNotDefined"] * 5


@in_patched_process
def test_next_caller_connects_when_the_one_that_connects_is_killed() -> None:
    client = new_client(device_limit=1, queue_timeout=10)
    bulkhead, release = client.bulkhead("connecting"), NativeEvent()
    arguments = client.proxies.get, "a/b/c", bulkhead, lambda: bulkhead, object
    busy = gevent.spawn(bulkhead.call, "other", release.wait)
    gevent.sleep(0.01)
    first = gevent.spawn(outcome_of, *arguments)
    gevent.sleep(0.01)
    others = [gevent.spawn(outcome_of, *arguments) for _ in range(3)]
    gevent.sleep(0.01)
    first.kill()  # before it has a slot
    release.set()
    found = [other.get(timeout=5).value for other in others]
    assert found == [found[0]] * 3
    assert client.proxies.get("a/b/c", bulkhead, lambda: bulkhead, lambda: 7) is found[0]
    busy.join()


@in_patched_process
def test_database_device_can_be_the_first_that_is_read() -> None:
    """Its connection needs nothing from itself."""
    device = new_device("SYS/database/2")
    assert device.read_state().items[0] == "ON"
    assert device.host.find_server("sys/database/2") == "DataBaseds/2"

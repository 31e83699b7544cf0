"""The cache of proxies, under threads and under greenlets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import gevent
import pytest

from mtango_gevent.config import Config
from mtango_gevent.control.cache import Cache
from mtango_gevent.control.calls import Bulkhead, ThreadSignal
from mtango_gevent.control.client import TangoClient
from mtango_gevent.control.single_flight import Route
from mtango_gevent.metrics import CacheMetrics, own
from tests.control.concurrency import NativeEvent, native_sleep, new_client, new_device, outcome_of, outcomes, reasons
from tests.patched_process import in_patched_process


@pytest.fixture
def bulkhead() -> Bulkhead:
    return TangoClient(Config()).partitions.whole


def proxy_of(cache: Cache[Any], name: str, bulkhead: Bulkhead, connect: Callable[[], Any]) -> Any:
    """The proxy of a device from the cache, where the connection is made as the client makes it."""
    return cache.get(name, False, connect, route=Route(bulkhead, "connection", lambda: bulkhead))


def test_the_least_recently_used_proxy_is_let_go(bulkhead: Bulkhead) -> None:
    metrics = own()
    cache = Cache[Any](2, 60, ThreadSignal, renew=True, metrics=CacheMetrics(metrics, "devices", 2))
    first = proxy_of(cache, "a", bulkhead, object)
    proxy_of(cache, "b", bulkhead, object)
    assert proxy_of(cache, "a", bulkhead, object) is first
    proxy_of(cache, "c", bulkhead, object)
    assert proxy_of(cache, "a", bulkhead, object) is first
    assert metrics.read()[0]["devices"] == {"hits": 2, "misses": 3, "currsize": 2, "maxsize": 2}


def test_a_proxy_that_is_used_stays_and_one_that_is_not_goes(bulkhead: Bulkhead) -> None:
    cache = Cache[Any](9, 0.3, ThreadSignal, renew=True)
    used, idle = (
        proxy_of(cache, "used", bulkhead, object),
        proxy_of(cache, "idle", bulkhead, object),
    )
    until = time.monotonic() + 0.6
    while time.monotonic() < until:
        assert proxy_of(cache, "used", bulkhead, object) is used
        time.sleep(0.01)
    assert proxy_of(cache, "idle", bulkhead, object) is not idle


def test_a_failed_attempt_is_not_kept(bulkhead: Bulkhead) -> None:
    cache = Cache[Any](2, 60, ThreadSignal, renew=True)
    with pytest.raises(ZeroDivisionError):
        proxy_of(cache, "a", bulkhead, lambda: 1 / 0)
    assert proxy_of(cache, "a", bulkhead, lambda: 7) == 7


def test_threads_make_one_attempt_together_and_others_do_not_wait(bulkhead: Bulkhead) -> None:
    cache, made = Cache[Any](9, 60, ThreadSignal, renew=True), []
    begun, release = threading.Event(), threading.Event()

    def connect() -> object:
        made.append(1)
        begun.set()
        release.wait(10)
        return object()

    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(proxy_of(cache, "a", bulkhead, connect))) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert begun.wait(10)
    assert proxy_of(cache, "b", bulkhead, lambda: 7) == 7
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

    found = outcomes(proxy_of, 20, client.proxies, "a/b/c", bulkhead, connect)
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
    arguments = proxy_of, client.proxies, "a/b/c", bulkhead, object
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
    assert proxy_of(client.proxies, "a/b/c", bulkhead, lambda: 7) is found[0]
    busy.join()


@in_patched_process
def test_database_device_can_be_the_first_that_is_read() -> None:
    """Its connection needs nothing from itself."""
    device = new_device("SYS/database/2")
    assert device.read_state().items[0] == "ON"
    assert device.host.find_server("sys/database/2") == "DataBaseds/2"

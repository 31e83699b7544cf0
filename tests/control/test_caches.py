"""The cache of proxies, in plain threads."""

from __future__ import annotations

import threading
import time

import pytest

from mtango_gevent.config import Config
from mtango_gevent.control.calls.executor import Bulkhead
from mtango_gevent.control.client import TangoClient
from mtango_gevent.control.proxies import ProxyCache
from mtango_gevent.metrics import CacheMetrics, own


@pytest.fixture
def bulkhead() -> Bulkhead:
    return TangoClient(Config()).green.threads


def test_the_least_recently_used_proxy_is_let_go(bulkhead: Bulkhead) -> None:
    metrics = own()
    cache = ProxyCache(2, 60, CacheMetrics(metrics, "devices", 2))
    first = cache.get("a", bulkhead, lambda: bulkhead, object)
    cache.get("b", bulkhead, lambda: bulkhead, object)
    assert cache.get("a", bulkhead, lambda: bulkhead, object) is first
    cache.get("c", bulkhead, lambda: bulkhead, object)
    assert cache.get("a", bulkhead, lambda: bulkhead, object) is first
    assert metrics.read()[0]["devices"] == {"hits": 2, "misses": 3, "currsize": 2, "maxsize": 2}


def test_a_proxy_that_is_used_stays_and_one_that_is_not_goes(bulkhead: Bulkhead) -> None:
    cache = ProxyCache(size=9, idle=0.3)
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
    cache = ProxyCache(size=2, idle=60)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", bulkhead, lambda: bulkhead, lambda: 1 / 0)
    assert cache.get("a", bulkhead, lambda: bulkhead, lambda: 7) == 7


def test_threads_make_one_attempt_together_and_others_do_not_wait(bulkhead: Bulkhead) -> None:
    cache, made, begun, release = ProxyCache(size=9, idle=60), [], threading.Event(), threading.Event()

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

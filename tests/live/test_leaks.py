"""Memory, threads and proxies of a worker after ten thousand requests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from .conftest import Gateway

pytestmark = pytest.mark.slow

CONNECTIONS = 8


def ask(gateway: Gateway, paths: list[str], count: int) -> None:
    """`count` requests over a few kept connections."""

    def work() -> None:
        connection = gateway.connection()
        for number in range(count // CONNECTIONS):
            connection.request("GET", "/tango/rest" + paths[number % len(paths)])
            reply = connection.getresponse()
            reply.read()
            assert reply.status in (200, 400, 404)
        connection.close()

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        for result in [threads.submit(work) for _ in range(CONNECTIONS)]:
            result.result()


def used(worker: psutil.Process) -> tuple[int, int, int]:
    return worker.memory_info().rss, worker.num_threads(), worker.num_fds()


def test_ten_thousand_requests_leave_no_growth(gateway: Gateway, host_path: str) -> None:
    device = f"{host_path}/devices/sys/tg_test/1"
    paths = [
        f"{device}/attributes/short_scalar/value",
        f"{device}/attributes/nope/value",
        f"{device}/attributes/value?attr=wave&attr=State&attr=throw_exception",
        f"{device}/state",
        f"{device}/commands/DevVoid",
        f"{host_path}/devices/no/such/device/state",
        f"{host_path}/devices/a%00b/c/d/state",
        "/nope",
    ]
    worker = gateway.worker()
    ask(gateway, paths, 2_000)
    memory, threads, files = used(worker)
    ask(gateway, paths, 10_000)
    after = used(worker)
    assert after[0] - memory < 4 * 2**20
    assert after[1] <= threads + CONNECTIONS  # the pool may still grow a little, to as many as there are clients
    assert after[2] <= files + CONNECTIONS
    assert gateway.worker().pid == worker.pid


def test_cleaning_caches_again_and_again_leaves_no_proxies(gateway: Gateway, host_path: str) -> None:
    worker = gateway.worker()
    path = f"{host_path}/devices/sys/tg_test/1/attributes/short_scalar/value"

    def clean(count: int) -> tuple[int, int, int]:
        for _ in range(count):
            gateway.clean()
            gateway.get(path)
        return used(worker)

    memory, threads, files = clean(200)
    after = clean(1000)
    assert after[0] - memory < 4 * 2**20
    assert after[1] <= threads + CONNECTIONS
    assert after[2] <= files + CONNECTIONS

"""Four workers that answer as one server."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

import psutil
import pytest

from mtango_gevent.demo.embedded import EmbeddedTango

from .conftest import Gateway, served, wait_until

pytestmark = pytest.mark.slow

WORKERS = 4


@pytest.fixture(scope="module")
def four(tango_system: EmbeddedTango, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    command = [sys.executable, "-m", "mtango_gevent", "serve"]
    with served(command, tmp_path_factory.mktemp("four") / "log", MTANGO_WORKERS=str(WORKERS)) as gateway:
        wait_until(lambda: len(gateway.get("/sys/stats")["workers"]) == WORKERS)
        yield gateway


def ask(gateway: Gateway, path: str, times: int, kept: bool = True) -> int:
    """How many answers came, over one connection or a new one each time."""
    connection, came = gateway.connection(), 0
    for _ in range(times):
        try:
            connection.request("GET", "/tango/rest" + path)
            connection.getresponse().read()
            came += 1
        except (HTTPException, OSError):
            connection.close()
        if not kept:
            connection.close()
    connection.close()
    return came


def figures(gateway: Gateway) -> dict:
    """Over a new connection, of whichever worker takes it."""
    return gateway.get("/sys/stats")


def of_workers(stats: dict) -> int:
    """The requests of the workers that live."""
    return sum(worker["requests"] for worker in stats["workers"])


def test_requests_of_all_workers_are_counted(four: Gateway) -> None:
    before = figures(four)
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda number: ask(four, "", 250, kept=number % 2 == 0), range(16)))
    for looks in range(1, 21):
        assert figures(four)["requests"] == before["requests"] + 4000 + looks
    stats = figures(four)
    assert stats["responses"] == stats["requests"] - 1
    assert of_workers(stats) - of_workers(before) == stats["requests"] - before["requests"]
    assert len({worker["pid"] for worker in stats["workers"]}) == WORKERS


def test_a_worker_that_is_killed_takes_no_count_with_it(four: Gateway) -> None:
    before = figures(four)["responses"]
    victim = figures(four)["workers"][0]["pid"]
    with ThreadPoolExecutor(8) as threads:
        asking = [threads.submit(ask, four, "", 500, number % 2 == 0) for number in range(8)]
        wait_until(lambda: figures(four)["responses"] > before + 1000)
        os.kill(victim, signal.SIGKILL)
        came = sum(each.result() for each in asking)
    wait_until(lambda: len(figures(four)["workers"]) == WORKERS)
    stats = figures(four)
    assert victim not in {worker["pid"] for worker in stats["workers"]}
    assert came > 3900
    assert stats["responses"] >= before + came
    assert stats["requests"] - stats["responses"] <= 16
    looks = [figures(four)["requests"] for _ in range(20)]
    assert looks == list(range(looks[0], looks[0] + 20))


def test_clearing_caches_reaches_all_workers(four: Gateway, host_path: str) -> None:
    path = f"{host_path}/devices/sys/tg_test/1/attributes/double_scalar/value"

    def cached_in_all() -> bool:
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(lambda _: ask(four, path, 5, kept=False), range(16)))
        return all(worker["proxies"]["device"] > 0 for worker in figures(four)["workers"])

    wait_until(cached_in_all)
    assert figures(four)["proxies"]["device"] >= WORKERS
    four.clean()
    assert figures(four)["proxies"] == {"device": 0, "attribute": 0}
    assert four.get("/sys/cache/devices")["currsize"] == 0
    wait_until(lambda: all(worker["proxies"]["device"] == 0 for worker in figures(four)["workers"]))


def test_how_a_device_does_is_known_of_all(four: Gateway, host_path: str) -> None:
    """Reads at the same moment are shared: here there is one at a time."""

    def calls() -> int:
        rows = {row["name"]: row for row in four.get("/sys/devices")}
        return rows.get("demo/camera/1", {"calls": 0})["calls"]

    before = calls()
    assert ask(four, f"{host_path}/devices/demo/camera/1/attributes/State/value", 200, kept=False) == 200
    wait_until(lambda: before + 200 <= calls() <= before + 200 + WORKERS)  # each has made a connection


def test_stats_include_workers_without_requests(four: Gateway) -> None:
    wait_until(lambda: all(worker["resource"]["max_resident_mem"] > 10_000 for worker in figures(four)["workers"]))
    stats = figures(four)
    for worker in stats["workers"]:
        assert worker["age"] < 600
        assert psutil.Process(worker["pid"]).name()
    assert stats["running_since"] <= stats["time"]
    assert stats["pool"]["maxsize"] == WORKERS * 96


def test_a_reload_keeps_the_counts(four: Gateway) -> None:
    before = figures(four)
    four.process.send_signal(signal.SIGHUP)
    old = {worker["pid"] for worker in before["workers"]}

    def replaced() -> bool:
        pids = {worker["pid"] for worker in figures(four)["workers"]}
        return len(pids) == WORKERS and not pids & old

    wait_until(replaced)
    assert figures(four)["requests"] > before["requests"]
    assert figures(four)["running_since"] == before["running_since"]
    assert Path(four.log).read_text().count("Traceback") == 0

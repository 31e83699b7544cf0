"""Tango calls yield in every greenlet of a gunicorn gevent worker: the reason for this project.

Bounds are three times what is measured on two cores, and far from what a blocked hub would give (4 s and 3 s).
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from .conftest import Gateway


class Watch:
    """Asks for the entry point every 20 ms, and keeps the longest time that it took."""

    def __init__(self, gateway: Gateway) -> None:
        self._connection = gateway.connection()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.longest = 0.0
        self.asked = 0

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._connection.close()

    def _ask(self) -> None:
        while not self._end.wait(0.02):
            began = time.monotonic()
            self._connection.request("GET", "/tango/rest")
            self._connection.getresponse().read()
            self.longest = max(self.longest, time.monotonic() - began)
            self.asked += 1


def ask_together(gateway: Gateway, paths: list[str]) -> tuple[list[object], float]:
    """(answers, seconds) of parallel requests."""
    began = time.monotonic()
    with ThreadPoolExecutor(len(paths)) as threads:
        answers = list(threads.map(gateway.get, paths))
    return answers, time.monotonic() - began


@pytest.fixture
def slow_paths(slow_devices: list[str], host_path: str, gateway: Gateway) -> list[str]:
    """Reads of four devices that take a second each, with all proxies made."""
    for name in slow_devices:
        gateway.get(f"{host_path}/devices/{name}/attributes/quick/value")
    return [f"{host_path}/devices/{name}/attributes/slow/value" for name in slow_devices]


def test_slow_devices_delay_neither_each_other_nor_other_requests(gateway: Gateway, slow_paths: list[str]) -> None:
    with Watch(gateway) as watch:
        answers, seconds = ask_together(gateway, slow_paths)
    assert [answer["value"] for answer in answers] == [1.0] * 4
    assert seconds < 3 * 1.0
    assert watch.longest < 3 * 0.1
    assert watch.asked > 10


@pytest.mark.parametrize("kind", ["attributes", "commands"])
def test_metadata_of_busy_devices_delays_no_other_requests(gateway: Gateway, slow_paths: list[str], kind: str) -> None:
    metadata = [path.replace("/attributes/slow/value", f"/{kind}") for path in slow_paths] * 2
    gateway.clean()  # so that Tango is asked, and not a cache
    with Watch(gateway) as watch:
        answers, seconds = ask_together(gateway, slow_paths + metadata)
    assert all(isinstance(answer, list) and answer for answer in answers[4:])
    assert seconds < 3 * 1.0
    assert watch.longest < 3 * 0.1


@pytest.mark.parametrize(
    ("path", "body"),
    [("attributes/lazy/value?v=1", ""), ("attributes/value?lazy=1", ""), ("commands/Rest", "1")],
)
def test_slow_writes_and_commands_delay_no_other_requests(
    gateway: Gateway, slow_devices: list[str], slow_paths: list[str], host_path: str, path: str, body: str
) -> None:
    urls = [f"{host_path}/devices/{name}/{path}" for name in slow_devices]
    began = time.monotonic()
    with ThreadPoolExecutor(len(urls)) as threads, Watch(gateway) as watch:
        answers = list(threads.map(lambda url: gateway.put(url, body), urls))
    assert not any("errors" in str(answer) for answer in answers)
    assert time.monotonic() - began < 3 * 1.0
    assert watch.longest < 3 * 0.1
    assert watch.asked > 10

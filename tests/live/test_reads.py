"""Reads that many ask for at the same moment, through a real gunicorn."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.conftest import TYPES_DEVICE
from tests.pytango_process import PyTango

from .conftest import Gateway, served, wait_until
from .test_metrics import scrape

pytestmark = pytest.mark.slow

MANY = 30


class Slow:
    """A device whose reads take a second, and who counts them."""

    def __init__(self, gateway: Gateway, pytango: PyTango, host_path: str, name: str) -> None:
        self.path, self._gateway, self._pytango, self._name = f"{host_path}/devices/{name}", gateway, pytango, name
        self.get("quick")

    def get(self, attribute: str) -> dict:
        return self._gateway.get(f"{self.path}/attributes/{attribute}/value")

    def get_together(self, attributes: list[str]) -> list[dict]:
        with ThreadPoolExecutor(len(attributes)) as threads:
            return list(threads.map(self.get, attributes))

    def reads(self) -> int:
        """How many so far; waits for one that is in progress."""
        return self._pytango.read(self._name, "reads")

    def in_progress(self) -> bool:
        return self._gateway.get("/sys/stats")["pool"]["in_flight"] > 0


@pytest.fixture
def slow(slow_devices: list[str], gateway: Gateway, pytango: PyTango, host_path: str) -> Iterator[Slow]:
    slow = Slow(gateway, pytango, host_path, slow_devices[0])
    yield slow
    pytango.run(slow_devices[0], "Init")


def test_concurrent_reads_of_an_attribute_share_one_value(slow: Slow) -> None:
    before = slow.reads()
    began = time.monotonic()
    answers = slow.get_together(["slow", "SLOW"] * (MANY // 2))
    assert time.monotonic() - began < 3 * 1.0
    assert [answer["value"] for answer in answers] == [1.0] * MANY
    assert len({answer["timestamp"] for answer in answers}) == 1
    assert slow.reads() == before + 1


def test_different_reads_are_not_merged(slow: Slow) -> None:
    before = slow.reads()
    answers = slow.get_together(["slow", "failing", "quick"] * 3)
    assert {answer.get("value") for answer in answers} == {1.0, None}
    assert slow.reads() == before + 2


def test_failure_is_shared_by_concurrent_readers_and_is_not_kept(slow: Slow) -> None:
    before = slow.reads()
    answers = slow.get_together(["failing"] * MANY)
    assert {answer["errors"][0]["description"].split()[-1] for answer in answers} == {"broken"}
    assert slow.reads() == before + 1
    slow.get("failing")
    assert slow.reads() == before + 2


def test_read_after_a_change_returns_the_new_value(gateway: Gateway, slow: Slow) -> None:
    with ThreadPoolExecutor(1) as threads:
        before = threads.submit(slow.get, "slow")
        wait_until(lambda: slow.in_progress() or before.done())
        gateway.put(f"{slow.path}/commands/TakeSeconds", "0.1")
        assert slow.get("slow")["value"] == 0.1
        assert before.result()["value"] in (0.1, 1.0)  # which of the two is first is the device's affair


def test_read_goes_on_when_one_of_its_clients_disconnects(gateway: Gateway, slow: Slow) -> None:
    before = slow.reads()
    leaving = gateway.connection()
    leaving.request("GET", f"/tango/rest{slow.path}/attributes/slow/value")
    wait_until(lambda: slow.in_progress() or slow.reads() > before)
    with ThreadPoolExecutor(1) as threads:
        others = threads.submit(slow.get_together, ["slow"] * 5)
        leaving.close()
        assert {answer["value"] for answer in others.result()} == {1.0}
    assert slow.reads() <= before + 2  # one, unless the others took a second to come


@pytest.fixture(scope="module")
def keeping(tango_system: EmbeddedTango, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that answers values as old as a second and a half."""
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:application"]
    with served(command, tmp_path_factory.mktemp("keeping") / "log", MTANGO_VALUE_MAX_AGE="1.5") as gateway:
        yield gateway


def test_values_are_kept_for_their_age_under_many_clients(
    keeping: Gateway, sender: str, pytango: PyTango, host_path: str
) -> None:
    path, end, asked = f"{host_path}/devices/{sender}/attributes/silent/value", threading.Event(), []
    keeping.get(path)
    before, began = pytango.read(sender, "reads"), time.monotonic()

    def ask() -> None:
        while not end.is_set():
            asked.append(keeping.get(path))

    with ThreadPoolExecutor(4) as threads:
        for _ in range(4):
            threads.submit(ask)
        wait_until(lambda: pytango.read(sender, "reads") >= before + 2)
        end.set()
    seconds = time.monotonic() - began
    allowed = 3 * (seconds / 1.5 + 1)  # others may still be polling the device, for whom events are kept coming
    assert len(asked) > 3 * allowed
    assert pytango.read(sender, "reads") - before <= allowed


def test_attributes_asked_for_over_many_connections_are_merged_where_the_operator_wants_it(
    tango_system: EmbeddedTango, host_path: str, tmp_path: Path
) -> None:
    names = [f"{kind}_scalar" for kind in ("boolean", "short", "ushort", "long", "ulong", "long64", "float", "double")]
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:application"]
    with served(command, tmp_path / "log", MTANGO_MERGE_READS="on") as gateway:
        connections = [gateway.connection() for _ in names]

        def get_all() -> list[str]:
            for name, connection in zip(names, connections, strict=True):
                connection.request("GET", f"/tango/rest{host_path}/devices/{TYPES_DEVICE}/attributes/{name}/value")
            return [json.loads(connection.getresponse().read())["name"] for connection in connections]

        get_all()  # connects
        before = scrape(gateway, "mtango_tango_calls_total", kind="read")
        for _ in range(20):
            assert get_all() == names
        calls = scrape(gateway, "mtango_tango_calls_total", kind="read") - before
        print(20 * len(names), "requests,", calls, "calls")
        assert 20 <= calls <= 10 * len(names)
        for connection in connections:
            connection.close()


def test_304_has_no_body_and_the_connection_goes_on(
    keeping: Gateway, sender: str, host_path: str, pytango: PyTango
) -> None:
    connection, url = keeping.connection(), f"/tango/rest{host_path}/devices/{sender}/attributes/silent/value"
    for method in ("GET", "HEAD"):
        connection.request("GET", url)
        first = connection.getresponse()
        value = json.loads(first.read())
        connection.request(method, url, headers={"If-None-Match": first.headers["ETag"]})
        same = connection.getresponse()
        assert (same.status, same.read()) == (304, b"")
        assert {"ETag", "Date", "Cache-Control", "Expires", "Vary"} <= set(same.headers)
        assert not {"Content-Length", "Content-Type", "Transfer-Encoding"} & set(same.headers)
        connection.request("GET", url)
        assert json.loads(connection.getresponse().read())["name"] == value["name"]
    connection.close()


def test_a_server_of_threads_keeps_values_and_reads_each_for_itself(
    tango_system: EmbeddedTango, slow_devices: list[str], pytango: PyTango, host_path: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "waitress", "--listen=127.0.0.1:PORT", "--threads=8", "wsgi:application"]
    with served(command, tmp_path / "log", MTANGO_VALUE_MAX_AGE="60") as gateway:
        slow = Slow(gateway, pytango, host_path, slow_devices[1])
        gateway.put(f"{slow.path}/commands/TakeSeconds", "0.1")
        before = slow.reads()
        assert {answer["value"] for answer in slow.get_together(["slow"] * 6)} == {0.1}
        after = slow.reads()
        assert 1 <= after - before <= 6
        assert slow.get("slow")["value"] == 0.1
        assert slow.reads() == after
        gateway.put(f"{slow.path}/commands/Init")
        assert slow.get("slow")["value"] == 1.0

"""Workers that leave, for good or for others: nobody's request is lost, and nobody is waited for in vain."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import BadStatusLine, HTTPConnection
from pathlib import Path

import psutil
import pytest

from mtango_gevent.demo.embedded import EmbeddedTango

from .conftest import Gateway, served, wait_until

pytestmark = pytest.mark.slow

LONG_POLLS, IDLE = 50, 20


@pytest.fixture
def two(tango_system: EmbeddedTango, tmp_path: Path) -> Iterator[Gateway]:
    command = [sys.executable, "-m", "mtango_gevent", "serve"]
    with served(command, tmp_path / "log", MTANGO_WORKERS="2") as gateway:
        yield gateway


def wait_for_listeners(gateway: Gateway, number: int) -> None:
    wait_until(lambda: gateway.get("/sys/stats")["events"]["listeners"] == number)


def check_log(gateway: Gateway) -> None:
    log = gateway.log.read_text()
    assert not any(word in log for word in ("Traceback", "ABRT", "SIGKILL", "graceful timeout")), log


@contextlib.contextmanager
def kept_connections(gateway: Gateway, asked: bool = True) -> Iterator[list[HTTPConnection]]:
    """As browsers keep them: answered once, and then nothing; or opened only."""
    connections = [gateway.connection() for _ in range(IDLE)]
    for connection in connections:
        connection.connect()
        if asked:
            connection.request("GET", "/tango/rest")
            connection.getresponse().read()
    try:
        yield connections
    finally:
        for connection in connections:
            connection.close()


def test_stop_answers_requests_in_flight_and_ends_long_polls(
    two: Gateway, host_path: str, slow_devices: list[str], sender: str
) -> None:
    slow = f"{host_path}/devices/{slow_devices[0]}/attributes/slow/value"
    event = f"{host_path}/devices/{sender}/attributes/sent0/change"
    two.get(slow.replace("slow/value", "quick/value"))
    with ThreadPoolExecutor(LONG_POLLS + 1) as threads, kept_connections(two):
        waiting = [threads.submit(two.get, event) for _ in range(LONG_POLLS)]
        wait_for_listeners(two, LONG_POLLS)
        reading = threads.submit(two.get, slow)
        wait_until(lambda: two.get("/sys/stats")["pool"]["in_flight"] == 1)
        began = time.monotonic()
        two.process.send_signal(signal.SIGTERM)
        assert two.process.wait(30) == 0
        assert time.monotonic() - began < 3 * 3
        assert reading.result()["value"] == 1.0
        failures = [request.result()["errors"][0] for request in waiting]
    assert {failure["reason"] for failure in failures} == {"API_EventTimeout"}
    assert all("server stops" in failure["description"] for failure in failures)
    check_log(two)


def test_workers_with_nothing_to_do_leave_at_once(two: Gateway) -> None:
    with kept_connections(two):
        began = time.monotonic()
        two.process.send_signal(signal.SIGTERM)
        assert two.process.wait(30) == 0
        assert time.monotonic() - began < 3 * 2
    check_log(two)


def test_a_reload_fails_no_request(two: Gateway, host_path: str) -> None:
    path = f"/tango/rest{host_path}/devices/sys/tg_test/1/attributes/double_scalar/value"
    end, failures, answers = threading.Event(), [], []

    def ask(kept: bool) -> None:
        connection = two.connection()
        while not end.is_set():
            try:
                connection.request("GET", path)
                reply = connection.getresponse()
                reply.read()
                answers.append(reply.status)
            except (OSError, BadStatusLine) as error:
                failures.append(error)
                connection.close()
            if not kept:
                connection.close()
        connection.close()

    def workers() -> set[int]:
        return {child.pid for child in psutil.Process(two.process.pid).children()}

    with ThreadPoolExecutor(8) as threads:
        for number in range(8):
            threads.submit(ask, number % 2 == 0)
        for _ in range(2):
            old, before = workers(), len(answers)
            wait_until(lambda before=before: len(answers) > before + 200)
            two.process.send_signal(signal.SIGHUP)
            wait_until(lambda old=old: len(workers()) == 2 and not workers() & old)
        end.set()
    assert failures == []
    assert set(answers) == {200}
    check_log(two)


def test_a_request_that_comes_as_idle_connections_are_ended_is_answered(
    tango_system: EmbeddedTango, tmp_path: Path, host_path: str, slow_devices: list[str], sender: str
) -> None:
    command = [sys.executable, "-m", "mtango_gevent", "serve"]
    attribute = f"{host_path}/devices/{slow_devices[0]}/attributes/quick/value"
    with served(command, tmp_path / "log", MTANGO_WORKERS="1") as gateway, ThreadPoolExecutor(1) as threads:
        with kept_connections(gateway) as connections:
            waiting = threads.submit(gateway.get, f"{host_path}/devices/{sender}/attributes/sent0/change")
            wait_for_listeners(gateway, 1)
            worker = gateway.worker()
            worker.terminate()
            assert waiting.result()["errors"]  # and in a moment idle connections will be
            worker.suspend()
            for connection in connections:
                connection.request("GET", f"/tango/rest{attribute}")
            with kept_connections(gateway, asked=False) as fresh:
                time.sleep(1)  # past the worker's _GRACE: of a process that is suspended nothing can be seen
                worker.resume()
                assert [connection.getresponse().status for connection in connections] == [200] * IDLE
                time.sleep(0.2)  # as slow clients send their first request
                for connection in fresh:
                    connection.request("GET", f"/tango/rest{attribute}")
                assert [connection.getresponse().status for connection in fresh] == [200] * IDLE
        assert gateway.process.poll() is None
    check_log(gateway)


def test_a_client_that_does_not_read_is_cut_off(tango_system: EmbeddedTango, tmp_path: Path, types_url: str) -> None:
    command = [sys.executable, "-m", "mtango_gevent", "serve"]
    with served(command, tmp_path / "log", MTANGO_SEND_TIMEOUT="0.5") as gateway:
        url = f"{types_url}/attributes/double_image/value"
        rows = "[" + ",".join(["[" + ",".join(["0.123456789"] * 1000) + "]"] * 1000) + "]"
        with contextlib.closing(gateway.connection()) as connection:
            connection.request("PUT", url, rows)
            assert connection.getresponse().read(10)
            wait_until(lambda: "does not read" in gateway.log.read_text())
        assert gateway.get("")
    check_log(gateway)


def test_a_request_that_comes_slowly_is_answered_by_a_server_that_stops(
    tango_system: EmbeddedTango, tmp_path: Path, types_url: str
) -> None:
    command = [sys.executable, "-m", "mtango_gevent", "serve"]
    settings = {"MTANGO_CALL_DEADLINE": "1", "MTANGO_QUEUE_TIMEOUT": "0"}
    with served(command, tmp_path / "log", **settings) as gateway:
        head = f"PUT {types_url}/attributes/double_scalar/value HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n1"
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as connection:
            connection.sendall(head.encode())
            wait_until(lambda: gateway.get("/sys/stats")["requests"] > gateway.get("/sys/stats")["responses"])
            gateway.process.send_signal(signal.SIGTERM)
            time.sleep(6)  # longer than the calls alone may take
            connection.sendall(b".5")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert gateway.process.wait(30) == 0
    check_log(gateway)


def test_a_client_that_does_not_read_is_cut_off_when_the_server_stops(
    tango_system: EmbeddedTango, tmp_path: Path, types_url: str
) -> None:
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "-c",
        "gunicorn.conf.py",
        "--graceful-timeout",
        "8",
        "wsgi:application",
    ]
    with served(command, tmp_path / "log", MTANGO_CALL_DEADLINE="2") as gateway:
        rows = "[" + ",".join(["[" + ",".join(["0.123456789"] * 1000) + "]"] * 1000) + "]"
        with contextlib.closing(gateway.connection()) as connection:
            connection.request("PUT", f"{types_url}/attributes/double_image/value", rows)
            assert connection.getresponse().read(10)
            gateway.process.send_signal(signal.SIGTERM)
            assert gateway.process.wait(60) == 0
    assert "Worker graceful timeout" in gateway.log.read_text()  # and so was not killed by gunicorn


def test_a_failure_beside_requests_does_not_end_the_housekeeping(tango_system: EmbeddedTango, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "tests.live.broken_figures"]
    with served(command, tmp_path / "log", MTANGO_HEAD_TIMEOUT="0.5") as gateway, kept_connections(gateway):
        wait_until(lambda: "ValueError: no figures" in gateway.log.read_text())
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as silent:
            assert silent.recv(1) == b""  # which the housekeeping does
        began = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(60) == 0
        assert time.monotonic() - began < 3 * 2
    assert gateway.log.read_text().count("ValueError: no figures") == 1


@pytest.mark.parametrize("head", [b"Content-Length: 100\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_body_that_does_not_come_is_given_up(
    tango_system: EmbeddedTango, tmp_path: Path, types_url: str, head: bytes
) -> None:
    command = [sys.executable, "-m", "mtango_gevent", "serve"]
    with served(command, tmp_path / "log", MTANGO_BODY_TIMEOUT="0.5") as gateway:
        url = f"{types_url}/attributes/double_scalar/value".encode()
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as connection:
            connection.sendall(b"PUT " + url + b" HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n5\r\n1")
            answer = b""
            while b"http_status" not in answer:
                answer += connection.recv(65536)
        assert b" 408 " in answer.splitlines()[0]
        assert b"within 0.5 s" in answer
        assert gateway.get("")
    check_log(gateway)

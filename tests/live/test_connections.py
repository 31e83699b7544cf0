"""Connections that send nothing, or no HTTP, keep no client out."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import psutil
import pytest

from mtango_gevent.demo.embedded import EmbeddedTango

from .conftest import COMMAND, Gateway, served, wait_until

pytestmark = pytest.mark.slow

SILENT = 3000
SECONDS = 3.0  # within which each request is answered: three times what is promised
MEGABYTE = 1 << 20
HALF_A_LINE = b"GET /tango/rest HT"
ORIGIN = "https://panels.example.org"


@pytest.fixture(scope="module")
def gateway(tango_system: EmbeddedTango, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One of its own, whose connections are known."""
    with served(COMMAND, tmp_path_factory.mktemp("connections") / "log") as gateway:
        yield gateway


@pytest.fixture(scope="module")
def hasty(tango_system: EmbeddedTango, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One that waits a short while for the head of a request."""
    with served(COMMAND, tmp_path_factory.mktemp("hasty") / "log", MTANGO_HEAD_TIMEOUT="1") as gateway:
        yield gateway


@pytest.fixture(scope="module")
def small(tango_system: EmbeddedTango, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One that has room for ten connections, of which it keeps one free."""
    command = [*COMMAND[:-1], "--worker-connections", "10", COMMAND[-1]]
    with served(command, tmp_path_factory.mktemp("small") / "log") as gateway:
        yield gateway


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = SILENT + 500
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"this process may open {hard} files, {needed} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def connected(gateway: Gateway, number: int, sent: bytes) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        connections = []
        for _ in range(number):
            connection = socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
            connections.append(stack.enter_context(connection))
            with contextlib.suppress(ConnectionError):  # closed already to make room
                connection.sendall(sent)
        yield connections


def is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def ask(gateway: Gateway, path: str) -> bytes:
    """The answer over a connection of its own, which has to come in time."""
    began = time.monotonic()
    with contextlib.closing(gateway.connection()) as connection:
        connection.request("GET", path)
        reply = connection.getresponse()
        assert reply.status == 200
        body = reply.read()
    assert time.monotonic() - began < SECONDS
    return body


# --- silence ---


def test_three_thousand_silent_connections_keep_no_client_out(
    gateway: Gateway, host_path: str, sender: str, many_files: None
) -> None:
    value = f"/tango/rest{host_path}/devices/sys/tg_test/1/attributes/double_scalar/value"
    event = f"{host_path}/devices/{sender}/attributes/sent0/change?timeout=20000"
    with ThreadPoolExecutor(1) as threads, contextlib.closing(gateway.connection()) as kept:
        waiting = threads.submit(gateway.get, event)
        wait_until(lambda: gateway.get("/sys/stats")["events"]["listeners"] == 1)
        with connected(gateway, SILENT, HALF_A_LINE) as silent:
            ask(gateway, "/healthz")
            wait_until(lambda: sum(map(is_closed, silent)) > SILENT - 2710)
            closed = [is_closed(connection) for connection in silent]
            assert (closed[0], closed[-1], sum(closed) < SILENT // 2) == (True, False, True)
            for _ in range(20):
                ask(gateway, "/healthz")
                assert orjson.loads(ask(gateway, value))["quality"] == "ATTR_VALID"
                began = time.monotonic()
                kept.request("GET", value)
                assert kept.getresponse().read()
                assert time.monotonic() - began < SECONDS
            assert gateway.worker().memory_info().rss < 200 * MEGABYTE
            assert not waiting.done()
            assert gateway.get("/sys/stats")["events"]["listeners"] == 1
            wait_until(lambda: all(is_closed(connection) for connection in silent), 3 * 10)
        assert waiting.result()["errors"][0]["reason"] == "API_EventTimeout"
    assert "Traceback" not in gateway.log.read_text()


@pytest.mark.parametrize("sent", [b"", HALF_A_LINE, b"GET / HTTP/1.1\r\nHost: a\r\nX-Lo"])
def test_a_head_that_does_not_come_in_time_closes_the_connection(hasty: Gateway, sent: bytes) -> None:
    began = time.monotonic()
    with connected(hasty, 20, sent) as silent:
        wait_until(lambda: all(is_closed(connection) for connection in silent), 3 * 2)
        assert time.monotonic() - began > 0.9
    wait_until(lambda: "without a complete request head after 1 s" in hasty.log.read_text())


@pytest.mark.parametrize("kept", [False, True])
def test_a_head_that_dribbles_has_no_more_time(hasty: Gateway, kept: bool) -> None:
    with connected(hasty, 1, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" if kept else b"") as (connection,):
        if kept:
            assert b'"ok"' in connection.recv(65536)
            time.sleep(1.5)  # as long as a kept connection waits without a request nothing is due
        sent = 0
        with contextlib.suppress(ConnectionError):
            for byte in b"GET /healthz HTTP/1.1\r\nX-Slow: " + b"x" * 100:
                connection.sendall(bytes([byte]))
                sent += 1
                time.sleep(0.1)
                if is_closed(connection):
                    break
                connection.settimeout(10)
        assert 5 < sent < 3 * 20


def test_a_kept_connection_is_closed_when_no_request_has_come_for_long(
    tango_system: EmbeddedTango, tmp_path: Path
) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    command = [*COMMAND[:-1], "--keep-alive", "2", COMMAND[-1]]
    with served(command, tmp_path / "log") as gateway, connected(gateway, 2, request) as (quiet, busy):
        assert b'"ok"' in quiet.recv(65536)
        began = time.monotonic()
        while not is_closed(quiet):
            quiet.settimeout(10)
            assert time.monotonic() - began < 3 * 2
            assert b'"ok"' in busy.recv(65536)
            busy.sendall(request)
        assert time.monotonic() - began > 1.8


def test_a_slow_head_that_comes_in_time_is_answered(hasty: Gateway) -> None:
    with connected(hasty, 1, b"GET /healthz HTTP/1.1\r\n") as (connection,):
        for _ in range(3):
            time.sleep(0.1)
            connection.sendall(b"X-Slow: x\r\n")
        connection.sendall(b"Connection: close\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


# --- room ---


def test_the_connection_that_was_idle_longest_makes_room(small: Gateway) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    with connected(small, 1, request) as (first,), connected(small, 8, b"GET /h") as others:
        assert b'"ok"' in first.recv(65536)
        assert not any(is_closed(connection) for connection in (first, *others))
        ask(small, "/healthz")
        wait_until(lambda: is_closed(first) or any(is_closed(connection) for connection in others))
        with connected(small, 3, request) as last:
            for connection in last:
                assert b'"ok"' in connection.recv(65536)
            assert is_closed(first) or is_closed(others[0])
            assert not is_closed(others[-1])
            assert not any(is_closed(connection) for connection in last)
    wait_until(lambda: "idle connections: there were more than 9" in small.log.read_text())


def test_requests_in_progress_make_no_room_and_ended_ones_do(
    small: Gateway, host_path: str, slow_devices: list[str]
) -> None:
    small.get(f"{host_path}/devices/{slow_devices[0]}/attributes/quick/value")
    path = f"/tango/rest{host_path}/devices/{slow_devices[0]}/attributes/slow/value"
    head = f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    with connected(small, 10, head) as busy:  # all there are: nothing is accepted any more
        answers = [connection.recv(65536) for connection in busy]
        assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)
        ask(small, "/healthz")  # although none of them has been closed by its client


def test_few_open_files_mean_fewer_connections(tango_system: EmbeddedTango, tmp_path: Path) -> None:
    limited = ["sh", "-c", 'ulimit -n 200; exec "$@"', "sh", *COMMAND]
    with served(limited, tmp_path / "log") as gateway, connected(gateway, 300, HALF_A_LINE):
        ask(gateway, "/healthz")
    assert "100 connections instead of 3000" in gateway.log.read_text()
    assert "Too many open files" not in gateway.log.read_text()


def test_a_worker_may_open_as_many_files_as_it_needs(tango_system: EmbeddedTango, tmp_path: Path) -> None:
    limited = ["sh", "-c", 'ulimit -Sn 500; exec "$@"', "sh", *COMMAND]
    with served(limited, tmp_path / "log") as gateway:
        assert gateway.worker().rlimit(psutil.RLIMIT_NOFILE)[0] == 6000


# --- what is no HTTP ---

TLS_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256))


@pytest.mark.parametrize("sent", [TLS_HELLO, b"\x00", b"SSH-2.0-OpenSSH_9.2", b"hello", b'{"a": 1}', b"GET \xff"])
def test_garbage_is_refused_at_once(gateway: Gateway, sent: bytes) -> None:
    began = time.monotonic()
    with connected(gateway, 1, sent.replace(b"\n", b"")) as (connection,):
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert time.monotonic() - began < SECONDS


@pytest.mark.parametrize("line", [b"\r\nGET / HTTP/1.1\r\n", b"M-SEARCH * HTTP/1.1\r\n", b"OPTIONS * HTTP/1.1\r\n"])
def test_the_beginning_of_a_request_is_not_refused(gateway: Gateway, line: bytes) -> None:
    for length in range(1, len(line)):
        with connected(gateway, 1, line[:length]) as (connection,):
            time.sleep(0.02)
            assert not is_closed(connection)


# --- refusals ---

LONG_URL = b"GET /tango/rest?" + b"x" * 12_000 + b" HTTP/1.1\r\n"
PLAIN_LINE = b"GET /tango/rest HTTP/1.1\r\n"
REFUSED = {
    "url": (LONG_URL, 414),
    "very long url": (b"GET /" + b"x" * 500_000 + b" HTTP/1.1\r\n", 414),
    "header": (PLAIN_LINE + b"X-Long: " + b"x" * 9000 + b"\r\n", 431),
    "headers": (PLAIN_LINE + b"X-A: b\r\n" * 101, 431),
    "large head": (PLAIN_LINE + (b"X-Long: " + b"x" * 8000 + b"\r\n") * 60, 431),
    "bad header": (PLAIN_LINE + b"Bad\r\n", 400),
    "body": (b"PUT /tango/rest HTTP/1.1\r\nContent-Length: 99999999\r\n", 413),
    "coding": (b"PUT /tango/rest HTTP/1.1\r\nTransfer-Encoding: nonsense\r\n", 501),
}


def refused(gateway: Gateway, request: bytes, origin: str) -> tuple[bytes, dict[str, str], bytes]:
    """Status line, headers and body of the answer, as a page of `origin` gets it."""
    headers = f"Host: a\r\nOrigin: {origin}\r\n\r\n"
    with connected(gateway, 1, request + headers.encode()) as (connection,):
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    status_line, *lines = head.split(b"\r\n")
    return status_line, {name.lower(): value for name, value in (line.decode().split(": ", 1) for line in lines)}, body


def test_the_connection_of_a_refused_body_that_does_not_come_is_closed_soon(gateway: Gateway) -> None:
    """Not after `MTANGO_BODY_TIMEOUT`: the answer has been sent."""
    began = time.monotonic()
    refused(gateway, REFUSED["body"][0], ORIGIN)
    assert time.monotonic() - began < SECONDS


@pytest.mark.parametrize("kind", REFUSED)
def test_a_page_sees_why_its_request_was_refused(gateway: Gateway, kind: str) -> None:
    request, status = REFUSED[kind]
    status_line, headers, body = refused(gateway, request, ORIGIN)
    assert int(status_line.split()[1]) == status
    assert json.loads(body)["http_status"] == status
    assert headers["x-mtango"].startswith("mtango-gevent ")
    assert headers["vary"] == "Origin"
    if kind in ("very long url", "large head"):  # whose Origin is beyond what is read
        assert headers["access-control-allow-origin"] == "*"
        return
    assert headers["access-control-allow-origin"] == ORIGIN
    assert headers["access-control-allow-credentials"] == "true"
    assert "x-mtango" in headers["access-control-expose-headers"]


def test_preflight_is_answered_for_a_request_that_will_be_refused(gateway: Gateway) -> None:
    request = LONG_URL.replace(b"GET", b"OPTIONS") + b"Access-Control-Request-Method: PUT\r\n"
    status_line, headers, body = refused(gateway, request, ORIGIN)
    assert status_line == b"HTTP/1.1 200 OK"
    assert body == b""
    assert headers["access-control-allow-origin"] == ORIGIN
    assert "PUT" in headers["access-control-allow-methods"]


def test_a_refused_head_full_of_blanks_holds_up_no_other_client(gateway: Gateway) -> None:
    blanks = b"Origin:" + b" " * 5000 + b"\x01\r\n"
    status_line, headers, _ = refused(gateway, LONG_URL + blanks, ORIGIN)
    assert int(status_line.split()[1]) == 414
    assert headers["access-control-allow-origin"] == ORIGIN
    ask(gateway, "/healthz")


def test_a_page_that_is_not_allowed_gets_no_refusal_to_read(tango_system: EmbeddedTango, tmp_path: Path) -> None:
    with served(COMMAND, tmp_path / "log", MTANGO_CORS_ORIGINS=ORIGIN) as gateway:
        for kind, (request, status) in REFUSED.items():
            for origin, allowed in ((ORIGIN, True), ("https://other.example.org", False)):
                status_line, headers, body = refused(gateway, request, origin)
                if kind == "body" and not allowed:  # which the application refuses before it reads a body
                    assert b"MTANGO_CrossSite" in body
                    continue
                assert int(status_line.split()[1]) == status
                if allowed or len(request) > 100_000:  # whose Origin is not known: the one that may be allowed
                    assert headers["access-control-allow-origin"] == ORIGIN
                else:
                    assert "access-control-allow-origin" not in headers


def test_the_log_has_no_secret_at_debug_level(tango_system: EmbeddedTango, tmp_path: Path) -> None:
    lines = [
        b"GET /tango/rest?access_token=s3cr3t HTTP/1.1",
        b"GET /tango/rest?access_token=s3cr3t HTTP/9.9",
        b"GET /tango/rest?access_token=s3cr3t HTTP/1.1 nonsense",
        b"GET /tango/rest?access_token=s3cr3t#" + b"x" * 9000 + b" HTTP/1.1",
    ]
    headers = [
        b"Authorization: Bearer s3cr3t",
        b"Authorization Bearer s3cr3t",
        b"Authorization : Bearer s3cr3t",
        b"Authorization: Bearer \x01s3cr3t",
        b"X-API-Key: s3cr3t" + b"x" * 9000,
        b"X-API-Key: a\r\n s3cr3t",
    ]
    with served(COMMAND, tmp_path / "log", MTANGO_DEBUG="1") as gateway:
        for line in lines:
            for header in headers:
                with connected(gateway, 1, line + b"\r\nHost: a\r\nConnection: close\r\n" + header + b"\r\n\r\n") as (
                    one,
                ):
                    assert one.recv(65536).startswith(b"HTTP/1.1 ")
    text = gateway.log.read_text("utf-8")
    assert "Invalid request from" in text
    assert "s3cr3t" not in text


def test_the_log_has_no_traceback_and_no_control_characters(gateway: Gateway) -> None:
    with connected(gateway, 1, TLS_HELLO) as (connection,):
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")
    text = gateway.log.read_text("utf-8")
    assert "Invalid HTTP request line" in text
    assert "Traceback" not in text
    assert all(line.isprintable() for line in text.splitlines())

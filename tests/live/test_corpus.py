"""Every request of tests/corpus against a real gunicorn; how the files are named is told there."""

from __future__ import annotations

import contextlib
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import orjson
import pytest

from mtango_gevent.demo.embedded import EmbeddedTango

from .conftest import Gateway, served

FILES = sorted(path for path in (Path(__file__).parents[1] / "corpus").iterdir() if path.suffix in (".http", ".txt"))

# Of this server alone, which waits a short while for a body; and how long any answer may take.
BODY_TIMEOUT = 0.5
PATIENCE = 5

_HEADER = re.compile(rb"[A-Za-z-]+: [\x20-\x7e]*")


PARSERS = [
    "python",
    pytest.param(
        "fast",
        marks=[
            pytest.mark.slow,
            pytest.mark.skipif(find_spec("gunicorn_h1c") is None, reason="needs gunicorn_h1c, the extra fast"),
        ],
    ),
]


@pytest.fixture(scope="module", params=PARSERS)
def patient(
    request: pytest.FixtureRequest, tango_system: EmbeddedTango, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    command = [sys.executable, "-m", "mtango_gevent", "serve"]
    log = tmp_path_factory.mktemp("corpus") / "log"
    settings = {"MTANGO_BODY_TIMEOUT": str(BODY_TIMEOUT), "MTANGO_HTTP_PARSER": request.param}
    with served(command, log, **settings) as gateway:
        gateway.get("/rc3/hosts/localhost/10000/devices/sys/tg_test/1/state")
        yield gateway


def read_request(path: Path, tango_port: str) -> bytes:
    """The request of a file, with the port of the test's Tango: a request that writes has to name TANGO_HOST."""
    text = path.read_bytes().replace(b"/hosts/localhost/10000/", f"/hosts/localhost/{tango_port}/".encode())
    if path.suffix == ".http":
        return text
    text = text.replace(b"\n", b"\r\n")
    return re.sub(rb"<<(.+?)\*([0-9]+)>>", lambda part: part[1].replace(rb"\r\n", b"\r\n") * int(part[2]), text)


def send(gateway: Gateway, request: bytes, half_close: bool) -> bytes:
    """All that comes until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE) as connection:
        connection.sendall(request)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def take_apart(answers: bytes, request: bytes) -> Iterator[tuple[int, list[bytes], bytes]]:
    """(status, header lines, body) of each."""
    while answers:
        head, _, answers = answers.partition(b"\r\n\r\n")
        status_line, *headers = head.split(b"\r\n")
        assert re.fullmatch(rb"HTTP/1\.[01] [0-9]{3} [A-Za-z -]+", status_line)
        lengths = [int(line.split(b": ")[1]) for line in headers if line.lower().startswith(b"content-length:")]
        size = lengths[0] if lengths and not request.startswith(b"HEAD") else 0
        yield int(status_line.split()[1]), headers, answers[:size]
        answers = answers[size:]


def check_answer(status: int, headers: list[bytes], body: bytes) -> None:
    assert all(_HEADER.fullmatch(line) for line in headers), headers
    names = [line.partition(b":")[0].lower() for line in headers]
    assert len(set(names) - {b"vary"}) == len([name for name in names if name != b"vary"])
    assert b"x-mtango" in names
    assert b"x-injected" not in names
    if status >= 400:
        failure = orjson.loads(body)
        assert (failure["quality"], failure["http_status"]) == ("FAILURE", status)
        assert all(set(error) == {"reason", "description", "severity", "origin"} for error in failure["errors"])
        assert len(body) < 10_000


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_hostile_request_is_answered_or_closed_and_does_no_harm(
    patient: Gateway, tango_system: EmbeddedTango, path: Path
) -> None:
    *parts, wanted, _ = path.name.split(".")
    worker, request = patient.worker().pid, read_request(path, tango_system.tango_host.rpartition(":")[2])
    answers = list(take_apart(send(patient, request, half_close="open" not in parts), request))
    for answer in answers:
        check_answer(*answer)
    assert "-".join(str(status) for status, *_ in answers) == wanted.replace("closed", "")
    began = time.monotonic()
    assert patient.get("")["rc3"]
    assert time.monotonic() - began < 3 * 1.0
    assert patient.worker().pid == worker


def test_the_log_of_all_that_is_lines_without_tracebacks(patient: Gateway) -> None:
    text = patient.log.read_text("utf-8")
    assert "Traceback" not in text
    for line in text.splitlines():
        assert line.isprintable(), line
        assert re.match(r"\[20[0-9-]+ [0-9:]+ [+0-9]+\] \[[0-9]+\] \[[A-Z]+\] ", line), line


# --- what one file cannot say ---


def test_unread_body_delays_no_other_requests(gateway: Gateway) -> None:
    """gunicorn would read all of it, a KB at a time and without a break: 16 s for 300 MB."""
    stop, waited = threading.Event(), [0.0]

    def ask_others() -> None:
        while not stop.wait(0.01):
            began = time.monotonic()
            gateway.get("")
            waited.append(time.monotonic() - began)

    thread = threading.Thread(target=ask_others)
    thread.start()
    try:
        for method in ("GET", "PUT"):
            with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as connection:
                head = f"{method} /tango/rest HTTP/1.1\r\nHost: localhost\r\nContent-Length: {500 << 20}\r\n\r\n"
                connection.sendall(head.encode())
                with pytest.raises(ConnectionError):
                    connection.sendall(bytes(500 << 20))
    finally:
        stop.set()
        thread.join()
    assert max(waited) < 3 * 0.3


def test_a_refusal_of_a_large_body_is_seen(gateway: Gateway) -> None:
    with contextlib.closing(gateway.connection()) as connection:
        connection.request("PUT", "/tango/rest", bytes(20 << 20))
        assert connection.getresponse().status == 413


def test_bytes_after_an_abandoned_body_are_no_request(patient: Gateway, host_path: str) -> None:
    url = f"/tango/rest{host_path}/devices/sys/tg_test/1/attributes/double_scalar/value"
    head = f"PUT {url} HTTP/1.1\r\nHost: a\r\n".encode()
    for rest in (b"Transfer-Encoding: chunked\r\n\r\n5\r\n1", b"Content-Length: 100\r\n\r\n1"):
        with socket.create_connection(("127.0.0.1", patient.port), timeout=PATIENCE) as connection:
            connection.sendall(head + rest)
            answers = connection.recv(65536)
            assert answers.startswith(b"HTTP/1.1 408 ")
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"GET /tango/rest/smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
                answers += b"".join(iter(lambda: connection.recv(65536), b""))
            assert answers.count(b"HTTP/1.1 ") == 1

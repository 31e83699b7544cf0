"""TLS by gunicorn's own settings."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.conftest import DEMO_DEVICE

from .conftest import COMMAND, Gateway, served, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate"),
]

# Seconds for the head of a request, and for answers that do not wait for anything.
HEAD_TIMEOUT, SECONDS = 2, 5


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of localhost that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return certificate, key


@pytest.fixture(scope="module")
def trusting(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate[0]))


@pytest.fixture(scope="module")
def gateway(
    tango_system: EmbeddedTango,
    certificate: tuple[Path, Path],
    trusting: ssl.SSLContext,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Gateway]:
    files = ["--certfile", str(certificate[0]), "--keyfile", str(certificate[1])]
    command = [*COMMAND[:-1], *files, COMMAND[-1]]

    def answers(gateway: Gateway) -> bool:
        assert gateway.process.poll() is None, gateway.log.read_text()
        with contextlib.suppress(OSError):
            return ask(gateway, trusting, "/healthz")[0] == 200
        return False

    log = tmp_path_factory.mktemp("gunicorn") / "log"
    settings = {"MTANGO_HEAD_TIMEOUT": str(HEAD_TIMEOUT), "MTANGO_DEBUG": "1"}
    with served(command, log, answers=answers, **settings) as gateway:
        yield gateway


def ask(
    gateway: Gateway, trusting: ssl.SSLContext, path: str, method: str = "GET", **headers: str
) -> tuple[int, bytes]:
    with contextlib.closing(
        http.client.HTTPSConnection("localhost", gateway.port, timeout=30, context=trusting)
    ) as tls:
        tls.request(method, path, headers=headers)
        answer = tls.getresponse()
        return answer.status, answer.read()


def test_requests_and_links_are_https(gateway: Gateway, trusting: ssl.SSLContext, host_path: str) -> None:
    _, body = ask(gateway, trusting, "/tango/rest")
    assert json.loads(body)["rc3"] == f"https://localhost:{gateway.port}/tango/rest/rc3"
    url = f"/tango/rest{host_path}/devices/{DEMO_DEVICE}/attributes/double_scalar/value?v=1"
    own, other = f"https://localhost:{gateway.port}", f"http://localhost:{gateway.port}"
    assert ask(gateway, trusting, url, "PUT", Origin=own)[0] == 200
    assert ask(gateway, trusting, url, "PUT", Origin=other)[0] == 403


def test_connection_is_kept(gateway: Gateway, trusting: ssl.SSLContext) -> None:
    with contextlib.closing(
        http.client.HTTPSConnection("localhost", gateway.port, timeout=30, context=trusting)
    ) as tls:
        for _ in range(3):
            tls.request("GET", "/healthz")
            assert tls.getresponse().read()


def test_client_reads_a_refusal_of_gunicorn(gateway: Gateway, trusting: ssl.SSLContext) -> None:
    status, body = ask(gateway, trusting, "/tango/rest?" + "x" * 9000)
    assert (status, json.loads(body)["http_status"]) == (414, 414)


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01"], ids=["silent", "half a hello"])
def test_late_handshake_ends_after_the_head_timeout(gateway: Gateway, trusting: ssl.SSLContext, sent: bytes) -> None:
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as silent:
        silent.sendall(sent)
        assert ask(gateway, trusting, "/healthz")[0] == 200
        with contextlib.suppress(ConnectionError):
            while silent.recv(1000):  # perhaps an alert
                pass
    assert HEAD_TIMEOUT * 0.5 < time.monotonic() - began < 5 * HEAD_TIMEOUT


def test_plain_http_is_refused_and_harms_no_other_client(gateway: Gateway, trusting: ssl.SSLContext) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert b"200" not in plain.recv(1000)
    assert ask(gateway, trusting, "/healthz")[0] == 200
    wait_until(lambda: "Traceback" not in gateway.log.read_text())


def test_late_request_ends_after_the_head_timeout(gateway: Gateway, trusting: ssl.SSLContext) -> None:
    with (
        socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as plain,
        trusting.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        tls.sendall(b"GET /healthz HTT")
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            assert tls.recv(1000) == b""

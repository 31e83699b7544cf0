"""nginx as a proxy: HTTP/2 and TLS, long polls, and no repeated writes."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson
import pytest
import websocket

from mtango_gevent.config import Config
from tests.live.conftest import Gateway, free_port, wait_until
from tests.pytango_process import PyTango

from .conftest import adapted

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

pytestmark = pytest.mark.skipif(
    not (NGINX and shutil.which("curl") and shutil.which("openssl")),
    reason="nginx, curl or openssl is not installed (Debian: nginx-light curl openssl)",
)

# What Debian's /etc/nginx/nginx.conf has around it, but for the paths.
AROUND = """
daemon off;
{user}
pid {folder}/pid;
error_log {folder}/log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/mtango.conf;
}}
"""


@pytest.fixture(scope="package")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 127.0.0.1, signed by itself; its key is beside it."""
    path = tmp_path_factory.mktemp("tls") / "mtango.crt"
    what = [
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=127.0.0.1",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ]
    files = ["-keyout", str(path.with_suffix(".key")), "-out", str(path)]
    subprocess.run(["openssl", "req", "-x509", *what, *files], check=True, capture_output=True, timeout=60)
    return path


class Front:
    """A running nginx and ways to ask it."""

    def __init__(self, port: int, plain_port: int, certificate: Path) -> None:
        self.port = port
        self.plain_port = plain_port
        self.certificate = certificate

    def curl(self, path: str, *options: str) -> tuple[dict[str, str], bytes]:
        """(what curl says of the answer, its body), over HTTP/2."""
        said = "%{stderr}%{http_version} %{http_code} %header{content-encoding}"
        command = ["curl", "--silent", "--http2", "--max-time", "30", "--cacert", str(self.certificate), "-w", said]
        url = f"https://127.0.0.1:{self.port}{path}"
        ended = subprocess.run([*command, *options, url], capture_output=True, timeout=60, check=True)
        version, status, encoding = ended.stderr.decode().split(" ")
        return {"version": version, "status": status, "encoding": encoding}, ended.stdout

    def get(self, path: str, *options: str) -> object:
        said, body = self.curl(path, *options)
        assert said["version"] == "2"
        return orjson.loads(body)

    def connection(self) -> http.client.HTTPSConnection:
        """For what curl does not show; HTTP/1.1."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context)


@contextlib.contextmanager
def nginx(upstream: int, certificate: Path, folder: Path) -> Iterator[Front]:
    front = Front(free_port(), free_port(), certificate)
    text = adapted(
        "nginx.conf",
        {
            "    listen [::]:80;\n": "",
            "    listen [::]:443 ssl http2;\n": "",
            "listen 80;": f"listen 127.0.0.1:{front.plain_port};",
            "listen 443 ": f"listen 127.0.0.1:{front.port} ",
            "127.0.0.1:8000": f"127.0.0.1:{upstream}",
            "/etc/nginx/tls/mtango.crt": str(certificate),
            "/etc/nginx/tls/mtango.key": str(certificate.with_suffix(".key")),
        },
    )
    (folder / "mtango.conf").write_text(text)
    user = "user root;" if os.geteuid() == 0 else ""  # anybody else cannot read the folders of tests
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder, user=user))
    assert NGINX
    process = subprocess.Popen([NGINX, "-p", str(folder), "-e", str(folder / "log"), "-c", str(folder / "nginx.conf")])

    def listens() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", front.port), timeout=5):
            return True
        return False

    try:
        wait_until(listens)
        yield front
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="package")
def front(proxied_gateway: Gateway, certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with nginx(proxied_gateway.port, certificate, tmp_path_factory.mktemp("nginx")) as front:
        yield front


# --- before the gateway ---


def test_websocket_passes_the_proxy(front: Front) -> None:
    url, options = f"wss://127.0.0.1:{front.port}/tango/stream", {"ca_certs": str(front.certificate)}
    socket = websocket.create_connection(url, timeout=30, sslopt=options, origin=f"https://127.0.0.1:{front.port}")
    try:
        socket.send('{"ping": 1}')
        assert orjson.loads(socket.recv()) == {"seq": 1, "pong": 1}
    finally:
        socket.close()
        socket.shutdown()


def test_links_are_those_of_the_proxy_whatever_the_client_says(front: Front) -> None:
    claims = {"For": "9.9.9.9", "Proto": "ftp", "Host": "evil.example", "Port": "1", "Prefix": "/evil"}
    headers = [part for name, value in claims.items() for part in ("-H", f"X-Forwarded-{name}: {value}")]
    assert front.get("/tango/rest", *headers)["rc3"] == f"https://127.0.0.1:{front.port}/tango/rest/rc3"


def test_an_event_comes_through_at_once(
    front: Front, proxied_gateway: Gateway, host_path: str, sender: str, pytango: PyTango
) -> None:
    path = f"/tango/rest{host_path}/devices/{sender}/attributes/sent0/change"
    before = front.get(f"{path}?state=INITIAL")["value"]
    with ThreadPoolExecutor(1) as threads:
        event = threads.submit(front.get, f"{path}?timeout=20000")
        wait_until(lambda: proxied_gateway.get("/sys/stats")["events"]["listeners"] > 0 or event.done())
        pytango.run(sender, "SendOne", "change")
        assert event.result(15)["value"] == before + 1


def test_event_timeout_is_that_of_the_gateway(front: Front, host_path: str, sender: str) -> None:
    path = f"/tango/rest{host_path}/devices/{sender}/attributes/sent0/change?timeout=500"
    assert front.get(path)["errors"][0]["reason"] == "API_EventTimeout"


def test_writing_works(front: Front, host_path: str) -> None:
    command = f"/tango/rest{host_path}/devices/sys/tg_test/1/commands/DevString"
    assert front.get(command, "-X", "PUT", "-d", "Hello")["output"] == "Hello"
    chunked = ["-H", "Transfer-Encoding: chunked", "--http1.1"]
    said, body = front.curl(command, "-X", "PUT", "-d", "Hello", *chunked)
    assert said["version"] == "1.1"
    assert orjson.loads(body)["output"] == "Hello"


def test_the_longest_url_gets_through(front: Front) -> None:
    line = "GET /tango/rest?{{}} HTTP/1.1\r\n"
    parameters = "x" * (8190 - len(line.format("")))
    assert front.curl(f"/tango/rest?{parameters}")[0]["status"] == "200"


def test_a_body_may_be_as_large_as_the_gateway_takes(front: Front, tmp_path: Path) -> None:
    body = tmp_path / "body"
    for size, status in ((Config().body_limit, "404"), (Config().body_limit + 1, "413")):
        body.write_bytes(b"x" * size)
        assert front.curl("/nothing", "-X", "PUT", "--data-binary", f"@{body}")[0]["status"] == status


def test_large_answers_are_compressed(front: Front) -> None:
    assert front.curl("/swagger/rc3.yml", "--compressed")[0]["encoding"] == "gzip"


def test_request_without_tls_is_redirected_to_https(front: Front) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", front.plain_port, timeout=30)
    connection.request("PUT", "/tango/rest?a=%2F", body="x")
    reply = connection.getresponse()
    assert (reply.status, reply.headers["Location"]) == (308, "https://127.0.0.1/tango/rest?a=%2F")
    connection.close()


# --- before a server that does what the gateway does only at bad moments ---


class Upstream(ThreadingHTTPServer):
    """Counts what comes to it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.connections = 0
        self.requests: Counter[str] = Counter()
        self.go_on = threading.Event()

    def verify_request(self, request: object, client_address: object) -> bool:
        self.connections += 1
        return True


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def do_GET(self) -> None:
        self.server.requests[f"{self.command} {self.path}"] += 1
        if self.path == "/dies":
            self.close_connection = True
        elif self.path == "/event-stream":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            for number in range(2):
                self.wfile.write(b"data: %d\n\n" % number)
                self.wfile.flush()
                self.server.go_on.wait(30)
            self.close_connection = True
        else:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as upstream, ThreadPoolExecutor(1) as threads:
        threads.submit(upstream.serve_forever, 0.02)
        yield upstream
        upstream.go_on.set()
        upstream.shutdown()


@pytest.fixture
def front_of_upstream(upstream: Upstream, certificate: Path, tmp_path: Path) -> Iterator[Front]:
    with nginx(upstream.server_address[1], certificate, tmp_path) as front:
        yield front


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_nginx_sends_a_write_only_once(front_of_upstream: Front, upstream: Upstream, method: str) -> None:
    front_of_upstream.curl("/")  # from here on there is a kept connection
    assert front_of_upstream.curl("/dies", "-X", method)[0]["status"] == "502"
    assert upstream.requests[f"{method} /dies"] == 1


def test_nginx_repeats_a_read_when_a_kept_connection_breaks(front_of_upstream: Front, upstream: Upstream) -> None:
    front_of_upstream.curl("/")
    front_of_upstream.curl("/dies")
    assert upstream.requests["GET /dies"] == 2


def test_connections_to_the_gateway_are_kept(front_of_upstream: Front, upstream: Upstream) -> None:
    for _ in range(5):
        assert front_of_upstream.curl("/")[0]["status"] == "200"
    assert upstream.connections == 1


def test_each_event_of_a_stream_goes_out_at_once(front_of_upstream: Front, upstream: Upstream) -> None:
    with contextlib.closing(front_of_upstream.connection()) as connection:
        connection.request("GET", "/event-stream")
        stream = connection.getresponse()
        for number in range(2):
            assert stream.readline() == b"data: %d\n" % number
            assert stream.readline() == b"\n"
            upstream.go_on.set()


def test_metrics_are_served_to_this_machine_only(front_of_upstream: Front, upstream: Upstream) -> None:
    assert front_of_upstream.curl("/metrics")[0]["status"] == "200"
    assert front_of_upstream.curl("/metrics", "--interface", "127.0.0.2")[0]["status"] == "403"
    assert upstream.requests["GET /metrics"] == 1

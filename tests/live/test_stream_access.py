"""Access to the WebSocket: origins, credentials, tokens and rules, checked again while it is open."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import websocket

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.api.access.conftest import DENY_ALL
from tests.conftest import DEMO_DEVICE, TYPES_DEVICE
from tests.redis_server import redis_server
from tests.stream_client import StreamClient

from .conftest import COMMAND, Gateway, served, wait_until
from .test_stream import ask, handshake

PAGE = "http://panel.example.org"
RULES = """
[[rule]]
users = ["anna"]
may = ["read"]
gateway = ["*"]

[[rule]]
users = ["anna"]
may = ["read"]
devices = ["DEVICE"]
"""


class Guarded:
    """A gateway with one key, of the user anna, who may read one device."""

    def __init__(self, folder: Path) -> None:
        self.keys, self.rules = folder / "keys", folder / "rules.toml"
        self.keys.touch()
        self.key = self._run("new").strip()
        self.allow(DEMO_DEVICE)

    def allow(self, device: str) -> None:
        self.rules.write_text(RULES.replace("DEVICE", device) + DENY_ALL)

    def revoke(self) -> None:
        self._run("revoke")

    def _run(self, action: str) -> str:
        command = [sys.executable, "-m", "mtango_gevent", "key", action, "anna"]
        environment = {**os.environ, "MTANGO_AUTH_KEY_FILE": str(self.keys)}
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout

    @property
    def header(self) -> dict[str, str]:
        return {"X-API-Key": self.key}

    @property
    def settings(self) -> dict[str, str]:
        return {"MTANGO_AUTH": "key", "MTANGO_AUTH_KEY_FILE": str(self.keys), "MTANGO_RULES": str(self.rules)}

    def token(self, gateway: Gateway) -> str:
        return self._ask(gateway, "/tango/stream/token")["token"]

    def subscribe(self, gateway: Gateway) -> dict[str, Any]:
        return self._ask(gateway, "/tango/subscriptions", b"[]")

    def _ask(self, gateway: Gateway, path: str, body: bytes | None = None) -> dict[str, Any]:
        request = urllib.request.Request(f"http://127.0.0.1:{gateway.port}{path}", body, self.header)
        with urllib.request.urlopen(request) as reply:
            return json.loads(reply.read())


def status_of_events(gateway: Gateway, made: dict[str, Any]) -> int:
    """Return the status of the event stream of a subscription, opened with its token."""
    connection = gateway.connection()
    with contextlib.closing(connection):
        connection.request("GET", f"/tango/subscriptions/{made['id']}/event-stream?token={made['token']}")
        return connection.getresponse().status


@pytest.fixture
def guarded(tmp_path: Path) -> Guarded:
    return Guarded(tmp_path)


@pytest.fixture
def closed(tango_system: EmbeddedTango, tmp_path: Path, guarded: Guarded) -> Iterator[Gateway]:
    settings = {**guarded.settings, "MTANGO_CORS_ORIGINS": PAGE, "MTANGO_WORKERS": "2"}
    with served(COMMAND, tmp_path / "log", **settings) as gateway:
        yield gateway


@pytest.mark.slow
def test_handshake_takes_the_same_credentials_and_origins_as_requests(closed: Gateway, guarded: Guarded) -> None:
    assert handshake(closed).status == 401
    assert handshake(closed, X_API_Key="mtg_wrong").status == 401
    assert handshake(closed, X_API_Key=guarded.key).status == 101
    foreign = handshake(closed, X_API_Key=guarded.key, Origin="http://evil.example.org")
    assert (foreign.status, foreign.reason) == (403, "MTANGO_CrossSite")
    assert handshake(closed, X_API_Key=guarded.key, Origin=PAGE).status == 101
    assert handshake(closed, X_API_Key=guarded.key, Origin=f"http://127.0.0.1:{closed.port}").status == 101


@pytest.mark.slow
def test_token_of_one_worker_opens_streams_of_all(closed: Gateway, guarded: Guarded) -> None:
    token = guarded.token(closed)
    for _ in range(6):
        assert handshake(closed, f"/tango/stream?token={token}").status == 101
    answer = handshake(closed, Sec_WebSocket_Protocol=f"mtango.v1, mtango.token.{token}")
    assert (answer.status, answer.headers["Sec-WebSocket-Protocol"]) == (101, "mtango.v1")
    assert handshake(closed, "/tango/stream?token=wrong").status == 401
    assert ask(closed, f"/tango/stream/token?token={token}", {}).status == 401
    assert token not in closed.log.read_text("utf-8")


@pytest.mark.slow
def test_token_of_a_subscription_opens_event_streams_alone_in_all_workers(closed: Gateway, guarded: Guarded) -> None:
    made = guarded.subscribe(closed)
    for _ in range(6):
        assert status_of_events(closed, made) == 200
        assert handshake(closed, f"/tango/stream?token={made['token']}").status == 401
        assert status_of_events(closed, {**made, "token": guarded.token(closed)}) == 200
    with StreamClient(closed.port, header=guarded.header) as client:
        client.send(token=made["token"])
        assert client.receive_close()[0] == 4401
    assert status_of_events(closed, {**made, "token": "wrong"}) == 401
    assert made["token"] not in closed.log.read_text("utf-8")


@pytest.mark.slow
def test_token_of_one_gateway_is_good_for_another_one_with_the_same_redis(
    tango_system: EmbeddedTango, tmp_path: Path, guarded: Guarded
) -> None:
    with redis_server(tmp_path) as server, contextlib.ExitStack() as opened:
        settings = {**guarded.settings, "MTANGO_STORE": server.url}
        one, two = (opened.enter_context(served(COMMAND, tmp_path / f"log{n}", **settings)) for n in range(2))
        made = guarded.subscribe(one)
        assert status_of_events(two, made) == 200
        assert handshake(two, f"/tango/stream?token={guarded.token(one)}").status == 101


@pytest.mark.slow
def test_attribute_that_may_not_be_read_is_refused_alone(closed: Gateway, guarded: Guarded) -> None:
    with StreamClient(closed.port, header=guarded.header) as client:
        client.follow(TYPES_DEVICE, "double_scalar")
        client.follow(DEMO_DEVICE, "State", first=2)
        client.receive_until(lambda: client.records and client.failures)
    assert [record["id"] for record in client.records] == [2]
    assert (client.failures[0]["id"], client.failures[0]["errors"][0]["reason"]) == (1, "MTANGO_Forbidden")


@pytest.mark.slow
def test_subscription_ends_when_the_rules_do_not_allow_it_any_more(closed: Gateway, guarded: Guarded) -> None:
    with StreamClient(closed.port, f"/tango/stream?token={guarded.token(closed)}") as client:
        client.follow(DEMO_DEVICE, "State")
        client.receive_until(lambda: client.records)
        guarded.allow(TYPES_DEVICE)
        client.receive_until(lambda: client.failures)
        assert client.failures[0]["errors"][0]["reason"] == "MTANGO_Forbidden"
        client.send(ping=1)
        client.receive_until(lambda: client.pongs)


@pytest.mark.slow
def test_connection_ends_with_its_credentials(closed: Gateway, guarded: Guarded) -> None:
    with StreamClient(closed.port, header=guarded.header) as client:
        client.follow(DEMO_DEVICE, "State")
        client.receive_until(lambda: client.records)
        guarded.revoke()
        assert client.receive_close()[0] == 4401


@pytest.mark.slow
def test_connection_of_a_client_that_does_not_read_ends_with_its_credentials(closed: Gateway, guarded: Guarded) -> None:
    with StreamClient(
        closed.port, header=guarded.header, sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]
    ) as client:
        wishes = [{"id": n, "device": DEMO_DEVICE, "attribute": "ushort_image", "binary": True} for n in range(60)]
        client.send(subscribe=wishes)
        client.receive_until(lambda: client.binary)
        assert is_connected(closed, client)
        guarded.revoke()
        wait_until(lambda: not is_connected(closed, client))


def is_connected(gateway: Gateway, client: StreamClient) -> bool:
    port, workers = client.socket.sock.getsockname()[1], psutil.Process(gateway.process.pid).children()
    connections = [each for worker in workers for each in worker.net_connections("tcp")]
    return any(each.raddr and each.raddr.port == port and each.status == "ESTABLISHED" for each in connections)


@pytest.mark.slow
def test_wrong_new_token_ends_the_connection_and_a_good_one_does_not(closed: Gateway, guarded: Guarded) -> None:
    with StreamClient(closed.port, header=guarded.header) as client:
        client.send(token=guarded.token(closed), ping=1)
        client.receive_until(lambda: client.pongs)
        client.send(token="wrong")
        assert client.receive_close()[0] == 4401


@pytest.mark.slow
def test_anonymous_page_of_another_name_is_refused(closed: Gateway) -> None:
    user = base64.b64encode(b"anna:").decode()
    with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
        StreamClient(closed.port, header={"Authorization": f"Basic {user}"})

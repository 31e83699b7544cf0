"""WebSockets of two workers: clients that connect again, to whichever worker, and a reload."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import websocket

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.pytango_process import PyTango
from tests.stream_client import StreamClient

from .conftest import COMMAND, Gateway, served, wait_until

pytestmark = pytest.mark.slow

EVENTS, PER_SECOND = 400, 100
RELOADED = 100  # streams


@pytest.fixture
def two(tango_system: EmbeddedTango, tmp_path: Path) -> Iterator[Gateway]:
    with served(COMMAND, tmp_path / "log", MTANGO_WORKERS="2", MTANGO_STREAM_CLIENT_LIMIT="200") as gateway:
        wait_until(lambda: len(workers(gateway)) == 2)
        yield gateway


def workers(gateway: Gateway) -> set[int]:
    return {child.pid for child in psutil.Process(gateway.process.pid).children()}


def worker_of(gateway: Gateway, client: StreamClient) -> int:
    """Return the process id of the worker that serves a client."""
    port = client.socket.sock.getsockname()[1]
    for worker in psutil.Process(gateway.process.pid).children():
        if any(each.raddr and each.raddr.port == port for each in worker.net_connections("tcp")):
            return worker.pid
    raise AssertionError(f"no worker has the connection of port {port}")


def follow_in_both(gateway: Gateway, device: str, opened: contextlib.ExitStack) -> list[StreamClient]:
    """Return clients of both workers that follow an attribute, each with its first value."""
    clients = list[StreamClient]()
    while not clients or len({worker_of(gateway, client) for client in clients}) < 2:
        assert len(clients) < 100
        clients.append(opened.enter_context(StreamClient(gateway.port)))
        clients[-1].follow(device, "sent0", keep="all")
        clients[-1].receive_until(lambda: clients[-1].records)
    return clients


def cursor(record: dict[str, Any]) -> Any:
    """Return what continues behind a record."""
    return [record["time"], record["came"]] if "came" in record else record["time"]


def test_client_that_connects_again_and_again_gets_each_event_once(two: Gateway, sender: str, pytango: PyTango) -> None:
    records, visited = list[dict[str, Any]](), list[int]()
    with contextlib.ExitStack() as opened:
        follow_in_both(two, sender, opened)  # so that both workers keep the events
        while not records or records[-1]["value"] < EVENTS:
            with StreamClient(two.port) as client:
                after = cursor(records[-1]) if records else None
                client.follow(sender, "sent0", keep="all", after=after)
                if not records:
                    client.receive_until(lambda client=client: client.records)
                    pytango.run(sender, "Send", [1.0, float(EVENTS), float(PER_SECOND)])
                some = min(EVENTS // 20, EVENTS - records[-1]["value"] if records else EVENTS)
                client.receive_until(lambda client=client, some=some: len(client.records) >= some)
                visited.append(worker_of(two, client))
                records += client.records
    assert [record["value"] for record in records] == list(range(EVENTS + 1))
    assert not any("missed" in record for record in records)
    assert len(set(visited)) == 2, visited


def connect_again(gateway: Gateway, device: str, last: dict[str, Any], opened: contextlib.ExitStack) -> StreamClient:
    """Connect as a page does after the close code 1012, until a worker serves the client that does not stop itself."""
    until = time.monotonic() + 60
    while True:
        assert time.monotonic() < until
        with contextlib.suppress(OSError, websocket.WebSocketException):
            client = opened.enter_context(StreamClient(gateway.port))
            client.follow(device, "sent0", keep="all", after=cursor(last))
            while not client.records and client.closed is None:
                client.receive()
            if client.closed is None:
                return client
        time.sleep(0.2)


def test_reload_closes_with_service_restart_and_values_go_on(two: Gateway, sender: str, pytango: PyTango) -> None:
    with contextlib.ExitStack() as opened:
        clients = follow_in_both(two, sender, opened)
        while len(clients) < RELOADED:
            clients.append(opened.enter_context(StreamClient(two.port)))
            clients[-1].follow(sender, "sent0", keep="all")
            clients[-1].receive_until(lambda: clients[-1].records)
        pytango.run(sender, "SendOne", "change")
        for client in clients:
            client.receive_until(lambda client=client: client.values(1)[-1:] == [1])
        old = workers(two)
        os.kill(two.process.pid, signal.SIGHUP)
        for client in clients:
            assert client.receive_close() == (1012, "the gateway stops, connect again")
        again = [connect_again(two, sender, client.records[-1], opened) for client in clients]
        for _ in range(3):
            pytango.run(sender, "SendOne", "change")
        for client in again:
            client.receive_until(lambda client=client: client.values(1)[-1:] == [4])
            assert [value for value in client.values(1) if value > 1] == [2, 3, 4]
        wait_until(lambda: not old & workers(two), 60)
        assert {worker_of(two, client) for client in again} <= workers(two)

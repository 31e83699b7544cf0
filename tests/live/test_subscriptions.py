"""Subscriptions in four workers: made, extended, streamed and deleted in any of them, also after a reload."""

from __future__ import annotations

import http.client
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from mtango_gevent.demo.embedded import EmbeddedTango, ServerProcess
from tests.conftest import SENDER_DEVICE
from tests.live.conftest import Gateway, served, wait_until
from tests.live.event_sources import Source, close, read_until
from tests.pytango_process import PyTango
from tests.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.slow

WORKERS = 4
SETTINGS = {
    "MTANGO_WORKERS": str(WORKERS),
    "MTANGO_STREAM_HEARTBEAT": "1",
    "MTANGO_STREAM_CLIENT_LIMIT": "1000",
    "MTANGO_EVENT_SILENCE": "2",
}


def ask(gateway: Gateway, method: str, path: str = "", body: Any = None) -> tuple[int, Any]:
    """Make a request over a new connection, which any worker may take."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
    content = b"" if body is None else orjson.dumps(body)
    connection.request(method, f"/tango/subscriptions{path}", content, {"Content-Type": "application/json"})
    reply = connection.getresponse()
    received = reply.read()
    connection.close()
    return reply.status, orjson.loads(received) if received else None


def target(tango_host: str, attribute: str, device: str = SENDER_DEVICE) -> dict[str, str]:
    return {"host": tango_host, "device": device, "attribute": attribute, "type": "change"}


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def four(
    request: pytest.FixtureRequest, tango_system: EmbeddedTango, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    folder, settings = tmp_path_factory.mktemp("four"), dict(SETTINGS)
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis")
        settings["MTANGO_STORE"] = server.url
    with served([sys.executable, "-m", "mtango_gevent", "serve"], folder / "log", **settings) as gateway:
        wait_until(lambda: len(gateway.get("/sys/stats")["workers"]) == WORKERS)
        yield gateway


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


def test_clients_with_thousands_of_targets_hold_up_no_other(four: Gateway, tango_system: EmbeddedTango) -> None:
    many = [target(tango_system.tango_host, f"x{number}") for number in range(5_000)]
    until, longest = time.monotonic() + 4.0, 0.0

    def make_large(_: int) -> int:
        made = 0
        while time.monotonic() < until:
            status, subscription = ask(four, "POST", body=many)
            assert status == 200
            assert ask(four, "DELETE", f"/{subscription['id']}")[0] == 204
            made += 1
        return made

    with ThreadPoolExecutor(4) as threads:
        large = threads.map(make_large, range(4))
        while time.monotonic() < until:
            began = time.monotonic()
            assert ask(four, "POST", body=[])[0] == 200
            longest = max(longest, time.monotonic() - began)
        assert all(large)
    assert longest < 3.0


def test_two_hundred_lives_of_subscriptions_without_a_404(
    four: Gateway, sender: str, tango_system: EmbeddedTango
) -> None:
    host = tango_system.tango_host

    def live(number: int) -> None:
        status, made = ask(four, "POST", "", [target(host, "sent0")])
        assert status == 200, made
        path = f"/{made['id']}"
        assert ask(four, "GET", path)[0] == 200
        status, added = ask(four, "PUT", path, [target(host, f"sent{1 + number % 8}"), target(host, "sent0")])
        assert (status, len(added)) == (200, 2)
        source = Source(four.port, made["id"])
        read_until([source], lambda: len({message.event for message in source.messages}) == 2)
        assert source.status == 200
        status, now = ask(four, "GET", path)
        assert (status, len(now["events"])) == (200, 2)
        assert ask(four, "DELETE", path)[0] == 204
        read_until([source], lambda: source.ended)
        assert ask(four, "GET", path)[0] == 404

    with ThreadPoolExecutor(8) as threads:
        assert len(list(threads.map(live, range(200)))) == 200


def test_targets_put_anywhere_begin_in_streams_everywhere(
    four: Gateway, sender: str, tango_system: EmbeddedTango
) -> None:
    host = tango_system.tango_host
    made = ask(four, "POST", "", [])[1]
    sources = [Source(four.port, made["id"]) for _ in range(12)]
    try:
        read_until(sources, lambda: all(source.status == 200 for source in sources))
        for number in range(5):
            (added,) = ask(four, "PUT", f"/{made['id']}", [target(host, f"sent{number}")])[1]
            event = str(added["id"])
            began = time.monotonic()
            read_until(
                sources, lambda event=event: all(event in {m.event for m in source.messages} for source in sources), 20
            )
            assert time.monotonic() - began < 3 * 2
    finally:
        close(sources)


def test_reload_with_two_hundred_streams_misses_nothing(
    four: Gateway, sender: str, tango_system: EmbeddedTango, pytango: PyTango
) -> None:
    wanted = [target(tango_system.tango_host, f"sent{number}") for number in range(4)]
    made = [ask(four, "POST", "", wanted)[1]["id"] for _ in range(200)]
    sources = [Source(four.port, id) for id in made]
    again = list[Source]()
    try:
        read_until(sources, lambda: all(len(source.messages) >= 4 for source in sources))
        old = {child.pid for child in psutil.Process(four.process.pid).children()}
        os.kill(four.process.pid, signal.SIGHUP)
        read_until(sources, lambda: all(source.ended for source in sources))
        again += sources
        while any(source.ended for source in again):  # a worker that leaves may still accept a connection
            time.sleep(1.0)  # as the line `retry` says
            again[:] = [source.again() for source in again]
            read_until(again, lambda: all(source.ended or len(source.messages) >= 4 for source in again))
        assert {source.status for source in again} == {200}
        pytango.run(SENDER_DEVICE, "Send", [4, 5, 10])
        read_until(again, lambda: all(source.values.count(5) >= 4 for source in again))
        for source in again:
            for event in {message.event for message in source.messages}:
                values = [int(message.data) for message in source.messages if message.event == event]
                assert values[-6:] == [0, 1, 2, 3, 4, 5], (event, values)
        wait_until(lambda: not old & {child.pid for child in psutil.Process(four.process.pid).children()})
    finally:
        close(sources + again)


def test_closed_streams_are_released_soon(four: Gateway, sender: str, tango_system: EmbeddedTango) -> None:
    made = ask(four, "POST", "", [target(tango_system.tango_host, "sent0")])[1]
    sources = [Source(four.port, made["id"]) for _ in range(40)]
    read_until(sources, lambda: all(source.messages for source in sources))
    close(sources)
    closed = time.monotonic()
    wait_until(lambda: not four.get("/sys/streams"))
    assert time.monotonic() - closed < 3 * 5


def test_client_that_does_not_read_delays_nobody(
    four: Gateway, sender: str, tango_system: EmbeddedTango, pytango: PyTango
) -> None:
    wait_until(lambda: not four.get("/sys/stats")["events"]["subscriptions"])  # else it begins with an earlier event
    made = ask(four, "POST", "", [target(tango_system.tango_host, f"sent{number}") for number in range(50)])[1]
    silent = [Source(four.port, made["id"]) for _ in range(8)]
    reader = Source(four.port, made["id"])
    try:
        read_until([reader], lambda: len(reader.messages) >= 50)
        pytango.run(SENDER_DEVICE, "Send", [50, 100, 50])
        read_until([reader], lambda: reader.values.count(100) >= 50)
        for event in {message.event for message in reader.messages}:
            values = [int(message.data) for message in reader.messages if message.event == event]
            assert values[1:] == list(range(1, 101))  # the first one may be of a test before: Init sends no event
    finally:
        close([*silent, reader])


def test_killed_device_is_told_and_its_values_come_again(
    four: Gateway, sender: str, sender_server: ServerProcess, tango_system: EmbeddedTango, pytango: PyTango
) -> None:
    made = ask(four, "POST", "", [target(tango_system.tango_host, "sent0")])[1]
    source = Source(four.port, made["id"])
    try:
        read_until([source], lambda: bool(source.messages))
        sender_server.kill()
        try:
            read_until([source], lambda: bool(source.messages[-1].error), 60)
        finally:
            sender_server.restart()
        read_until([source], lambda: source.messages[-1].error is None, 60)
    finally:
        close([source])


def test_redis_that_goes_away_and_comes_back(tango_system: EmbeddedTango, sender: str, tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        command = [sys.executable, "-m", "mtango_gevent", "serve"]
        with served(command, tmp_path / "log", **{**SETTINGS, "MTANGO_STORE": server.url}) as gateway:
            wanted = [target(tango_system.tango_host, "sent0")]
            source = Source(gateway.port, ask(gateway, "POST", "", wanted)[1]["id"])
            read_until([source], lambda: bool(source.messages))
            server.stop()
            began = time.monotonic()
            with ThreadPoolExecutor(20) as threads:
                found = list(threads.map(lambda _: ask(gateway, "POST", "", wanted), range(20)))
            assert {status for status, _ in found} == {503}
            assert found[0][1]["errors"][0]["reason"] == "MTANGO_StoreFailed"
            assert time.monotonic() - began < 3 * 10
            ready = orjson.loads(read(gateway, "/readyz"))
            assert "the store of subscriptions: Redis" in ready["warnings"][0]
            gateway.get("/sys/stats")
            server.start()
            assert ask(gateway, "POST", "", wanted)[0] == 200
            read_until([source], lambda: source.ended)  # its subscription was lost


def read(gateway: Gateway, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
    connection.request("GET", path)
    body = connection.getresponse().read()
    connection.close()
    return body

"""Clients of the WebSocket of a real gunicorn that leave while their subscriptions begin."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import time
import urllib.request

import pytest

from tests.stream_client import StreamClient

from .conftest import Gateway, wait_until

SUBSCRIPTIONS = 1000


def feeds(gateway: Gateway) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.port}/metrics", timeout=30) as answer:
        (line,) = re.findall(r"^mtango_stream_attributes\S* (\S+)$", answer.read().decode(), re.MULTILINE)
    return float(line)


def reset(client: StreamClient) -> None:
    """Have the connection end with a TCP reset."""
    client.socket.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.sock.close()


def test_feeds_of_a_client_that_resets_its_connection_are_released(gateway: Gateway, sender: str) -> None:
    for _ in range(3):
        client = StreamClient(gateway.port)
        client.follow(sender, "sent0")
        client.receive_until(lambda client=client: client.records)
        client.follow(sender, *["sent0"] * SUBSCRIPTIONS)
        client.receive()
        reset(client)
    wait_until(lambda: not feeds(gateway))
    time.sleep(0.2)  # a reader that went on would add more
    assert not feeds(gateway)


@pytest.mark.slow
def test_client_that_subscribes_and_unsubscribes_all_the_time_delays_no_other(gateway: Gateway, sender: str) -> None:
    with StreamClient(gateway.port) as client, StreamClient(gateway.port) as other:
        before = gateway.worker().memory_info().rss
        for round in range(20):
            client.follow(sender, *(f"nope{round}_{number}" for number in range(SUBSCRIPTIONS)))
            client.send(unsubscribe=list(range(1, SUBSCRIPTIONS + 1)))
        client.send(ping=1)
        client.receive_until(lambda: client.pongs)
        began = time.monotonic()
        other.follow(sender, "sent1")
        other.receive_until(lambda: other.records)
        print("first value after", time.monotonic() - began, "growth", gateway.worker().memory_info().rss - before)
        assert time.monotonic() - began < 3 * 1
        with contextlib.suppress(OSError):
            reset(client)
    wait_until(lambda: not feeds(gateway))

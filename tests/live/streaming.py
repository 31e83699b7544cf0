"""Run by a test in a process of its own: many streams, half of them over WebSockets, each of one attribute.

    python -m tests.live.streaming PORT HOST DEVICE STREAMS ATTRIBUTES EVENTS

Prints `ready` when all have their first value, and then a line of JSON: how many streams have had all events in order,
what others have had, and the milliseconds from each event to its client.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import sys
import time

from benchmarks.stream_clients import open_sse, open_websocket

# Pairs of a time and a value.
_SSE = re.compile(rb"id: (?P<time>\d+)\ndata: (?P<value>\d+)\n\n")
_WEBSOCKET = re.compile(rb'"value":(?P<value>\d+)[^}]*?"time":(?P<time>\d+)')


class Client:
    def __init__(self, opened: socket.socket, pattern: re.Pattern[bytes], per_millisecond: int) -> None:
        self.socket, self._pattern, self._unit, self._rest = opened, pattern, per_millisecond, b""
        self.values, self.late = list[int](), list[float]()

    def read(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            raise ConnectionError("the gateway has closed a stream")
        now, end, data = time.time() * 1000, 0, self._rest + data
        for found in self._pattern.finditer(data):
            end = found.end()
            self.values.append(int(found["value"]))
            self.late.append(now - int(found["time"]) / self._unit)
        self._rest = data[end:]


def read(clients: list[Client], count: int, seconds: float) -> None:
    """Read until each client has so many values, or for that time."""
    selector = selectors.DefaultSelector()
    for client in clients:
        selector.register(client.socket, selectors.EVENT_READ, client)
    until = time.monotonic() + seconds
    while time.monotonic() < until and any(len(client.values) < count for client in clients):
        for key, _ in selector.select(0.1):
            key.data.read()


def main() -> None:
    port, host, device, *numbers = sys.argv[1:]
    streams, attributes, events = map(int, numbers)
    clients = list[Client]()
    for number in range(streams):
        attribute = f"sent{number % attributes}"
        targets = [{"host": host, "device": device, "attribute": attribute, "type": "change"}]
        if number // attributes % 2:
            clients.append(Client(open_sse(int(port), targets), _SSE, 1))
        else:
            clients.append(Client(open_websocket(int(port), targets), _WEBSOCKET, 1000))
    read(clients, 1, 60)
    print("ready", flush=True)
    for client in clients:
        client.values.clear()
        client.late.clear()
    read(clients, events, 60)
    good = list(range(1, events + 1))
    late = sorted(each for client in clients for each in client.late) or [0.0]
    print(
        json.dumps(
            {
                "good": sum(client.values == good for client in clients),
                "others": [client.values for client in clients if client.values != good][:3],
                "p50": late[len(late) // 2],
                "p99": late[len(late) * 99 // 100],
                "max": late[-1],
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main()

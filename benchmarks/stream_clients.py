"""Clients of streams: raw sockets in a process of their own, which count records and parse only a few times.

`python -m benchmarks.stream_clients PORT TRANSPORT STREAMS SECONDS` takes a line of JSON with the targets, writes
`ready` when all streams have begun, and after a further line counts for that time and writes a load as a line of JSON.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import selectors
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

from benchmarks import load

# What each record of a transport has once: the device's time of its value, in so many parts of a millisecond.
_TIMES = {"sse": (re.compile(rb"id: (\d+)\n"), 1), "websocket": (re.compile(rb'"time":(\d+)[,}]'), 1000)}
_MARKS = {"sse": b"\nid: ", "websocket": b'"time":'}

# Seconds without a further first value after which all streams have begun, and at most.
_QUIET, _START = 2.0, 60.0

# Bytes of what came in which the time of the first record is.
_LOOK_FOR_TIME = 500


class Client:
    def __init__(self, connection: socket.socket, transport: str) -> None:
        self.socket, self._mark, self._tail = connection, _MARKS[transport], b""
        self._time, self._unit = _TIMES[transport]
        self.records = self.bytes = 0

    def read(self) -> float | None:
        """Return how late the first record is that came, in milliseconds, if its time is to be seen."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the gateway has closed a stream")
        self.bytes += len(data)
        self.records += (self._tail + data).count(self._mark)
        self._tail = data[1 - len(self._mark) :]
        found = self._time.search(data, 0, _LOOK_FOR_TIME)
        return 1000 * time.time() - int(found[1]) / self._unit if found else None


def open_sse(port: int, targets: list[dict[str, str]]) -> socket.socket:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/tango/subscriptions", json.dumps(targets), {"Content-Type": "application/json"})
    made = json.loads(connection.getresponse().read())
    connection.close()
    opened = socket.create_connection(("127.0.0.1", port))
    opened.sendall(f"GET /tango/subscriptions/{made['id']}/event-stream HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return opened


def open_websocket(port: int, targets: list[dict[str, str]]) -> socket.socket:
    opened = socket.create_connection(("127.0.0.1", port))
    key = base64.b64encode(os.urandom(16)).decode()
    headers = ("Host: x", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
    head = "\r\n".join(("GET /tango/stream HTTP/1.1", *headers, f"Sec-WebSocket-Key: {key}"))
    opened.sendall(f"{head}\r\n\r\n".encode())
    while not opened.recv(1, socket.MSG_PEEK):
        pass
    wanted = [
        {"id": number, "device": each["device"], "attribute": each["attribute"], "event": "change", "keep": "all"}
        for number, each in enumerate(targets)
    ]
    opened.sendall(_frame(json.dumps({"subscribe": wanted}).encode()))
    return opened


def _frame(text: bytes) -> bytes:
    """Return a text frame with a mask of zeros."""
    size = bytes([0x80 | len(text)]) if len(text) < 126 else bytes([0x80 | 126]) + len(text).to_bytes(2, "big")
    return b"\x81" + size + bytes(4) + text


class Clients:
    def __init__(self, clients: list[Client]) -> None:
        self._clients = clients
        self._selector = selectors.DefaultSelector()
        for client in clients:
            self._selector.register(client.socket, selectors.EVENT_READ, client)

    def wait_until_quiet(self) -> None:
        began = last = time.monotonic()
        while time.monotonic() < min(began + _START, last + _QUIET):
            if any(True for _ in self._read()):
                last = time.monotonic()

    def read_until_told(self) -> None:
        """Read until a line comes by the standard input."""
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        while not any(key.fileobj is sys.stdin for key, _ in self._selector.select()):
            list(self._read())
        self._selector.unregister(sys.stdin)

    def count(self, seconds: float) -> dict[str, Any]:
        """Return what is received in that time, as a load."""
        records, size = self._received()
        began, late = time.monotonic(), list[float]()
        while time.monotonic() < began + seconds:
            late.extend(each for each in self._read() if each is not None)
        took = time.monotonic() - began
        now = self._received()
        figures = {"requests": now[0] - records, "bytes": now[1] - size, "seconds": took, "errors": 0}
        return {**figures, **load.latencies(late)}

    def _read(self) -> Iterator[float | None]:
        for key, _ in self._selector.select(0.1):
            if key.data:
                yield key.data.read()

    def _received(self) -> tuple[int, int]:
        return sum(client.records for client in self._clients), sum(client.bytes for client in self._clients)


def main() -> None:
    port, transport, streams, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    targets: Any = json.loads(sys.stdin.readline())
    opening = {"sse": open_sse, "websocket": open_websocket}[transport]
    clients = Clients([Client(opening(port, targets), transport) for _ in range(streams)])
    clients.wait_until_quiet()
    print("ready", flush=True)
    clients.read_until_told()
    print(json.dumps(clients.count(seconds)), flush=True)


if __name__ == "__main__":
    main()

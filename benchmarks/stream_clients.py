"""Clients of streams: raw sockets in a process of their own, which count records and parse nothing.

`python -m benchmarks.stream_clients PORT TRANSPORT STREAMS SECONDS < targets.json` writes `ready` when all streams have
begun, and then a line of JSON: records, bytes and seconds.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import selectors
import socket
import sys
import time
from typing import Any

# What each record of a transport has once.
_MARKS = {"sse": b"\ndata: ", "websocket": b'"time":'}

# Seconds without a further first value after which all streams have begun, and at most.
_QUIET, _START = 2.0, 60.0


class Client:
    def __init__(self, connection: socket.socket, mark: bytes) -> None:
        self.socket, self._mark, self._tail = connection, mark, b""
        self.records = self.bytes = 0

    def read(self) -> None:
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the gateway has closed a stream")
        self.bytes += len(data)
        self.records += (self._tail + data).count(self._mark)
        self._tail = data[1 - len(self._mark) :]


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


def count(clients: list[Client], seconds: float, until_quiet: bool = False) -> tuple[int, int, float]:
    """Read for that time; return the records, the bytes and the seconds."""
    selector = selectors.DefaultSelector()
    for client in clients:
        selector.register(client.socket, selectors.EVENT_READ, client)
    before = sum(client.records for client in clients), sum(client.bytes for client in clients)
    began = last = time.monotonic()
    while time.monotonic() < began + seconds and not (until_quiet and time.monotonic() > last + _QUIET):
        for key, _ in selector.select(0.1):
            key.data.read()
            last = time.monotonic()
    records, size = sum(client.records for client in clients), sum(client.bytes for client in clients)
    return records - before[0], size - before[1], time.monotonic() - began


def main() -> None:
    port, transport, streams, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    document: Any = json.load(sys.stdin)
    opening = {"sse": open_sse, "websocket": open_websocket}[transport]
    clients = [Client(opening(port, document), _MARKS[transport]) for _ in range(streams)]
    count(clients, _START, until_quiet=True)
    print("ready", flush=True)
    count(clients, 1.0)
    records, size, took = count(clients, seconds)
    print(json.dumps({"records": records, "bytes": size, "seconds": took}), flush=True)


if __name__ == "__main__":
    main()

"""Many event sources in one thread: each on a connection of its own, read until a condition holds."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable
from typing import Any

import orjson

from tests.api.streams.sse import Message, parse


class Source:
    """One stream. status: 0 before its answer has begun; ended: whether the gateway has closed it."""

    def __init__(self, port: int, subscription: int, last: int | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        head = f"GET /tango/subscriptions/{subscription}/event-stream HTTP/1.0\r\nHost: here\r\n"
        resumed = "" if last is None else f"Last-Event-ID: {last}\r\n"
        self.socket.sendall(f"{head}{resumed}\r\n".encode())
        self.status, self.ended, self.messages, self._rest = 0, False, list[Message](), b""
        self.port, self.subscription, self._last = port, subscription, last

    def again(self) -> Source:
        """Return this stream, or the one after it where it has ended, as an EventSource connects again."""
        if not self.ended:
            return self
        return Source(self.port, self.subscription, self.messages[-1].id if self.messages else self._last)

    def receive(self) -> None:
        try:
            more = self.socket.recv(65536)
        except ConnectionError:
            more = b""
        self.ended = not more
        self._rest += more
        if not self.status:
            head, end, rest = self._rest.partition(b"\r\n\r\n")
            if not end:
                return
            self.status, self._rest = int(head.split()[1]), rest
        *records, self._rest = self._rest.split(b"\n\n")
        self.messages += filter(None, (parse(record.decode()) for record in records))

    @property
    def values(self) -> list[Any]:
        return [orjson.loads(each.data) for each in self.messages if each.error is None]


def read_until(sources: list[Source], condition: Callable[[], bool], seconds: float = 60) -> None:
    """Read all streams until the condition holds; fail if it does not within that time."""
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for source in sources:
            if not source.ended:
                selector.register(source.socket, selectors.EVENT_READ, source)
        while not condition():
            assert time.monotonic() < deadline, f"waited {seconds} s"
            for key, _ in selector.select(0.1):
                key.data.receive()
                if key.data.ended:
                    selector.unregister(key.data.socket)
                    key.data.socket.close()


def close(sources: list[Source]) -> None:
    for source in sources:
        source.socket.close()

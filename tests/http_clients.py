"""HTTP clients that time each answer: one kept connection, or many requests at the same moment."""

from __future__ import annotations

import dataclasses
import http.client
import selectors
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any, TypeVar

import orjson

T = TypeVar("T", bound="Clients")


@dataclasses.dataclass
class Answer:
    """An answer with its times, by time.monotonic(). Status 0: none came in time, or the connection was lost."""

    began: float
    ended: float
    status: int = 0
    body: Any = None

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def reasons(self) -> list[str]:
        """Return the reasons in a failure body, or in the first item that is a failure."""
        items = self.body if isinstance(self.body, list) else [self.body]
        failures = (item for item in items if isinstance(item, dict) and item.get("quality") == "FAILURE")
        return [error["reason"] for error in next(failures, {"errors": []})["errors"]]


class Connection:
    """A keep-alive connection, which is made again when it is lost."""

    def __init__(self, port: int, seconds: float = 40) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)

    def ask(self, method: str, path: str, body: str = "") -> Answer:
        answer = Answer(time.monotonic(), 0.0)
        try:
            self._http.request(method, path, body.encode())
            reply = self._http.getresponse()
            received = reply.read()
            answer.status, answer.body = reply.status, orjson.loads(received) if received else None
        except (OSError, http.client.HTTPException):
            self._http.close()
        answer.ended = time.monotonic()
        return answer

    def close(self) -> None:
        self._http.close()


class Clients:
    """Threads that make requests as long as a with block lasts; `_over` tells them to end."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self: T) -> T:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


def ask_all(port: int, requests: Sequence[tuple[str, str, str]], seconds: float) -> list[Answer]:
    """Make `requests` (method, path with query, body) at the same moment and return their answers in this order.

    Each has a connection of its own; one thread serves them all. Answers that take longer than `seconds` have status 0.
    """
    answers, parts = list[Answer](), dict[socket.socket, tuple[Answer, bytearray]]()
    with selectors.DefaultSelector() as selector:
        for method, path, body in requests:
            connection = socket.create_connection(("127.0.0.1", port), timeout=seconds)
            head = f"{method} {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall((head + body).encode())
            answers.append(answer := Answer(time.monotonic(), 0.0))
            parts[connection] = answer, bytearray()
            selector.register(connection, selectors.EVENT_READ)
        until = time.monotonic() + seconds
        while parts and time.monotonic() < until:
            for key, _ in selector.select(until - time.monotonic()):
                _receive(selector, parts, key.fileobj)  # pyright: ignore[reportArgumentType]
    for connection, (answer, _) in parts.items():
        connection.close()
        answer.ended = time.monotonic()
    return answers


def _receive(
    selector: selectors.BaseSelector, parts: dict[socket.socket, tuple[Answer, bytearray]], connection: socket.socket
) -> None:
    answer, received = parts[connection]
    try:
        more = connection.recv(65536)
    except ConnectionError:
        more = b""
    received += more
    if more:
        return
    selector.unregister(connection)
    connection.close()
    del parts[connection]
    answer.ended = time.monotonic()
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    if head:
        answer.status = int(head.split()[1])
        answer.body = orjson.loads(body) if body else None

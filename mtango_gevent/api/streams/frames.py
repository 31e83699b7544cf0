"""The frames of a WebSocket (RFC 6455), read by one greenlet and written by another."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.utilities import LocalProtocolError

from mtango_gevent.control.calls import Concurrency

# Bytes of the longest message of a client: JSON of this size is parsed in two milliseconds.
MESSAGE_LIMIT = 256 << 10

_CHUNK = 16 << 10

# Seconds after which a waiting greenlet looks whether the connection is to end.
_LOOK = 5.0

# Seconds in which a client may answer the close frame.
_LINGER = 1.0


class End(NamedTuple):
    """The end of a connection, as its close frame says it. The codes from 4000 on are HTTP statuses plus 4000."""

    code: int
    reason: str


class Refused(Exception):
    """What a client has sent ends its connection. args: code and reason of the close frame."""


class Frames:
    """The frames of one connection. heard: when the client has sent something, by time.monotonic().

    end: why the connection ends; set once. send_timeout: seconds for a client to take a frame.
    """

    def __init__(self, socket: Any, concurrency: Concurrency, send_timeout: float) -> None:
        self.heard = time.monotonic()
        self.end: End | None = None
        self.pong: bytes | None = None  # payload of the last ping that is not answered
        self._socket, self._concurrency, self._send_timeout = socket, concurrency, send_timeout
        self._connection = Connection(ConnectionType.SERVER)  # without extensions: no compression
        self._parts, self._size = list[str](), 0
        self._read = concurrency.signal()  # all that the client has sent
        socket.settimeout(_LOOK)

    def finish(self, code: int, reason: str) -> None:
        """Have the connection end, unless it does already."""
        self.end = self.end or End(code, reason)

    # --- reading ---

    def messages(self) -> Iterator[str | None]:
        """Yield the messages of the client until the connection ends, None for a ping. Raises Refused."""
        for event in self._events():
            if isinstance(event, TextMessage):
                yield from self._add(event)
            elif isinstance(event, Ping):
                self.pong = bytes(event.payload)
                yield None
            elif isinstance(event, BytesMessage):
                raise Refused(1003, "expected JSON in text frames, got a binary frame")
            elif isinstance(event, CloseConnection):
                raise Refused(event.code, event.reason or "")

    def _add(self, event: TextMessage) -> Iterator[str]:
        self._parts.append(event.data)
        self._size += len(event.data) + 1  # fragments may be empty
        if self._size > MESSAGE_LIMIT:
            raise Refused(1009, f"expected a message of at most {MESSAGE_LIMIT} bytes")
        if event.message_finished:
            message, self._parts, self._size = "".join(self._parts), [], 0
            yield message

    def _events(self) -> Iterator[Event]:
        while received := self._receive():
            self.heard = time.monotonic()
            self._connection.receive_data(received)
            yield from self._concurrency.in_turns(self._connection.events())

    def _receive(self) -> bytes:
        """Return bytes of the client; none when it has gone."""
        while True:
            try:
                return self._socket.recv(_CHUNK)
            except TimeoutError:
                continue
            except (OSError, ValueError):
                return b""

    def discard(self) -> None:
        """Read what the client still sends, so that it comes to read the close frame; say that all is read."""
        while self._receive():
            self._concurrency.sleep(0.001)
        self._read.set()

    # --- writing ---

    def send_text(self, text: bytes) -> None:
        self._send(self._connection.send(TextMessage(data=text.decode("utf-8"))))

    def send_binary(self, data: bytes) -> None:
        self._send(self._connection.send(BytesMessage(data=data)))

    def ping(self) -> None:
        self._send(self._connection.send(Ping()))

    def answer_ping(self) -> None:
        """Answer the last ping of the client, if it has sent one; the earlier ones need no answer."""
        if self.pong is not None:
            pong, self.pong = self.pong, None
            self._send(self._connection.send(Pong(payload=pong)))

    def _send(self, data: bytes) -> None:
        """Raises OSError where the client has gone, TimeoutError where it does not read."""
        left, until = memoryview(data), time.monotonic() + self._send_timeout
        while left:
            try:
                left = left[self._socket.send(left) :]
            except TimeoutError:
                if self.end is not None or time.monotonic() > until:
                    raise

    def close(self) -> None:
        """Send the close frame, let the client read it, and end the connection."""
        end = self.end or End(1011, "internal error of the gateway, see its log")
        code = 1000 if end.code in (1005, 1006) else end.code
        with contextlib.suppress(OSError, LocalProtocolError):
            if self._connection.state is not ConnectionState.CLOSED:
                self._send(self._connection.send(CloseConnection(code=code, reason=end.reason)))
            self._socket.shutdown(socket.SHUT_WR)
            self._read.wait(_LINGER)
        self.abort()

    def abort(self) -> None:
        """End the connection without a close frame."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

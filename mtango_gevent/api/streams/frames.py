"""The frames of a WebSocket (RFC 6455), read by one greenlet and written by another."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.frame_protocol import Opcode
from wsproto.utilities import LocalProtocolError

from mtango_gevent.control.calls import Concurrency

# Bytes of the longest message of a client: JSON of this size is parsed in two milliseconds.
MESSAGE_LIMIT = 256 << 10

_CHUNK = 16 << 10

# Seconds after which a greenlet that waits for the client looks whether the connection is to end.
_LOOK_READING, _LOOK_WRITING = 5.0, 0.5

# Seconds in which a client may read what it is being sent when the connection is to end, and answer the close frame.
_LINGER = 1.0


class End(NamedTuple):
    """The end of a connection, as its close frame says it. The codes from 4000 on are HTTP statuses plus 4000."""

    code: int
    reason: str


class Refused(Exception):
    """What a client has sent ends its connection. args: code and reason of the close frame."""


class Frames:
    """The frames of one connection. heard: when the client has sent something, by time.monotonic().

    end: why the connection ends; set once. send_timeout: seconds for a client to take a frame. is_stopping: whether the
    gateway stops, and waits for no client.
    """

    def __init__(
        self, socket: Any, concurrency: Concurrency, send_timeout: float, is_stopping: Callable[[], bool]
    ) -> None:
        self.heard = time.monotonic()
        self.end: End | None = None
        self.pong: bytes | None = None  # payload of the last ping that is not answered
        self._socket, self._concurrency = socket, concurrency
        self._send_timeout, self._is_stopping = send_timeout, is_stopping
        self._connection = Connection(ConnectionType.SERVER)  # without extensions: no compression
        self._parts, self._size = list[str](), 0
        self._read = concurrency.signal()  # all that the client has sent
        socket.settimeout(_LOOK_READING)

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
        self._send_data(Opcode.TEXT, text)

    def send_binary(self, data: bytes) -> None:
        self._send_data(Opcode.BINARY, data)

    def ping(self) -> None:
        self._send_control(Ping())

    def answer_ping(self) -> None:
        """Answer the last ping of the client, if it has sent one; the earlier ones need no answer."""
        if self.pong is not None:
            pong, self.pong = self.pong, None
            self._send_control(Pong(payload=pong))

    def _send_data(self, opcode: Opcode, payload: bytes) -> None:
        if self._is_open:
            self._send(_head(opcode, len(payload)) + payload)

    def _send_control(self, event: Event) -> None:
        if self._is_open:
            self._send(self._connection.send(event))

    @property
    def _is_open(self) -> bool:
        """Return whether the client has sent no close frame, after which nothing is sent but the answer to it."""
        return self._connection.state is ConnectionState.OPEN

    def _send(self, data: bytes) -> None:
        """Raises OSError where the client has gone, TimeoutError where it does not read."""
        self._socket.settimeout(_LOOK_WRITING)
        left, until = memoryview(data), time.monotonic() + self._send_timeout
        while left:
            with contextlib.suppress(TimeoutError):
                left = left[self._socket.send(left) :]
            if self.end is not None or self._is_stopping():
                until = min(until, time.monotonic() + _LINGER)
            if left and time.monotonic() > until:
                raise TimeoutError("the client does not read")
        self._socket.settimeout(_LOOK_READING)

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


def _head(opcode: Opcode, size: int) -> bytes:
    """Return the head of a data frame: wsproto would copy the payload several times."""
    first = 0x80 | opcode
    if size < 126:
        return struct.pack("!BB", first, size)
    return struct.pack("!BBH", first, 126, size) if size < 65536 else struct.pack("!BBQ", first, 127, size)

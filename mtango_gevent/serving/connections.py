"""The open connections of a gunicorn worker: limits for idle ones and for heads of requests.

gunicorn limits neither the time for the head of a request nor the connections without a request: `worker_connections`
of them would keep every new client out. gunicorn reads this module before the fork: it does not import PyTango.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import re
import resource
import socket
import sys
import termios
import time
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import gevent
from gunicorn.http.errors import InvalidRequestLine, LimitRequestHeaders
from gunicorn.http.unreader import SocketUnreader

# Size limit of the head of a request, in bytes; that of proxies is about half.
HEAD_LIMIT = 64 << 10

# Limits for what a client still sends after its request was refused: bytes, seconds.
_LINGER_BYTES, LINGER_SECONDS = 1 << 20, 1.0

_PRINTABLE = re.compile(rb"[\x20-\x7e]*")

# A valid beginning of the first line of a request: method, target, version.
_REQUEST_LINE = re.compile(rb"(?:\r\n)?[!$%&'*+.^_`|~0-9A-Z-]{0,20}(?: [\x21-\x7e]*(?: [\x21-\x7e]*)?)?\r?")


class Connection:
    """A client's connection.

    head: the bytes received of the current request, perhaps with the beginning of its body.
    reader: gunicorn's buffered reader of the socket.
    """

    __slots__ = ("head", "reader", "socket")

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.head = bytearray()
        self.reader: SocketUnreader | None = None

    @property
    def has_unread_data(self) -> bool:
        with contextlib.suppress(OSError, ValueError):  # closed already
            waiting = fcntl.ioctl(self.socket.fileno(), termios.FIONREAD, bytes(4))
            return bool(int.from_bytes(waiting, sys.byteorder))
        return False

    @property
    def head_is_complete(self) -> bool:
        return b"\r\n\r\n" in self.head

    def is_preflight(self) -> bool:
        return self.head.startswith(b"OPTIONS ") and self.header("Access-Control-Request-Method") is not None

    def header(self, name: str) -> str | None:
        """Return a header of the request, parsed by gunicorn or not, in linear time; None without it."""
        wanted = name.lower().encode("ascii")
        head, end, _ = self.head.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        for line in lines[1:] if end else lines[1:-1]:  # the last line may be a part of one
            key, colon, value = line.partition(b":")
            text = value.strip(b" \t")
            if colon and key.lower() == wanted and _PRINTABLE.fullmatch(text):
                return text.decode("ascii")
        return None

    def stop_reading(self) -> None:
        """Let the greenlet of the connection read the bytes that have arrived, and then the end of the stream."""
        with contextlib.suppress(OSError):  # the client has gone
            self.socket._sock.shutdown(socket.SHUT_RD)  # gevent's own would raise an error in the greenlet that reads

    def read_head(self) -> None:
        """Read until the head is complete, as far as the client sends it at once."""
        for received in self._read(HEAD_LIMIT, LINGER_SECONDS):
            self.head += received
            if self.head_is_complete:
                return

    def linger(self) -> None:
        """Let the client read the answer: closing a socket with unread bytes would reset the connection."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
        for _ in self._read(_LINGER_BYTES, LINGER_SECONDS):
            pass

    def _read(self, limit: int, seconds: float) -> Iterator[bytes]:
        """Yield the bytes that the client sends, up to a number of bytes and of seconds."""
        until = time.monotonic() + seconds
        with contextlib.suppress(OSError):
            while limit > 0 and (left := until - time.monotonic()) > 0:
                self.socket.settimeout(left)
                received = self.socket.recv(min(limit, 1 << 16))
                if not received:
                    return
                limit -= len(received)
                yield received


class Connections:
    """The connections of a worker, each with the greenlet that serves it. An idle one has no request in progress.

    checks: whether garbage is refused by its first bytes; must be false if another protocol may precede HTTP.
    """

    def __init__(self, checks: bool) -> None:
        self.limit = sys.maxsize  # above which idle connections are closed
        self.closed_late = self.closed_for_room = 0
        self._checks = checks
        self._all: dict[Any, Connection] = {}
        # Idle connections, with the start of their idle time (time.monotonic()) and in its order:
        # those with an incomplete head, and kept ones without a byte of the next request.
        self._heads: dict[Connection, float] = {}
        self._kept: dict[Connection, float] = {}
        self._closing: set[Connection] = set()

    def current(self) -> Connection:
        return self._all[gevent.getcurrent()]

    @contextlib.contextmanager
    def opened(self, socket: Any) -> Iterator[None]:
        """Register the connection of the current greenlet while it is served."""
        greenlet = gevent.getcurrent()
        connection = self._all[greenlet] = Connection(socket)
        self._heads[connection] = time.monotonic()
        try:
            self.make_room()
            yield
        finally:
            self.begin_request()
            self._closing.discard(connection)
            connection.reader = None  # which refers to it
            del self._all[greenlet]

    def await_request(self) -> None:
        """Note that the current connection waits for a request, its first or the next one."""
        connection = self.current()
        if connection in self._heads:
            return
        connection.head = bytearray(connection.reader.buf.getvalue() if connection.reader else b"")
        queue = self._heads if connection.head else self._kept
        queue[connection] = time.monotonic()
        self.make_room()

    def begin_request(self) -> None:
        """Note that the current connection has a request in progress."""
        connection = self.current()
        self._heads.pop(connection, None)
        self._kept.pop(connection, None)

    def receive(self, connection: Connection, received: bytes) -> None:
        """Note received bytes. Raises what gunicorn raises for a request that it refuses."""
        if self._kept.pop(connection, None) is not None:
            self._heads[connection] = time.monotonic()
        if connection not in self._heads:  # they belong to a body
            return
        connection.head += received
        if len(connection.head) > HEAD_LIMIT + len(received):
            raise LimitRequestHeaders(f"more than {HEAD_LIMIT} bytes")
        if self._checks and b"\n" not in connection.head[2:] and not _REQUEST_LINE.fullmatch(connection.head):
            raise InvalidRequestLine(connection.head[:100].decode("latin-1"))

    # --- closing ---

    def make_room(self) -> None:
        """Close idle connections, longest idle first, while there are more connections than the limit."""
        while len(self._all) - len(self._closing) > self.limit:
            idle = (connection for connection, _ in self._idle() if not connection.has_unread_data)
            connection = next(idle, None)
            if connection is None:
                return
            self._close(connection)
            self.closed_for_room += 1

    def close_late(self, head_timeout: float, keepalive: float) -> None:
        """Close connections whose head, or whose next request, is late."""
        now = time.monotonic()
        for queue, seconds in ((self._heads, head_timeout), (self._kept, keepalive)):
            late = [connection for connection, since in queue.items() if now - since > seconds]
            for connection in late:
                self._close(connection)
            self.closed_late += len(late) if queue is self._heads else 0

    def close_idle(self, grace: float) -> None:
        """Close connections that have been idle for `grace` seconds and have no unread data."""
        since = time.monotonic() - grace
        for connection, began in list(self._idle()):
            if began < since and not connection.has_unread_data:
                self._close(connection)

    def _idle(self) -> Iterator[tuple[Connection, float]]:
        return heapq.merge(self._heads.items(), self._kept.items(), key=itemgetter(1))

    def _close(self, connection: Connection) -> None:
        self._heads.pop(connection, None)
        self._kept.pop(connection, None)
        self._closing.add(connection)
        connection.stop_reading()


class Reader(SocketUnreader):
    """gunicorn's reader of a socket, which passes received bytes to `connections` too."""

    def __init__(self, connections: Connections, socket: Any) -> None:
        super().__init__(socket)
        self._connections = connections
        self._connection = connections.current()
        self._connection.reader = self

    def chunk(self, *size_hint: Any) -> bytes:
        received = super().chunk(*size_hint)
        self._connections.receive(self._connection, received)
        return received


def raise_descriptor_limit(connections: int) -> int:
    """Raise the limit of open files as far as allowed; return the number of connections for which it is enough.

    Half of the files are for clients, the rest for devices and their events.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < 2 * connections:
        soft = 2 * connections if hard == resource.RLIM_INFINITY else min(2 * connections, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return connections if soft == resource.RLIM_INFINITY else min(connections, soft // 2)

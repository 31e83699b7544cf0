"""The gunicorn worker: the gevent one, which knows besides how to leave, and whom not to wait for.

gunicorn reads this before the fork: no PyTango here.
"""

from __future__ import annotations

import contextlib
import fcntl
import sys
import termios
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event
from gunicorn.http.body import LengthReader
from gunicorn.http.errors import ParseException
from gunicorn.workers.ggevent import GeventWorker

from mtango_gevent import gunicorn_response

if TYPE_CHECKING:
    from mtango_gevent.control.client import TangoClient

# How often a worker tells the others of itself, and looks what it is told.
_KEEP_UP_EVERY = 0.5

# For how long a client may begin a request on a connection, not knowing yet that the worker leaves.
_GRACE = 0.5

_LOOK_EVERY = 0.1

# Bytes of a body that are read in one go.
_PIECE = 16 << 10


class GatewayWorker(GeventWorker):
    """Once it is to leave, requests that only wait are ended, and so are connections without a request."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._connections: dict[Any, Any] = {}  # by the greenlet that serves it
        # Greenlets that wait for a request, since when (time.monotonic()), and what ends it.
        self._idle: dict[Any, tuple[float, gevent.Timeout]] = {}

    def init_process(self) -> None:
        gunicorn_response.install()
        self._leaving = Event()  # before there are signals
        super().init_process()

    def run(self) -> None:
        gevent.spawn(self._keep_up)
        super().run()

    def handle_exit(self, sig: Any, frame: Any) -> None:
        super().handle_exit(sig, frame)
        gevent.spawn(self._leaving.set)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        greenlet = gevent.getcurrent()
        self._connections[greenlet] = client
        try:
            super().handle(listener, client, addr)
        finally:
            del self._connections[greenlet]

    @contextlib.contextmanager
    def timeout_ctx(self) -> Iterator[None]:
        """Around the wait for a request on a connection."""
        with gevent.Timeout(self.cfg.keepalive, False) as timeout:  # pyright: ignore[reportArgumentType]
            greenlet = gevent.getcurrent()
            self._idle[greenlet] = time.monotonic(), timeout
            try:
                yield
            finally:
                del self._idle[greenlet]

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        sock.settimeout(self.client.config.send_timeout)
        try:
            return super().handle_request(listener_name, req, sock, addr)
        except TimeoutError:
            self.log.warning("%s does not read what it has asked for", addr)
            raise StopIteration from None  # which ends the connection
        finally:
            sock.settimeout(None)
            if req.must_close or not self._discard_rest(req.body):
                raise StopIteration

    def _discard_rest(self, body: Any) -> bool:
        """Read what nobody wanted of a body, so that its client comes to read the answer; false if that does not end.

        gunicorn would do so before the next request, without end, and hold up everybody else.
        """
        if isinstance(body.reader, LengthReader) and not body.reader.length:  # as of nearly all
            return True
        config = self.client.config
        timeout = gevent.Timeout(config.body_timeout, False)  # pyright: ignore[reportArgumentType]
        with timeout, contextlib.suppress(ParseException):
            for _ in range(2 * config.body_limit // _PIECE + 1):
                if not body.read(_PIECE):
                    return True
                gevent.sleep(0)
        return False

    @property
    def client(self) -> TangoClient:
        return self.wsgi.extensions["mtango"].client

    def _keep_up(self) -> None:
        client = self.client
        while self.alive:
            client.keep_up()
            client.publish()
            sys.stderr.flush()  # for what is no line of the log: those are written by turns (gunicorn.conf.py)
            self._leaving.wait(_KEEP_UP_EVERY)
        client.events.stop()
        gevent.sleep(_GRACE)
        while True:
            for greenlet in list(self._idle):
                gevent.get_hub().loop.run_callback(self._end_idle, greenlet)
            gevent.sleep(_LOOK_EVERY)

    def _end_idle(self, greenlet: Any) -> None:
        """In the hub, so that between a last look and the end nobody begins a request; who has just come may."""
        if greenlet not in self._idle:
            return
        since, timeout = self._idle[greenlet]
        if time.monotonic() - since > _GRACE and not _has_data(self._connections[greenlet]):
            greenlet.throw(timeout)


def _has_data(connection: Any) -> bool:
    waiting = fcntl.ioctl(connection.fileno(), termios.FIONREAD, bytes(4))
    return bool(int.from_bytes(waiting, sys.byteorder))

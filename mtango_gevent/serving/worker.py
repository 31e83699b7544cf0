"""The gunicorn worker: the gevent one, which knows besides how to leave, and whom not to wait for.

gunicorn reads this before the fork: no PyTango here.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event
from gunicorn import util
from gunicorn.http import parser
from gunicorn.http.body import LengthReader
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.ggevent import GeventWorker

from mtango_gevent.serving import response as gunicorn_response
from mtango_gevent.serving import stopping
from mtango_gevent.serving.connections import LINGER_SECONDS, Connections, Reader, raise_descriptor_limit

if TYPE_CHECKING:
    from mtango_gevent.control.client import TangoClient

logger = logging.getLogger(__name__)

# How often a worker tells the others of itself, and looks what it is told.
_KEEP_UP_EVERY = 0.5

# For how long a client may begin a request on a connection, not knowing yet that the worker leaves.
_GRACE = 0.5

_LOOK_EVERY = 0.1

# Bytes of a body that are read in one go.
_PIECE = 16 << 10


class GatewayWorker(GeventWorker):
    """Once it is to leave, requests that only wait are ended, and so are connections without a request."""

    def init_process(self) -> None:
        gunicorn_response.install()
        self._leaving = Event()  # before there are signals
        self._failure = ""  # the last one of the housekeeping
        self._connections = Connections(checks=self.cfg.proxy_protocol in (False, "off"))
        self._limit_connections()
        parser.SocketUnreader = functools.partial(Reader, self._connections)  # pyright: ignore[reportAttributeAccessIssue]
        super().init_process()

    def _limit_connections(self) -> None:
        """Keep the pool of connections larger than their limit: gevent stops accepting when it is full."""
        possible = raise_descriptor_limit(self.worker_connections)
        if possible < self.worker_connections:
            text = "room for %d connections instead of %d: the process may open too few files (ulimit -n)"
            self.log.warning(text, possible, self.worker_connections)
            self.worker_connections = possible
        self._connections.limit = possible - possible // 10

    def run(self) -> None:
        util.write_error = self._write_refusal
        self.wsgi.extensions["mtango"].in_force.update(self._settings_in_force())
        seconds = stopping.time_for_requests(self.client.config, self.cfg.graceful_timeout)
        self.cfg.set("graceful_timeout", seconds)  # of the worker, which gunicorn kills after its own
        gevent.spawn(self._keep_up)
        super().run()

    def handle_exit(self, sig: Any, frame: Any) -> None:
        super().handle_exit(sig, frame)
        gevent.spawn(self._leaving.set)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        with self._connections.opened(client):
            super().handle(listener, client, addr)

    def timeout_ctx(self) -> contextlib.AbstractContextManager[None]:
        """Note that the connection waits for a request; the housekeeping bounds the wait (`_close_late`)."""
        self._connections.await_request()
        return contextlib.nullcontext()

    def handle_http2(self, *arguments: Any, **keywords: Any) -> None:
        self._connections.begin_request()  # of which gunicorn hands on one after the other
        super().handle_http2(*arguments, **keywords)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Any) -> None:
        """Answer a request that cannot be parsed, in such a way that its client sees the answer."""
        connection = self._connections.current()
        if isinstance(exc, (LimitRequestLine, LimitRequestHeaders)):
            connection.read_head()
        super().handle_error(req, client, addr, exc)
        connection.linger()

    def _write_refusal(self, sock: Any, status: int, reason: str, description: str) -> None:
        """In place of gunicorn's function, whose answer is HTML and no page of another origin can read."""
        app: Any = self.wsgi
        gunicorn_response.write_refusal(app, self._connections.current(), status, reason, description)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        self._connections.begin_request()
        sock.settimeout(self.client.config.send_timeout)
        try:
            return super().handle_request(listener_name, req, sock, addr)
        except TimeoutError:
            self.log.warning("%s does not read what it has asked for", addr)
            raise StopIteration from None  # which ends the connection
        finally:
            sock.settimeout(None)
            if req.must_close or not self._discard_rest(sock, req.body):
                raise StopIteration

    def _discard_rest(self, sock: Any, body: Any) -> bool:
        """Read the unread rest of a body, so that its client comes to read the answer.

        Return false if the rest does not end in time, or the client pauses. gunicorn would read it before the next
        request, without a limit.
        """
        if isinstance(body.reader, LengthReader) and not body.reader.length:  # as of nearly all
            return True
        config = self.client.config
        sock.settimeout(LINGER_SECONDS)
        timeout = gevent.Timeout(config.body_timeout, False)  # pyright: ignore[reportArgumentType]
        with timeout, contextlib.suppress(ParseException, TimeoutError):
            for _ in range(2 * config.body_limit // _PIECE + 1):
                if not body.read(_PIECE):
                    sock.settimeout(None)
                    return True
                gevent.sleep(0)
        return False

    def _settings_in_force(self) -> dict[str, Any]:
        """Return those settings of the gateway that gunicorn's command line may have changed."""
        name: Any = self.sockets[0].getsockname()
        host, port = name[:2] if isinstance(name, tuple) else (f"unix:{name}", None)
        return {"host": host, "port": port, "workers": self.cfg.workers, "max_requests": self.cfg.max_requests}

    @property
    def client(self) -> TangoClient:
        return self.wsgi.extensions["mtango"].client

    def _keep_up(self) -> None:
        """The housekeeping of the worker, which goes on whatever fails."""
        client = self.client
        while self.alive:
            for task in (client.apply_pending_clears, client.publish, self._close_late):
                self._attempt(task)
            self._leaving.wait(_KEEP_UP_EVERY)
        self._attempt(client.events.stop)
        gevent.sleep(_GRACE)
        while True:
            self._attempt(functools.partial(self._connections.close_idle, _GRACE))
            gevent.sleep(_LOOK_EVERY)

    def _attempt(self, task: Callable[[], object]) -> None:
        """Run a part of the housekeeping; log its failure, but the same one only once in a row."""
        try:
            task()
        except Exception as error:
            failure = repr(error)
            if failure != self._failure:
                self._failure = failure
                logger.exception("the worker's housekeeping failed and goes on")

    def _close_late(self) -> None:
        connections, seconds = self._connections, self.client.config.head_timeout
        connections.close_late(seconds, self.cfg.keepalive)
        connections.make_room()
        late, room = connections.closed_late, connections.closed_for_room
        connections.closed_late = connections.closed_for_room = 0
        if late:
            logger.warning("closed %d connections without a complete request head after %g s", late, seconds)
        if room:
            logger.warning("closed %d idle connections: there were more than %d", room, connections.limit)

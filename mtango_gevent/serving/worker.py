"""Gevent worker with graceful shutdown: it ends long polls and idle connections at once.

gunicorn reads this module before the fork: it does not import PyTango.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event
from gunicorn import util
from gunicorn.errors import AppImportError
from gunicorn.http import parser, wsgi
from gunicorn.http.body import LengthReader
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.ggevent import GeventWorker

from mtango_gevent.config import ConfigError, starts_without_files
from mtango_gevent.serving import stopping
from mtango_gevent.serving.connections import LINGER_SECONDS, Connections, Reader, raise_descriptor_limit
from mtango_gevent.serving.hub_lag import HubLag
from mtango_gevent.serving.refusals import write_refusal
from mtango_gevent.serving.response import GatewayResponse

if TYPE_CHECKING:
    from mtango_gevent.api import Audit
    from mtango_gevent.control.client import TangoClient

logger = logging.getLogger(__name__)

# Seconds between two rounds of the worker's housekeeping.
_HOUSEKEEPING_PERIOD = 0.5

# Rounds of ten seconds, whose greatest lag of the hub is published.
_LAGS = 20

# Seconds between two publications of streams and failed requests, which take longer than the rest.
_ROWS_PERIOD = 2.0

# Seconds in which a client may still begin a request on a connection after the worker was told to stop.
_GRACE = 0.5

# Seconds between two looks at idle connections while the worker stops.
_STOPPING_PERIOD = 0.1

# Bytes of a body that are read in one go.
_CHUNK = 16 << 10


class GatewayWorker(GeventWorker):
    """Serve the gateway; bound connections, heads and bodies, which gunicorn does not.

    is_first: whether a file that cannot be used ends gunicorn. Not so for a worker that takes the place of another one.
    """

    is_first = True  # set by pre_fork of gunicorn.conf.py

    def init_process(self) -> None:
        gevent.config.track_greenlet_tree = False  # where each greenlet was spawned, for debuggers: 2 kB of each one
        self._stopping = Event()  # before there are signals
        self._failure = ""  # the last one of the housekeeping
        self._connections = Connections(checks=self.cfg.proxy_protocol in (False, "off"))
        self._limit_connections()
        wsgi.Response = GatewayResponse  # pyright: ignore[reportAttributeAccessIssue]
        parser.SocketUnreader = functools.partial(Reader, self._connections)  # pyright: ignore[reportAttributeAccessIssue]
        super().init_process()

    def _limit_connections(self) -> None:
        """Keep the pool of connections larger than their limit: gevent stops accepting when the pool is full."""
        possible = raise_descriptor_limit(self.worker_connections)
        if possible < self.worker_connections:
            text = "room for %d connections instead of %d: the process may open too few files (ulimit -n)"
            self.log.warning(text, possible, self.worker_connections)
            self.worker_connections = possible
        self._connections.limit = possible - possible // 10

    def load_wsgi(self) -> None:
        from mtango_gevent import metrics, scoreboard  # after gevent has patched the worker

        metrics.begin(scoreboard.share(), getattr(self, "slot", None))  # set by pre_fork of gunicorn.conf.py
        token = starts_without_files.set(not self.is_first)
        try:
            super().load_wsgi()
        except ConfigError as error:
            raise AppImportError(f"mtango-gevent: {error}") from None  # which gunicorn prints in one line
        finally:
            starts_without_files.reset(token)

    def run(self) -> None:
        util.write_error = self._write_refusal
        self.wsgi.extensions["mtango"].in_force.update(self._settings_in_force())
        seconds = stopping.time_for_requests(self.client.config, self.cfg.graceful_timeout)
        self.cfg.set("graceful_timeout", seconds)  # of this worker; the master keeps its own, after which it kills
        gevent.spawn(self._keep_house)
        gc.freeze()  # a full collection of all modules holds the hub for 50 ms, one of the rest for 5 ms
        super().run()

    def handle_exit(self, sig: Any, frame: Any) -> None:
        super().handle_exit(sig, frame)
        gevent.spawn(self._stopping.set)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        with self._connections.opened(client):
            super().handle(listener, client, addr)

    def timeout_ctx(self) -> contextlib.AbstractContextManager[None]:
        """Note that the connection waits for a request. The housekeeping bounds the wait, see `_close_late`."""
        self._connections.await_request()
        return contextlib.nullcontext()

    def handle_http2(self, *arguments: Any, **keywords: Any) -> None:
        self._connections.begin_request()  # gunicorn serves the streams of a connection one after the other
        super().handle_http2(*arguments, **keywords)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Any) -> None:
        """Answer a request that cannot be parsed, and let its client read the answer."""
        connection = self._connections.current()
        if isinstance(exc, (LimitRequestLine, LimitRequestHeaders)):
            connection.read_head()
        super().handle_error(req, client, addr, exc)
        connection.linger()

    def _write_refusal(self, sock: Any, status: int, reason: str, description: str) -> None:
        """Take the place of gunicorn's function, which answers HTML without CORS headers."""
        app: Any = self.wsgi
        write_refusal(app, self._connections.current(), status, reason, description)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        """Serve a request. Raises StopIteration to close its connection."""
        self._connections.begin_request()
        sock.settimeout(self.client.config.send_timeout)
        try:
            return super().handle_request(listener_name, req, sock, addr)
        except TimeoutError:
            self.log.warning("%s does not read its response", addr)
            raise StopIteration from None
        finally:
            sock.settimeout(None)
            if req.must_close or not self._discard_rest(sock, req.body):
                raise StopIteration

    def _discard_rest(self, sock: Any, body: Any) -> bool:
        """Read the unread rest of a body, so that its client comes to read the answer.

        Return false if the rest does not end in time, or the client pauses. gunicorn would read it before the next
        request, without a limit.
        """
        if isinstance(body.reader, LengthReader) and not body.reader.length:  # nothing is left
            return True
        config = self.client.config
        sock.settimeout(LINGER_SECONDS)
        timeout = gevent.Timeout(config.body_timeout, False)  # pyright: ignore[reportArgumentType]
        with timeout, contextlib.suppress(ParseException, TimeoutError):
            for _ in range(2 * config.body_limit // _CHUNK + 1):
                if not body.read(_CHUNK):
                    sock.settimeout(None)
                    return True
                gevent.sleep(0)
        return False

    def _settings_in_force(self) -> dict[str, Any]:
        """Return the settings that gunicorn's command line may have changed."""
        name: Any = self.sockets[0].getsockname()
        host, port = name[:2] if isinstance(name, tuple) else (f"unix:{name}", None)
        return {"host": host, "port": port, "workers": self.cfg.workers, "max_requests": self.cfg.max_requests}

    @property
    def client(self) -> TangoClient:
        return self.wsgi.extensions["mtango"].client

    @property
    def audit(self) -> Audit:
        return self.wsgi.extensions["mtango"].audit

    # --- housekeeping ---

    def _keep_house(self) -> None:
        """Do the worker's housekeeping, which goes on whatever fails."""
        client, self._lag = self.client, HubLag(_LAGS)
        gevent.spawn(self._publish_rows)
        while self.alive:
            for task in (client.apply_pending_clears, client.publish, self._close_late, self._publish_lag):
                self._attempt(task)
            self._stopping.wait(_HOUSEKEEPING_PERIOD)
        self._attempt(client.events.stop)
        self._attempt(client.streams.stop)
        gevent.sleep(_GRACE)
        while True:
            self._attempt(functools.partial(self._connections.close_idle, _GRACE))
            gevent.sleep(_STOPPING_PERIOD)

    def _publish_lag(self) -> None:
        self.client.metrics.publish("hub", {"lag": self._lag.take()})

    def _publish_rows(self) -> None:
        """Publish the streams and the failed requests."""
        while self.alive:
            self._attempt(self.client.publish_streams)
            self._attempt(self.wsgi.extensions["mtango"].failed_requests.publish)
            gevent.sleep(_ROWS_PERIOD)

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

"""A device server: how many calls to its process there may be, and whether the process answers at all.

A device that hangs still answers a ping, which its server does; a server that is frozen, or whose machine is gone, does
not, and a call to it can hold a thread for half a minute. So when a device does not answer, its server is pinged. As
long as that has no answer, no call is made to any of its devices.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from mtango_gevent.control.calls.breaker import FORGET_AFTER, open_failure
from mtango_gevent.control.calls.bulkhead import Bulkhead
from mtango_gevent.control.calls.threads import Call
from mtango_gevent.errors import DevFailed

if TYPE_CHECKING:
    from mtango_gevent.control.calls.executor import Green

logger = logging.getLogger(__name__)

# How long a ping may take; with any load of the machine, as nothing but the server's process is asked.
_PING_SECONDS = 1.0

# Connections being made to one server at the same time.
_CONNECTIONS = 2

# For how long a server that was slow to refuse a connection counts as one that may not answer.
_LOST_SECONDS = 60.0


class ServerHealth:
    """calls, metadata, connections, lost: the bulkheads to it for each of them, as in `Partitions`.

    limit: calls to it at a time, and as many for metadata; share: the part of the pool that its calls have.
    forget_after: seconds without a caller after which a silent server is not watched any more; None watches it on.
    """

    def __init__(
        self, green: Green, name: str, limit: int, share: Bulkhead, forget_after: float | None = FORGET_AFTER
    ) -> None:
        self._green, self._forget_after = green, forget_after
        self.name = name
        partitions, title = green.partitions, f"the server {name}"
        self.calls = Bulkhead(green, title, limit, share)
        self.calls.slots.wider = share.slots
        self.metadata = Bulkhead(green, title, limit, partitions.metadata)
        self.metadata.slots.wider = partitions.metadata.slots
        self.connections = Bulkhead(green, title, _CONNECTIONS, partitions.connections)
        self.connections.slots.wider = partitions.connections.slots
        self.lost = Bulkhead(green, title, _CONNECTIONS, partitions.lost)
        self.silent_since = 0.0  # seconds since the epoch; 0 where it answers
        self._lost_at = -_LOST_SECONDS  # when a connection was made in vain, and slowly; by time.monotonic()
        self._connecting: list[float] = []  # when those that are being made began
        self._watched = False
        self._asked = self._suspected = 0.0

    def check(self) -> None:
        """Raises DevFailed, MTANGO_CircuitOpen, while it does not answer."""
        if self.silent_since:
            self._asked = time.monotonic()
            retry = f"within {self._green.config.retry_after:g} s after it answers again"
            raise open_failure(f"the server {self.name}", self.silent_since, "does not answer", retry)

    @contextlib.contextmanager
    def connecting(self) -> Iterator[None]:
        """Around the making of a connection, in its thread."""
        began = time.monotonic()
        self._connecting.append(began)
        try:
            yield
        except DevFailed:
            if time.monotonic() - began > _PING_SECONDS:
                self._lost_at = time.monotonic()
            raise
        else:
            self._lost_at = -_LOST_SECONDS
        finally:
            self._connecting.remove(began)

    def connection_bulkhead(self) -> Bulkhead:
        """Few to one server, as a frozen one takes seconds each time; and a server that did not answer the last time,
        or does not now, stays apart from those that may."""
        now = time.monotonic()
        lost = now - self._lost_at < _LOST_SECONDS or any(now - began > _PING_SECONDS for began in self._connecting)
        return self.lost if lost else self.connections

    def suspect(self, ping: Callable[[], object]) -> None:
        """One of its devices has not answered, or keeps others waiting: find out whether it does itself."""
        now = time.monotonic()
        if not self._watched and now > self._suspected + _PING_SECONDS and self._green.at_home():
            self._watched, self._asked, self._suspected = True, now, now
            self._green.spawn(self._watch, ping)

    def _watch(self, ping: Callable[[], object]) -> None:
        try:
            while not self._answers(ping) and self._is_wanted():
                self._green.sleep(self._green.config.retry_after)
        finally:
            if self.silent_since:
                logger.warning("the device server %s answers again, or is not asked for any more", self.name)
            self._watched, self.silent_since = False, 0.0

    def _is_wanted(self) -> bool:
        return self._forget_after is None or time.monotonic() - self._asked < self._forget_after

    def _answers(self, ping: Callable[[], object]) -> bool:
        """Whether it answers now. Returns when the ping has ended, as a thread of it is enough."""
        bulkhead = self._green.partitions.pings
        call = Call(bulkhead, "ping", ping, (), {})
        try:
            bulkhead.start(call)
        except DevFailed:  # no thread: nothing is known
            return not self.silent_since
        call.result.wait(_PING_SECONDS)
        if not call.result.ready() and not self.silent_since:
            self.silent_since = time.time()
            logger.warning("the device server %s does not answer; its devices are left alone", self.name)
        call.result.wait()
        error: Any = call.result.exception
        if not isinstance(error, DevFailed):
            return True
        # Refused at once: there is no server, and Tango says so to everybody. Else Tango may not have tried again yet.
        tried = error.args[0].reason != "API_CantConnectToDevice"
        return time.perf_counter() - call.began < _PING_SECONDS and (tried or not self.silent_since)

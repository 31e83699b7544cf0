"""The health of a device server: whether its process answers at all.

A device that hangs still answers a ping, as its server does; a server that is frozen, or whose machine is gone, does
not, and a call to it can hold a thread for half a minute. So the server of a device that does not answer is pinged.
Until it answers, no call is made to any of its devices.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

from mtango_gevent.control.calls.breaker import FORGET_AFTER, open_failure
from mtango_gevent.control.calls.bulkhead import Bulkhead
from mtango_gevent.control.calls.concurrency import Concurrency
from mtango_gevent.errors import DevFailed

logger = logging.getLogger(__name__)

# Seconds that a ping may take, under any load of the machine, as only the server's process is asked.
_PING_SECONDS = 1.0

# Seconds for which a server that was slow to refuse a connection counts as unreachable.
_UNREACHABLE_SECONDS = 60.0


class ServerHealth:
    """The health of one device server.

    pings: the bulkhead of pings. retry_after: seconds between two pings of a silent server.
    forget_after: seconds without a caller after which a silent server is not pinged any more; None pings it on.
    """

    def __init__(
        self,
        name: str,
        concurrency: Concurrency,
        pings: Bulkhead,
        retry_after: float,
        forget_after: float | None = FORGET_AFTER,
    ) -> None:
        self.name = name
        self.silent_since = 0.0  # seconds since the epoch; 0 while it answers
        self._concurrency, self._pings = concurrency, pings
        self._retry_after, self._forget_after = retry_after, forget_after
        self._unreachable_at = -_UNREACHABLE_SECONDS  # when a connection last failed slowly, by time.monotonic()
        self._connecting: list[float] = []  # when each connection that is being made began
        self._pinged = False
        self._asked = self._checked = 0.0

    def raise_if_silent(self) -> None:
        """Raise DevFailed, MTANGO_CircuitOpen, while the server does not answer."""
        if self.silent_since:
            self._asked = time.monotonic()
            retry = f"within {self._retry_after:g} s after it answers again"
            raise open_failure(f"the server {self.name}", self.silent_since, "does not answer", retry)

    @contextlib.contextmanager
    def connecting(self) -> Iterator[None]:
        """Note the outcome of making a connection; used in its thread."""
        began = time.monotonic()
        self._connecting.append(began)
        try:
            yield
        except DevFailed:
            if time.monotonic() - began > _PING_SECONDS:
                self._unreachable_at = time.monotonic()
            raise
        else:
            self._unreachable_at = -_UNREACHABLE_SECONDS
        finally:
            self._connecting.remove(began)

    def is_unreachable(self) -> bool:
        """Return whether the last connection failed slowly, or one takes long now."""
        now = time.monotonic()
        return now - self._unreachable_at < _UNREACHABLE_SECONDS or any(
            now - began > _PING_SECONDS for began in self._connecting
        )

    def check(self, ping: Callable[[], object]) -> None:
        """Find out by `ping` whether the server answers, without waiting for it."""
        now = time.monotonic()
        if not self._pinged and now > self._checked + _PING_SECONDS and self._concurrency.in_hub():
            self._pinged, self._asked, self._checked = True, now, now
            self._concurrency.spawn(self._ping_until_it_answers, ping)

    def _ping_until_it_answers(self, ping: Callable[[], object]) -> None:
        try:
            while not self._answers(ping) and self._is_wanted():
                self._concurrency.sleep(self._retry_after)
        finally:
            if self.silent_since:
                logger.warning("the device server %s answers again, or is not asked for any more", self.name)
            self._pinged, self.silent_since = False, 0.0

    def _is_wanted(self) -> bool:
        return self._forget_after is None or time.monotonic() - self._asked < self._forget_after

    def _answers(self, ping: Callable[[], object]) -> bool:
        """Return whether the server answers now, when the ping has ended: it takes one thread at a time."""
        call = self._pings.prepare("ping", ping)
        try:
            self._pings.start(call)
        except DevFailed:  # without a thread nothing new is known
            return not self.silent_since
        call.result.wait(_PING_SECONDS)
        if not call.result.ready() and not self.silent_since:
            self.silent_since = time.time()
            logger.warning("the device server %s does not answer; its devices are left alone", self.name)
        call.result.wait()
        error: Any = call.result.exception
        if not isinstance(error, DevFailed):
            return True
        # A refusal at once says that there is no server, and Tango says so to every caller. A late one may come from
        # Tango itself, which has not tried to connect again.
        tried = error.args[0].reason != "API_CantConnectToDevice"
        return time.perf_counter() - call.began < _PING_SECONDS and (tried or not self.silent_since)

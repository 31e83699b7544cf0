"""The health of a device: its circuit breaker, and the health of its server."""

from __future__ import annotations

import time
from collections.abc import Callable

from mtango_gevent.control.calls.breaker import FORGET_AFTER, CircuitBreaker
from mtango_gevent.control.calls.bulkhead import Bulkhead
from mtango_gevent.control.calls.concurrency import Concurrency
from mtango_gevent.control.calls.counter import CallCounter
from mtango_gevent.control.calls.health import Health
from mtango_gevent.control.calls.server_health import ServerHealth
from mtango_gevent.errors import DevFailed


class DeviceHealth(Health):
    """The health of one device.

    probes: the bulkhead of probes. retry_after: seconds between two probes of a device whose circuit is open.
    probe, ping: called in a thread; raise DevFailed where the device, or only its server, does not answer.
    """

    def __init__(
        self,
        counter: CallCounter,
        breaker: CircuitBreaker,
        concurrency: Concurrency,
        probes: Bulkhead,
        retry_after: float,
        probe: Callable[[], object],
        ping: Callable[[], object],
    ) -> None:
        super().__init__(counter, breaker.name)
        self.breaker = breaker
        self.server: ServerHealth | None = None  # None until it is known
        self._concurrency, self._probes, self._retry_after = concurrency, probes, retry_after
        self._probe, self._ping = probe, ping
        self._probed = False
        self._asked = 0.0

    @property
    def silent_since(self) -> float:
        """When its server stopped answering, in seconds since the epoch; 0 while it answers."""
        return self.server.silent_since if self.server else 0.0

    def raise_if_open(self) -> None:
        if self.server:
            self.server.raise_if_silent()
        self._asked = time.monotonic()
        self.breaker.raise_if_open()

    def started(self) -> None:
        self.breaker.begin()

    def withdrawn(self) -> None:
        self.breaker.withdraw()

    def on_timeout(self, began: float, failure: DevFailed) -> None:
        self.breaker.on_timeout(began, failure)
        self._on_late()

    def ended(self, began: float, error: BaseException | None, abandoned: bool) -> None:
        if self.breaker.end(began, error, abandoned):
            self._on_late()

    def check_server(self) -> None:
        if self.server:
            self.server.check(self._ping)

    def _on_late(self) -> None:
        self.check_server()
        if self.breaker.opened and not self._probed:
            self._probed = True
            self._concurrency.spawn(self._probe_until_it_answers)

    def _probe_until_it_answers(self) -> None:
        """Find out when the device is back: callers may ask only for the part of it that hangs, or too seldom."""
        try:
            while self.breaker.opened and time.monotonic() - self._asked < FORGET_AFTER:
                self.breaker.next_try = time.perf_counter() + self._retry_after
                self._concurrency.sleep(self._retry_after)
                if not self.silent_since:
                    self._probe_once()
        finally:
            self.breaker.reset()
            self._probed = False

    def _probe_once(self) -> None:
        self.breaker.next_try = None
        self.breaker.begin()
        began, error = time.perf_counter(), None
        try:
            self._probes.call("probe", self._probe)
        except Exception as failure:  # any error is an answer, unless it came too late
            error = failure
        self.breaker.end(began, error)


class MetadataHealth(Health):
    """The health of what answers for a device's metadata: its server, also while the device itself is busy."""

    def __init__(self, device: DeviceHealth) -> None:
        super().__init__(device.counter, device.device)
        self._device = device

    def raise_if_open(self) -> None:
        if self._device.server:
            self._device.server.raise_if_silent()

    def check_server(self) -> None:
        self._device.check_server()

"""The bulkhead of a device: its limits, and what is known of whether it answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mtango_gevent.control.calls.breaker import FORGET_AFTER, CircuitBreaker
from mtango_gevent.control.calls.bulkhead import Bulkhead
from mtango_gevent.control.calls.threads import Call
from mtango_gevent.errors import DevFailed

if TYPE_CHECKING:
    from mtango_gevent.control.calls.executor import Green
    from mtango_gevent.control.calls.server_health import ServerHealth


class DeviceBulkhead(Bulkhead):
    """The way to one device. metadata: that of what the server answers for it, whatever it is doing itself.

    probe and ping: ask the device, or its server alone, whether it answers; run in a thread, they raise DevFailed.
    """

    def __init__(
        self,
        green: Green,
        url: str,
        limit: int,
        parent: Bulkhead,
        probe: Callable[[], object],
        ping: Callable[[], object],
    ) -> None:
        config = green.config
        super().__init__(green, url, limit, parent, queue=config.device_queue)
        self.circuit = CircuitBreaker(url, config.open_after, 0.9 * min(config.tango_timeout, config.call_deadline))
        self.metadata = Bulkhead(green, url, limit, green.partitions.metadata, "metadata", config.device_queue)
        self.device = self.metadata.device = url
        self.trouble = self.metadata.trouble = self._suspect_server
        self.connected_through = ""  # the prefix that its connections were made with besides, see Database.through
        self._probe, self._ping = probe, ping
        self._watched = False
        self._asked = 0.0

    def belongs_to(self, server: ServerHealth) -> None:
        self.server = self.metadata.server = server
        self.parent, self.metadata.parent = server.calls, server.metadata

    @property
    def waiting(self) -> int:
        """Calls that wait for slots, of the device or of what it leads into."""
        return self.slots.waiting + self.metadata.slots.waiting + max(0, self.slots.taken - self.circuit.in_flight)

    @property
    def is_open(self) -> bool:
        return self.circuit.opened > 0

    @property
    def is_known(self) -> bool:
        """Whether it has ever been called."""
        return self.circuit.calls > 0 or self.circuit.in_flight > 0

    def figures(self) -> dict[str, Any]:
        """The status of the device. Times are seconds, points in time those since the epoch."""
        silent = self.server.silent_since if self.server else 0.0
        return {
            "name": self.name,
            "server": self.server and self.server.name,
            **self.circuit.figures(),
            **({"state": "open", "open_since": silent, "next_try": None} if silent else {}),
            "in_flight": self.circuit.in_flight,
            "waiting": self.waiting,
        }

    def check(self) -> None:
        super().check()
        self._asked = time.monotonic()
        self.circuit.check()

    def begun(self, call: Call) -> None:
        self.circuit.begin()

    def given_up(self, call: Call, failure: DevFailed) -> None:
        self.circuit.give_up(call.began, failure)
        self._found_late()

    def ended(self, call: Call, error: BaseException | None) -> None:
        if self.circuit.end(call.began, error, call.abandoned):
            self._found_late()

    def _found_late(self) -> None:
        self._suspect_server()
        if self.circuit.opened and not self._watched:
            self._watched = True
            self._green.spawn(self._watch)

    def _suspect_server(self) -> None:
        if self.server:
            self.server.suspect(self._ping)

    def _watch(self) -> None:
        """Find out when it is back: by ourselves, as callers may ask for what alone hangs, or too seldom."""
        try:
            while self.circuit.opened and time.monotonic() - self._asked < FORGET_AFTER:
                self.circuit.next_try = time.perf_counter() + self._green.config.retry_after
                self._green.sleep(self._green.config.retry_after)
                if not (self.server and self.server.silent_since):
                    self._ask()
        finally:
            self.circuit.reset()
            self._watched = False

    def _ask(self) -> None:
        self.circuit.next_try = None
        self.circuit.begin()
        began, error = time.perf_counter(), None
        try:
            self._green.partitions.probes.run(self._probe, kind="probe")
        except Exception as failure:  # of whatever kind, it is an answer
            error = failure
        self.circuit.end(began, error)

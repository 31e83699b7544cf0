"""The lane of a device: its limits, and what is known of whether it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mtango_gevent.control.circuit import Circuit
from mtango_gevent.control.lane import Lane
from mtango_gevent.control.threads import Call
from mtango_gevent.errors import DevFailed

if TYPE_CHECKING:
    from mtango_gevent.control.green import Green
    from mtango_gevent.control.server import Server


class DeviceLane(Lane):
    """The way to one device. metadata: that of what the server answers for it, whatever it is doing itself."""

    def __init__(self, green: Green, url: str, limit: int, parent: Lane, kind: str | None = None) -> None:
        super().__init__(green, url, limit, parent, kind, green.config.device_queue)
        self.circuit = Circuit(url, green.config.open_after, green.config.retry_after)
        self.metadata = Lane(green, url, limit, green.shares.metadata, "metadata", green.config.device_queue)
        self.device = self.metadata.device = url
        self._ping: Callable[[], object] | None = None
        self._probes = green.shares.probes

    def belongs_to(self, server: Server, ping: Callable[[], object]) -> None:
        """ping: raises DevFailed where the server does not answer; run in a thread."""
        self.server = self.metadata.server = server
        self._ping = ping
        self.parent = server.calls
        self.metadata.parent = server.metadata
        self._probes = server.probes

    @property
    def waiting(self) -> int:
        return self.slots.waiting + self.metadata.slots.waiting

    @property
    def is_open(self) -> bool:
        return self.circuit.opened > 0

    @property
    def is_known(self) -> bool:
        """Whether it has ever been called."""
        return self.circuit.calls > 0 or self.slots.taken > 0

    def figures(self) -> dict[str, Any]:
        """A row of reports.py. Times are seconds, points in time those since the epoch."""
        silent = self.server.silent_since if self.server else 0.0
        return {
            "name": self.name,
            "server": self.server and self.server.name,
            **self.circuit.figures(),
            **({"state": "open", "open_since": silent, "next_try": None} if silent else {}),
            "in_flight": self.slots.taken + self.metadata.slots.taken,
            "waiting": self.waiting,
        }

    def way(self) -> Lane:
        super().way()
        self.circuit.check()
        return self._probes if self.circuit.opened else self

    def begun(self, call: Call) -> None:
        self.circuit.begin(call)

    def refused(self) -> None:
        self._suspect_server()

    def given_up(self, call: Call, failure: DevFailed) -> None:
        self.circuit.give_up(call.began, failure)
        self._suspect_server()

    def ended(self, call: Call, error: BaseException | None) -> None:
        if self.circuit.end(call, call.began, error, call.abandoned):
            self._suspect_server()

    def _suspect_server(self) -> None:
        if self.server and self._ping:
            self.server.suspect(self._ping)

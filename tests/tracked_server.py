"""A device server with the times at which its processes ended, to recognise the answer of a process that is gone."""

from __future__ import annotations

import time

from mtango_gevent.demo.embedded import ServerProcess

# Seconds that an answer may be on its way through the gateway, to clients that join the read meanwhile.
_ON_THE_WAY = 0.1


class TrackedServer:
    """A server that is killed and started only through this object. Times are those of time.monotonic()."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self._dead: dict[int, float] = {}  # process id -> when it was gone

    def kill(self) -> float:
        """Kill the server and return when it was gone."""
        pid = self.server.pid
        self.server.kill()
        return self._dead.setdefault(pid, time.monotonic())

    def start(self) -> float:
        """Start the server and return since when it has served."""
        self.server.start()
        return time.monotonic()

    def could_answer(self, pid: int, began: float) -> bool:
        """Return whether the process can have answered a request that began at `began`."""
        return pid == self.server.pid or began < self._dead.get(pid, 0.0) + _ON_THE_WAY

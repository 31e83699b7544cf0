"""Which processes of a server have lived when, so that an answer of a dead one is known for what it is."""

from __future__ import annotations

import time

from mtango_gevent.demo.embedded import ServerProcess

# For how long an answer may be on its way through the gateway to who asks for the same meanwhile.
_ON_THE_WAY = 0.1


class Lives:
    """Of one server, which is killed and started only through this. Times are time.monotonic()."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self._dead: dict[int, float] = {}  # process id -> when it was gone

    def kill(self) -> float:
        """Gives when it was gone."""
        pid = self.server.pid
        self.server.kill()
        return self._dead.setdefault(pid, time.monotonic())

    def start(self) -> float:
        """Gives since when it has served."""
        self.server.start()
        return time.monotonic()

    def could_answer(self, pid: int, began: float) -> bool:
        """Whether the process was there for a request that began then."""
        return pid == self.server.pid or began < self._dead.get(pid, 0.0) + _ON_THE_WAY

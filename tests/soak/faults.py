"""The faults of the soak: servers and the database are killed or frozen and come back, a device hangs."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from mtango_gevent.demo.embedded import ServerProcess
from tests.http_clients import ask_all
from tests.soak.requests import Target
from tests.soak.results import HANG_SECONDS, Results
from tests.tracked_server import TrackedServer

# How long each fault lasts, in seconds: a dead server fails calls at once, a frozen one after a Tango timeout or two.
_DEAD, _FROZEN, _HUNG = 3.0, 8.0, 6.0

_CROWD = 50


class Faults:
    """The faults in their order, each with a sentence that names it."""

    def __init__(
        self,
        port: int,
        target: Target,
        results: Results,
        database: TrackedServer,
        servers: list[TrackedServer],
        hung: str,
    ) -> None:
        self._port, self._target, self._results = port, target, results
        self._database, self._servers = database, servers
        self._hung = hung
        self._rng = random.Random("servers")
        self.all: list[tuple[str, Callable[[], None]]] = [
            ("a server is killed and started", lambda: self._kill(self._one())),
            ("a server is frozen and thawed", lambda: _freeze(self._one().server)),
            ("a device hangs, and many want it", self._hang),
            ("the database is killed and started", lambda: self._kill(self._database)),
            ("the database is frozen and thawed", lambda: _freeze(self._database.server)),
            ("the database and a server are killed and started", lambda: self._kill(self._database, self._one())),
        ]

    def _one(self) -> TrackedServer:
        return self._rng.choice(self._servers)

    def _kill(self, *lives: TrackedServer) -> None:
        for each in lives:
            each.kill()
        time.sleep(_DEAD)
        for each in lives:
            each.start()

    def _hang(self) -> None:
        device = self._target.device(self._hung)
        crowd = [("PUT", f"{device}/commands/Rest", f"{_HUNG}"), ("GET", f"{device}/attributes/quick/value", "")]
        for answer in ask_all(self._port, crowd * _CROWD, HANG_SECONDS):
            if not answer.status:
                self._results.complain(f"no answer within {answer.seconds:.1f} s while {self._hung} hangs")


def _freeze(server: ServerProcess) -> None:
    server.freeze()
    time.sleep(_FROZEN)
    server.thaw()

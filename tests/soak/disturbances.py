"""What goes wrong during the soak: servers and the database die, freeze and come back, a device hangs."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from mtango_gevent.demo.embedded import ServerProcess
from tests.asking import ask_all
from tests.lives import Lives
from tests.soak.book import HANG_SECONDS, Book
from tests.soak.kinds import Scene

# For how long, in seconds: a dead server is missed at once, a frozen one only after a Tango timeout or two.
_DEAD, _FROZEN, _HUNG = 3.0, 8.0, 6.0

_CROWD = 50


class Disturbances:
    """One after the other, each with its sentence."""

    def __init__(self, port: int, scene: Scene, book: Book, database: Lives, servers: list[Lives], hung: str) -> None:
        self._port, self._scene, self._book = port, scene, book
        self._database, self._servers = database, servers
        self._hung = hung
        self._dice = random.Random("servers")
        self.all: list[tuple[str, Callable[[], None]]] = [
            ("a server is killed and started", lambda: self._kill(self._one())),
            ("a server is frozen and thawed", lambda: _freeze(self._one().server)),
            ("a device hangs, and many want it", self._hang),
            ("the database is killed and started", lambda: self._kill(self._database)),
            ("the database is frozen and thawed", lambda: _freeze(self._database.server)),
            ("the database and a server are killed and started", lambda: self._kill(self._database, self._one())),
        ]

    def _one(self) -> Lives:
        return self._dice.choice(self._servers)

    def _kill(self, *lives: Lives) -> None:
        for each in lives:
            each.kill()
        time.sleep(_DEAD)
        for each in lives:
            each.start()

    def _hang(self) -> None:
        device = self._scene.device(self._hung)
        crowd = [("PUT", f"{device}/commands/Rest", f"{_HUNG}"), ("GET", f"{device}/attributes/quick/value", "")]
        for answer in ask_all(self._port, crowd * _CROWD, HANG_SECONDS):
            if not answer.status:
                self._book.accuse(f"no answer within {answer.seconds:.1f} s while {self._hung} hangs")


def _freeze(server: ServerProcess) -> None:
    server.freeze()
    time.sleep(_FROZEN)
    server.thaw()

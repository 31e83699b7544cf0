"""The clients of the soak: threads, as each is idle most of the time."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from tests.asking import Answer, Clients, Connection
from tests.soak.book import HANG_SECONDS, Book
from tests.soak.kinds import WEIGHTS, Asked, Scene, wait_for_event

# The longest that /healthz may take, whatever happens.
STALL_SECONDS = 2.0


class Load(Clients):
    """Clients that ask at random, listeners that wait for events, one that hangs up, and one that asks for life."""

    def __init__(self, port: int, scene: Scene, book: Book, per_second: float, listeners: int) -> None:
        super().__init__()
        self._port, self._scene, self._book = port, scene, book
        self.longest_gap = 0.0  # of /healthz, since it was last set
        clients = list(scene.slow)
        self._threads = [
            *(threading.Thread(target=self._run, args=(self._ask, own, per_second / len(clients))) for own in clients),
            *(threading.Thread(target=self._run, args=(self._listen,)) for _ in range(listeners)),
            threading.Thread(target=self._run, args=(self._hang_up,)),
            threading.Thread(target=self._run, args=(self._watch,)),
        ]

    def _run(self, client: Callable[..., None], *arguments: Any) -> None:
        try:
            client(*arguments)
        except Exception as error:  # without this one the soak would seem to be well
            self._book.accuse(f"a client failed: {error!r}")
            raise

    def _ask(self, own: str, per_second: float) -> None:
        dice, connection, due = random.Random(own), Connection(self._port), time.monotonic()
        kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
        while not self._over.wait(max(0.0, due - time.monotonic())):
            (kind,) = dice.choices(kinds, weights)
            self._enter(kind.__name__, connection, kind(self._scene, dice, own))
            due = max(due + dice.expovariate(per_second), time.monotonic() - 1)  # what was missed is not made up for

    def _listen(self) -> None:
        connection, query = Connection(self._port), ""
        while not self._over.is_set():
            answer = self._enter("wait_for_event", connection, wait_for_event(self._scene, query))
            if isinstance(answer.body, dict) and "value" in answer.body:
                query = f"&last={answer.body['timestamp']}"
            else:
                self._over.wait(0.2)

    def _enter(self, kind: str, connection: Connection, asked: Asked) -> Answer:
        quiet = self._book.quiet
        answer = connection.ask(asked.method, asked.path, asked.body)
        self._book.enter(kind, asked, answer, quiet)
        return answer

    def _hang_up(self) -> None:
        """In the middle of a request, while it is answered, or while it waits."""
        dice, paths = random.Random("hang up"), _long_ones(self._scene)
        while not self._over.wait(dice.expovariate(5)):
            request = f"GET {dice.choice(paths)} HTTP/1.1\r\nHost: here\r\n\r\n".encode()
            part = dice.choice([len(request), len(request), dice.randrange(1, len(request))])
            with socket.create_connection(("127.0.0.1", self._port), timeout=HANG_SECONDS) as connection:
                connection.sendall(request[:part])
                self._over.wait(dice.choice([0.0, 0.01, 0.5]))

    def _watch(self) -> None:
        connection = Connection(self._port)
        asked = Asked("GET", "/healthz", lambda answer: answer.body == {"status": "ok"})
        while not self._over.wait(0.05):
            answer = self._enter("healthz", connection, asked)
            self.longest_gap = max(self.longest_gap, answer.seconds)
            if answer.seconds > STALL_SECONDS:
                self._book.accuse(f"the worker stalled for {answer.seconds:.1f} s")


def _long_ones(scene: Scene) -> Sequence[str]:
    return [
        f"{scene.device('demo/camera/1')}/attributes/image/value",
        f"{scene.device('demo/motor/1')}/attributes/velocity/user?timeout=5000",
        wait_for_event(scene, "").path,
        f"{scene.base}/devices",
    ]

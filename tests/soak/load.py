"""The clients of the soak: threads, as each is idle most of the time."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from tests.http_clients import Answer, Clients, Connection
from tests.soak.requests import WEIGHTS, Request, Target, wait_for_event
from tests.soak.results import HANG_SECONDS, Results

# The longest that /healthz may take, whatever happens.
STALL_SECONDS = 2.0


class Load(Clients):
    """Clients that make random requests, listeners to events, a client that hangs up, and one that reads /healthz."""

    def __init__(self, port: int, target: Target, results: Results, per_second: float, listeners: int) -> None:
        super().__init__()
        self._port, self._target, self._results = port, target, results
        self.longest_gap = 0.0  # of /healthz, since it was last set
        clients = list(target.slow)
        self._threads = [
            *(threading.Thread(target=self._run, args=(self._ask, own, per_second / len(clients))) for own in clients),
            *(threading.Thread(target=self._run, args=(self._listen,)) for _ in range(listeners)),
            threading.Thread(target=self._run, args=(self._hang_up,)),
            threading.Thread(target=self._run, args=(self._watch,)),
        ]

    def _run(self, client: Callable[..., None], *arguments: Any) -> None:
        try:
            client(*arguments)
        except Exception as error:  # a client less would make the soak easier
            self._results.complain(f"a client failed: {error!r}")
            raise

    def _ask(self, own: str, per_second: float) -> None:
        rng, connection, due = random.Random(own), Connection(self._port), time.monotonic()
        kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
        while not self._over.wait(max(0.0, due - time.monotonic())):
            (kind,) = rng.choices(kinds, weights)
            self._enter(kind.__name__, connection, kind(self._target, rng, own))
            due = max(due + rng.expovariate(per_second), time.monotonic() - 1)  # what was missed is not made up for

    def _listen(self) -> None:
        connection, query = Connection(self._port), ""
        while not self._over.is_set():
            answer = self._enter("wait_for_event", connection, wait_for_event(self._target, query))
            if isinstance(answer.body, dict) and "value" in answer.body:
                query = f"&last={answer.body['timestamp']}"
            else:
                self._over.wait(0.2)

    def _enter(self, kind: str, connection: Connection, request: Request) -> Answer:
        quiet = self._results.quiet
        answer = connection.ask(request.method, request.path, request.body)
        self._results.add(kind, request, answer, quiet)
        return answer

    def _hang_up(self) -> None:
        """Close connections in the middle of a request, while it is answered, or while it waits."""
        rng, paths = random.Random("hang up"), _long_ones(self._target)
        while not self._over.wait(rng.expovariate(5)):
            request = f"GET {rng.choice(paths)} HTTP/1.1\r\nHost: here\r\n\r\n".encode()
            part = rng.choice([len(request), len(request), rng.randrange(1, len(request))])
            with socket.create_connection(("127.0.0.1", self._port), timeout=HANG_SECONDS) as connection:
                connection.sendall(request[:part])
                self._over.wait(rng.choice([0.0, 0.01, 0.5]))

    def _watch(self) -> None:
        connection = Connection(self._port)
        request = Request("GET", "/healthz", lambda answer: answer.body == {"status": "ok"})
        while not self._over.wait(0.05):
            answer = self._enter("healthz", connection, request)
            self.longest_gap = max(self.longest_gap, answer.seconds)
            if answer.seconds > STALL_SECONDS:
                self._results.complain(f"the worker stalled for {answer.seconds:.1f} s")


def _long_ones(target: Target) -> Sequence[str]:
    return [
        f"{target.device('demo/camera/1')}/attributes/image/value",
        f"{target.device('demo/motor/1')}/attributes/velocity/user?timeout=5000",
        wait_for_event(target, "").path,
        f"{target.base}/devices",
    ]

"""Clients that read each of some paths again and again, and keep every answer."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from tests.http_clients import Answer, Clients, Connection
from tests.live.conftest import wait_until


class Readers(Clients):
    """A thread for each path, as long as a with block lasts."""

    def __init__(self, port: int, paths: Sequence[str], pause: float = 0.01) -> None:
        super().__init__()
        self._pause = pause
        self.answers: dict[str, list[Answer]] = {path: [] for path in paths}
        self._threads = [threading.Thread(target=self._ask, args=(port, path)) for path in self.answers]

    def go_on(self, count: int = 20) -> None:
        """Wait for `count` more answers to each path."""
        wanted = {path: len(answers) + count for path, answers in self.answers.items()}
        wait_until(lambda: all(len(self.answers[path]) >= number for path, number in wanted.items()))

    @property
    def all(self) -> list[Answer]:
        return [answer for answers in self.answers.values() for answer in answers]

    def _ask(self, port: int, path: str) -> None:
        connection = Connection(port)
        while not self._over.wait(self._pause):
            self.answers[path].append(connection.ask("GET", path))
        connection.close()


def late(answers: Sequence[Answer], part: float = 0.99) -> float:
    """Return the quantile `part` of the seconds that the answers took; 0.99 is the p99."""
    seconds = sorted(answer.seconds for answer in answers)
    return seconds[min(len(seconds) - 1, int(len(seconds) * part))]

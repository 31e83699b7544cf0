"""Admission: thousands of feeds that begin at once subscribe a few at a time, and wait for that as long as it takes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from mtango_gevent.control.calls import Concurrency, Semaphore

# Feeds that subscribe at a time: more would wait for threads longer than their calls may. Of one device so few that
# dozens of devices which do not answer leave places to others.
_AT_A_TIME, _OF_A_DEVICE = 64, 2


class Admission:
    """The places for feeds that subscribe. Threads without a hub need none."""

    def __init__(self, concurrency: Concurrency) -> None:
        self._concurrency = concurrency
        self._all = Semaphore(_AT_A_TIME)
        self._devices: dict[str, Semaphore] = {}

    @contextlib.contextmanager
    def place(self, url: str) -> Iterator[None]:
        """Wait for a place of a device, and hold it."""
        if not self._concurrency.in_hub():
            yield
            return
        own = self._devices.setdefault(url, Semaphore(_OF_A_DEVICE))
        with _held(own), _held(self._all):
            yield
        if not own.taken and not own.waiting:
            self._devices.pop(url, None)


@contextlib.contextmanager
def _held(semaphore: Semaphore) -> Iterator[None]:
    semaphore.acquire(None)
    try:
        yield
    finally:
        semaphore.release()

"""Admission: thousands of feeds that begin at once subscribe a few at a time, and wait for that as long as it takes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from mtango_gevent.control.calls import Concurrency, Signal

# Feeds that subscribe at a time: more would wait for threads longer than their calls may. Of one device so few that
# dozens of devices which do not answer leave places to others.
_AT_A_TIME, _OF_A_DEVICE = 64, 2


class GivenUp(Exception):
    """The feed that waits for a place has ended."""


class Turn:
    """The turn of one feed to subscribe. is_over: whether the feed has ended."""

    __slots__ = ("is_admitted", "is_over", "signal")

    def __init__(self) -> None:
        self.is_admitted = self.is_over = False
        self.signal: Signal | None = None  # while it waits

    def end(self) -> None:
        """End the wait; called from any thread."""
        self.is_over = True
        if self.signal is not None:
            self.signal.set()


class _Device:
    """The places of one device. waiting: the turns for them, in that order."""

    __slots__ = ("taken", "waiting")

    def __init__(self) -> None:
        self.taken = 0
        self.waiting: dict[Turn, None] = {}


class Admission:
    """The places for feeds that subscribe, one device after the other. Threads without a hub need none."""

    def __init__(self, concurrency: Concurrency) -> None:
        self._concurrency = concurrency
        self._taken = 0
        self._devices: dict[str, _Device] = {}  # with turns
        self._next: dict[_Device, None] = {}  # that may have a place and a turn for it

    @contextlib.contextmanager
    def place(self, url: str, turn: Turn) -> Iterator[None]:
        """Wait for a place of a device, and hold it. Raises GivenUp when the turn is over."""
        if not self._concurrency.in_hub():
            yield
            return
        device = self._devices.setdefault(url, _Device())
        device.waiting[turn] = None
        try:
            self._wait(device, turn)
            yield
        finally:
            self._leave(url, device, turn)

    def _wait(self, device: _Device, turn: Turn) -> None:
        self._admit(device)
        if not turn.is_admitted:
            turn.signal = self._concurrency.signal()
            if not turn.is_over:
                turn.signal.wait(None)
        if turn.is_over:
            raise GivenUp

    def _leave(self, url: str, device: _Device, turn: Turn) -> None:
        """Give a place back, or wait for none any more."""
        if turn.is_admitted:
            turn.is_admitted = False
            device.taken -= 1
            self._taken -= 1
        else:
            del device.waiting[turn]
        if not device.taken and not device.waiting:
            del self._devices[url]
        self._admit(device)

    def _admit(self, changed: _Device) -> None:
        """Admit the first turn of each device, and then the second one, as long as there are places."""
        self._next[changed] = None
        while self._next and self._taken < _AT_A_TIME:
            device = next(iter(self._next))
            del self._next[device]
            if device.waiting and device.taken < _OF_A_DEVICE:
                self._admit_first(device)
                self._next[device] = None

    def _admit_first(self, device: _Device) -> None:
        turn = next(iter(device.waiting))
        del device.waiting[turn]
        device.taken += 1
        self._taken += 1
        turn.is_admitted = True
        if turn.signal is not None:
            turn.signal.set()

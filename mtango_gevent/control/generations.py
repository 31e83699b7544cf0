"""Generations of devices: an answer to a question from before a change is never used after the change."""

from __future__ import annotations

import itertools

# Devices whose own generation is remembered, about a hundred bytes each.
MOST_DEVICES = 10_000


class Generations:
    """A number for each device that changes whenever the answers of the device may have changed.

    A cache that has the number in its keys cannot return, or join, a question that was asked before the change.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._devices: dict[str, int] = {}
        self._default = next(self._numbers)  # of all devices without a number of their own

    def of(self, device: str) -> int:
        return self._devices.get(device, self._default)

    def end(self, device: str) -> None:
        """Begin a new generation of one device."""
        if len(self._devices) >= MOST_DEVICES:
            self.end_all()
        self._devices[device] = next(self._numbers)

    def end_all(self) -> None:
        """Begin a new generation of every device."""
        self._default = next(self._numbers)  # first: no number is used twice
        self._devices.clear()

"""Results that hold for a moment: checks of access, and the Tango hosts and devices that URLs name."""

from __future__ import annotations

import time
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

# Seconds for which a result holds; the files of access control and the addresses of hosts are looked at as often.
_MOMENT = 0.5

# Results that are kept: more than the clients of a control room ask for in that time.
_MOST_KEPT = 10_000


class Recent(Generic[K, V]):
    """The results of the present moment, by what they depend on. All end together, so that none has a clock.

    Without the checks of access among them a value read takes a tenth longer where access rules are in force.
    """

    def __init__(self) -> None:
        self._kept: dict[K, V] = {}
        self._until = 0.0

    def get(self, key: K) -> V | None:
        now = time.monotonic()
        if now > self._until:
            self._kept, self._until = {}, now + _MOMENT
        return self._kept.get(key)

    def keep(self, key: K, result: V) -> None:
        if len(self._kept) < _MOST_KEPT:
            self._kept[key] = result

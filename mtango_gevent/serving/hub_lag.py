"""The lag of a hub: the delay of its greenlets while something holds it."""

from __future__ import annotations

import time
from collections import deque

import gevent

# Seconds between two runs of the timer, which takes 0.3 % of a processor. A block is measured up to this too short.
_PERIOD = 0.02


class HubLag:
    """The lag of the current hub: the greatest delay of a timer.

    kept: number of values of `take` of which the greatest is returned.
    """

    def __init__(self, kept: int) -> None:
        self._taken = deque[float](maxlen=kept)
        self._greatest, self._last = 0.0, time.monotonic()
        self._timer = gevent.get_hub().loop.timer(_PERIOD, _PERIOD, ref=False)
        self._timer.start(self._measure)

    def _measure(self) -> None:
        now = time.monotonic()
        self._greatest, self._last = max(self._greatest, now - self._last - _PERIOD), now

    def take(self) -> float:
        """Return the greatest delay in seconds, since as many calls as are kept."""
        self._taken.append(self._greatest)
        self._greatest = 0.0
        return max(self._taken)

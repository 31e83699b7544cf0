"""The circuit breaker of a device."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timezone
from typing import Any

from mtango_gevent.errors import ANSWERS, DevFailed, is_late, tango_failure
from mtango_gevent.text import from_utf8

logger = logging.getLogger(__name__)

# Seconds without a caller after which a device or server that does not answer is not asked any more.
FORGET_AFTER = 60.0

_MAX_TEXT = 200


class CircuitBreaker:
    """Closed, until `open_after` calls in a row have come too late; open, until the device answers again.

    late_after: seconds after which a failure to reach the device is late. An earlier one may be what the device itself
    says about another one. A call that began before the last answer came proves nothing.
    """

    def __init__(self, name: str, open_after: int, late_after: float) -> None:
        self.name = name
        self.in_flight = self.calls = self.failures = self.timeouts = 0
        self.seconds = 0.0  # that all calls together took
        self.last_error: tuple[float, str] | None = None  # (seconds since the epoch, text)
        self.opened = 0.0  # since the epoch; 0 when closed
        self.next_try: float | None = None  # when it is probed again, by time.perf_counter(); None while it is
        self._open_after, self._late_after = open_after, late_after
        self._late = 0  # in a row
        self._answered = 0.0

    @property
    def state(self) -> str:
        """closed, open, or half-open while the device is probed."""
        if not self.opened:
            return "closed"
        return "open" if self.next_try else "half-open"

    @property
    def is_used(self) -> bool:
        """Whether the device has ever been called."""
        return self.calls > 0 or self.in_flight > 0

    def raise_if_open(self) -> None:
        """Raise DevFailed, MTANGO_CircuitOpen, while the circuit is open."""
        if self.opened:
            left = self._seconds_left()
            when = "is under way" if left is None else f"in {left:.1f} s"
            error = self.last_error[1] if self.last_error else ""
            raise open_failure(self.name, self.opened, f"has not answered {self._late} calls in a row: {error}", when)

    def begin(self) -> None:
        """A call has a thread."""
        self.in_flight += 1

    def withdraw(self) -> None:
        """A call that was to have a thread has got none."""
        self.in_flight -= 1

    def on_timeout(self, began: float, error: DevFailed) -> None:
        """A call that began then, by time.perf_counter(), has not ended by its deadline."""
        self._note(error)
        self._count_late(began)

    def end(self, began: float, error: BaseException | None, timed_out: bool = False) -> bool:
        """A call has ended, perhaps after `on_timeout`. Return whether it was late."""
        seconds = time.perf_counter() - began
        self.in_flight -= 1
        self.calls += 1
        self.seconds += seconds
        late = is_late(error, seconds, self._late_after)
        if isinstance(error, DevFailed) and not timed_out and error.args[0].reason not in ANSWERS:
            self._note(error)
        if not late:
            self._answer()
        elif not timed_out:
            self._count_late(began)
        return late

    def reset(self) -> None:
        """Close the circuit."""
        self._late, self.opened = 0, 0.0

    def status(self) -> dict[str, Any]:
        """Return its part of the device status."""
        when, text = self.last_error or (None, None)
        return {
            "state": self.state,
            "open_since": self.opened or None,
            "next_try": self._seconds_left() if self.opened else None,
            "calls": self.calls,
            "seconds": self.seconds,
            "failures": self.failures,
            "timeouts": self.timeouts,
            "last_error": text,
            "last_error_time": when,
        }

    def _seconds_left(self) -> float | None:
        return None if self.next_try is None else max(0.0, self.next_try - time.perf_counter())

    def _note(self, error: DevFailed) -> None:
        self.failures += 1
        root = error.args[0]
        self.last_error = time.time(), from_utf8(f"{root.reason}: {root.desc}")[:_MAX_TEXT]

    def _answer(self) -> None:
        self._answered, self._late = time.perf_counter(), 0
        if self.opened:
            self.opened = 0.0
            logger.warning("%s answers again", self.name)

    def _count_late(self, began: float) -> None:
        self.timeouts += 1
        if began < self._answered:
            return
        self._late += 1
        if self._late >= self._open_after and not self.opened:
            self.opened = time.time()
            logger.warning("%s has not answered %d calls in a row, and is left alone", self.name, self._late)


def open_failure(name: str, since: float, why: str, retry: str) -> DevFailed:
    """Return the failure of a call that is not made, as its target is known not to answer."""
    clock = datetime.fromtimestamp(since, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return tango_failure("MTANGO_CircuitOpen", f"{name} {why}; it is left alone since {clock}, the next try {retry}")
